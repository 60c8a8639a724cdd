"""Which link speaks for which terminal, from its login to its end, and the journal told of it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Final

from fleet import SessionChange
from ingest.counters import Counters
from ingest.cut_uploads import KEPT_AFTER, CutUploads
from ingest.identities import BLOCKED, Identities
from ingest.journal import EDITION_CODES, Kind
from ingest.journal.base import Append
from ingest.journal.facts import GatewayStarted, encode_fact
from ingest.links import TerminalLink
from ingest.sessions import Sessions
from jt808.connection import ConnectionLimits
from jt808.header import Edition, Header
from jt808.messages import TerminalAuthentication

log = logging.getLogger(__name__)

MAX_IDLE_TIMES: Final = 1000
NO_PHONE: Final = bytes(10)


class SessionDesk:
    """Begins and ends sessions; `sessions` says who is on-line."""

    def __init__(
        self,
        identities: Identities,
        append: Append,
        counters: Counters,
        limits: ConnectionLimits,
        cut_uploads: CutUploads,
        *,
        max_displacements: int,
    ) -> None:
        """Args:  limits: of a link whose terminal has none of its own. max_displacements: see `Sessions`."""
        self.sessions: Sessions[TerminalLink] = Sessions(counters, max_displacements=max_displacements)
        self._identities = identities
        self._append = append
        self._counters = counters
        self._limits = limits
        self._cut_uploads = cut_uploads
        self._limits_by_idle: dict[float, ConnectionLimits] = {}
        self._serial_nos: dict[str, int] = {}  # phone -> the next serial number, when its link is gone
        self._lost_facts = False

    def begin(
        self,
        link: TerminalLink,
        header: Header,
        phone: str,
        edition: Edition | None,
        message: TerminalAuthentication,
        now_us: int,
    ) -> None:
        """The terminal is who it says: answer, and let it speak. The newest link of a terminal wins."""
        self._counters["authentications"] += 1
        is_new = link.phone != phone
        if is_new:
            self.end(link, "another_terminal")
            now = link.host.loop.time()
            displaced = self.sessions.begin(phone, link, now)
            if displaced is not None:
                log.info("terminal %s: %s displaces %s", phone, link.peer, displaced.peer)
                displaced.end("duplicate_identity" if self.sessions.is_contested(phone, now) else "displaced")
            link.connection.continue_serial_no(self._serial_nos.pop(phone, 0))
            if (packages := self._cut_uploads.take(phone)) is not None:
                link.connection.continue_packages(packages)
        for dropped in link.connection.authenticated(header, edition):
            self._counters.count("packages_dropped", dropped.reason, dropped.packages)
        if is_new and link.connection.holds_packages:
            self._counters["uploads_continued"] += 1
        link.took_over(phone)
        link.connection.use_limits(self._limits_of(phone))
        if message.imei and not (len(message.imei) == 15 and message.imei.isdecimal()):
            self._counters["imeis_malformed"] += 1  # makers fill the field with what they like; it is kept as it is
        if is_new:
            imei, version = message.imei or "", message.software_version or ""
            self._tell(link, now_us, online=True, reason="", imei=imei, software_version=version)

    def end(self, link: TerminalLink, reason: str) -> None:
        """The link speaks for its terminal no more."""
        if not link.phone:
            return
        self._tell(link, time.time_ns() // 1000, online=False, reason=reason)
        self._serial_nos[link.phone] = link.connection.take_serial_no()
        if reason in KEPT_AFTER and (packages := link.connection.take_packages()) is not None:
            self._cut_uploads.keep(link.phone, packages)
        self.sessions.end(link.phone, link)
        log.debug("terminal %s at %s: session ended: %s", link.phone, link.peer, reason)
        link.phone = ""

    def identity_changed(self, phone: str) -> None:
        """The database has another word on a terminal: whom it blocked or deleted is sent away."""
        link = self.sessions.get(phone)
        identity = self._identities.get(phone)
        if link is None:
            return
        if identity is None or identity.standing == BLOCKED:
            link.end("blocked" if identity is not None else "deleted")
        else:
            link.use_limits(self._limits_of(phone))

    def _limits_of(self, phone: str) -> ConnectionLimits:
        """The configured ones, with the silence that is granted this terminal. Links with the same share the object."""
        identity = self._identities.get(phone)
        if identity is None or identity.idle_s is None:
            return self._limits
        if len(self._limits_by_idle) > MAX_IDLE_TIMES:
            self._limits_by_idle.clear()
        return self._limits_by_idle.setdefault(identity.idle_s, replace(self._limits, idle_s=identity.idle_s))

    # ---- what the journal is told

    def gateway_started(self) -> None:
        """Nobody is on-line: whoever was, was so with a gateway before this one."""
        now_us = time.time_ns() // 1000
        body = encode_fact(GatewayStarted(now_us))
        self._append(Kind.GATEWAY_STARTED, now_us, NO_PHONE, 13, 0, 0, body, urgent=True)

    def _tell(
        self,
        link: TerminalLink,
        now_us: int,
        *,
        online: bool,
        reason: str,
        imei: str = "",
        software_version: str = "",
    ) -> None:
        edition = str(link.connection.edition)
        change = SessionChange(
            received_us=now_us,
            phone=link.phone,
            online=online,
            peer=link.peer,
            transport=link.transport_name,
            edition=edition,
            reason=reason,
            imei=imei,
            software_version=software_version,
        )
        kind = Kind.SESSION_BEGIN if online else Kind.SESSION_END
        body = encode_fact(change)
        if not self._append(kind, now_us, link.phone10, EDITION_CODES[edition], 0, 0, body, urgent=True):
            self._lost_facts = True

    def tell_what_was_lost(self) -> None:
        """The journal takes facts: if some were dropped while it could not be written, say how things stand."""
        if not self._lost_facts:
            return
        self._lost_facts = False
        log.warning("logins and link ends were lost while the journal was full; telling who is on-line anew")
        self.gateway_started()
        now_us = time.time_ns() // 1000
        for link in self.sessions.links():
            self._tell(link, now_us, online=True, reason="")

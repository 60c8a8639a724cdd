"""Registration, authentication, unregistering: what the gateway decides about a terminal, without any database."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from fleet import RefusedRegistration, Registration, canonical_phone
from ingest.counters import Counters
from ingest.deviating import LoginSample
from ingest.identities import (
    APPROVED,
    BLOCKED,
    Admission,
    Identities,
    Identity,
    admit,
    code_matches,
    hash_auth_code,
    new_auth_code,
)
from ingest.journal import EDITION_CODES, Kind
from ingest.journal.facts import Fact, Unregistered, encode_fact
from ingest.links import TerminalLink
from ingest.pace import Pace
from ingest.session_desk import SessionDesk
from jt808.errors import PeerError, Result
from jt808.events import AuthRequested, RegisterRequested, UnregisterRequested
from jt808.header import Edition, Header
from jt808.messages import TerminalAuthentication, TerminalRegister, body_edition, decode_body

log = logging.getLogger(__name__)

REFUSED_AGAIN_AFTER_US: Final = 60_000_000
REFUSED_REMEMBERED: Final = 10_000
REFUSED_PER_S: Final = 50
FINGERPRINT_BYTES: Final = 8
HOLDER_SILENT_S: Final = 90.0
"""Whoever holds a contested identity and was not heard of for so long has lost it to the next who logs in: a terminal
that left its old link half open is not locked out by it for longer."""


def fingerprint(body: bytes) -> bytes:
    """What is remembered of a registration answered on a link, in front of the code, to know it when it comes again."""
    return blake2b(body, digest_size=FINGERPRINT_BYTES).digest()


class RefusalGate:
    """Lets a refused registration into the journal once a minute for each phone, and no more than so many a second
    in all: whoever makes up phone numbers must not fill the disk or the list of those that wait for approval."""

    def __init__(self) -> None:
        self._journaled: OrderedDict[str, int] = OrderedDict()
        self._second = 0
        self._in_second = 0

    @property
    def is_first_of_second(self) -> bool:
        """Was what passed last the first in its second?"""
        return self._in_second == 1

    def passes(self, phone: str, now_us: int) -> bool:
        last = self._journaled.get(phone)
        if last is not None and now_us - last < REFUSED_AGAIN_AFTER_US:
            return False
        second = now_us // 1_000_000
        if second != self._second:
            self._second, self._in_second = second, 0
        if self._in_second >= REFUSED_PER_S:
            return False
        self._in_second += 1
        self._journaled[phone] = now_us
        self._journaled.move_to_end(phone)
        if len(self._journaled) > REFUSED_REMEMBERED:
            self._journaled.popitem(last=False)
        return True


class LoginDesk:
    """Answers 0x0100, 0x0102 and 0x0003."""

    def __init__(
        self,
        desk: SessionDesk,
        identities: Identities,
        counters: Counters,
        *,
        is_open: bool,
        max_terminals: int,
        logins_per_minute: int,
    ) -> None:
        self._desk = desk
        self._identities = identities
        self._counters = counters
        self._deviations = LoginSample(counters)
        self._is_open = is_open
        self._max_terminals = max_terminals
        self._gate = RefusalGate()
        self._logins = Pace(logins_per_minute)
        self._registrations = Pace(logins_per_minute)

    # ---- 0x0100

    def register(self, link: TerminalLink, event: RegisterRequested, now_us: int) -> None:
        header = event.header
        if link.is_registering:
            self._counters.count("registrations_ignored", "in_progress")  # a repetition; the answer is on its way
            return
        try:
            message = decode_body(0x0100, header.edition, event.body)
        except PeerError as error:
            log.debug("%s: registration cannot be read: %s", link.peer, error)
            self._counters.count("registrations_refused", "unreadable")
            link.connection.reply_general(header, Result.MESSAGE_WRONG)
            return
        assert isinstance(message, TerminalRegister)
        edition = body_edition(0x0100, header.edition, event.body)
        phone = canonical_phone(header.phone)
        self._deviations.look(0x0100, header.edition, event.body, phone, now_us)
        identity = self._identities.get(phone)
        if link.issued is not None and identity is not None and link.issued.startswith(fingerprint(event.body)):
            code = link.issued[FINGERPRINT_BYTES:].decode()
            if hash_auth_code(code) == identity.auth_code_hash:
                self._counters.count("registrations_ignored", "repeated")
                link.connection.repeat_registration(header, code)  # the first answer got lost, or this is a late copy
                return
        admission = admit(identity, message.terminal_id, is_open=self._is_open)
        if not admission.result and identity is None and len(self._identities) >= self._max_terminals:
            admission = Admission(4, "too_many_terminals")
        if not admission.result and not self._registrations.allows(phone, link.host.loop.time()):
            self._counters.count("registrations_ignored", "too_often")  # each costs an fsync and rows in the database
            link.end("registers_too_often")
            return
        if admission.result:
            self._refuse(link, header, message, admission, now_us)
        else:
            self._take_in(link, event, message, edition, identity, now_us)

    def _refuse(
        self, link: TerminalLink, header: Header, message: TerminalRegister, admission: Admission, now_us: int
    ) -> None:
        phone = canonical_phone(header.phone)
        self._counters.count("registrations_refused", admission.reason)
        if self._gate.passes(phone, now_us):
            if self._gate.is_first_of_second:  # a flood must not fill the log; all are listed or counted
                log.info("terminal %s from %s is not taken in: %s", phone, link.peer, admission.reason)
            fact = RefusedRegistration(
                received_us=now_us,
                phone=phone,
                edition=header.edition,
                manufacturer_id=message.manufacturer_id,
                terminal_model=message.terminal_model,
                terminal_id=message.terminal_id,
                plate_color=message.plate_color,
                plate=message.plate,
                peer=link.peer,
                reason=admission.reason,
            )
            self._journal(link, Kind.REFUSED, header, fact)
        link.connection.refuse_registration(header, admission.result)

    def _take_in(
        self,
        link: TerminalLink,
        event: RegisterRequested,
        message: TerminalRegister,
        edition: Edition,
        known: Identity | None,
        now_us: int,
    ) -> None:
        """A new code: first into the mirror, then into the journal, then out to the terminal."""
        header = event.header
        code = new_auth_code()
        fact = Registration(
            received_us=now_us,
            phone=canonical_phone(header.phone),
            edition=edition,
            province_id=message.province_id,
            city_id=message.city_id,
            manufacturer_id=message.manufacturer_id,
            terminal_model=message.terminal_model,
            terminal_id=message.terminal_id,
            plate_color=message.plate_color,
            plate=message.plate,
            auth_code_hash=hash_auth_code(code),
            auth_issued_us=max(now_us, known.auth_issued_us + 1 if known else 0),
        )
        identity = Identity(
            phone=fact.phone,
            standing=APPROVED,
            terminal_id=fact.terminal_id,
            edition=edition,
            auth_code_hash=fact.auth_code_hash,
            auth_issued_us=fact.auth_issued_us,
            idle_s=known.idle_s if known else None,
            in_database=known.in_database if known else False,
        )

        def journaled() -> None:
            link.is_registering = False
            link.issued = fingerprint(event.body) + code.encode()
            self._counters["registrations"] += 1
            if not link.is_ended:
                self._desk.end(link, "registers_again")
                link.connection.accept_registration(header, code, edition)

        def saved(is_saved: bool) -> None:
            if not is_saved or not self._journal(link, Kind.REGISTERED, header, fact, journaled):
                link.is_registering = False
                self._counters.count("registrations_refused", "disk")

        link.is_registering = True
        self._identities.save(identity, saved)

    # ---- 0x0102

    def authenticate(self, link: TerminalLink, event: AuthRequested, now_us: int) -> None:
        header = event.header
        phone = canonical_phone(header.phone)
        identity = self._identities.get(phone)
        reason, message = self._check(identity, header, event.body)
        if message is None or identity is None:
            self._counters.count("auth_failures", reason)
            log.debug("terminal %s from %s is not authenticated: %s", phone, link.peer, reason)
            if link.connection.refuse_authentication(header):
                link.end("auth_failures")
            return
        if reason := self._obstacle(link, phone):
            # Not answered: a terminal that is told "failed" takes its code for void and registers anew, which would
            # void the code of the other one.
            self._counters.count("logins_refused", reason)
            link.end(reason)
            return
        self._deviations.look(0x0102, header.edition, event.body, phone, now_us)
        edition = Edition(identity.edition) if identity.edition else None
        self._desk.begin(link, header, phone, edition, message, now_us)

    def _obstacle(self, link: TerminalLink, phone: str) -> str:
        """Why a terminal that showed the right code is not let in on this link; "" when nothing speaks against it."""
        if link.phone == phone:
            return ""
        now = link.host.loop.time()
        sessions = self._desk.sessions
        if not self._logins.allows(phone, now):
            return "logs_in_too_often"
        holder = sessions.get(phone)
        if holder is None or not sessions.is_contested(phone, now):
            return ""
        return "duplicate_identity" if now - holder.connection.last_received < HOLDER_SILENT_S else ""

    def _check(
        self, identity: Identity | None, header: Header, body: bytes
    ) -> tuple[str, TerminalAuthentication | None]:
        try:
            message = decode_body(0x0102, header.edition, body)
        except PeerError:
            return "unreadable", None
        assert isinstance(message, TerminalAuthentication)
        matches = code_matches(identity, message.auth_code)
        if identity is None:
            return "unknown", None
        if identity.auth_code_hash is None:
            return "not_registered", None
        if not matches:
            return "wrong_code", None
        if identity.standing == BLOCKED:
            return "blocked", None
        return "", message

    # ---- 0x0003

    def unregister(self, link: TerminalLink, event: UnregisterRequested, now_us: int) -> None:
        identity = self._identities.get(link.phone)
        if identity is None:
            return  # deleted meanwhile; its link is being closed
        fact = Unregistered(now_us, link.phone)
        phone10, edition = link.phone10, link.edition_code

        def journaled() -> None:
            self._counters["unregistrations"] += 1
            if not link.is_ended:
                link.connection.unregistered(event)
                self._desk.end(link, "unregistered")

        def saved(is_saved: bool) -> None:
            if is_saved:
                link.host.append(
                    Kind.UNREGISTERED, now_us, phone10, edition, event.message_id, event.serial_no,
                    encode_fact(fact), (link, journaled), urgent=True,
                )  # fmt: skip

        issued_us = max(now_us, identity.auth_issued_us + 1)
        self._identities.save(replace(identity, auth_code_hash=None, auth_issued_us=issued_us), saved)

    def _journal(
        self,
        link: TerminalLink,
        kind: Kind,
        header: Header,
        fact: Registration | RefusedRegistration,
        then: Callable[[], None] | None = None,
    ) -> bool:
        phone10 = bytes.fromhex(header.phone.rjust(20, "0"))
        edition = EDITION_CODES[fact.edition]
        body = encode_fact(fact)
        token = None if then is None else (link, then)
        return link.host.append(
            kind, fact.received_us, phone10, edition, header.message_id, header.serial_no, body, token, urgent=True
        )


__all__ = ["Fact", "LoginDesk", "RefusalGate"]

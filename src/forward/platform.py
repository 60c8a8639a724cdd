"""One superior platform: its main link kept up, its sub link taken in, its sender fed, and how it all stands."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from fleet import Bus
from forward.config import ForwarderConfig
from forward.facts import Facts
from forward.links import Connection
from forward.rarely import Rarely
from forward.sender import Sender
from jt809 import BodyError, Cipher, Credentials, Edition, LinkSettings, MainLink, SerialCounter, State, SubLink
from jt809.events import (
    BadFrameReceived,
    BodyUnreadable,
    Event,
    LinkClosed,
    LoginAccepted,
    LoginRefused,
    MessageReceived,
    OutOfPlace,
    PeerCloses,
    SubLinkDown,
    TestAnswered,
)
from jt809.messages import CloseLinkInform, DisconnectInform, TotalReceived, connect_result, disconnect_reason
from store import Database
from store.queries.forwarding import Platform

LOGOUT_S: Final = 1.0  # how long a stopping server waits for the answer to its logout
MAX_KINDS: Final = 256  # of unhandled messages told apart; a peer may invent four thousand million
LOGOUT_ANSWER: Final = 0x1004
TOTAL_RECEIVED: Final = 0x9101

LogLink = Callable[[int, str, str, str], None]
"""(platform id, "main" | "sub", "up" | "down" | "refused", detail): a row of platform_link_log."""


class PlatformLink:
    """``run()`` in a task until cancelled; ``take_sub_link`` when the platform connected back.

    Raises: jt809.UsageError: the platform's configuration does not fit the protocol's fields; the message says which.
    """

    def __init__(
        self,
        platform: Platform,
        sub_link_port: int,
        database: Database,
        bus: Bus,
        facts: Facts,
        config: ForwarderConfig,
        log_link: LogLink,
    ) -> None:
        self.platform = platform
        self.serial = SerialCounter()
        self.settings = LinkSettings(
            access_code=platform.access_code,
            edition=Edition(platform.edition),
            cipher=Cipher(platform.m1, platform.ia1, platform.ic1) if platform.encrypt else None,
            is_encrypting=platform.encrypt,
            heartbeat_s=config.heartbeat_s,
            silence_s=config.silence_s,
            login_timeout_s=config.login_timeout_s,
        )
        credentials = Credentials(
            platform.user_id, platform.password, platform.sub_link_host, platform.sub_link_port or sub_link_port
        )
        self.link = MainLink(self.settings, credentials, config.backoff, self.serial)
        self.sender = Sender(platform, database, bus, facts, config)  # last: it subscribes to the bus
        self.unhandled: Counter[str] = Counter()  # business messages of the superior that nothing of ours reads yet
        self.bad_frames: Counter[str] = Counter()
        self.logins = 0
        self.refusals = 0
        self._config = config
        self._log_link = log_link
        self._log = logging.getLogger("roadwarden.forward")
        self._main: Connection | None = None
        self._sub: Connection | None = None
        self._since = datetime.now(UTC)
        self._detail = "未连接 (not connected yet)"
        self._was_main_up = False
        self._is_refused = False  # the login going on; its end needs no further words
        self._refusal = ""  # the newest one that was told
        self._rarely = Rarely(self._log)

    # for the server

    @property
    def verify_code(self) -> int | None:
        """What a sub link of this platform must bring; None before the first login."""
        return self.link.verify_code

    def take_sub_link(self, connection: Connection) -> None:
        """The superior platform logged in on its sub link; an older one is closed."""
        assert isinstance(connection.link, SubLink)
        older, self._sub = self._sub, connection
        connection.link.accept(self.settings, self.serial, connection.now)
        if older is not None:
            older.close("the superior platform opened another sub link")
        self._note("sub", "up", connection.peer)
        self._choose_outlet()

    def status(self) -> dict[str, Any]:
        """How it stands: link states, counts since the start, the cursor."""
        sender = self.sender
        return {
            "id": self.platform.id,
            "name": self.platform.name,
            "main": _up(self._main),
            "sub": _up(self._sub),
            "since": self._since,
            "detail": self._detail,
            "sent_live": sender.sent_live,
            "sent_history": sender.sent_history,
            "backlog": max(sender.backlog, 0),
            "cursor": sender.cursor,
            "registrations": sender.registrations,
            "skipped": dict(sender.skipped),
            "lost_batches": sender.lost_batches,
            "failures": sender.failures,
            "unhandled": dict(self.unhandled),
            "bad_frames": dict(self.bad_frames),
            "logins": self.logins,
            "refusals": self.refusals,
        }

    async def run(self) -> None:
        """Keep the main link up, for ever; logs out when cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_main_link())
                group.create_task(self.sender.run())
        finally:
            self.sender.close()
            await self._log_out()
            await self.sender.finish()

    async def _keep_main_link(self) -> None:
        loop = asyncio.get_running_loop()
        self.link.start(loop.time())
        while True:
            if self._main is not None:  # first: the end of an old connection must not be taken for that of the next
                await asyncio.shield(self._main.closed)
                self._main = None
            elif self.link.state is State.CONNECTING:
                await self._connect(loop)
            elif self.link.state is State.BACKOFF:
                await asyncio.sleep(max(0.0, (self.link.next_deadline() or 0.0) - loop.time()))
                self.link.handle_timer(loop.time())
            else:
                raise RuntimeError(f"the main link is {self.link.state} without a connection")

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        def connected(connection: Connection) -> None:
            self.link.connected(connection.now)

        connection = Connection(self.link, self._on_main_event, self._config.write_buffer_bytes, connected)
        host, port = self.platform.host, self.platform.port
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                await loop.create_connection(lambda: connection, host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can have that name
            strerror = error.strerror if isinstance(error, OSError) else None
            reason = "no answer" if isinstance(error, TimeoutError) else strerror or str(error)
            for event in self.link.connection_lost(loop.time(), f"cannot connect to {host}:{port}: {reason}"):
                self._on_main_event(connection, event)
        else:
            self._main = connection

    async def _log_out(self) -> None:
        """Say goodbye when we can; then close everything."""
        main, sub = self._main, self._sub
        self._main = self._sub = None
        self.link.verify_code = None  # no sub link is taken any more
        if main is not None and main.is_up:
            answers = self.link.received[LOGOUT_ANSWER]
            self.link.stop(main.now, LOGOUT_S)
            main.rearm()
            await asyncio.wait((main.closed,), timeout=LOGOUT_S)
            if self.link.received[LOGOUT_ANSWER] > answers:
                self.sender.all_received(main)
        elif sub is not None and sub.is_up:
            sub.send_message(CloseLinkInform(0))
        if main is not None:
            main.close("closed by us")
        if self._was_main_up:
            self._note("main", "down", "closed by us")
        if sub is not None:
            sub.close("closed by us")
            self._note("sub", "down", "closed by us")

    # what happens on the links

    def _on_main_event(self, connection: Connection, event: Event) -> None:
        match event:
            case LoginAccepted():
                self.logins += 1
                self._refusal = ""
                self._main = connection
                self._note("main", "up", connection.peer)
                self._choose_outlet()
            case LoginRefused(result):
                self.refusals += 1
                english, chinese = connect_result(result)
                self._refused(f"登录被拒绝:{chinese} (login refused: {english})")
            case LinkClosed(reason):
                self._main_down(reason)
            case SubLinkDown(error_code):
                english, chinese = disconnect_reason(error_code)
                self._log.warning("%s says the sub link is down: %s", self.platform.name, english)
                self._log_link(self.platform.id, "sub", "down", f"上级平台通知:{chinese} ({english})")
            case _:
                self._on_event(connection, event)

    def on_sub_event(self, connection: Connection, event: Event) -> None:
        match event:
            case LinkClosed(reason):
                if connection is self._sub:
                    self._sub = None
                    self._note("sub", "down", reason)
                    self._choose_outlet()
            case PeerCloses(reason_code):  # 0x9008 ends both links
                self._log.info("%s closes both links (reason %d)", self.platform.name, reason_code)
                if self._main is not None:
                    self._main.close("the superior platform closes both links")
            case _:
                self._on_event(connection, event)

    def _on_event(self, connection: Connection, event: Event) -> None:
        """What may happen on either link."""
        name = self.platform.name
        match event:
            case TestAnswered(token):
                self.sender.test_answered(connection, token)
            case MessageReceived():
                self._on_message(event)
            case BadFrameReceived(reason, raw):
                self.bad_frames[reason] += 1
                self._rarely.warn(f"frame {reason}", "%s: dropped a frame, %s: %s", name, reason, raw[:200].hex())
            case BodyUnreadable(_, body, error):
                self.bad_frames["bad_body"] += 1
                self._rarely.warn("body", "%s: dropped a message, %s: %s", name, error, body[:200].hex())
            case OutOfPlace(header, state):
                self.bad_frames["out_of_place"] += 1
                self._rarely.warn("place", "%s: 0x%04X while the link is %s", name, header.message_id, state)
            case PeerCloses(reason_code):
                self._log.info("%s closes both links (reason %d)", name, reason_code)
                if self._sub is not None:
                    self._sub.close("the superior platform closes both links")
            case _:
                self._log.debug("%s: %s", name, event)

    def _on_message(self, event: MessageReceived) -> None:
        """A downlink business message. None of them is handled yet; post inquiries are never answered by a machine."""
        if event.header.message_id == TOTAL_RECEIVED:
            try:
                message = event.decode()
            except BodyError as error:
                self.bad_frames["bad_body"] += 1
                self._rarely.warn("body", "%s: %s", self.platform.name, error)
                return
            assert isinstance(message, TotalReceived)
            self._log.info(
                "%s received %d positions from %s to %s",
                self.platform.name,
                message.total,
                message.start.isoformat(),
                message.end.isoformat(),
            )
            return
        name = event.name
        kind = name if name in self.unhandled or len(self.unhandled) < MAX_KINDS else "other"
        self.unhandled[kind] += 1
        self._rarely.warn(kind, "%s sent %s, which is not handled in this version", self.platform.name, name)

    # inside

    def _outlet(self) -> Connection | None:
        """Everything goes over the link that is alive; the main link when both are."""
        return next((link for link in (self._main, self._sub) if link is not None and link.is_up), None)

    def _choose_outlet(self) -> None:
        self.sender.use(self._outlet())

    def _main_down(self, reason: str) -> None:
        if self._was_main_up:
            self._note("main", "down", reason)
            if self._sub is not None and self._sub.is_up:
                self._sub.send_message(DisconnectInform(0))
        elif not self._is_refused:
            self._detail = reason
        self._is_refused = False
        self._choose_outlet()

    def _refused(self, detail: str) -> None:
        self._is_refused = True
        self._detail = detail
        if detail != self._refusal:  # once, not every minute while nobody mends it
            self._refusal = detail
            self._log.error("%s: %s", self.platform.name, detail)
            self._log_link(self.platform.id, "main", "refused", detail)

    def _note(self, link: str, event: str, detail: str) -> None:
        """A link went up or down: tell log, table and status."""
        level = logging.INFO if event == "up" else logging.WARNING
        self._log.log(level, "%s: %s link %s (%s)", self.platform.name, link, event, detail)
        self._log_link(self.platform.id, link, event, detail)
        if link == "main":
            self._was_main_up = event == "up"
            self._since = datetime.now(UTC)
            self._detail = detail


def _up(connection: Connection | None) -> str:
    return "up" if connection is not None and connection.is_up else "down"

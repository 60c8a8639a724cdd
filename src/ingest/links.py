"""The shells around `jt808.TerminalConnection`: here those of TCP, in `ingest.datagrams` those of UDP.

They add what the connection must not know: sockets, the clock, the loop's timers.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from functools import partial
from typing import Any, Final, Protocol, cast

from ingest.addresses import Addresses
from ingest.config import GatewayConfig
from ingest.counters import Counters
from ingest.deadlines import Deadlines
from ingest.journal.base import Append
from ingest.turns import Turns
from jt808.connection import ConnectionLimits, TerminalConnection
from jt808.events import MessageReceived
from jt808.subpackage import Budget

log = logging.getLogger(__name__)

CLOSING_S: Final = 5.0  # for the last answers to leave a link that is being closed
PROMPT_BYTES: Final = 512  # a read of no more, of who is logged in, is taken at once: a few reports
SLICE_BYTES: Final = 1024  # of a larger one, taken in its turn
ROOM_BYTES: Final = 4096  # with no more unsent a link has room for what can wait
THROTTLED_MAX_S: Final = 30.0  # without reading; a heartbeat may wait behind it
UNLIMITED: Final = 1 << 62
EDITION_CODES: Final = {"2011": 11, "2013": 13, "2019": 19}

Address = tuple[Any, ...]


def peer_text(address: Address | None) -> str:
    """HOST:PORT."""
    if not address:
        return "?"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Host(Protocol):
    """What a link asks of the gateway that it belongs to."""

    config: GatewayConfig
    counters: Counters
    addresses: Addresses
    deadlines: Deadlines
    turns: Turns
    loop: asyncio.AbstractEventLoop
    append: Append
    link_limits: ConnectionLimits
    package_budget: Budget
    is_pressed: bool  # the journal cannot keep up, nothing is read

    def link_made(self, link: TcpLink) -> bool: ...
    def link_lost(self, link: TcpLink) -> None: ...
    def handle_event(self, link: TerminalLink, event: Any, now_us: int) -> None: ...
    def end_session(self, link: TerminalLink, reason: str) -> None: ...


class TerminalLink:
    """One terminal's link, whatever carries it."""

    __slots__ = (
        "_allowance",
        "_allowed_at",
        "address",
        "connection",
        "due_slot",
        "edition_code",
        "has_answers",
        "host",
        "is_ended",
        "is_registering",
        "issued",
        "phone",
        "phone10",
    )
    transport_name = ""

    def __init__(self, host: Host, address: Address | None) -> None:
        self.host = host
        self.address = address
        now = host.loop.time()
        self.connection = TerminalConnection(now, limits=host.link_limits, budget=host.package_budget)
        self.phone = ""  # canonical; "" while nobody is authenticated
        self.phone10 = b""
        self.edition_code = 13
        self.has_answers = False  # stands in the gateway's list of links to write to
        self.is_registering = False
        self.issued: bytes | None = None  # of a 0x0100 answered here, see ingest.login
        self.is_ended = False
        # The token bucket: messages it may still send before time is asked, and since when time was not asked.
        self._allowance = host.config.burst if host.config.messages_per_s else UNLIMITED
        self._allowed_at = now
        self.due_slot: int | None = None
        host.deadlines.set(self, self.connection.next_deadline())

    @property
    def peer(self) -> str:
        return peer_text(self.address)

    @property
    def host_address(self) -> str:
        """The address without the port; "" when it is not known."""
        return str(self.address[0]) if self.address else ""

    def received(self, events: list[Any]) -> None:
        """After every read: do what the events ask for."""
        if self.handle(events):
            while more := self.connection.receive_held(self.host.loop.time()):
                self.handle(more)
            self.flush()
            self._rearm()
        elif self.connection.holds_packages:
            self._rearm()

    def handle(self, events: list[Any]) -> bool:
        """Journal what is to be kept, which is hot; hand all else on. True: there was something else."""
        received_us = time.time_ns() // 1000
        host = self.host
        is_plain = True
        for event in events:
            if type(event) is MessageReceived:
                host.counters["messages_received"] += 1
                host.append(
                    0,
                    received_us,
                    self.phone10,
                    self.edition_code,
                    event.message_id,
                    event.serial_no,
                    event.body,
                    (self, event),
                )
            else:
                is_plain = False
                host.handle_event(self, event, received_us)
                if self.is_ended:
                    return True
        self._allowance -= len(events)
        if self._allowance < 0:
            self._overdrawn()
        return not is_plain

    def _overdrawn(self) -> None:
        """The terminal has used its allowance up: add what time has brought, and wait for what is missing."""
        config = self.host.config
        now = self.host.loop.time()
        gained = int((now - self._allowed_at) * config.messages_per_s)
        self._allowance += gained
        self._allowed_at += gained / config.messages_per_s
        if self._allowance > config.burst:
            self._allowance, self._allowed_at = config.burst, now
        if self._allowance < 0:
            self._throttle(min(-self._allowance / config.messages_per_s, THROTTLED_MAX_S))

    def _throttle(self, wait_s: float) -> None:
        """Take nothing more from the terminal for so long; what it sends meanwhile waits, or is not answered."""
        raise NotImplementedError

    def took_over(self, phone: str) -> None:
        """The terminal is authenticated: what its records are headed with."""
        self.phone = phone
        self.phone10 = self.connection.phone10
        self.edition_code = EDITION_CODES[self.connection.edition]

    def use_limits(self, limits: ConnectionLimits) -> None:
        """Other bounds from now on."""
        self.connection.use_limits(limits)
        self._rearm()

    def on_due(self) -> None:
        """Deadlines mostly move later: then there is nothing to do but to wait for the new one."""
        if self.is_ended:
            return
        self.handle(self.connection.on_time(self.host.loop.time()))
        self.flush()
        self._rearm()

    def _rearm(self) -> None:
        self.host.deadlines.set(self, None if self.is_ended else self.connection.next_deadline())

    def flush(self) -> None:
        """Write what the connection has to say."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """Whether what was written last has left, but for little."""
        return True

    def end(self, reason: str) -> None:
        """Close the link, once: the session's end is journaled, the last answers are written."""
        if self.is_ended:
            return
        self.is_ended = True
        self.host.deadlines.set(self, None)
        self.host.end_session(self, reason)
        self.host.counters.count("links_ended", reason)
        self.flush()
        for dropped in self.connection.close():
            self.host.counters.count("packages_dropped", dropped.reason, dropped.packages)
        self._close()

    def _close(self) -> None:
        raise NotImplementedError

    def press(self, paused: bool) -> None:
        """Stop or go on reading, because the journal cannot keep up."""


# Why a link is not read from, as bits. Plain numbers: an enum's are 0.3 µs slower to look at, for every answer.
PRESSED: Final = 1  # the journal cannot keep up
CHOKED: Final = 2  # the terminal does not read its answers
THROTTLED: Final = 4  # it sends more than its allowance
UNREAD: Final = 8  # what was read last is not taken in yet


class TcpLink(TerminalLink, asyncio.Protocol):
    """A TCP connection."""

    __slots__ = ("_pauses", "_stall", "_transport", "_unread", "is_counted")
    transport_name = "tcp"

    def __init__(self, host: Host, address: Address | None = None) -> None:
        """Args:  address: of the terminal, where the socket does not know it."""
        self.host = host
        self.address = address
        self._transport: asyncio.Transport | None = None
        self._pauses = 0
        self._unread = b""
        self._stall: asyncio.TimerHandle | None = None
        self.is_counted = False  # as one of its address's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        super().__init__(self.host, self.address or self._transport.get_extra_info("peername"))
        self._transport.set_write_buffer_limits(self.host.config.write_high_water_bytes)
        if not self.host.link_made(self):
            self.is_ended = True
            self.host.deadlines.set(self, None)
            self._transport.abort()
        elif self.host.is_pressed:
            self._pause(PRESSED)

    def data_received(self, data: bytes) -> None:
        host = self.host
        host.counters["bytes_received"] += len(data)
        if len(data) > PROMPT_BYTES or not self.phone:
            self._unread = data
            self._pause(UNREAD)
            host.turns.add(self._next_slice)
        elif not self.is_ended:
            host.turns.has_company = True
            self.received(self.connection.receive_data(data, host.loop.time()))

    def _next_slice(self) -> None:
        """Take a part of what was read, and none while something else says wait. Of a newcomer, because thousands of
        them may log in at once; of a large read, because 64 KiB of heartbeats are 4,000 answers: others would wait."""
        if self.is_ended or self._pauses != UNREAD:
            return
        data, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
        self.received(self.connection.receive_data(data, self.host.loop.time()))
        if self._unread:
            self.host.turns.add(self._next_slice)
        else:
            self._resume(UNREAD)

    def flush(self) -> None:
        data = self.connection.data_to_send()
        transport = self._transport
        if not data or transport is None:
            return
        transport.write(data)
        if self._pauses & CHOKED and transport.get_write_buffer_size() > self.host.config.write_max_bytes:
            self._choked_to_death()

    @property
    def has_room(self) -> bool:
        transport = self._transport
        return transport is not None and not self._pauses & CHOKED and transport.get_write_buffer_size() < ROOM_BYTES

    def _pause(self, why: int) -> None:
        if self._transport is not None and not self.is_ended:
            if not self._pauses:
                self._transport.pause_reading()
            self._pauses |= why

    def _resume(self, why: int) -> None:
        was, self._pauses = self._pauses, self._pauses & ~why
        if self._transport is None or self.is_ended or was == self._pauses:
            return
        if not self._pauses:
            self._transport.resume_reading()
        elif self._pauses == UNREAD:
            self.host.turns.add(self._next_slice)

    def press(self, paused: bool) -> None:
        if paused:
            self._pause(PRESSED)
        else:
            self._resume(PRESSED)

    def _throttle(self, wait_s: float) -> None:
        self.host.counters["links_throttled"] += 1
        self._pause(THROTTLED)
        self.host.loop.call_later(wait_s, self._resume, THROTTLED)

    def pause_writing(self) -> None:
        """The peer does not read: then we do not read either, and not for ever."""
        if self._transport is None or self.is_ended:
            return
        self.host.counters["links_choked"] += 1
        self._pause(CHOKED)
        self._stall = self.host.loop.call_later(self.host.config.write_stall_s, self._choked_to_death)

    def resume_writing(self) -> None:
        if self.is_ended:  # the last answers leave; the timer that is there gives them up
            return
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._resume(CHOKED)

    def _choked_to_death(self) -> None:
        if self._transport is not None and not self.is_ended:
            transport = self._transport
            self._transport = None  # no last words
            self.end("answers_not_read")
            transport.abort()

    def eof_received(self) -> bool:
        """The terminal has hung up; with it thousands may, when a cell of the mobile network goes. They may be back
        before it was their turn: their address has room for them at once."""
        self._leave_address()
        self.host.turns.add(partial(self.end, "closed_by_terminal"))
        return True  # it is closed in its turn

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._transport = None
        self._leave_address()
        reason = "closed_by_terminal" if exc is None else "half_open" if is_timeout(exc) else "connection_lost"
        self.host.turns.add(partial(self._lost, reason))

    def _leave_address(self) -> None:
        if self.is_counted:
            self.is_counted = False
            self.host.addresses.leave(self.host_address)

    def _lost(self, reason: str) -> None:
        """It is gone, but what it had said before is taken in first: it may be the better part of a photo."""
        if self._pauses == UNREAD and not self.is_ended:
            self._next_slice()
            self.host.turns.add(partial(self._lost, reason))
        else:
            self.end(reason)
        self.host.link_lost(self)

    def _close(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.close()
            if self._stall is not None:
                self._stall.cancel()
            if transport.get_write_buffer_size():
                self._stall = self.host.loop.call_later(CLOSING_S, transport.abort)


class TlsLink(TcpLink):
    """The same behind TLS."""

    __slots__ = ()
    transport_name = "tls"

    def eof_received(self) -> bool:
        return False  # TLS knows no half-closed link: it is closed at once


def is_timeout(error: Exception) -> bool:
    """Did the kernel give the peer up (keep-alive, unacknowledged data)?"""
    return isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)

"""The shells around `jt808.TerminalConnection`: a TCP stream each, or one UDP socket for many terminals.

They add what the connection must not know: sockets, the clock, the loop's timers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

from jt808.connection import TerminalConnection
from jt808.events import MessageReceived
from jt808.framing import BadFrame, deframe_datagram

if TYPE_CHECKING:
    from ingest.gateway import Gateway

log = logging.getLogger(__name__)

CLOSING_S: Final = 5.0  # for the last answers to leave a link that is being closed
EDITION_CODES: Final = {"2011": 11, "2013": 13, "2019": 19}

Address = tuple[Any, ...]


def peer_text(address: Address | None) -> str:
    """HOST:PORT."""
    if not address:
        return "?"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class TerminalLink:
    """One terminal's link, whatever carries it."""

    __slots__ = (
        "_armed_at",
        "_timer",
        "address",
        "connection",
        "edition_code",
        "gateway",
        "has_answers",
        "is_ended",
        "is_registering",
        "issued",
        "phone",
        "phone10",
    )
    transport_name = ""

    def __init__(self, gateway: Gateway, address: Address | None) -> None:
        self.gateway = gateway
        self.address = address
        now = gateway.loop.time()
        self.connection = TerminalConnection(now, limits=gateway.link_limits, budget=gateway.package_budget)
        self.phone = ""  # canonical; "" while nobody is authenticated
        self.phone10 = b""
        self.edition_code = 13
        self.has_answers = False  # stands in the gateway's list of links to write to
        self.is_registering = False
        self.issued: tuple[bytes, str, bytes] | None = None  # body of a 0x0100 answered here, code, its hash
        self.is_ended = False
        self._armed_at = now + gateway.link_limits.unauthenticated_s
        self._timer = gateway.loop.call_at(self._armed_at, self._on_time)

    @property
    def peer(self) -> str:
        return peer_text(self.address)

    def received(self, events: list[Any]) -> None:
        """After every read: do what the events ask for."""
        if self.handle(events) or not events:  # nothing: perhaps a part of a sub-packaged message, with a deadline
            while more := self.connection.receive_held(self.gateway.loop.time()):
                self.handle(more)
            self.flush()
            self._rearm()

    def handle(self, events: list[Any]) -> bool:
        """Journal what is to be kept, which is hot; hand all else on. True: there was something else."""
        received_us = time.time_ns() // 1000
        gateway = self.gateway
        is_plain = True
        for event in events:
            if type(event) is MessageReceived:
                gateway.counters["messages_received"] += 1
                gateway.append(
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
                gateway.handle_event(self, event, received_us)
                if self.is_ended:
                    break
        return not is_plain

    def took_over(self, phone: str) -> None:
        """The terminal is authenticated: what its records are headed with."""
        self.phone = phone
        self.phone10 = self.connection.phone10
        self.edition_code = EDITION_CODES[self.connection.edition]

    def _on_time(self) -> None:
        if self.is_ended:
            return
        events = self.connection.on_time(self.gateway.loop.time())
        self._armed_at = 0.0
        self.handle(events)
        self.flush()
        self._rearm()

    def _rearm(self) -> None:
        """Deadlines mostly move later: then the timer that is armed finds nothing to do and is set again."""
        deadline = self.connection.next_deadline()
        if deadline is None or self.is_ended:
            self._timer.cancel()
        elif not self._armed_at or deadline < self._armed_at:
            self._timer.cancel()
            self._armed_at = deadline
            self._timer = self.gateway.loop.call_at(deadline, self._on_time)

    def flush(self) -> None:
        """Write what the connection has to say."""
        raise NotImplementedError

    def end(self, reason: str) -> None:
        """Close the link, once: the session's end is journaled, the last answers are written."""
        if self.is_ended:
            return
        self.is_ended = True
        self._timer.cancel()
        self.gateway.end_session(self, reason)
        self.gateway.counters.count("links_ended", reason)
        self.flush()
        self.connection.close()
        self._close()

    def _close(self) -> None:
        raise NotImplementedError

    def press(self, paused: bool) -> None:
        """Stop or go on reading, because the journal cannot keep up."""


class TcpLink(TerminalLink, asyncio.Protocol):
    """A TCP connection."""

    __slots__ = ("_is_choked", "_stall", "_transport")
    transport_name = "tcp"

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._is_choked = False  # the peer does not read its answers
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        super().__init__(self.gateway, self._transport.get_extra_info("peername"))
        self._transport.set_write_buffer_limits(self.gateway.config.write_high_water_bytes)
        if not self.gateway.link_made(self):
            self.is_ended = True
            self._timer.cancel()
            self._transport.abort()
        elif self.gateway.is_pressed:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        gateway = self.gateway
        gateway.counters["bytes_received"] += len(data)
        if not self.is_ended:
            self.received(self.connection.receive_data(data, gateway.loop.time()))

    def flush(self) -> None:
        data = self.connection.data_to_send()
        transport = self._transport
        if not data or transport is None:
            return
        transport.write(data)
        if self._is_choked and transport.get_write_buffer_size() > self.gateway.config.write_max_bytes:
            self._choked_to_death()

    def pause_writing(self) -> None:
        """The peer does not read: then we do not read either, and not for ever."""
        if self._transport is None or self.is_ended:
            return
        self._is_choked = True
        self.gateway.counters["links_choked"] += 1
        self._transport.pause_reading()
        self._stall = self.gateway.loop.call_later(self.gateway.config.write_stall_s, self._choked_to_death)

    def resume_writing(self) -> None:
        self._is_choked = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._transport is not None and not self.is_ended and not self.gateway.is_pressed:
            self._transport.resume_reading()

    def _choked_to_death(self) -> None:
        if self._transport is not None and not self.is_ended:
            transport = self._transport
            self._transport = None  # no last words
            self.end("answers_not_read")
            transport.abort()

    def press(self, paused: bool) -> None:
        if self._transport is None or self.is_ended or self._is_choked:
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._transport = None
        self.end("closed_by_terminal" if exc is None else "connection_lost")
        self.gateway.link_lost(self)

    def _close(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._stall = self.gateway.loop.call_later(CLOSING_S, transport.abort)


class UdpLink(TerminalLink):
    """What one terminal sends from one address; there is no connection but ours."""

    __slots__ = ("_endpoint", "_key")
    transport_name = "udp"

    def __init__(self, gateway: Gateway, endpoint: UdpEndpoint, key: tuple[Address, bytes]) -> None:
        super().__init__(gateway, key[0])
        self._endpoint = endpoint
        self._key = key

    def flush(self) -> None:
        if frames := self.connection.frames_to_send():
            for frame in frames:  # a datagram each: terminals expect one frame in one
                self._endpoint.send(frame, cast(Address, self.address))

    def _close(self) -> None:
        self._endpoint.forget(self._key)


class UdpEndpoint(asyncio.DatagramProtocol):
    """The UDP socket. A link for each (peer, phone field), since a datagram says who sends it in its header only."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._links: dict[tuple[Address, bytes], UdpLink] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self.is_closing = False

    def __len__(self) -> int:
        return len(self._links)

    def links(self) -> list[UdpLink]:
        return list(self._links.values())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        gateway = self._gateway
        gateway.counters["bytes_received"] += len(data)
        if self.is_closing:
            return
        for frame in deframe_datagram(data):
            if isinstance(frame, BadFrame):
                gateway.counters.count("frames_bad", frame.reason)
                continue
            key = (addr, frame[4:15] if frame[2] & 0x40 else frame[4:10])
            link = self._links.get(key)
            if link is None:
                if len(self._links) >= gateway.config.max_udp_links:
                    gateway.counters.count("links_refused", "udp_full")
                    continue
                link = self._links[key] = UdpLink(gateway, self, key)
            link.received(link.connection.receive_frames([frame], gateway.loop.time()))

    def error_received(self, exc: Exception) -> None:
        """An ICMP message about something we sent; the terminal is away."""
        self._gateway.counters["udp_errors"] += 1

    def send(self, frame: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(frame, address)

    def forget(self, key: tuple[Address, bytes]) -> None:
        self._links.pop(key, None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

"""Terminals on UDP: one socket, a link for each of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final, cast

from ingest.links import Address, Host, TerminalLink
from jt808.framing import BadFrame, deframe_datagram

SO_MEMINFO: Final = 55
"""Linux: nine counts of a socket, the last of what its full buffer dropped. Python has no name for it."""
_MEMINFO: Final = struct.Struct("=9I")


class UdpLink(TerminalLink):
    """What one terminal sends from one address; there is no connection but ours."""

    __slots__ = ("_endpoint", "_key")
    transport_name = "udp"

    def __init__(self, host: Host, endpoint: UdpEndpoint, key: tuple[Address, bytes]) -> None:
        super().__init__(host, key[0])
        self._endpoint = endpoint
        self._key = key

    def flush(self) -> None:
        if frames := self.connection.frames_to_send():
            for frame in frames:  # a datagram each: terminals expect one frame in one
                self._endpoint.send(frame, cast(Address, self.address))

    def _throttle(self, wait_s: float) -> None:
        self.host.counters["links_throttled"] += 1

    def has_allowance(self) -> bool:
        """May it send one more? A datagram cannot wait: what is too much is dropped, and the terminal repeats it."""
        if self._allowance < 0:
            self._overdrawn()
        return self._allowance >= 0

    def _close(self) -> None:
        self._endpoint.forget(self._key)


class UdpEndpoint(asyncio.DatagramProtocol):
    """The UDP socket. A link for each (peer, phone field), since a datagram says who sends it in its header only."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._links: dict[tuple[Address, bytes], UdpLink] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self.is_closing = False

    def __len__(self) -> int:
        return len(self._links)

    def links(self) -> list[UdpLink]:
        return list(self._links.values())

    def dropped_by_kernel(self) -> int:
        """Datagrams that came faster than they were read; their terminals, unanswered, send them again."""
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # an old kernel does not tell
                return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))[-1])
        return 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        host = self._host
        host.counters["bytes_received"] += len(data)
        for frame in deframe_datagram(data):
            if isinstance(frame, BadFrame):
                host.counters.count("frames_bad", frame.reason)
                continue
            key = (addr, frame[4:15] if frame[2] & 0x40 else frame[4:10])
            link = self._links.get(key)
            if link is None:
                if self.is_closing:
                    host.counters.count("datagrams_dropped", "closing")
                    continue
                if len(self._links) >= host.config.max_udp_links:
                    host.counters.count("links_refused", "udp_full")
                    continue
                if not host.addresses.enter(addr[0]):
                    host.addresses.leave(addr[0])
                    host.counters.count("links_refused", "address_full")
                    continue
                link = self._links[key] = UdpLink(host, self, key)
            if not link.has_allowance():
                host.counters.count("datagrams_dropped", "rate")
                continue
            link.received(link.connection.receive_frames([frame], host.loop.time()))

    def error_received(self, exc: Exception) -> None:
        """An ICMP message about something we sent; the terminal is away."""
        self._host.counters["udp_errors"] += 1

    def send(self, frame: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(frame, address)

    def forget(self, key: tuple[Address, bytes]) -> None:
        if self._links.pop(key, None) is not None:
            self._host.addresses.leave(key[0][0])

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

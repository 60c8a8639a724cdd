"""The PROXY protocol, versions 1 and 2: what a balancer says in front of a connection about who is behind it.

Only connections from the configured addresses begin with it; whoever else sends one sends junk. From those it is
demanded: a balancer that forgets it would make all terminals look like one address.
Source: "The PROXY protocol, versions 1 & 2", HAProxy, 2.1 (human-readable header) and 2.2 (binary header).
"""

from __future__ import annotations

import asyncio
import struct
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, cast

from ingest.addresses import address_of
from ingest.links import Address, Host, TcpLink

V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_SIGNATURE: Final = b"PROXY "
V1_MAX_BYTES: Final = 107
V2_MAX_BYTES: Final = 4096  # of extensions we skip; the protocol would allow 64 KiB
HEADER_S: Final = 10.0  # for the balancer to say its header; it sends it at once

_V2_HEAD: Final = struct.Struct(">BBH")
_V2_ADDRESSES: Final = {0x11: struct.Struct(">4s4sHH"), 0x21: struct.Struct(">16s16sHH")}  # TCP over IPv4, IPv6


class ProxyError(Exception):
    """What came first is no PROXY header."""


def parse_proxy(data: bytes) -> tuple[Address | None, int] | None:
    """Read the header at the beginning of a connection.

    Returns: (address and port of the real peer, the header's length); the address is None when the balancer speaks
             for itself (a health check) or does not know. None: the header is not whole yet.
    Raises:  ProxyError: this is none.
    """
    if data.startswith(V2_SIGNATURE[: len(data)]):
        return _parse_v2(data)
    if data.startswith(V1_SIGNATURE[: len(data)]):
        return _parse_v1(data)
    raise ProxyError("no PROXY header")


def _parse_v1(data: bytes) -> tuple[Address | None, int] | None:
    line, end, _ = data[:V1_MAX_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= V1_MAX_BYTES:
            raise ProxyError("the line has no end")
        return None
    length = len(line) + 2
    words = line.decode("ascii", "replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return None, length
    try:
        _, family, source, _, port, _ = words
        address = ip_address(source)
        if family != f"TCP{address.version}" or not 0 <= int(port) <= 0xFFFF:
            raise ValueError(family)
    except ValueError as error:
        raise ProxyError(f"{line!r} cannot be read") from error
    return (str(address), int(port)), length


def _parse_v2(data: bytes) -> tuple[Address | None, int] | None:
    start = len(V2_SIGNATURE)
    if len(data) < start + _V2_HEAD.size:
        return None
    version_command, family, size = _V2_HEAD.unpack_from(data, start)
    length = start + _V2_HEAD.size + size
    if version_command not in (0x20, 0x21) or length > V2_MAX_BYTES:
        raise ProxyError(f"version and command {version_command:#x}, {size} bytes")
    if len(data) < length:
        return None
    layout = _V2_ADDRESSES.get(family)
    if version_command == 0x20 or layout is None:  # LOCAL, or an address family that is none of ours
        return None, length
    if size < layout.size:
        raise ProxyError(f"{size} bytes hold no address")
    source, _, port, _ = layout.unpack_from(data, start + _V2_HEAD.size)
    return (str(ip_address(source)), port), length


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks, with commas between: "10.0.0.7, 192.168.0.0/24". Raises ValueError naming the bad one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


class ProxyPreface(asyncio.Protocol):
    """Stands in for the link until the balancer's header is read; of other peers it makes the link at once."""

    __slots__ = ("_data", "_host", "_timer", "_transport")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = self._transport.get_extra_info("peername")
        if self._is_proxy(peer):
            self._timer = self._host.loop.call_later(HEADER_S, self._refuse, "proxy_header_late")
        else:
            self._hand_over(peer, b"")

    def _is_proxy(self, address: Address | None) -> bool:
        """Is this one of the balancers that say whom they speak for?"""
        if not address:
            return False
        peer = address_of(address[0])
        return any(peer in network for network in self._host.config.proxies)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            found = parse_proxy(self._data)
        except ProxyError:
            self._refuse("proxy_header_missing")
            return
        if found is not None:
            address, length = found
            self._hand_over(address or self._transport.get_extra_info("peername"), self._data[length:])

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hand_over(self, peer: Address | None, rest: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        link = TcpLink(self._host, peer)
        self._transport.set_protocol(link)
        link.connection_made(self._transport)
        if rest:
            link.data_received(rest)

    def _refuse(self, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._host.counters.count("links_refused", reason)
        self._transport.abort()

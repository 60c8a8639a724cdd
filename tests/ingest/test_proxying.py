"""The PROXY protocol: its header read, cut anywhere; and the gateway behind a balancer."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_network
from pathlib import Path

import pytest

from fleet import SessionChange
from ingest.proxying import V2_SIGNATURE, ProxyError, ProxyPreface, parse_networks, parse_proxy
from tests.ingest.terminals import running
from tests.ingest.waiting import until

LOOPBACK = parse_networks("127.0.0.0/8")


def v2(command: int, family: int, body: bytes) -> bytes:
    return V2_SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


V1_TCP4 = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 6808\r\n"
V2_TCP4 = v2(0x21, 0x11, socket.inet_aton("203.0.113.7") + bytes(4) + struct.pack(">HH", 51234, 6808))
V2_TCP6 = v2(0x21, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 51234, 1))

HEADERS = [
    (V1_TCP4, ("203.0.113.7", 51234)),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 6808\r\n", ("2001:db8::7", 51234)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (V2_TCP4, ("203.0.113.7", 51234)),
    (V2_TCP6, ("2001:db8::7", 51234)),
    (v2(0x21, 0x11, V2_TCP4[16:] + b"\x04\x00\x01x"), ("203.0.113.7", 51234)),  # with an extension behind it
    (v2(0x20, 0x00, b""), None),  # LOCAL: the balancer's own health check
    (v2(0x21, 0x31, bytes(216)), None),  # a unix socket
]


@pytest.mark.parametrize(("header", "address"), HEADERS)
def test_a_header_is_read_wherever_it_is_cut(header: bytes, address: tuple[str, int] | None) -> None:
    for end in range(len(header)):
        assert parse_proxy(header[:end]) is None
    assert parse_proxy(header) == (address, len(header))
    assert parse_proxy(header + b"\x7e\x01\x00") == (address, len(header))


@pytest.mark.parametrize(
    "data",
    [
        b"\x7e\x01\x02",
        b"PROXX",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 51234\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 99999 6808\r\n",
        b"PROXY TCP4 here there 1 2\r\n",
        b"PROXY " + b"x" * 200,
        v2(0x31, 0x11, bytes(12)),
        v2(0x22, 0x11, bytes(12)),
        v2(0x21, 0x11, bytes(8)),
        V2_SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_none_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_proxy(data)


def test_networks() -> None:
    assert parse_networks(" 10.0.0.7, fd00::/8 ,") == (ip_network("10.0.0.7/32"), ip_network("fd00::/8"))
    with pytest.raises(ValueError, match="balancer"):
        parse_networks("balancer")


@pytest.mark.parametrize("header", [V1_TCP4, V2_TCP4])
async def test_the_terminals_own_address_is_what_is_known(tmp_path: Path, header: bytes) -> None:
    async with running(tmp_path, proxies=LOOPBACK) as site:
        terminal = await site.terminal()
        terminal.write(header[:20])
        await until(lambda: site.gateway.counters["links_made"] == 0)
        terminal.write(header[20:])
        await terminal.log_in()
        session = (await site.facts())[-1]
        assert isinstance(session, SessionChange)
        assert (session.peer, session.transport) == ("203.0.113.7:51234", "tcp")


async def test_connections_are_counted_by_the_terminals_own_address(tmp_path: Path) -> None:
    async with running(tmp_path, proxies=LOOPBACK, max_connections_per_address=1) as site:
        first, second, other = [await site.terminal(str(13900000000 + number)) for number in range(3)]
        first.write(V1_TCP4)
        await first.log_in()
        second.write(V1_TCP4)
        await second.until_closed()
        assert site.counters["links_refused{reason=address_full}"] == 1
        other.write(V1_TCP4.replace(b"203.0.113.7", b"203.0.113.8"))
        await other.log_in()


async def test_a_balancer_that_forgets_its_header_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, proxies=LOOPBACK) as site:
        terminal = await site.terminal()
        terminal.send(0x0002)
        await terminal.until_closed()
        assert site.counters["links_refused{reason=proxy_header_missing}"] == 1


async def test_others_are_taken_as_they_come_and_their_header_is_junk(tmp_path: Path) -> None:
    async with running(tmp_path, proxies=parse_networks("192.0.2.1")) as site:
        terminal = await site.terminal()
        terminal.write(V1_TCP4)
        await terminal.log_in()
        assert site.counters["frames_bad{reason=junk}"] == 1
        session = (await site.facts())[-1]
        assert isinstance(session, SessionChange)
        assert session.peer.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("peer", "expected"), [("127.0.0.1", True), ("::ffff:127.0.0.1", True), ("::1", False), ("203.0.113.7", False)]
)
async def test_a_balancer_is_known_on_a_socket_for_both_families(tmp_path: Path, peer: str, expected: bool) -> None:
    async with running(tmp_path, proxies=LOOPBACK) as site:
        assert ProxyPreface(site.gateway)._is_proxy((peer, 51234)) is expected

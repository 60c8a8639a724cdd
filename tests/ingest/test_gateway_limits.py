"""What a link may cost: time, bytes, places of an address, unread answers, the rate of messages."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from ingest.links import TcpLink
from ingest.listening import LINK_OPTIONS
from tests.ingest.terminals import PHONE, REPORT, Site, Terminal, register_body, running
from tests.ingest.waiting import until


async def test_silence_before_authentication_ends_the_link(tmp_path: Path) -> None:
    async with running(tmp_path, unauthenticated_s=0.05) as site:
        terminal = await site.terminal()
        await terminal.until_closed()
        assert site.counters["links_ended{reason=unauthenticated_time}"] == 1


async def test_endless_talk_before_authentication_ends_the_link(tmp_path: Path) -> None:
    async with running(tmp_path, unauthenticated_bytes=1000) as site:
        terminal = await site.terminal()
        terminal.write(b"\x7e" + bytes(3000))
        await terminal.until_closed()
        assert site.counters["links_ended{reason=unauthenticated_bytes}"] == 1


async def test_too_many_links_from_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.addresses.is_loopback", lambda host: False)
    async with running(tmp_path, max_connections_per_address=2) as site:
        first, second = await site.terminal("1"), await site.terminal("2")
        await first.log_in()
        await second.log_in()
        third = await site.terminal("3")
        await third.until_closed()
        assert site.counters["links_refused{reason=address_full}"] == 1
        first.close()
        await until(lambda: len(site.gateway._links) == 1)
        await (await site.terminal("4")).log_in()


async def test_too_many_udp_links_from_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.addresses.is_loopback", lambda host: False)
    async with running(tmp_path, max_connections_per_address=2) as site:
        first, second = await site.udp_terminal("1"), await site.terminal("2")  # both transports count
        code = await first.log_in()
        await second.log_in()
        third = await site.udp_terminal("3")
        third.send(0x0100, register_body())
        await until(lambda: site.counters["links_refused{reason=address_full}"] == 1)
        assert await first.ask(0x0200, REPORT) == 0  # who is there stays
        assert third.waiting == 0
        moved = await site.udp_terminal("1")  # a NAT that forgot the first port: that is one more
        moved.send(0x0102, code.encode())
        await until(lambda: site.counters["links_refused{reason=address_full}"] == 2)
        second.close()
        await until(lambda: len(site.gateway._links) == 0)
        assert await moved.authenticate(code) == 0
        assert site.counters["links_ended{reason=displaced}"] == 1
        await (await site.udp_terminal("3")).log_in()  # the place of the one that was displaced


async def test_udp_links_over_loopback_have_no_bound_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, max_connections_per_address=1) as site:
        for phone in ("1", "2", "3"):
            await (await site.udp_terminal(phone)).log_in()
        assert site.counters["links_refused{reason=address_full}"] == 0


async def test_udp_links_have_a_bound(tmp_path: Path) -> None:
    async with running(tmp_path, max_udp_links=1) as site:
        await (await site.udp_terminal("1")).log_in()
        stranger = await site.udp_terminal("2")
        stranger.send(0x0100, register_body())
        await until(lambda: site.counters["links_refused{reason=udp_full}"])
        assert stranger.waiting == 0


async def deaf(site: Site) -> tuple[Terminal, Any]:
    """A terminal that asks for 20,000 answers and reads none; its link, with little room in between."""
    terminal = await site.terminal()
    await terminal.log_in()
    link: Any = site.gateway.sessions.get(PHONE)
    link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    terminal._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    terminal._transport.pause_reading()
    terminal.write(b"".join(terminal.frame(0x0002) for _ in range(20_000)))
    return terminal, link


async def test_a_terminal_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    limits = {"write_high_water_bytes": 1000, "write_max_bytes": 4000, "write_stall_s": 0.2, "messages_per_s": 0.0}
    async with running(tmp_path, **limits) as site:
        terminal, link = await deaf(site)
        await until(lambda: link.is_ended)
        assert site.counters["links_choked"] >= 1  # it may take a little, and no more
        assert site.counters["links_ended{reason=answers_not_read}"] == 1
        terminal._transport.abort()


async def test_the_last_answers_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A peer that reads a little of what was left when its link was closed does not stop the timer that ends it."""
    async with running(tmp_path, write_high_water_bytes=1000, write_max_bytes=1 << 30, messages_per_s=0.0) as site:
        terminal, link = await deaf(site)
        await until(lambda: site.counters["links_choked"])
        choked = link._stall
        link.end("idle")
        assert choked.cancelled()
        assert link._stall is not choked
        link.resume_writing()
        assert not link._stall.cancelled()
        terminal._transport.abort()


async def test_a_terminal_that_sends_too_much_is_read_more_slowly_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=100.0, burst=10) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        reports = [terminal.send(0x0200, REPORT) for _ in range(30)]
        assert [(await terminal.general())[0] for _ in reports] == reports
        assert site.counters["links_throttled"] > 0
        assert len(await site.journaled()) == 30


async def test_nobody_else_waits_for_a_terminal_that_sends_too_much(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=0.001, burst=10) as site:  # nothing comes back to its burst
        fast, other = await site.terminal(), await site.terminal("13900000001")
        await fast.log_in()  # two messages of its burst
        for _ in range(30):
            fast.send(0x0200, REPORT + bytes(900))
        await until(lambda: site.counters["links_throttled"])
        await other.log_in()
        assert await other.ask(0x0200, REPORT) == 0
        assert 0 < len([phone for phone, *_ in await site.journaled() if phone == PHONE]) < 30


async def test_a_large_read_is_taken_in_slices_and_all_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=2_000.0, burst=100) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        serials = [(terminal.serial_no + number) & 0xFFFF for number in range(2000)]
        terminal.write(b"".join(terminal.frame(0x0200, REPORT) for _ in serials))
        assert [(await terminal.general())[0] for _ in serials] == serials
        assert await terminal.ask(0x0200, REPORT) == 0
        assert site.counters["links_throttled"] > 0


async def test_a_datagram_above_the_rate_is_dropped_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=0.001, burst=5) as site:
        terminal = await site.udp_terminal()
        await terminal.log_in()
        for _ in range(10):
            terminal.send(0x0002)
        await until(lambda: site.counters["datagrams_dropped{reason=rate}"] >= 6)


async def test_half_open_links_are_looked_for_and_kernel_buffers_are_small(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    (link,) = site.gateway.sessions.links()
    assert isinstance(link, TcpLink)
    transport = link._transport
    assert transport is not None
    sock = transport.get_extra_info("socket")
    for level, option, value in LINK_OPTIONS:
        expected = value * 2 if option in (socket.SO_RCVBUF, socket.SO_SNDBUF) and level == socket.SOL_SOCKET else value
        assert sock.getsockopt(level, option) == expected
    link.connection_lost(TimeoutError(errno.ETIMEDOUT, "gone"))
    await until(lambda: not site.gateway.sessions)
    assert site.counters["links_ended{reason=half_open}"] == 1
    transport.abort()

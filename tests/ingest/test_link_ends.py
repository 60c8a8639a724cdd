"""How links end, of those that all end at once: in turns, while what they stood for is theirs no more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet import SessionChange
from ingest import gateway as gateway_module
from ingest.gateway import Gateway
from ingest.links import TcpLink
from tests.ingest.terminals import REPORT, facts_in, messages_in, running
from tests.ingest.waiting import until


@contextmanager
def nobodys_turn(gateway: Gateway) -> Iterator[None]:
    """What can wait waits, as behind thousands."""
    gateway.turns._is_due = True
    try:
        yield
    finally:
        gateway.turns._is_due = False
        gateway.turns.add(lambda: None)


@pytest.mark.parametrize("is_reset", [False, True])
async def test_an_address_has_room_for_who_comes_back_before_it_was_the_old_links_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_reset: bool
) -> None:
    monkeypatch.setattr("ingest.addresses.is_loopback", lambda host: False)
    async with running(tmp_path, max_connections_per_address=2) as site:
        terminals = [await site.terminal(phone) for phone in ("1", "2")]
        for terminal in terminals:
            await terminal.log_in()
        with nobodys_turn(site.gateway):
            for terminal in terminals:
                terminal.close(reset=is_reset)
            await until(lambda: len(site.gateway.turns._waiting) == 2)
            back = [await site.terminal(phone) for phone in ("1", "2")]
            await until(lambda: site.counters["links_made"] == 4)
            assert len(site.gateway.sessions) == 2  # the old ones
        for terminal in back:
            await terminal.log_in()
        assert site.counters["links_refused{reason=address_full}"] == 0
        one_too_many = await site.terminal("3")
        await one_too_many.until_closed()
        assert site.counters["links_refused{reason=address_full}"] == 1  # nobody left twice


async def test_what_had_come_in_full_before_a_reset_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        with nobodys_turn(site.gateway):
            terminal.write(b"".join(terminal.frame(0x0200, REPORT) for _ in range(20)))  # more than is taken at once
            await until(lambda: site.gateway.turns._waiting)
            terminal.close(reset=True)
        await until(lambda: not site.gateway.sessions)
        await site.gateway._journal.flush()
        assert messages_in(tmp_path)


@pytest.mark.parametrize("is_pressed", [False, True])
async def test_what_was_read_before_a_link_broke_is_taken_in_first(tmp_path: Path, is_pressed: bool) -> None:
    """A link that breaks while we answer is lost at once, with much of what was read waiting for its turn."""
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        (link,) = site.gateway.sessions.links()
        assert isinstance(link, TcpLink)
        with nobodys_turn(site.gateway):
            terminal.write(b"".join(terminal.frame(0x0200, REPORT) for _ in range(200)))
            await until(lambda: site.gateway.turns._waiting)
            assert link._transport is not None
            link._transport.abort()
            await until(lambda: link._transport is None)
            came = link._unread.count(b"\x7e") // 2
            assert came > 50
            if is_pressed:  # by the journal, for as long as its slice's turn takes
                link.press(True)
                site.gateway.turns._waiting.popleft()()
                link.press(False)
        await until(lambda: not site.gateway.sessions)
        await site.gateway._journal.flush()
        assert len(messages_in(tmp_path)) == came
        await until(lambda: not site.gateway._links)


async def test_links_whose_turn_has_not_come_are_closed_with_the_gateway(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        with nobodys_turn(site.gateway):
            terminal.close()
            await until(lambda: site.gateway.turns._waiting)
            await asyncio.wait_for(site.gateway.close(), 20)
        assert not site.gateway.sessions
        assert site.counters["links_ended{reason=gateway_stopped}"] == 1
        assert [fact.online for fact in facts_in(tmp_path) if isinstance(fact, SessionChange)] == [True, False]


async def test_a_link_that_comes_while_the_others_are_closed_is_closed_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_spread = gateway_module.close_spread
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)

    async with running(tmp_path) as site:

        async def spread(*what: Any) -> None:
            await close_spread(*what)
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: TcpLink(site.gateway, ("192.0.2.7", 1)), sock=ours)

        monkeypatch.setattr(gateway_module, "close_spread", spread)
        await site.gateway.close()
        assert site.counters["links_ended{reason=gateway_stopped}"] == 1
        await until(lambda: not site.gateway._links)
    with theirs:
        assert theirs.recv(1) == b""

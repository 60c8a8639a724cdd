"""When a terminal is on-line: the newest login wins, and however its link ends, the session ends with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import SessionChange
from tests.ingest.terminals import REPORT, Site, running
from tests.ingest.waiting import until


async def test_the_newest_login_wins(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    old, new = await site.terminal(), await site.terminal()
    code = await old.log_in()
    assert await new.authenticate(code) == 0
    await old.until_closed()
    assert await new.ask(0x0200, REPORT) == 0
    changes = [fact for fact in await site.facts() if isinstance(fact, SessionChange)]
    assert [(change.online, change.reason) for change in changes] == [(True, ""), (False, "displaced"), (True, "")]
    assert "displaces" in caplog.text
    assert len(site.gateway.sessions) == 1


async def test_authenticating_twice_is_one_session(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    assert await terminal.authenticate(code) == 0
    assert len([fact for fact in await site.facts() if isinstance(fact, SessionChange)]) == 1


async def test_a_link_that_ends_ends_the_session(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    terminal.close()
    await until(lambda: len(site.gateway.sessions) == 0)
    *_, end = await site.facts()
    assert isinstance(end, SessionChange)
    assert (end.online, end.reason) == (False, "closed_by_terminal")


async def test_silence_after_authentication_ends_the_link_and_the_session(tmp_path: Path) -> None:
    async with running(tmp_path, idle_s=0.3) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        await terminal.until_closed()
        *_, end = await site.facts()
        assert isinstance(end, SessionChange)
        assert (end.online, end.reason) == (False, "idle")
        assert len(site.gateway.sessions) == 0


async def test_registering_again_ends_the_session_not_the_link(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    _, code = await terminal.register(plate="辽B00001")
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await terminal.authenticate(code) == 0
    changes = [fact for fact in await site.facts() if isinstance(fact, SessionChange)]
    assert [(change.online, change.reason) for change in changes] == [
        (True, ""), (False, "registers_again"), (True, ""),
    ]  # fmt: skip


async def test_two_terminals_behind_one_udp_address(site: Site) -> None:
    one = await site.udp_terminal("13900000001")
    await one.log_in()
    one.phone = "13900000002"
    await one.log_in()
    one.phone = "13900000001"
    assert await one.ask(0x0200, REPORT) == 0
    assert len(site.gateway.sessions) == 2


async def test_who_hangs_up_and_comes_back_at_once_displaces_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, logins_per_minute=100) as site:
        terminal = await site.terminal()
        _, code = await terminal.register()
        for _ in range(20):
            assert await terminal.authenticate(code) == 0
            terminal.close()
            terminal = await site.terminal()
        await until(lambda: not site.gateway.sessions)
        assert site.counters["links_ended{reason=closed_by_terminal}"] == 20
        assert site.counters["sessions_displaced"] == 0

"""Who logs in too often, or under another's name: flagged, bounded, and no harm to anybody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleet import SessionChange
from ingest import login
from ingest.identities import APPROVED, Identity
from ingest.pace import WINDOW_S, Pace
from jt808.header import Edition
from jt808.messages import TerminalAuthentication, encode_body
from tests.ingest.terminals import REPORT, Site, Terminal, register_body, running
from tests.ingest.waiting import until


def shows(terminal: Terminal, code: str) -> None:
    """Send the code and do not wait."""
    terminal.send(0x0102, encode_body(TerminalAuthentication(code), terminal.edition))


@pytest.mark.parametrize("last", ["tcp", "udp"])
async def test_two_units_with_one_identity_are_flagged_and_do_not_flap_for_ever(
    tmp_path: Path, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, max_displacements_per_minute=3) as site:
        holder = await site.terminal()
        code = await holder.log_in()
        for number in range(4):  # both kinds of links displace each other
            holder = await (site.terminal() if (number % 2 == 1) == (last == "tcp") else site.udp_terminal())
            assert await holder.authenticate(code) == 0
        assert site.counters["duplicate_identities"] == 1
        other = await site.terminal()
        shows(other, code)
        await other.until_closed()
        assert other.waiting == 0  # not answered: it must not take its code for void
        assert site.counters["logins_refused{reason=duplicate_identity}"] == 1
        assert await holder.ask(0x0200, REPORT) == 0
        assert (await site.gateway._stats({}))["stats"]["gateway_identities_contested"] == 1
        ends = [fact.reason for fact in await site.facts() if isinstance(fact, SessionChange) and not fact.online]
        assert ends == ["displaced"] * 3 + ["duplicate_identity"]
        monkeypatch.setattr(login, "HOLDER_SILENT_S", 0.0)  # as if the holder had been silent for long
        assert await (await site.terminal()).authenticate(code) == 0


async def test_who_logs_in_all_the_time_is_not_let_in_each_time(tmp_path: Path) -> None:
    async with running(tmp_path, logins_per_minute=3, max_displacements_per_minute=100) as site:
        code = await (await site.terminal()).log_in()
        for _ in range(2):
            assert await (await site.terminal()).authenticate(code) == 0
        busy = await site.terminal()
        shows(busy, code)
        await busy.until_closed()
        for _ in range(2):
            assert (await (await site.terminal()).register())[0] == 0
        busy = await site.terminal()
        busy.send(0x0100, register_body())
        await busy.until_closed()
        assert site.counters["logins_refused{reason=logs_in_too_often}"] == 1
        assert site.counters["registrations_ignored{reason=too_often}"] == 1
        await (await site.terminal("13900000002")).log_in()  # no other terminal has to do with it


def test_a_pace_holds_a_minute_and_nothing_beyond() -> None:
    pace = Pace(2)
    assert [pace.allows("1", 100.0) for _ in range(3)] == [True, True, False]
    assert pace.allows("2", 101.0)
    assert pace.allows("1", 100.0 + WINDOW_S)
    assert len(pace._counts) == 1
    assert all(Pace(0).allows("1", 0.0) for _ in range(1000))


async def test_a_malformed_imei_is_counted_and_kept(site: Site) -> None:
    for number, imei in enumerate(["860000000000012", "8600000000001"]):
        terminal = await site.terminal(f"1390000000{number}", Edition.V2019)
        _, code = await terminal.register()
        assert await terminal.authenticate(code, imei) == 0
    assert site.counters["imeis_malformed"] == 1
    assert [f.imei for f in await site.facts() if isinstance(f, SessionChange)][-1] == "8600000000001"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_each_terminal_may_be_silent_as_long_as_its_own_limit_says(tmp_path: Path, transport: str) -> None:
    async with running(tmp_path, idle_s=3600.0) as site:
        phones = ("13900000001", "13900000002", "13900000003")
        terminals = [await (site.terminal if transport == "tcp" else site.udp_terminal)(phone) for phone in phones]
        for terminal in terminals[:2]:
            await terminal.log_in()

        def grant(phone: str, idle_s: float | None) -> None:
            one = site.gateway._identities.get(phone) or Identity(phone, APPROVED)
            site.gateway._identities.synchronise([replace(one, idle_s=idle_s)], is_all=False)

        grant(phones[0], 0.3)  # while it is there
        grant(phones[2], 0.3)  # before it comes
        await terminals[2].log_in()
        await until(lambda: site.counters["links_ended{reason=idle}"] == 2)
        assert list(site.gateway.sessions) == [phones[1]]
        grant(phones[1], 0.3)
        grant(phones[1], None)  # taken back in time
        assert await terminals[1].ask(0x0002) == 0
        (link,) = site.gateway.sessions.links()
        assert link.connection.next_deadline() == pytest.approx(link.connection.last_received + 3600.0)

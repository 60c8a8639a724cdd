"""Who may register: whom an administrator approved, blocked, or nobody knows; and how a registration ends."""

from __future__ import annotations

from pathlib import Path

from fleet import RefusedRegistration, Registration, SessionChange
from ingest import login
from ingest.identities import APPROVED, BLOCKED, Identity
from ingest.journal import GatewayStarted, Unregistered
from tests.ingest.terminals import PHONE, REPORT, Site, running


async def test_approve_refuses_and_lists_the_unknown(tmp_path: Path) -> None:
    async with running(tmp_path, enrolment="approve") as site:
        terminal = await site.terminal()
        assert await terminal.register() == (4, "")
        assert await terminal.register() == (4, "")
        _, *refused = await site.facts()
        (fact,) = refused  # the second one, within the minute, is only answered
        assert isinstance(fact, RefusedRegistration)
        assert (fact.phone, fact.terminal_id, fact.plate, fact.reason) == (PHONE, "T000001", "辽A12345", "unknown")
        assert fact.peer.startswith("127.0.0.1:")
        assert site.counters["registrations_refused{reason=unknown}"] == 2


async def test_approve_takes_in_what_an_administrator_approved(tmp_path: Path) -> None:
    async with running(tmp_path, enrolment="approve") as site:
        terminal = await site.terminal()
        assert await terminal.register() == (4, "")
        site.gateway._identities.synchronise([Identity(PHONE, APPROVED)], is_all=True)
        await terminal.log_in()
        impostor = await site.terminal()
        assert await impostor.register(terminal_id="T999999") == (3, "")
        assert await terminal.ask(0x0200, REPORT) == 0


async def test_the_blocked_are_sent_away_and_stay_away(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    site.gateway._identities.synchronise([Identity(PHONE, BLOCKED)], is_all=False)
    await terminal.until_closed()
    again = await site.terminal()
    assert await again.register() == (4, "")
    assert await again.authenticate(code) == 1
    assert site.counters["auth_failures{reason=blocked}"] == 1


async def test_a_flood_of_made_up_phones_does_not_fill_the_journal(tmp_path: Path) -> None:
    gate = login.RefusalGate()
    assert sum(gate.passes(str(number), 5_000_000) for number in range(1000)) == login.REFUSED_PER_S
    assert gate.passes("another", 6_000_000)
    assert not gate.passes("another", 6_000_001)
    assert gate.passes("another", 6_000_000 + login.REFUSED_AGAIN_AFTER_US)


async def test_open_enrolment_has_a_bound(tmp_path: Path) -> None:
    async with running(tmp_path, max_terminals=1) as site:
        await (await site.terminal("1")).log_in()
        assert await (await site.terminal("2")).register() == (4, "")
        assert site.counters["registrations_refused{reason=too_many_terminals}"] == 1


async def test_unregistering_revokes_the_code(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    assert await terminal.ask(0x0003) == 0
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await terminal.authenticate(code) == 1
    facts = await site.facts()
    assert [type(fact) for fact in facts] == [
        GatewayStarted, Registration, SessionChange, Unregistered, SessionChange,
    ]  # fmt: skip
    assert isinstance(facts[-1], SessionChange)
    assert (facts[-1].online, facts[-1].reason) == (False, "unregistered")
    await terminal.log_in()

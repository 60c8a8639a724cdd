from __future__ import annotations

import psycopg
import pytest

from forward.facts import Facts
from forward.sender import Pacer
from forward.translate import TerminalFacts
from store import Database
from tests.forward.world import world

pytestmark = pytest.mark.postgres


async def test_facts_are_read_once_and_again_after_a_change(postgresql_database: Database) -> None:
    now = 0.0
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        facts = Facts(postgresql_database, 5.0, clock=lambda: now)
        await facts.learn([1, 2, 99], [1])
        assert {v.plate for v in facts.vehicles.values()} == {"辽A00001", "辽B00002"}
        assert set(facts.terminals) == {1}
        before = facts.vehicles[2]
        await w.execute("UPDATE vehicles SET plate = '辽A99999' WHERE id = 1")
        facts.changed()
        await facts.learn([1], [])
        assert facts.vehicles[1].plate == "辽A00001"  # not more often than every five seconds
        now = 5.0
        await facts.learn([1], [])
        assert facts.vehicles[1].plate == "辽A99999"
        assert facts.vehicles[2] is before


def test_a_terminal_is_replaced_only_once_it_has_left_the_vehicle() -> None:
    facts = Facts(Database("postgresql://127.0.0.1:1/none"), 0.0)
    for terminal_id, vehicle_id in ((1, 7), (2, 7), (3, None), (4, 8)):
        facts.terminals[terminal_id] = TerminalFacts(terminal_id, "", "", "", "", vehicle_id)
    assert facts.is_replaced(7, 3, 1)
    assert facts.is_replaced(7, 4, 1)
    assert facts.is_replaced(7, 99, 1)  # deleted
    assert not facts.is_replaced(7, 1, 2)  # two that share it
    assert not facts.is_replaced(7, 1, 1)
    assert not facts.is_replaced(7, 1, 3)  # what the old one had left to tell
    assert not facts.is_replaced(7, 1, 99)


async def test_a_database_that_is_away_is_told_and_the_change_not_forgotten() -> None:
    facts = Facts(Database("postgresql://127.0.0.1:1/none", timeout_s=0.01), 0.0)
    facts.vehicles[1] = None  # type: ignore[assignment]
    facts.changed()
    with pytest.raises(psycopg.OperationalError):
        await facts.learn([1], [])
    assert facts._is_stale


def test_the_pacer_spreads_work() -> None:
    pacer = Pacer(100.0)
    assert pacer.delay_s(50, now=10.0) == 0.5
    assert pacer.delay_s(50, now=10.5) == 0.5
    assert pacer.delay_s(50, now=10.75) == 0.75  # asked too early
    assert pacer.delay_s(1, now=99.0) == pytest.approx(0.01)  # a pause is not made up for

"""Over broken links, restarts and a new journal: everything arrives, and the cursor says no more than was confirmed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from store import Database
from tests.forward.world import QUICK, batch_of, world

pytestmark = pytest.mark.postgres


SILENT = replace(QUICK, barrier_s=3600.0, first_barrier_s=3600.0)
"""Never asks what was received."""


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_skipped_over_broken_links(postgresql_database: Database, seed: int) -> None:
    """Links break at random moments and what was sent last is lost in flight; the account still becomes whole."""
    chance = random.Random(seed)
    async with world(postgresql_database) as w:
        vehicles = await w.link(*(f"辽A{n:05d}" for n in range(20)))
        for second in range(120):
            await w.store(batch_of([(v, second) for v in vehicles if chance.random() < 0.7] or [(1, second)]))
            if chance.random() < 0.06 or second == 60:
                swallow = chance.choice((0, 1, 5, 40))
                (w.superior.drop_all if chance.random() < 0.7 else w.superior.drop_main)(swallow=swallow)
            await asyncio.sleep(0)
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 0.02)
        await w.store(batch_of([(v, 500) for v in vehicles]))
        for _ in range(30):  # a swallowing link breaks only when frames come
            if all(socket.swallow < 0 for socket in w.superior.main_links):
                break
            await w.store(batch_of([(v, 501 + _) for v in vehicles]))
            await asyncio.sleep(0.01)
        await w.arrived()
        assert len(w.superior.logins) >= 2
        await w.confirmed()
        assert w.superior.bad == {}


async def test_what_was_sent_but_not_confirmed_is_sent_again(postgresql_database: Database) -> None:
    async with world(postgresql_database, SILENT) as w:
        await w.link("辽A00001")
        w.superior.drop_all(swallow=3)
        for second in range(4):
            await w.store(batch_of([(1, second)]))
        await w.arrived()
        assert len(w.superior.history) >= 3
        assert w.status["cursor"] == 0  # nobody asked yet


async def test_a_restart_goes_on_where_it_stood(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        await w.store(batch_of([(1, 0)]))
        await w.confirmed()
        await w.forwarder.stop()
        assert await w.cursor() == 1
        assert w.superior.main_links == []
        for second in range(1, 30):
            await w.store(batch_of([(1, second)]))
        await w.restart()
        await w.arrived()
        assert w.superior.by_vehicle["辽A00001", 2] == 30  # none twice: all before was confirmed
        assert w.superior.counts["0x1200/0x1203"] == 6
        await w.confirmed()


async def test_the_answer_to_the_logout_confirms_what_was_sent(postgresql_database: Database) -> None:
    async with world(postgresql_database, SILENT) as w:
        await w.link("辽A00001")
        await w.store(batch_of([(1, 0)]))
        await w.arrived()
        assert await w.cursor() == 0
        await w.forwarder.stop()
        assert await w.cursor() == 1
        await w.restart()
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.superior.counts["positions"] == 2  # none twice


async def test_a_young_link_is_asked_soon(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(SILENT, first_barrier_s=0.02)) as w:
        await w.link("辽A00001")
        await w.store(batch_of([(1, 0)]))
        await w.confirmed()


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_journal_that_was_made_anew_follows_the_old_one(postgresql_database: Database, is_up: bool) -> None:
    """It counts its groups from 1 again; the superior platform misses nothing for that."""
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        for second in range(5):
            await w.store(batch_of([(1, second)]), groups=10)
        await w.confirmed()
        if not is_up:
            await w.forwarder.stop()
        w.journal, w.offset = "made anew", 0
        for second in range(5, 8):
            await w.store(batch_of([(1, second)]))
        if not is_up:
            await w.restart()
        await w.arrived()
        await w.confirmed()
        assert w.superior.by_vehicle["辽A00001", 2] == 8
        assert await w.cursor() == 53

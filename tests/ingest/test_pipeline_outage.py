"""The pipeline, when the database goes away and comes back, and what the map shows meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fleet import BatchStored, PositionsSeen
from ingest import preview as preview_module
from ingest.preview import Preview
from ingest.status import PipelineStatus
from store import Database, EmbeddedPostgres, migrate
from tests.ingest.waiting import until
from tests.ingest.world import PHONE, Rec, World, bulk, events, fix, registered, report, us


@pytest.fixture
async def mortal(
    tmp_path: Path, spare_server: Callable[..., EmbeddedPostgres]
) -> AsyncIterator[tuple[World, EmbeddedPostgres]]:
    """A world whose database server the test may kill."""
    postgres = spare_server()
    dsn = await asyncio.to_thread(postgres.start)
    await asyncio.to_thread(migrate, dsn)
    database = Database(dsn, min_size=1, max_size=4, timeout_s=0.5)
    await database.open()
    world = World(tmp_path, database)
    yield world, postgres
    world.close()
    await database.close()


@pytest.mark.postgres
async def test_the_database_goes_in_the_middle_and_comes_back(mortal: tuple[World, EmbeddedPostgres]) -> None:
    world, postgres = mortal
    world.write(registered(), report(0))
    total = 1
    async with world.running() as pipeline:
        await until(lambda: pipeline.status.offset == 1 and pipeline.status.lag_s(world.now_us) == 0)
        for round_ in range(3):
            for _ in range(40):  # it is killed in the middle of these
                world.write(*(report(total + i) for i in range(50)), report(total, received=total + 60))
                total += 50
            assert postgres.pid is not None
            await until(lambda first=1 + 40 * round_: pipeline.status.offset > first)
            os.kill(postgres.pid, signal.SIGKILL)
            await asyncio.to_thread(postgres.wait, 20)
            world.write(registered(f"1390000010{round_}", f"辽C0000{round_}"), report(1, f"1390000010{round_}"))
            await until(lambda: not pipeline.status.database_up or pipeline.status.offset == world.file.last_offset)
            world.now_us = us(total + 100)
            await until(lambda: pipeline.status.lag_s(world.now_us) > 0
                        or pipeline.status.offset == world.file.last_offset)  # fmt: skip
            await asyncio.to_thread(postgres.start)
            await until(lambda: pipeline.status.offset == world.file.last_offset)
            await until(lambda: pipeline.status.lag_s(world.now_us) == 0)
    stored = await world.rows(
        "SELECT extract(epoch FROM time)::bigint - 1793505600, late FROM positions p JOIN terminals t "
        "ON t.id = p.terminal_id WHERE t.phone = %s ORDER BY time", PHONE,
    )  # fmt: skip
    assert stored == [(at, False) for at in range(total)]
    assert len(await world.positions()) == total + 3
    told = [time for event in events(world, BatchStored) for time in event.positions.time_us.tolist()
            if event.positions.terminal_id.max() == event.positions.terminal_id.min() == 1]  # fmt: skip
    assert told == sorted(told)  # in order, and nothing twice
    assert len(told) == len(set(told))


@pytest.mark.postgres
async def test_the_live_map_stays_fresh_meanwhile(mortal: tuple[World, EmbeddedPostgres]) -> None:
    world, postgres = mortal
    world.write(registered(), report(0))
    preview = Preview(
        world.reader, world.digester, world.bus, world.pipeline.status, period_s=0.01, clock_us=lambda: us(0)
    )
    async with world.running() as pipeline:
        await until(lambda: pipeline.status.offset == 1)
        showing = asyncio.create_task(preview.run())
        await asyncio.to_thread(postgres.stop)
        world.write(report(1))
        await until(lambda: not pipeline.status.database_up)
        world.write(report(3), report(2), Rec(bulk(1, fix(9)), 0x0704, received=10))
        await until(lambda: len(events(world, PositionsSeen)) >= 1
                    and events(world, PositionsSeen)[-1].positions.time_us.tolist() == [us(3)])  # fmt: skip
        assert len(events(world, BatchStored)) == 1
        await asyncio.to_thread(postgres.start)
        await until(lambda: pipeline.status.offset == world.file.last_offset)
        seen = len(events(world, PositionsSeen))
        world.write(report(4))
        await until(lambda: pipeline.status.offset == world.file.last_offset)
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    assert len(events(world, PositionsSeen)) == seen
    assert await world.positions() == [0, 1, 2, 3, 4, 9]
    assert await world.positions("late") == [
        (at in (2, 9),) for at in (0, 1, 2, 3, 4, 9)
    ]  # as if nothing had been seen


async def test_the_newest_of_a_backlog_is_shown_while_it_is_drained(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_module, "AHEAD_GROUPS", 5)
    one.write(registered(), report(0))
    await one.drain()
    for at in range(1, 31):
        one.write(report(at))
    status = PipelineStatus(offset=1, running=True, database_up=True, waiting_since_us=us(2))
    preview = Preview(one.reader, one.digester, one.bus, status, clock_us=lambda: us(40))
    await preview.show()
    one.write(report(31))  # beside the draining
    await preview.show()
    status.waiting_since_us = us(39)  # caught up, nearly
    one.write(report(32))
    await preview.show()
    assert [event.positions.time_us.tolist() for event in events(one, PositionsSeen)] == [[us(30)], [us(31)]]

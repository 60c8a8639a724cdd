"""store.writer: positions, in one transaction, once."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import AsyncConnection

import store
from fleet import CHINA, CommandChanged, Commit
from store import partitions
from store import writer as writer_module
from store.embedded import EmbeddedPostgres
from store.queries import engine
from store.values import to_datetime, to_us
from store.writer import distinct_rows
from tests.postgres import bin_dir_of
from tests.store.batches import DAY, NOON_US, SECOND, make_batch, make_commit, typical_batch
from tests.store.rows import BEGIN, add_vehicles, count, fetch, quarantined

# ---- positions


async def test_a_commit_is_stored_whole(database: store.Database, writer: store.Writer) -> None:
    batch = typical_batch(50)
    stored = await writer.commit(make_commit(3, batch))
    assert stored.fresh.all()
    assert not stored.already_done
    rows = await fetch(
        database, "SELECT vehicle_id, journal_offset, other_items FROM positions ORDER BY vehicle_id, time"
    )
    assert rows == [(i + 1, 3, batch.other_items[i]) for i in range(50)]
    assert await writer.offset("main") == 3


async def test_nothing_is_stored_of_an_unknown_journal(writer: store.Writer) -> None:
    assert await writer.offset("main") == 0


async def test_a_replay_by_another_process_stores_nothing_twice(database: store.Database, writer: store.Writer) -> None:
    commit = make_commit(5, make_batch(4), quarantined=[quarantined()])
    await writer.commit(commit)
    stored = await store.Writer(database).commit(commit)
    assert stored.already_done
    assert not stored.fresh.any()
    assert await count(database, "positions") == 4
    assert await count(database, "quarantine") == 1


async def test_the_offset_never_goes_back(database: store.Database, writer: store.Writer) -> None:
    await writer.commit(make_commit(9))
    stored = await writer.commit(make_commit(8, make_batch(1)))
    assert stored.already_done
    assert await writer.offset("main") == 9
    assert await count(database, "positions") == 0


async def test_journals_are_counted_apart(writer: store.Writer) -> None:
    await writer.commit(make_commit(9))
    await writer.commit(Commit("other", 2))
    assert [await writer.offset("main"), await writer.offset("other")] == [9, 2]


async def test_what_follows_another_offset_than_the_one_that_is_stored_is_not_stored(
    database: store.Database, writer: store.Writer
) -> None:
    await writer.commit(make_commit(3, after=0))
    assert not (await writer.commit(make_commit(5, after=3))).already_done
    assert (await writer.commit(make_commit(5, make_batch(1), after=3))).already_done
    for offset, after in ((7, 6), (7, 4), (4, 3)):  # it was put back, and somebody else has gone on: by a part, by more
        with pytest.raises(store.OffsetMoved, match="stored up to 5"):
            await writer.commit(make_commit(offset, make_batch(1), after=after))
    async with database.connection() as connection:
        await connection.execute("DELETE FROM journal_offsets")
    with pytest.raises(store.OffsetMoved, match="stored up to 0"):
        await writer.commit(make_commit(6, make_batch(1), after=5))
    assert await count(database, "positions") == 0
    assert await writer.offset("main") == 0


@pytest.mark.parametrize("offset", [1, 2])
async def test_the_offset_waits_for_a_transaction_under_way(
    database: store.Database, writer: store.Writer, offset: int
) -> None:
    """Of a process that was killed after it had sent its commit."""
    if offset > 1:
        await writer.commit(make_commit(1))
    async with database.connection() as predecessor:
        place = {"journal": "main", "offset": offset, "after": offset - 1}
        await predecessor.execute(writer_module._MOVE_OFFSET, place)
        asked = asyncio.create_task(store.Writer(database).offset("main"))
        async with asyncio.timeout(60):
            while not asked.done() and not await fetch(database, "SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert await asked == offset


async def test_repeats_of_what_is_stored_are_told_and_not_stored(
    database: store.Database, writer: store.Writer
) -> None:
    await writer.commit(make_commit(1, make_batch(6)))
    again = make_batch(9)  # the first six are the same
    stored = await writer.commit(make_commit(2, again))
    assert stored.fresh.tolist() == [False] * 6 + [True] * 3
    assert await count(database, "positions") == 9
    assert writer.repeated == 6
    # The next go the same way, and further commits without repeats too.
    assert (await writer.commit(make_commit(3, again))).fresh.sum() == 0
    assert (await writer.commit(make_commit(4, make_batch(2, fix_hash=[77, 78])))).fresh.all()
    assert await count(database, "positions") == 11


async def test_repeats_inside_one_commit(database: store.Database, writer: store.Writer) -> None:
    batch = make_batch(4).take(np.array([0, 1, 0, 2, 1, 3]))
    stored = await writer.commit(make_commit(1, batch))
    assert stored.fresh.tolist() == [True, True, False, True, False, True]
    assert await count(database, "positions") == 4


async def test_repeats_inside_a_commit_that_also_repeats_what_is_stored(
    database: store.Database, writer: store.Writer
) -> None:
    await writer.commit(make_commit(1, make_batch(2)))
    stored = await writer.commit(make_commit(2, make_batch(4).take(np.array([3, 1, 3, 2]))))
    assert stored.fresh.tolist() == [True, False, False, True]


async def test_two_reports_of_one_second_are_two(database: store.Database, writer: store.Writer) -> None:
    batch = make_batch(2, vehicle_id=1, terminal_id=1, time_us=NOON_US, fix_hash=[1, 2])
    assert (await writer.commit(make_commit(1, batch))).fresh.all()
    assert await count(database, "positions") == 2


async def test_any_plausible_day_finds_its_partition(database: store.Database, writer: store.Writer) -> None:
    days = np.array([-5000, -400, -40, -1, 0, 1, 400]) * DAY
    batch = make_batch(len(days), time_us=NOON_US + days)
    assert (await writer.commit(make_commit(1, batch))).fresh.all()
    assert await count(database, "positions") == len(days)


async def test_the_first_second_of_2000_in_china_has_a_day(writer: store.Writer) -> None:
    """The time of a terminal whose clock stood still, where such times are believed (ROADWARDEN_OLDEST_YEAR=2000)."""
    first_us = to_us(datetime(2000, 1, 1, tzinfo=CHINA))
    assert (await writer.commit(make_commit(1, make_batch(1, time_us=first_us)))).fresh.all()


async def test_many_days_at_once(
    database: store.Database, writer: store.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_DAYS_AT_ONCE", 2)
    batch = make_batch(5, time_us=NOON_US - np.arange(100, 105) * DAY)
    assert (await writer.commit(make_commit(1, batch))).fresh.all()


async def test_a_partition_dropped_meanwhile_is_made_again(database: store.Database, writer: store.Writer) -> None:
    old = make_batch(3, time_us=NOON_US - 300 * DAY + np.arange(3))
    await writer.commit(make_commit(1, old))
    for offset in (2, 3):  # once straight, and once, since rows repeat, through the staging table
        async with database.connection() as connection:
            assert await partitions.drop_before(connection, NOON_US - 200 * DAY)
        stored = await writer.commit(make_commit(offset, replace(old, fix_hash=old.fix_hash + offset)))
        assert stored.fresh.all()
        writer._staged_left = 5
    assert await count(database, "positions") == 3


@pytest.mark.parametrize("time_us", [0, 5_000_000_000 * SECOND, 2**62])
async def test_a_time_out_of_all_reason_is_refused(writer: store.Writer, time_us: int) -> None:
    with pytest.raises(store.Unstorable, match="quarantine"):
        await writer.commit(make_commit(1, make_batch(1, time_us=time_us)))
    assert await writer.offset("main") == 0


async def test_positions_set_aside_are_tried_again_when_their_day_goes_away(
    postgresql_database: store.Database,
) -> None:
    database, writer = postgresql_database, store.Writer(postgresql_database)
    old = make_batch(1, time_us=NOON_US - 300 * DAY)
    writer._days |= partitions.days_of(old.time_us)  # made once, and dropped since
    with pytest.raises(store.DatabaseTrouble, match="dropped"):
        async with database.connection() as connection:
            await writer.store_again(connection, old)
    async with database.connection() as connection:
        assert (await writer.store_again(connection, old)).all()


async def test_columns_that_do_not_fit_are_refused(writer: store.Writer) -> None:
    batch = make_batch(1)
    batch.heading_deg = np.array([2**40])  # type: ignore[assignment]
    with pytest.raises(store.Unstorable, match="does not fit"):
        await writer.commit(make_commit(1, batch))


def test_distinct_rows_are_found_where_the_mix_does_not_tell() -> None:
    batch = make_batch(3, vehicle_id=[1, 3, 1], terminal_id=0, time_us=0, fix_hash=[2, 0, 2])
    assert (batch.fix_hash[0] ^ batch.vehicle_id[0]) == (batch.fix_hash[1] ^ batch.vehicle_id[1])  # they collide
    found = distinct_rows(batch)
    assert found is not None
    assert found.tolist() == [0, 1]
    assert distinct_rows(make_batch(2, vehicle_id=[1, 3], terminal_id=0, time_us=0, fix_hash=[2, 0])) is None
    assert distinct_rows(make_batch(0)) is None


# ---- newest positions


async def latest(database: store.Database) -> list[Any]:
    return await fetch(database, "SELECT vehicle_id, time, mileage_km FROM latest_positions ORDER BY vehicle_id")


async def test_the_newest_position_only_moves_forward(database: store.Database, writer: store.Writer) -> None:
    def fix(time_us: int, **columns: Any) -> Any:
        return make_batch(1, time_us=time_us, fix_hash=time_us, **columns)

    with_mileage = {"items": {"mileage_km": np.array([12.5])}, "present": {"mileage_km": np.array([True])}}
    await writer.commit(make_commit(1, fix(NOON_US, **with_mileage)))
    await writer.commit(make_commit(2, fix(NOON_US - SECOND)))
    await writer.commit(make_commit(3, fix(NOON_US + SECOND, late=True)))
    assert await latest(database) == [(1, to_datetime(NOON_US), 12.5)]
    await writer.commit(make_commit(4, fix(NOON_US + 2 * SECOND)))
    assert await latest(database) == [(1, to_datetime(NOON_US + 2 * SECOND), 12.5)]


async def test_of_one_vehicle_the_newest_of_the_commit_counts(database: store.Database, writer: store.Writer) -> None:
    times = NOON_US + np.array([1, 5, 3]) * SECOND
    await writer.commit(make_commit(1, make_batch(3, vehicle_id=7, time_us=times)))
    assert await latest(database) == [(7, to_datetime(NOON_US + 5 * SECOND), None)]
    async with database.connection() as connection:
        assert await engine.load_latest_times(connection) == [(7, NOON_US + 5 * SECOND)]
        batch = await engine.load_latest(connection)
    assert (batch.time_us.tolist(), batch.speed_kmh.tolist(), batch.items) == ([NOON_US + 5 * SECOND], [60.5], {})


async def test_what_the_newest_fix_does_not_tell_comes_from_an_earlier_one_of_the_commit(
    database: store.Database, writer: store.Writer
) -> None:
    batch = make_batch(
        5,
        vehicle_id=np.array([7, 8, 7, 7, 9]),
        time_us=NOON_US + np.array([1, 1, 2, 3, 1]) * SECOND,
        latitude_deg=np.array([40.0, 0.0, 41.0, 0.0, 42.0]),
        longitude_deg=np.array([120.0, 0.0, 121.0, 0.0, 122.0]),
        items={"mileage_km": np.array([10.0, 20.0, 0.0, 0.0, 0.0])},
        present={"mileage_km": np.array([True, True, False, False, False])},
    )
    await writer.commit(make_commit(1, batch))
    assert await fetch(
        database, "SELECT vehicle_id, latitude_deg, longitude_deg, mileage_km FROM latest_positions ORDER BY 1"
    ) == [(7, 41.0, 121.0, 10.0), (8, 0.0, 0.0, 20.0), (9, 42.0, 122.0, None)]


# ---- when the connection breaks


class Flaky(store.Database):
    """Breaks the connection around the commit: ``lose`` says on which side of it."""

    lose = ""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        async with super().connection() as connection:
            yield connection
            if self.lose == "before":
                raise psycopg.OperationalError("lost before the commit")
        if self.lose == "after":
            raise psycopg.OperationalError("lost after the commit")


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_a_commit_with_a_lost_answer_is_tried_again(dsn: str, lose: str) -> None:
    database = Flaky(dsn)
    await database.open()
    try:
        await add_vehicles(database, 1)
        writer = store.Writer(database)
        await writer.commit(make_commit(1, make_batch(1)))
        commit = make_commit(2, make_batch(3), alarm_changes=[BEGIN], quarantined=[quarantined()])
        database.lose = lose
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError, match=f"lost {lose}"):
                await writer.commit(commit)
        database.lose = ""
        stored = await writer.commit(commit)
        # What the lost answer would have said: so the bus can be told, and nothing is stored twice.
        assert stored.fresh.tolist() == [False, True, True]
        assert stored.alarms == [BEGIN.id]
        assert not stored.already_done
        assert await count(database, "positions") == 3
        assert await count(database, "quarantine") == 1
        assert (await writer.commit(commit)).already_done
    finally:
        await database.close()


async def test_an_error_inside_leaves_nothing(database: store.Database, writer: store.Writer) -> None:
    wrong = replace(BEGIN, severity=9)
    await add_vehicles(database, 1)
    with pytest.raises(psycopg.IntegrityError):
        await writer.commit(make_commit(1, make_batch(3), alarm_changes=[wrong]))
    assert await count(database, "positions") == 0
    assert await writer.offset("main") == 0


async def test_a_refusal_that_is_not_the_datas_fault_says_try_again(
    database: store.Database, writer: store.Writer
) -> None:
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE quarantine RENAME TO elsewhere")
    with pytest.raises(store.DatabaseTrouble):
        await writer.commit(make_commit(1, quarantined=[quarantined()]))


async def test_what_is_told_of_commands_becomes_events() -> None:
    event = CommandChanged(uuid.uuid4())
    assert store.Stored(np.zeros(0, np.bool_), commands=[event]).command_events() == [event]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["postgresql", "timescaledb"])
async def test_a_server_killed_again_and_again_has_all_of_it_once(
    spare_server: Callable[..., EmbeddedPostgres], backend: str
) -> None:
    """kill -9 of the server while commits run; whatever the answers were that got lost, the rows are right."""
    server = spare_server(bin_dir=bin_dir_of(backend))
    dsn = await asyncio.to_thread(server.start)
    await asyncio.to_thread(store.migrate, dsn)
    database = store.Database(dsn, timeout_s=0.5)
    await database.open()
    fresh = 0
    lost = asyncio.Event()

    async def murder() -> None:
        for _ in range(3):
            lost.clear()
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.to_thread(server.wait)
            await lost.wait()
            await asyncio.to_thread(server.start)

    try:
        writer = store.Writer(database)
        killer = asyncio.create_task(murder())
        offset = 0
        while not killer.done():
            offset += 1
            # Every commit repeats half of the one before.
            commit = make_commit(offset, make_batch(200, fix_hash=offset * 100 + np.arange(200), time_us=NOON_US))
            commit.positions.vehicle_id[:] = commit.positions.terminal_id[:] = 1
            while True:
                try:
                    stored = await writer.commit(commit)
                    break
                except psycopg.OperationalError:
                    lost.set()
            assert not stored.already_done
            fresh += int(stored.fresh.sum())
        await killer
        assert await writer.offset("main") == offset
        assert fresh == await count(database, "positions") == 100 * (offset + 1)
    finally:
        await database.close()

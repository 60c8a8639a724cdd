"""store.partitions: a piece a day, on either back end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest

import store
from store import partitions
from store.values import to_us
from tests.postgres import Server
from tests.store.batches import DAY, NOON_US, make_batch, make_commit


async def fetch(database: store.Database, query: str) -> list[Any]:
    async with database.connection() as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def pieces(database: store.Database, backend: str) -> list[str]:
    if backend == "timescaledb":
        return [row[0] for row in await fetch(database, "SELECT chunk::text FROM show_chunks('positions') AS chunk")]
    return [row[0] for row in await fetch(database, partitions._DAYS)]


async def test_the_back_end_is_found_again(database: store.Database, server: Server) -> None:
    async with database.connection() as connection:
        assert await partitions.backend(connection) == server.backend


async def test_a_database_without_a_schema_says_so(server: Server) -> None:
    with server.fresh(migrated=False) as dsn:
        connection = await psycopg.AsyncConnection.connect(dsn)
        try:
            with pytest.raises(psycopg.errors.UndefinedTable, match="not migrated"):
                await partitions.backend(connection)
        finally:
            await connection.close()


async def test_a_piece_is_a_day_of_utc(database: store.Database, server: Server) -> None:
    midnight = to_us(datetime(2026, 3, 5, tzinfo=UTC))
    batch = make_batch(3, time_us=midnight + np.array([-1, 0, DAY - 1]))
    before = set(await pieces(database, server.backend))
    await store.Writer(database).commit(make_commit(1, batch))
    rows = await fetch(database, "SELECT tableoid::regclass::text FROM positions ORDER BY time")
    names = [row[0] for row in rows]
    assert names[0] != names[1] == names[2]
    if server.backend == "postgresql":
        assert names[:2] == ["positions_20260304", "positions_20260305"]
    assert len(set(await pieces(database, server.backend)) - before) == 2


async def test_every_piece_has_the_indexes(database: store.Database, server: Server) -> None:
    await store.Writer(database).commit(make_commit(1, make_batch(1)))
    rows = await fetch(
        database,
        "SELECT am.amname, i.reloptions, x.indisunique FROM pg_class t JOIN pg_index x ON x.indrelid = t.oid "
        "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam "
        "WHERE t.oid = (SELECT tableoid FROM positions) ORDER BY 1",
    )
    assert rows == [("brin", ["pages_per_range=64", "autosummarize=on"], False), ("btree", None, True)]


async def test_days_ahead_are_made_once(database: store.Database, server: Server) -> None:
    now_us = to_us(datetime(2031, 1, 1, 23, tzinfo=UTC))
    async with database.connection() as connection:
        made = await store.ensure_ahead(connection, now_us, days=2)
    names = [partitions.partition_name(day) for day in made]
    if server.backend == "timescaledb":
        assert names == []
    else:
        assert names == ["positions_20310101", "positions_20310102", "positions_20310103"]
    async with database.connection() as connection:
        assert await store.ensure_ahead(connection, now_us, days=2) == []


async def test_a_day_is_made_beside_readers_and_writers(database: store.Database) -> None:
    """A long report and an open transaction of a writer must not stop the pipeline, nor it them."""
    writer = store.Writer(database)
    await writer.commit(make_commit(1, make_batch(2)))
    async with database.connection() as reader:
        await reader.execute("SELECT count(*) FROM positions")
        async with database.connection() as other:
            await other.execute("DELETE FROM positions WHERE vehicle_id = 1")
            assert (await writer.commit(make_commit(2, make_batch(1, time_us=NOON_US - 900 * DAY)))).fresh.all()


async def test_retention_drops_whole_days_that_have_passed(database: store.Database, server: Server) -> None:
    midnight = to_us(datetime(2026, 3, 5, tzinfo=UTC))
    batch = make_batch(4, time_us=midnight + np.array([-2 * DAY, -1, 0, 5 * DAY]))
    await store.Writer(database).commit(make_commit(1, batch))

    async def drop(time_us: int) -> int:
        async with database.connection() as connection:
            return len(await store.drop_before(connection, time_us))

    assert await drop(midnight - 1) == 1  # the 4th has a microsecond left
    assert await drop(midnight) == 1
    assert await drop(midnight + DAY - 1) == 0
    rows = await fetch(database, "SELECT vehicle_id FROM positions ORDER BY time")
    assert rows == [(3,), (4,)]


async def test_days_made_ahead_stay_when_old_ones_are_dropped_behind_them(
    postgresql_database: store.Database,
) -> None:
    """The hourly round does both on one connection."""
    old_us, now_us = NOON_US - 300 * DAY, to_us(datetime(2031, 1, 1, 23, tzinfo=UTC))
    await store.Writer(postgresql_database).commit(make_commit(1, make_batch(1, time_us=old_us)))
    async with postgresql_database.connection() as connection:
        made = {partitions.partition_name(day) for day in await store.ensure_ahead(connection, now_us)}
        assert len(await store.drop_before(connection, NOON_US - 200 * DAY)) == 1
    assert made <= set(await pieces(postgresql_database, "postgresql"))
    assert len(made) == 1 + partitions.DAYS_AHEAD


async def test_retention_leaves_what_is_busy_for_the_next_time(
    database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "10ms")
    await store.Writer(database).commit(make_commit(1, make_batch(1, time_us=NOON_US - 300 * DAY)))
    async with database.connection() as reader:
        await reader.execute("SELECT * FROM positions")
        async with database.connection() as connection:
            assert await store.drop_before(connection, NOON_US - 200 * DAY) == []
    async with database.connection() as connection:
        assert len(await store.drop_before(connection, NOON_US - 200 * DAY)) == 1


@pytest.mark.parametrize("day", [partitions.FIRST_DAY - 1, partitions.LAST_DAY, 10**9])
async def test_no_piece_for_a_day_out_of_all_reason(postgresql_database: store.Database, day: int) -> None:
    async with postgresql_database.connection() as connection:
        with pytest.raises(store.Unstorable):
            await partitions.ensure_days(connection, [day])


def test_days_of_a_column() -> None:
    assert partitions.days_of(np.array([], np.int64)) == set()
    assert partitions.days_of(np.array([5 * DAY, 6 * DAY - 1])) == {5}
    assert partitions.days_of(np.array([-1, 0, DAY, 9 * DAY])) == {-1, 0, 1, 9}

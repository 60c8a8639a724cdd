"""store.pool: connections, and the clear word when there are none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import psycopg
import pytest

import store
from store.embedded import EmbeddedPostgres
from store.pool import describe_dsn, liveness
from tests.postgres import FAST


async def test_a_connection_sees_the_migrated_schema(database: store.Database) -> None:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM positions")
        assert await cursor.fetchone() == (0,)
    assert database.is_up


async def test_a_block_is_a_transaction(postgresql_database: store.Database) -> None:
    async def plates() -> list[tuple[str]]:
        async with postgresql_database.connection() as connection:
            return await (await connection.execute("SELECT plate FROM vehicles")).fetchall()

    async with postgresql_database.connection() as connection:
        await connection.execute("INSERT INTO vehicles (plate) VALUES ('kept')")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with postgresql_database.connection() as connection:
            await connection.execute("INSERT INTO vehicles (plate) VALUES ('lost')")
            raise ZeroDivisionError
    assert await plates() == [("kept",)]


async def test_a_cancellation_that_the_pool_forgets_is_not_lost(
    postgresql_database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As asyncio.wait_for does in Python 3.11 when the connection comes in the same turn."""
    getconn, is_waiting = postgresql_database._pool.getconn, asyncio.Event()

    async def forgetful() -> psycopg.AsyncConnection:
        is_waiting.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await getconn()

    async def endless() -> None:
        while True:
            await postgresql_database.ping()

    monkeypatch.setattr(postgresql_database._pool, "getconn", forgetful)
    task = asyncio.create_task(endless())
    await is_waiting.wait()
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=30.0)
    task.cancel()  # an end for the task that has forgotten the first one
    assert done == {task}
    assert task.cancelled()

    async def at_the_end() -> None:  # what a cancelled task does before it ends is not cut short
        try:
            await asyncio.Event().wait()
        finally:
            monkeypatch.undo()
            async with postgresql_database.connection() as connection:
                cursor = await connection.execute("SELECT 1")
                assert await cursor.fetchone() == (1,)
                ends.append("read")

    ends: list[str] = []
    task = asyncio.create_task(at_the_end())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert ends == ["read"]


async def test_committed_means_on_disk_whatever_the_database_says(database: store.Database) -> None:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT setting, reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
        )
        assert await cursor.fetchone() == ("on", "off")  # of servers for tests nothing has to outlive them


def test_who_is_gone_is_found_out_soon_unless_the_dsn_says_otherwise() -> None:
    assert liveness("postgresql://db.example/fleet")["tcp_user_timeout"] == 30_000
    found = liveness("host=db.example tcp_user_timeout=0 keepalives_idle=60")
    assert sorted(found) == ["keepalives_count", "keepalives_interval"]
    assert liveness("nonsense") == liveness("")


async def test_a_server_that_is_not_there() -> None:
    database = store.Database("postgresql://me@/mine?host=/nowhere", timeout_s=0.2)
    with pytest.raises(store.DatabaseUnavailable, match=r"database mine at /nowhere:5432 gave no connection .*nowhere"):
        await database.open()
    assert not database.is_up
    with pytest.raises(psycopg.OperationalError, match="closed"):
        await database.ping()


async def test_all_connections_busy(postgresql_dsn: str) -> None:
    database = store.Database(postgresql_dsn, min_size=1, max_size=1, timeout_s=0.1)
    await database.open()
    try:
        async with database.connection():
            with pytest.raises(store.DatabaseUnavailable, match=r"all 1 connections .* were busy"):
                await database.ping()
        assert database.is_up
    finally:
        await database.close()


async def test_a_connection_lost_before_the_commit_is_an_error(postgresql_database: store.Database) -> None:
    """psycopg alone leaves such a block silently, and nothing was committed."""
    with pytest.raises(psycopg.OperationalError, match="before the commit"):  # noqa: PT012
        async with postgresql_database.connection() as connection:
            await connection.execute("INSERT INTO vehicles (plate) VALUES ('lost')")
            connection.pgconn.finish()
    async with postgresql_database.connection() as connection:
        assert await (await connection.execute("SELECT count(*) FROM vehicles")).fetchone() == (0,)


@pytest.mark.slow
async def test_it_comes_back_when_the_server_does(
    spare_server: Callable[..., EmbeddedPostgres], caplog: pytest.LogCaptureFixture
) -> None:
    server = spare_server(settings=FAST)
    database = store.Database(await asyncio.to_thread(server.start), min_size=2, max_size=4, timeout_s=0.5)
    await database.open()
    try:
        await asyncio.to_thread(server.stop)
        for _ in range(2):
            with pytest.raises(store.DatabaseUnavailable):
                await database.ping()
        assert not database.is_up
        await asyncio.to_thread(server.start)
        while not database.is_up:  # the pool pauses between its attempts
            try:
                await database.ping()
            except store.DatabaseUnavailable:
                continue
    finally:
        await database.close()
    told = [record.message for record in caplog.records if record.name == "store.pool"]
    assert len([message for message in told if " is away: " in message]) == 1


def test_a_dsn_is_described_without_its_password() -> None:
    assert describe_dsn("postgresql://me:secret@db.example:6000/fleet") == "database fleet at db.example:6000"
    assert describe_dsn("host=h dbname=d password=secret") == "database d at h:5432"
    assert "secret" not in describe_dsn("secret=1 nonsense")

"""Where a journal is stored up to: asked while a process that was killed has a commit under way."""

from __future__ import annotations

import asyncio

import store


async def test_a_commit_that_is_under_way_is_waited_for(postgresql_database: store.Database) -> None:
    """Else whoever goes on would store what is no position a second time."""
    database = postgresql_database
    assert await store.Writer(database).offset("main") == 0
    async with database.connection() as of_the_dead:
        await of_the_dead.execute("UPDATE journal_offsets SET \"offset\" = 7 WHERE journal = 'main'")
        asking = asyncio.create_task(store.Writer(database).offset("main"))

        async def waits() -> bool:
            async with database.connection() as connection:
                cursor = await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                row = await cursor.fetchone()
                return row is not None and row[0] > 0

        async with asyncio.timeout(60):
            while not asking.done() and not await waits():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not asking.done()
    assert await asking == 7

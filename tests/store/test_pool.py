"""store.pool: connections, and the clear word when there are none."""

from __future__ import annotations

import store


async def test_a_connection_sees_the_migrated_schema(database: store.Database) -> None:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM positions")
        assert await cursor.fetchone() == (0,)
    assert database.is_up

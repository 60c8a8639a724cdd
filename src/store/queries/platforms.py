"""Superior platforms (上级平台) as administrators keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg import AsyncConnection, errors, sql
from psycopg.rows import dict_row

COLUMNS: Final = (
    "name", "enabled", "edition", "host", "port", "access_code", "user_id", "password", "platform_id", "sub_link_host",
    "sub_link_port", "encrypt", "m1", "ia1", "ic1", "supplement",
)  # fmt: skip
_SHOWN = (
    "id, name, enabled, edition, host, port, access_code, user_id, platform_id, sub_link_host, sub_link_port, encrypt,"
    " supplement"
)


async def page(connection: AsyncConnection[Any], *, after_id: int, limit: int) -> list[dict[str, Any]]:
    """In order of id, from behind ``after_id`` on; without passwords and keys."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_SHOWN} FROM platforms WHERE id > %s ORDER BY id LIMIT %s", (after_id, limit))
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], platform_id: int) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_SHOWN} FROM platforms WHERE id = %s", (platform_id,))
    return await cursor.fetchone()


async def names(connection: AsyncConnection[Any]) -> dict[int, str]:
    """The enabled platforms by id."""
    cursor = await connection.execute("SELECT id, name FROM platforms WHERE enabled ORDER BY id")
    return dict(await cursor.fetchall())


async def insert(connection: AsyncConnection[Any], values: Mapping[str, Any]) -> int | None:
    """The new id; None when the name is taken. ``values`` holds all of COLUMNS."""
    query = sql.SQL("INSERT INTO platforms ({}) VALUES ({}) ON CONFLICT (name) DO NOTHING RETURNING id").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS))
    )
    cursor = await connection.execute(query, [values[name] for name in COLUMNS])
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(connection: AsyncConnection[Any], platform_id: int, values: Mapping[str, Any]) -> bool:
    """Change the given columns. False when the name is taken."""
    names = [name for name in COLUMNS if name in values]
    if not names:
        return True
    query = sql.SQL("UPDATE platforms SET {}, updated_at = now() WHERE id = {}").format(
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in names),
        sql.Placeholder(),
    )
    try:
        async with connection.transaction():
            await connection.execute(query, [*(values[name] for name in names), platform_id])
    except errors.UniqueViolation:
        return False
    return True


async def lacks_keys(connection: AsyncConnection[Any], platform_id: int) -> bool:
    """Whether it is in use and to be encrypted with keys that are all 0, which no superior platform gave."""
    cursor = await connection.execute(
        "SELECT 1 FROM platforms WHERE id = %s AND enabled AND encrypt AND m1 = 0 AND ia1 = 0 AND ic1 = 0",
        (platform_id,),
    )
    return await cursor.fetchone() is not None


async def delete(connection: AsyncConnection[Any], platform_id: int) -> None:
    """Remove it, with how far it had our data."""
    await connection.execute("DELETE FROM platforms WHERE id = %s", (platform_id,))

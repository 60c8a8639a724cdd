"""Firmware for upgrades: what is known of the files under the data directory."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

_SELECT = """
SELECT f.id, f.name, f.upgrade_type, f.manufacturer_id, f.version, f.size_bytes, f.sha256, f.note, f.created_by,
       coalesce(nullif(u.display_name, ''), u.username) AS created_by_name, f.created_at
FROM firmware f LEFT JOIN users u ON u.id = f.created_by WHERE f.retired_at IS NULL"""


async def page(connection: AsyncConnection[Any], *, before_id: int | None, limit: int) -> list[dict[str, Any]]:
    """Newest first, from behind ``before_id`` on."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _SELECT + " AND (%(before)s::int IS NULL OR f.id < %(before)s) ORDER BY f.id DESC LIMIT %(limit)s",
        {"before": before_id, "limit": limit},
    )
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], firmware_id: int) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " AND f.id = %s", (firmware_id,))
    return await cursor.fetchone()


async def insert(
    connection: AsyncConnection[Any],
    *,
    name: str,
    upgrade_type: int,
    manufacturer_id: str,
    version: str,
    size_bytes: int,
    sha256: str,
    note: str,
    created_by: int,
) -> int | None:
    """The new row's id; None when there is one of that type, manufacturer and version."""
    cursor = await connection.execute(
        "INSERT INTO firmware (name, upgrade_type, manufacturer_id, version, size_bytes, sha256, note, created_by)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
        (name, upgrade_type, manufacturer_id, version, size_bytes, sha256, note, created_by),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def in_use(connection: AsyncConnection[Any], firmware_id: int) -> bool:
    """Whether a command that is not over sends it."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM commands WHERE kind = 'upgrade' AND (payload->>'firmware_id')::int = %s"
        " AND state IN ('awaiting_confirmation', 'queued', 'sent', 'acknowledged'))",
        (firmware_id,),
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def retire(connection: AsyncConnection[Any], firmware_id: int) -> bool:
    """Take it out of the list. True: no other row has its file, which may go."""
    cursor = await connection.execute(
        "UPDATE firmware SET retired_at = now() WHERE id = %s RETURNING sha256", (firmware_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    cursor = await connection.execute(
        "SELECT NOT EXISTS (SELECT FROM firmware WHERE sha256 = %s AND retired_at IS NULL)", (row[0],)
    )
    alone = await cursor.fetchone()
    return bool(alone and alone[0])

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


async def get(connection: AsyncConnection[Any], firmware_id: int, *, for_use: bool = False) -> dict[str, Any] | None:
    """``for_use``: it cannot be deleted until the transaction ends, in which a command to send it is written."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " AND f.id = %s" + (" FOR SHARE OF f" if for_use else ""), (firmware_id,))
    return await cursor.fetchone()


async def lock(connection: AsyncConnection[Any], firmware_id: int) -> dict[str, Any] | None:
    """The package, which nobody can take for a command until the transaction ends."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " AND f.id = %s FOR UPDATE OF f", (firmware_id,))
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


_UNFINISHED = (
    "state = 'awaiting_confirmation'",
    "state = 'queued'",
    "state = 'sent'",
    "state = 'acknowledged' AND answer_by IS NOT NULL",
)
"""One by one, since each has its partial index; finished commands are many."""


async def in_use(connection: AsyncConnection[Any], firmware_id: int) -> bool:
    """Whether a command that is not over sends it."""
    each = [
        f"EXISTS (SELECT FROM commands WHERE {unfinished} AND kind = 'upgrade'"
        " AND (payload->>'firmware_id')::int = %(id)s)"
        for unfinished in _UNFINISHED
    ]
    cursor = await connection.execute(f"SELECT {' OR '.join(each)}".encode(), {"id": firmware_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def delete(connection: AsyncConnection[Any], firmware_id: int) -> None:
    """The row; commands that sent it have its name and version, the audit the rest. Rows that were only taken out of
    the list, as it was done before, go with it."""
    await connection.execute("DELETE FROM firmware WHERE id = %s OR retired_at IS NOT NULL", (firmware_id,))


async def lock_file(connection: AsyncConnection[Any], name: str) -> None:
    """Until the transaction ends nobody else puts that file there or removes it."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('firmware ' || %s, 0))", (name,))


async def files(connection: AsyncConnection[Any]) -> set[str]:
    """The names of the files that packages have."""
    cursor = await connection.execute("SELECT DISTINCT sha256 FROM firmware WHERE retired_at IS NULL")
    return {row[0] for row in await cursor.fetchall()}

"""How long terminals may be silent, by maker and model."""

from __future__ import annotations

from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

MAX_LIMITS: Final = 1000
"""Rows at most: all are looked at for every terminal."""

_COLUMNS = "id, manufacturer_id, terminal_model, idle_s, note"


async def all_limits(connection: AsyncConnection[Any]) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_COLUMNS} FROM link_limits ORDER BY manufacturer_id, terminal_model")
    return await cursor.fetchall()


async def put(
    connection: AsyncConnection[Any], *, manufacturer_id: str, terminal_model: str, idle_s: float, note: str
) -> dict[str, Any] | None:
    """Set the limit of a maker's model, in place of the one it had; None when there are ``MAX_LIMITS`` already."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "INSERT INTO link_limits (manufacturer_id, terminal_model, idle_s, note)"
        " SELECT %(maker)s, %(model)s, %(idle_s)s, %(note)s WHERE (SELECT count(*) FROM link_limits) < %(most)s"
        " OR EXISTS (SELECT FROM link_limits WHERE (manufacturer_id, terminal_model) = (%(maker)s, %(model)s))"
        " ON CONFLICT (manufacturer_id, terminal_model) DO UPDATE SET idle_s = excluded.idle_s, note = excluded.note,"
        f" updated_at = now() RETURNING {_COLUMNS}",
        {"maker": manufacturer_id, "model": terminal_model, "idle_s": idle_s, "note": note, "most": MAX_LIMITS},
    )
    return await cursor.fetchone()


async def delete(connection: AsyncConnection[Any], limit_id: int) -> dict[str, Any] | None:
    """What was deleted; None when there is no such limit."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"DELETE FROM link_limits WHERE id = %s RETURNING {_COLUMNS}", (limit_id,))
    return await cursor.fetchone()

"""Commands as operators see them: queued, listed, read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

_SELECT = """
SELECT c.id, c.vehicle_id, v.plate, c.phone, c.kind, c.payload, c.state, c.reason,
       c.created_by, coalesce(nullif(u.display_name, ''), u.username) AS created_by_name, c.created_at, c.updated_at,
       c.expires_at, c.sent_at, c.attempts, c.result, c.answer
FROM commands c JOIN vehicles v ON v.id = c.vehicle_id LEFT JOIN users u ON u.id = c.created_by"""


async def page(
    connection: AsyncConnection[Any],
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    vehicle_id: int | None = None,
    states: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Newest first, from behind ``before`` (created_at, id) on."""
    cursor = connection.cursor(row_factory=dict_row)
    time, command_id = before or (None, None)
    await cursor.execute(
        _SELECT + " WHERE (%(time)s::timestamptz IS NULL OR (c.created_at, c.id) < (%(time)s, %(id)s::uuid))"
        " AND (%(vehicle_id)s::int IS NULL OR c.vehicle_id = %(vehicle_id)s)"
        " AND (%(states)s::text[] IS NULL OR c.state = ANY (%(states)s))"
        " ORDER BY c.created_at DESC, c.id DESC LIMIT %(limit)s",
        {"time": time, "id": command_id, "vehicle_id": vehicle_id, "states": states, "limit": limit},
    )
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], command_id: UUID) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " WHERE c.id = %s", (command_id,))
    return await cursor.fetchone()


async def by_ids(connection: AsyncConnection[Any], command_ids: list[UUID]) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " WHERE c.id = ANY (%s)", (command_ids,))
    return await cursor.fetchall()


async def insert(
    connection: AsyncConnection[Any],
    *,
    vehicle_id: int,
    phone: str,
    kind: str,
    payload: dict[str, Any],
    created_by: int,
    expires_in_s: float,
) -> UUID:
    """Queue a command; its id. A trigger tells ``ingest.commands`` over the channel ``roadwarden_commands``."""
    cursor = await connection.execute(
        "INSERT INTO commands (vehicle_id, phone, kind, payload, created_by, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s)) RETURNING id",
        (vehicle_id, phone, kind, Jsonb(payload), created_by, expires_in_s),
    )
    row = await cursor.fetchone()
    assert row is not None
    command_id: UUID = row[0]
    return command_id

"""Commands as operators see them: queued, confirmed, cancelled, listed, read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

_SELECT = """
SELECT c.id, c.vehicle_id, v.plate, c.phone, c.kind, c.payload, c.state, c.reason,
       c.created_by, coalesce(nullif(u.display_name, ''), u.username) AS created_by_name, c.created_at, c.updated_at,
       c.expires_at, c.sent_at, c.attempts, c.result, c.answer, c.group_id, c.confirm_by,
       coalesce(nullif(w.display_name, ''), w.username) AS confirmed_by_name, c.confirmed_at, c.progress,
       c.state IN ('awaiting_confirmation', 'queued', 'sent')
       OR (c.state = 'acknowledged' AND coalesce(c.answer_by > now(), false)) AS is_open
FROM commands c JOIN vehicles v ON v.id = c.vehicle_id LEFT JOIN users u ON u.id = c.created_by
LEFT JOIN users w ON w.id = c.confirmed_by"""


async def page(
    connection: AsyncConnection[Any],
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    vehicle_id: int | None = None,
    states: Sequence[str] | None = None,
    group_id: UUID | None = None,
    kinds: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Newest first, from behind ``before`` (created_at, id) on."""
    conditions = {  # only those that are asked for: each has an index, and a plan for all of them would use none
        "(c.created_at, c.id) < (%(time)s, %(id)s::uuid)": before,
        "c.vehicle_id = %(vehicle_id)s": vehicle_id,
        "c.group_id = %(group_id)s": group_id,
        "c.state = ANY (%(states)s)": states,
        "c.kind = ANY (%(kinds)s)": kinds,
    }
    where = " AND ".join(condition for condition, value in conditions.items() if value is not None) or "true"
    time, command_id = before or (None, None)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        f"{_SELECT} WHERE {where} ORDER BY c.created_at DESC, c.id DESC LIMIT %(limit)s".encode(),
        {"time": time, "id": command_id, "vehicle_id": vehicle_id, "group_id": group_id, "states": states,
         "kinds": kinds, "limit": limit},
    )  # fmt: skip
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
    created_by: int | None,
    expires_in_s: float,
    confirm_in_s: float | None = None,
) -> UUID:
    """Queue a command; its id. With ``confirm_in_s`` it waits so long for a second word before it is queued.

    A trigger tells ``ingest.commands`` over the channel ``roadwarden_commands``.
    """
    cursor = await connection.execute(
        "INSERT INTO commands (vehicle_id, phone, kind, payload, created_by, expires_at, state, confirm_by)"
        " VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s),"
        " CASE WHEN %s::float8 IS NULL THEN 'queued' ELSE 'awaiting_confirmation' END,"
        " now() + make_interval(secs => %s::float8)) RETURNING id",
        (vehicle_id, phone, kind, Jsonb(payload), created_by, expires_in_s, confirm_in_s, confirm_in_s),
    )
    row = await cursor.fetchone()
    assert row is not None
    command_id: UUID = row[0]
    return command_id


async def lock(connection: AsyncConnection[Any], command_id: UUID) -> dict[str, Any] | None:
    """The command, its row locked until the transaction ends."""
    await connection.execute("SELECT FROM commands WHERE id = %s FOR UPDATE", (command_id,))
    return await get(connection, command_id)


async def confirm(connection: AsyncConnection[Any], command_id: UUID, user_id: int) -> bool:
    """The second word: queue it. Its time until expiry begins anew. False: it does not wait for one any more."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'queued', confirmed_by = %s, confirmed_at = now(), updated_at = now(),"
        " expires_at = now() + (expires_at - created_at)"
        " WHERE id = %s AND state = 'awaiting_confirmation' AND confirm_by > now()",
        (user_id, command_id),
    )
    return cursor.rowcount == 1


# What waits, also to be sent once more, and a long message whose packages are still going out.
CANCELLABLE: Final = "(state IN ('awaiting_confirmation', 'queued') OR state = 'sent' AND retry_at = 'infinity')"


async def cancel(connection: AsyncConnection[Any], command_id: UUID, reason: str) -> bool:
    """Take back what is still to be sent. It may have arrived when it was sent before: an answer still counts. False:
    it was sent."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'cancelled', reason = %s, updated_at = now()"
        f" WHERE id = %s AND {CANCELLABLE}".encode(),
        (reason, command_id),
    )
    return cursor.rowcount == 1

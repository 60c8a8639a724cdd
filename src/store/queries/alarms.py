"""Alarms as operators see them, and the steps of their handling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

_SELECT = """
SELECT a.id, a.vehicle_id, v.plate, v.plate_color, t.phone, a.rule, a.severity, a.source, a.state, a.late, a.begin_time,
       a.end_time, a.updated_time, a.latitude_deg, a.longitude_deg, a.speed_kmh, a.facts,
       a.claimed_by, coalesce(nullif(c.display_name, ''), c.username) AS claimed_by_name, a.claimed_at,
       a.handled_by, coalesce(nullif(h.display_name, ''), h.username) AS handled_by_name, a.handled_at,
       a.handle_code, a.handle_text
FROM alarms a
JOIN vehicles v ON v.id = a.vehicle_id
LEFT JOIN terminals t ON t.id = a.terminal_id
LEFT JOIN users c ON c.id = a.claimed_by
LEFT JOIN users h ON h.id = a.handled_by"""


async def page(
    connection: AsyncConnection[Any],
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    states: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    vehicle_id: int | None = None,
    rules: Sequence[str] | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
    late: bool | None = None,
) -> list[dict[str, Any]]:
    """Newest begin first, from behind ``before`` (begin_time, id) on. ``begin`` and ``end`` bound the begin time."""
    cursor = connection.cursor(row_factory=dict_row)
    time, alarm_id = before or (None, None)
    await cursor.execute(
        _SELECT + " WHERE (%(time)s::timestamptz IS NULL OR (a.begin_time, a.id) < (%(time)s, %(id)s::uuid))"
        " AND (%(states)s::text[] IS NULL OR a.state = ANY (%(states)s))"
        " AND (%(severities)s::int[] IS NULL OR a.severity = ANY (%(severities)s))"
        " AND (%(vehicle_id)s::int IS NULL OR a.vehicle_id = %(vehicle_id)s)"
        " AND (%(rules)s::text[] IS NULL OR a.rule = ANY (%(rules)s))"
        " AND (%(begin)s::timestamptz IS NULL OR a.begin_time >= %(begin)s)"
        " AND (%(end)s::timestamptz IS NULL OR a.begin_time <= %(end)s)"
        " AND (%(late)s::boolean IS NULL OR a.late = %(late)s)"
        " ORDER BY a.begin_time DESC, a.id DESC LIMIT %(limit)s",
        {"time": time, "id": alarm_id, "states": states, "severities": severities, "vehicle_id": vehicle_id,
         "rules": rules, "begin": begin, "end": end, "late": late, "limit": limit},
    )  # fmt: skip
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], alarm_id: UUID) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " WHERE a.id = %s", (alarm_id,))
    return await cursor.fetchone()


async def by_ids(connection: AsyncConnection[Any], alarm_ids: list[UUID]) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " WHERE a.id = ANY (%s)", (alarm_ids,))
    return await cursor.fetchall()


async def queue(connection: AsyncConnection[Any], *, handled_since: datetime, limit: int) -> list[dict[str, Any]]:
    """What the watch has before it: open and claimed, the most severe and newest first; then the lately handled.

    Of these only what began within the last two days: the index knows when alarms began, not when they were handled.
    """
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _SELECT + " WHERE a.state IN ('open', 'claimed')"
        " OR a.state IN ('handled', 'false') AND a.handled_at >= %(since)s"
        " AND a.begin_time >= %(since)s - interval '2 days'"
        " ORDER BY a.state IN ('handled', 'false'), a.late, a.severity, a.begin_time DESC LIMIT %(limit)s",
        {"since": handled_since, "limit": limit},
    )
    return await cursor.fetchall()


async def open_counts(connection: AsyncConnection[Any]) -> dict[int, int]:
    """How many alarms are open and not late, by severity."""
    cursor = await connection.execute(
        "SELECT severity, count(*) FROM alarms WHERE state = 'open' AND NOT late GROUP BY severity"
    )
    return dict(await cursor.fetchall())


async def steps(connection: AsyncConnection[Any], alarm_id: UUID) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT s.time, coalesce(nullif(u.display_name, ''), u.username) AS user, s.action, s.from_state,"
        " s.to_state, s.code, s.text FROM alarm_steps s LEFT JOIN users u ON u.id = s.user_id"
        " WHERE s.alarm_id = %s ORDER BY s.id",
        (alarm_id,),
    )
    return await cursor.fetchall()


async def lock(connection: AsyncConnection[Any], alarm_id: UUID) -> dict[str, Any] | None:
    """The alarm, locked until the transaction ends: whoever asks meanwhile waits and sees what became of it."""
    # In two statements: one that waited for the lock would show who else was here as it was before the wait.
    await connection.execute("SELECT FROM alarms WHERE id = %s FOR UPDATE", (alarm_id,))
    return await get(connection, alarm_id)


async def take_step(
    connection: AsyncConnection[Any],
    alarm_id: UUID,
    *,
    user_id: int,
    action: str,
    from_state: str,
    to_state: str,
    claimed_by: int,
    code: str | None = None,
    text: str | None = None,
) -> None:
    """Move a locked alarm on and keep the step. ``claimed_by`` counts when the new state is claimed."""
    await connection.execute(
        "UPDATE alarms SET state = %(to)s,"
        " claimed_by = CASE WHEN %(claims)s THEN %(claimed_by)s ELSE claimed_by END,"
        " claimed_at = CASE WHEN %(claims)s THEN now() ELSE claimed_at END,"
        " handled_by = CASE WHEN %(handles)s THEN %(user)s ELSE handled_by END,"
        " handled_at = CASE WHEN %(handles)s THEN now() ELSE handled_at END,"
        " handle_code = CASE WHEN %(handles)s THEN %(code)s ELSE handle_code END,"
        " handle_text = CASE WHEN %(handles)s THEN %(text)s ELSE handle_text END"
        " WHERE id = %(id)s AND state = %(from)s",
        {"id": alarm_id, "from": from_state, "to": to_state, "claims": to_state == "claimed",
         "handles": to_state in ("handled", "false"), "claimed_by": claimed_by, "user": user_id, "code": code,
         "text": text},
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO alarm_steps (alarm_id, user_id, action, from_state, to_state, code, text)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (alarm_id, user_id, action, from_state, to_state, code, text),
    )

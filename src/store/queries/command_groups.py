"""Commands to many vehicles at once: made in one statement, counted by state, confirmed and taken back together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from store.queries.commands import CANCELLABLE

OPEN: Final = ("awaiting_confirmation", "queued", "sent")

_SELECT: Final = f"""
SELECT g.id, g.kind, g.payload, g.target, g.vehicles, g.skipped, g.rate_per_s, g.created_by,
       coalesce(nullif(u.display_name, ''), u.username) AS created_by_name, g.created_at, g.expires_at, g.confirm_by,
       coalesce(nullif(w.display_name, ''), w.username) AS confirmed_by_name, g.confirmed_at, g.cancelled_at,
       coalesce(n.counts, '{{}}') AS counts,
       CASE WHEN g.cancelled_at IS NOT NULL THEN 'cancelled'
            WHEN g.confirm_by IS NOT NULL AND g.confirmed_at IS NULL
            THEN CASE WHEN g.confirm_by > now() THEN 'awaiting_confirmation' ELSE 'expired' END
            WHEN coalesce(n.open, 0) > 0 THEN 'running' ELSE 'done' END AS state
FROM command_groups g LEFT JOIN users u ON u.id = g.created_by LEFT JOIN users w ON w.id = g.confirmed_by
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(s.state, s.n) AS counts, sum(s.n) FILTER (WHERE s.state IN {OPEN}) AS open
    FROM (SELECT c.state, count(*) AS n FROM commands c WHERE c.group_id = g.id GROUP BY c.state) s
) n ON true"""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is meant; exactly one is given."""

    vehicle_ids: Sequence[int] | None = None
    organization_id: int | None = None  # and those below it
    plate_like: str | None = None  # LIKE pattern, with phone_like or alone
    phone_like: str | None = None
    everyone: bool = False


_MEANT: Final = """
WITH RECURSIVE below AS (
    SELECT id FROM organizations WHERE id = %(organization_id)s
    UNION SELECT o.id FROM organizations o JOIN below b ON o.parent_id = b.id
), meant AS (
    SELECT v.id FROM vehicles v WHERE v.retired_at IS NULL AND (
        %(everyone)s OR v.id = ANY (%(vehicle_ids)s::int[]) OR v.organization_id IN (SELECT id FROM below)
        OR %(plate_like)s::text IS NOT NULL AND replace(v.plate, '·', '') ILIKE %(plate_like)s
        OR %(phone_like)s::text IS NOT NULL
           AND EXISTS (SELECT FROM terminals x WHERE x.vehicle_id = v.id AND x.phone LIKE %(phone_like)s))
), chosen AS (
    SELECT DISTINCT ON (t.vehicle_id) t.vehicle_id, t.phone, coalesce(nullif(p.edition, ''), t.edition) AS edition,
           coalesce(p.online, false) AS online
    FROM meant m JOIN terminals t ON t.vehicle_id = m.id AND t.standing = 'approved'
    LEFT JOIN terminal_presence p ON p.phone = t.phone
    ORDER BY t.vehicle_id, coalesce(p.online, false) DESC, t.id DESC
)
"""
_INSERT: Final = (
    _MEANT
    + """, made AS (
    INSERT INTO commands (vehicle_id, phone, kind, payload, created_by, expires_at, group_id, confirm_by, parked, state,
                          reason)
    SELECT c.vehicle_id, c.phone, g.kind, g.payload, g.created_by, g.expires_at, g.id, g.confirm_by,
           NOT c.online, CASE WHEN r.reason IS NOT NULL THEN 'failed' WHEN g.confirm_by IS NULL THEN 'queued'
                ELSE 'awaiting_confirmation' END, coalesce(r.reason, '')
    FROM chosen c JOIN command_groups g ON g.id = %(id)s
    LEFT JOIN unnest(%(editions)s::text[], %(reasons)s::text[]) AS r (edition, reason) ON r.edition = c.edition
    RETURNING 1
)
UPDATE command_groups SET vehicles = (SELECT count(*) FROM made),
       skipped = (SELECT count(*) FROM meant) - (SELECT count(*) FROM chosen) WHERE id = %(id)s
RETURNING vehicles, skipped
"""
)


async def insert(
    connection: AsyncConnection[Any],
    *,
    kind: str,
    payload: dict[str, Any],
    target: Target,
    target_shown: Mapping[str, Any],
    rate_per_s: float,
    created_by: int | None,
    expires_in_s: float,
    confirm_in_s: float | None = None,
    refused: Mapping[str, str] | None = None,
) -> tuple[UUID, int, int]:
    """A group and its commands, however many, in two statements: (id, commands, vehicles without a terminal).

    Args:  refused: edition -> why its terminals cannot do it; their commands are there, as failed.
    """
    cursor = await connection.execute(
        "INSERT INTO command_groups (kind, payload, target, rate_per_s, created_by, expires_at, confirm_by)"
        " VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s), now() + make_interval(secs => %s::float8))"
        " RETURNING id",
        (kind, Jsonb(payload), Jsonb(dict(target_shown)), rate_per_s, created_by, expires_in_s, confirm_in_s),
    )
    row = await cursor.fetchone()
    assert row is not None
    refused = refused or {}
    values: dict[str, Any] = {
        "id": row[0], "everyone": target.everyone, "organization_id": target.organization_id,
        "vehicle_ids": list(target.vehicle_ids or ()), "plate_like": target.plate_like,
        "phone_like": target.phone_like, "editions": list(refused), "reasons": list(refused.values()),
    }  # fmt: skip
    cursor = await connection.execute(_INSERT.encode(), values)
    counted = await cursor.fetchone()
    assert counted is not None
    return row[0], counted[0], counted[1]


async def page(
    connection: AsyncConnection[Any], *, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Newest first, from behind ``before`` (created_at, id) on."""
    cursor = connection.cursor(row_factory=dict_row)
    time, group_id = before or (None, None)
    await cursor.execute(
        (
            _SELECT + " WHERE %(time)s::timestamptz IS NULL OR (g.created_at, g.id) < (%(time)s, %(id)s::uuid)"
            " ORDER BY g.created_at DESC, g.id DESC LIMIT %(limit)s"
        ).encode(),
        {"time": time, "id": group_id, "limit": limit},
    )
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], group_id: UUID) -> dict[str, Any] | None:
    """``counts`` has the commands by state."""
    rows = await by_ids(connection, [group_id])
    return rows[0] if rows else None


async def by_ids(connection: AsyncConnection[Any], group_ids: list[UUID]) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute((_SELECT + " WHERE g.id = ANY (%s)").encode(), (group_ids,))
    return await cursor.fetchall()


async def lock(connection: AsyncConnection[Any], group_id: UUID) -> dict[str, Any] | None:
    """The group, its row locked until the transaction ends."""
    await connection.execute("SELECT FROM command_groups WHERE id = %s FOR UPDATE", (group_id,))
    return await get(connection, group_id)


async def confirm(connection: AsyncConnection[Any], group_id: UUID, user_id: int) -> int:
    """The second word: queue its commands; how many. The time until expiry begins anew."""
    await connection.execute(
        "UPDATE command_groups SET confirmed_by = %s, confirmed_at = now(),"
        " expires_at = now() + (expires_at - created_at) WHERE id = %s",
        (user_id, group_id),
    )
    cursor = await connection.execute(
        "UPDATE commands SET state = 'queued', confirmed_by = %s, confirmed_at = now(), updated_at = now(),"
        " expires_at = now() + (expires_at - created_at) WHERE group_id = %s AND state = 'awaiting_confirmation'",
        (user_id, group_id),
    )
    return cursor.rowcount


async def cancel(connection: AsyncConnection[Any], group_id: UUID, user_id: int, reason: str) -> int:
    """Take back what is still to be sent; how many."""
    await connection.execute(
        "UPDATE command_groups SET cancelled_by = %s, cancelled_at = coalesce(cancelled_at, now()) WHERE id = %s",
        (user_id, group_id),
    )
    cursor = await connection.execute(
        "UPDATE commands SET state = 'cancelled', reason = %s, updated_at = now() WHERE group_id = %s"
        f" AND {CANCELLABLE}".encode(),
        (reason, group_id),
    )
    return cursor.rowcount

"""Who did what, when: written in the transaction of the change itself."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


async def record(
    connection: AsyncConnection[Any],
    *,
    user_id: int | None,
    username: str,
    peer: str,
    action: str,
    target: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """``action`` is ``subject.verb`` ("vehicle.create"), ``target`` what it was done to, ``detail`` the particulars."""
    await connection.execute(
        "INSERT INTO audit (user_id, username, peer, action, target, detail) VALUES (%s, %s, %s, %s, %s, %s)",
        (user_id, username, peer, action, target, Jsonb(detail or {})),
    )


async def page(
    connection: AsyncConnection[Any],
    *,
    before_id: int | None,
    limit: int,
    action: str | None = None,
    username: str | None = None,
) -> list[dict[str, Any]]:
    """Newest first, from behind ``before_id`` on. ``action`` may be a subject ("vehicle") or a whole action."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT id, time, user_id, username, peer, action, target, detail FROM audit"
        " WHERE (%(before)s::bigint IS NULL OR id < %(before)s)"
        " AND (%(action)s::text IS NULL OR action = %(action)s OR split_part(action, '.', 1) = %(action)s)"
        " AND (%(username)s::text IS NULL OR username = %(username)s) ORDER BY id DESC LIMIT %(limit)s",
        {"before": before_id, "action": action, "username": username, "limit": limit},
    )
    return await cursor.fetchall()

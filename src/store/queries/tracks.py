"""Positions read back: the newest of every vehicle, the track of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from fleet import ITEM_COLUMNS

_FIX: Final = (
    "time, received_at, latitude_deg, longitude_deg, altitude_m, speed_kmh, heading_deg, alarm_flags, status_flags"
)
_ITEMS: Final = ", ".join(ITEM_COLUMNS)


async def latest(
    connection: AsyncConnection[Any], *, after_id: int, limit: int | None, vehicle_ids: list[int] | None = None
) -> list[dict[str, Any]]:
    """The newest fix of vehicles in service, by vehicle, from behind ``after_id`` on; all when limit is None."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        f"SELECT l.vehicle_id, {_FIX}, mileage_km FROM latest_positions l"
        " JOIN vehicles v ON v.id = l.vehicle_id AND v.retired_at IS NULL"
        " WHERE l.vehicle_id > %s AND (%s::int[] IS NULL OR l.vehicle_id = ANY (%s)) ORDER BY l.vehicle_id LIMIT %s",
        (after_id, vehicle_ids, vehicle_ids, limit),
    )
    return await cursor.fetchall()


async def track(
    connection: AsyncConnection[Any],
    vehicle_id: int,
    begin: datetime,
    end: datetime,
    *,
    after: tuple[datetime, int, int] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Fixes of one vehicle with ``begin <= time <= end``, in order of time.

    ``after`` is (time, terminal_id, fix_hash) of the last row of the page before.
    """
    cursor = connection.cursor(row_factory=dict_row)
    time, terminal_id, fix_hash = after or (None, None, None)
    await cursor.execute(
        f"SELECT vehicle_id, {_FIX}, late, {_ITEMS}, terminal_id, fix_hash FROM positions"
        " WHERE vehicle_id = %(vehicle_id)s AND time BETWEEN %(begin)s AND %(end)s"
        " AND (%(time)s::timestamptz IS NULL"
        " OR (time, terminal_id, fix_hash) > (%(time)s, %(terminal_id)s::int, %(fix_hash)s::bigint))"
        " ORDER BY vehicle_id, time, terminal_id, fix_hash LIMIT %(limit)s",
        {"vehicle_id": vehicle_id, "begin": max(begin, time) if time else begin, "end": end, "time": time,
         "terminal_id": terminal_id, "fix_hash": fix_hash, "limit": limit},
    )  # fmt: skip
    return await cursor.fetchall()

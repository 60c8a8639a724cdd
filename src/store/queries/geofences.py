"""Fences (电子围栏)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

_COLUMNS = "id, name, shape, trigger, points, center, radius_m, vehicle_ids, enabled"
_VALUES = "name, shape, trigger, points, center, radius_m, vehicle_ids, enabled"


def _arguments(fence: Mapping[str, Any]) -> tuple[Any, ...]:
    center = fence["center"]
    return (
        fence["name"], fence["shape"], fence["trigger"], Jsonb(fence["points"]),
        None if center is None else Jsonb(center), fence["radius_m"], fence["vehicle_ids"], fence["enabled"],
    )  # fmt: skip


async def page(connection: AsyncConnection[Any], *, after_id: int, limit: int) -> list[dict[str, Any]]:
    """In order of id, from behind ``after_id`` on."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_COLUMNS} FROM geofences WHERE id > %s ORDER BY id LIMIT %s", (after_id, limit))
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], fence_id: int, *, for_update: bool = False) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    suffix = " FOR UPDATE" if for_update else ""
    await cursor.execute(f"SELECT {_COLUMNS} FROM geofences WHERE id = %s{suffix}", (fence_id,))
    return await cursor.fetchone()


async def insert(connection: AsyncConnection[Any], fence: Mapping[str, Any]) -> int:
    cursor = await connection.execute(
        f"INSERT INTO geofences ({_VALUES}) VALUES (%s, %s, %s, %s, %s, %s, %s::int[], %s) RETURNING id",
        _arguments(fence),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def update(connection: AsyncConnection[Any], fence_id: int, fence: Mapping[str, Any]) -> None:
    """Replace it whole."""
    await connection.execute(
        f"UPDATE geofences SET ({_VALUES}, updated_at) = (%s, %s, %s, %s, %s, %s, %s::int[], %s, now()) WHERE id = %s",
        (*_arguments(fence), fence_id),
    )


async def delete(connection: AsyncConnection[Any], fence_id: int) -> None:
    await connection.execute("DELETE FROM geofences WHERE id = %s", (fence_id,))

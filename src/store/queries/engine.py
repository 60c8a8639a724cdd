"""What the pipeline and the alarm engine read: at start, and when the fleet changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from psycopg import AsyncConnection

from fleet import AlarmChange, ChangeKind, Fence, FenceShape, FenceTrigger, PositionBatch, RuleState, VehicleLimits
from store.values import to_us

logger = logging.getLogger(__name__)

_TERMINALS_A_PIECE: Final = 1_000
_FOR_EVER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """A terminal and where it was: ``bindings`` are (from_us, vehicle_id) in order of time."""

    terminal_id: int
    phone: str
    vehicle_id: int | None  # where it is now
    standing: str
    bindings: list[tuple[int, int]] = field(default_factory=list)


_TERMINALS: Final = """
SELECT t.id, t.phone, t.vehicle_id, t.standing, b.from_us, b.vehicle_ids FROM terminals t LEFT JOIN (
    SELECT terminal_id, array_agg((extract(epoch FROM from_time) * 1000000)::bigint ORDER BY from_time) AS from_us,
           array_agg(vehicle_id ORDER BY from_time) AS vehicle_ids
    FROM terminal_bindings {only_bindings} GROUP BY terminal_id
) b ON b.terminal_id = t.id {only_terminals} ORDER BY t.id
"""
_ALL_TERMINALS: Final = _TERMINALS.format(only_bindings="", only_terminals="")
_SOME_TERMINALS: Final = _TERMINALS.format(
    only_bindings="WHERE terminal_id IN (SELECT id FROM terminals WHERE phone = ANY (%(phones)s))",
    only_terminals="WHERE t.phone = ANY (%(phones)s)",
)


async def each_terminal(
    connection: AsyncConnection[Any], phones: Sequence[str] | None = None
) -> AsyncIterator[list[TerminalRow]]:
    """All terminals, or those with these phones, by id, in pieces: between two the event loop has its turn, since
    a hundred thousand rows in one go would hold it up for a second."""
    if phones is None:
        cursor = await connection.execute(_ALL_TERMINALS)
    else:
        cursor = await connection.execute(_SOME_TERMINALS, {"phones": list(phones)})
    while rows := await cursor.fetchmany(_TERMINALS_A_PIECE):
        yield [
            TerminalRow(terminal_id, phone, vehicle_id, standing, list(zip(from_us or (), vehicles or (), strict=True)))
            for terminal_id, phone, vehicle_id, standing, from_us, vehicles in rows
        ]
        await asyncio.sleep(0)


async def load_limits(connection: AsyncConnection[Any]) -> list[VehicleLimits]:
    """The limits of the vehicles that have limits of their own. One that is out of service may be silent for ever."""
    cursor = await connection.execute(
        "SELECT id, speed_limit_kmh, overspeed_duration_s, "
        "CASE WHEN retired_at IS NULL THEN offline_after_s ELSE %s END FROM vehicles "
        "WHERE num_nonnulls(speed_limit_kmh, overspeed_duration_s, offline_after_s, retired_at) > 0 ORDER BY id",
        (_FOR_EVER_S,),
    )
    return [VehicleLimits(*row) for row in await cursor.fetchall()]


async def load_fences(connection: AsyncConnection[Any]) -> list[Fence]:
    """The enabled fences. One whose shape lacks its corners or its centre is left out, with a warning."""
    cursor = await connection.execute(
        "SELECT id, name, shape, trigger, points, center, radius_m, vehicle_ids FROM geofences "
        "WHERE enabled ORDER BY id"
    )
    fences: list[Fence] = []
    for fence_id, name, shape, trigger, points, center, radius_m, vehicle_ids in await cursor.fetchall():
        try:
            fences.append(
                Fence(
                    id=fence_id,
                    name=name,
                    shape=FenceShape(shape),
                    trigger=FenceTrigger(trigger),
                    points=tuple((float(latitude), float(longitude)) for latitude, longitude in points),
                    center=(float(center[0]), float(center[1])) if center is not None else None,
                    radius_m=radius_m,
                    vehicle_ids=frozenset(vehicle_ids) if vehicle_ids is not None else None,
                )
            )
        except (TypeError, ValueError, LookupError) as error:
            logger.warning("fence %d (%s) is left out, its shape cannot be read: %s", fence_id, name, error)
    return fences


async def load_rule_states(connection: AsyncConnection[Any]) -> list[RuleState]:
    """What the rules remembered."""
    cursor = await connection.execute("SELECT vehicle_id, rule, is_late, state FROM rule_states")
    return [RuleState(*row) for row in await cursor.fetchall()]


async def load_running_alarms(connection: AsyncConnection[Any]) -> list[AlarmChange]:
    """The alarms without an end, as changes: ``time_us`` is their last change, the place is where they began."""
    cursor = await connection.execute(
        "SELECT id, vehicle_id, terminal_id, rule, severity, source, begin_time, updated_time, late, latitude_deg, "
        "longitude_deg, speed_kmh, facts FROM alarms WHERE end_time IS NULL ORDER BY begin_time, id"
    )
    return [
        AlarmChange(
            kind=ChangeKind.UPDATE,
            id=row[0],
            vehicle_id=row[1],
            terminal_id=row[2] if row[2] is not None else 0,
            rule=row[3],
            severity=row[4],
            source=row[5],
            begin_us=to_us(row[6]),
            time_us=to_us(row[7]),
            late=row[8],
            latitude_deg=row[9],
            longitude_deg=row[10],
            speed_kmh=row[11],
            facts=row[12],
        )
        for row in await cursor.fetchall()
    ]


async def load_latest_times(connection: AsyncConnection[Any]) -> list[tuple[int, int]]:
    """(vehicle_id, time_us) of the newest fix of each vehicle."""
    cursor = await connection.execute(
        "SELECT vehicle_id, (extract(epoch FROM time) * 1000000)::bigint FROM latest_positions ORDER BY vehicle_id"
    )
    return await cursor.fetchall()


async def load_latest(connection: AsyncConnection[Any]) -> PositionBatch:
    """The newest fix of each vehicle as a batch, by vehicle; ``fix_hash`` and ``message_id``, not kept there, are 0."""
    cursor = await connection.execute(
        "SELECT terminal_id, vehicle_id, (extract(epoch FROM time) * 1000000)::bigint, "
        "(extract(epoch FROM received_at) * 1000000)::bigint, latitude_deg, longitude_deg, altitude_m, speed_kmh, "
        "heading_deg, alarm_flags, status_flags, mileage_km FROM latest_positions ORDER BY vehicle_id"
    )
    rows = await cursor.fetchall()
    batch = PositionBatch.empty()
    if not rows:
        return batch
    *plain, mileage = zip(*rows, strict=True)
    names = (
        "terminal_id", "vehicle_id", "time_us", "received_us", "latitude_deg", "longitude_deg", "altitude_m",
        "speed_kmh", "heading_deg", "alarm_flags", "status_flags",
    )  # fmt: skip
    for name, column in zip(names, plain, strict=True):
        setattr(batch, name, np.array(column, getattr(batch, name).dtype))
    batch.late = np.zeros(len(rows), np.bool_)
    batch.fix_hash = np.zeros(len(rows), np.int64)
    batch.message_id = np.zeros(len(rows), np.int32)
    present = np.array([value is not None for value in mileage])
    if present.any():
        batch.items["mileage_km"] = np.array([value or 0.0 for value in mileage], np.float64)
        batch.present["mileage_km"] = present
    return batch

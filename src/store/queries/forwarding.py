"""For the JT/T 809 forwarder: platforms, cursors, positions by journal offset, facts of vehicles, the link log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from psycopg import AsyncConnection
from psycopg.rows import class_row

from fleet import PositionBatch


@dataclass(frozen=True, slots=True)
class Platform:
    """An enabled superior platform (上级平台); the columns of ``platforms`` that the links need."""

    id: int
    name: str
    edition: str
    host: str
    port: int
    access_code: int
    user_id: int
    password: str = field(repr=False)
    platform_id: str
    sub_link_host: str
    sub_link_port: int | None
    encrypt: bool
    m1: int
    ia1: int
    ic1: int
    supplement: bool


@dataclass(frozen=True, slots=True)
class Vehicle:
    id: int
    plate: str  # the VIN or "" while plate_color is 0
    plate_color: int


@dataclass(frozen=True, slots=True)
class Terminal:
    id: int
    phone: str
    manufacturer_id: str
    terminal_model: str
    terminal_id: str
    vehicle_id: int | None  # where it is now


async def enabled_platforms(connection: AsyncConnection[Any]) -> list[Platform]:
    """In order of id."""
    cursor = connection.cursor(row_factory=class_row(Platform))
    await cursor.execute(
        "SELECT id, name, edition, host, port, access_code, user_id, password, platform_id, sub_link_host,"
        " sub_link_port, encrypt, m1, ia1, ic1, supplement FROM platforms WHERE enabled ORDER BY id"
    )
    return await cursor.fetchall()


async def begin_cursor(connection: AsyncConnection[Any], platform_id: int) -> int:
    """The platform's cursor: the journal offset up to which all was certainly received there.

    A platform that has none yet begins at the newest offset stored, so that it gets no dump of the history.
    """
    await connection.execute(
        'INSERT INTO forward_cursors (platform_id, "offset")'
        ' SELECT %s, coalesce(max(begins_after + "offset"), 0) FROM journal_offsets ON CONFLICT DO NOTHING',
        (platform_id,),
    )
    cursor = await connection.execute('SELECT "offset" FROM forward_cursors WHERE platform_id = %s', (platform_id,))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def save_cursor(connection: AsyncConnection[Any], platform_id: int, offset: int) -> None:
    """Move the cursor on; it never goes back."""
    await connection.execute(
        'UPDATE forward_cursors SET "offset" = %s, updated_at = now() WHERE platform_id = %s AND "offset" < %s',
        (offset, platform_id, offset),
    )


async def stored_offset(connection: AsyncConnection[Any]) -> int:
    """How far the journal is stored, counted through all journals there were; 0 when nothing is."""
    cursor = await connection.execute('SELECT coalesce(max(begins_after + "offset"), 0) FROM journal_offsets')
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def count_positions(connection: AsyncConnection[Any], after: int, upto: int) -> int:
    """How many positions have a journal offset in (after, upto]."""
    cursor = await connection.execute(
        "SELECT count(*) FROM positions WHERE journal_offset > %s AND journal_offset <= %s", (after, upto)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


_READ: Final = """
SELECT vehicle_id, terminal_id, (extract(epoch FROM time) * 1000000)::bigint, latitude_deg, longitude_deg, altitude_m,
       speed_kmh, heading_deg, alarm_flags, status_flags, late, mileage_km, recorder_speed_kmh
FROM positions WHERE journal_offset > %s AND journal_offset <= %s LIMIT %s"""

_DTYPES: Final = ("i4", "i4", "i8", "f8", "f8", "i4", "f4", "i4", "i8", "i8", "?", "f8", "f4")


async def read_positions(connection: AsyncConnection[Any], after: int, upto: int, limit: int | None) -> PositionBatch:
    """Positions with a journal offset in (after, upto], in no order, at most ``limit`` (None: all).

    Of the items only mileage_km and recorder_speed_kmh are read; received_us, fix_hash and message_id are 0.
    """
    cursor = connection.cursor(binary=True)
    await cursor.execute(_READ, (after, upto, limit))
    rows = await cursor.fetchall()
    if not rows:
        return PositionBatch.empty()
    columns: list[Any] = list(zip(*rows, strict=True))
    present = {name: np.array([value is not None for value in columns[at]]) for name, at in _ITEMS.items()}
    for at in _ITEMS.values():
        columns[at] = [0 if value is None else value for value in columns[at]]
    (vehicle_id, terminal_id, time_us, latitude_deg, longitude_deg, altitude_m, speed_kmh, heading_deg, alarm_flags,
     status_flags, late, mileage_km, recorder_speed_kmh) = (
        np.array(column, dtype) for column, dtype in zip(columns, _DTYPES, strict=True)
    )  # fmt: skip
    return PositionBatch(
        terminal_id=terminal_id,
        vehicle_id=vehicle_id,
        time_us=time_us,
        received_us=np.zeros(len(rows), np.int64),
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        altitude_m=altitude_m,
        speed_kmh=speed_kmh,
        heading_deg=heading_deg,
        alarm_flags=alarm_flags,
        status_flags=status_flags,
        late=late,
        fix_hash=np.zeros(len(rows), np.int64),
        message_id=np.zeros(len(rows), np.int32),
        items={"mileage_km": mileage_km, "recorder_speed_kmh": recorder_speed_kmh},
        present=present,
    )


_ITEMS: Final = {"mileage_km": 11, "recorder_speed_kmh": 12}


async def vehicles(connection: AsyncConnection[Any], ids: Collection[int]) -> list[Vehicle]:
    """The vehicles of these ids, retired ones too: what they reported still has to go."""
    cursor = connection.cursor(row_factory=class_row(Vehicle))
    await cursor.execute("SELECT id, plate, plate_color FROM vehicles WHERE id = ANY(%s)", (list(ids),))
    return await cursor.fetchall()


async def terminals(connection: AsyncConnection[Any], ids: Collection[int]) -> list[Terminal]:
    cursor = connection.cursor(row_factory=class_row(Terminal))
    await cursor.execute(
        "SELECT id, phone, manufacturer_id, terminal_model, terminal_id, vehicle_id FROM terminals WHERE id = ANY(%s)",
        (list(ids),),
    )
    return await cursor.fetchall()


async def log_link(
    connection: AsyncConnection[Any], platform_id: int, time_us: int, link: str, event: str, detail: str
) -> None:
    """Note that a link ("main" or "sub") came "up", went "down" or was "refused". A platform gone meanwhile is fine."""
    await connection.execute(
        "INSERT INTO platform_link_log (time, platform_id, link, event, detail)"
        " SELECT to_timestamp(%s / 1e6), id, %s, %s, %s FROM platforms WHERE id = %s",
        (time_us, link, event, detail, platform_id),
    )

"""What a database has by now, and what tests put into it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import store
from fleet import AlarmChange, ChangeKind, Quarantined, alarm_id
from tests.store.batches import NOON_US, SECOND


async def fetch(database: store.Database, query: str, *arguments: Any) -> list[Any]:
    async with database.connection() as connection:
        cursor = await connection.execute(query.encode(), arguments or None)
        return await cursor.fetchall()


async def count(database: store.Database, table: str) -> int:
    return int((await fetch(database, f"SELECT count(*) FROM {table}"))[0][0])


async def add_vehicles(database: store.Database, number: int) -> None:
    async with database.connection() as connection:
        await connection.execute("INSERT INTO vehicles (plate) SELECT '' FROM generate_series(1, %s)", (number,))


def change(kind: ChangeKind, at_s: int, begin_s: int = 0, vehicle_id: int = 1, **more: Any) -> AlarmChange:
    begin_us = NOON_US + begin_s * SECOND
    return AlarmChange(
        kind=kind,
        id=alarm_id(vehicle_id, "overspeed", begin_us),
        vehicle_id=vehicle_id,
        terminal_id=1,
        rule="overspeed",
        severity=3,
        source="platform",
        begin_us=begin_us,
        time_us=NOON_US + at_s * SECOND,
        late=False,
        **more,
    )


BEGIN = change(ChangeKind.BEGIN, 0, latitude_deg=41.8, longitude_deg=123.4, speed_kmh=90.0, facts={"max_speed_kmh": 90})
UPDATE = change(ChangeKind.UPDATE, 5, latitude_deg=42.0, facts={"max_speed_kmh": 104})
END = change(ChangeKind.END, 9, end_us=NOON_US + 8 * SECOND, facts={"duration_s": 8})


def quarantined(**more: Any) -> Quarantined:
    plain = Quarantined(NOON_US, "139", "2019", 0x0200, 7, b"\x01\x00", "undecodable", "too short")
    return replace(plain, **more)

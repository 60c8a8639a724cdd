"""Positions on the wire."""

from __future__ import annotations

from pydantic import BaseModel

from api.fields import Time


class Position(BaseModel):
    """One report. Coordinates are WGS-84; flags are the alarm and status words of JT/T 808 as integers."""

    vehicle_id: int
    time: Time
    received_at: Time
    latitude_deg: float
    longitude_deg: float
    altitude_m: int
    speed_kmh: float
    heading_deg: int
    alarm_flags: int
    status_flags: int
    late: bool
    mileage_km: float | None


class TrackPosition(Position):
    """``items``: the additional items (附加信息项) the report carried, by column name."""

    items: dict[str, float]

"""What the rules measure against: limits per vehicle, fences (电子围栏)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FenceShape(StrEnum):
    POLYGON = "polygon"
    CIRCLE = "circle"


class FenceTrigger(StrEnum):
    ENTER = "enter"
    LEAVE = "leave"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Fence:
    """A region on the map. Coordinates are WGS-84 degrees, (latitude, longitude)."""

    id: int
    name: str
    shape: FenceShape
    trigger: FenceTrigger
    points: tuple[tuple[float, float], ...] = ()  # polygon: three or more corners, not closed
    center: tuple[float, float] | None = None  # circle
    radius_m: float | None = None  # circle
    vehicle_ids: frozenset[int] | None = None  # None: every vehicle


@dataclass(frozen=True, slots=True)
class VehicleLimits:
    """The limits of one vehicle; None takes the engine's default."""

    vehicle_id: int
    speed_limit_kmh: float | None = None
    overspeed_duration_s: float | None = None
    offline_after_s: float | None = None

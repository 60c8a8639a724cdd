"""Fences (电子围栏) made ready for many points at once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from fleet import Fence, FenceShape, FenceTrigger

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of the earth (IUGG)."""


class FenceError(ValueError):
    """A fence that is none; the message names it and what is wrong."""


class CompiledFence:
    """One fence: its box, and the exact question inside the box. A point on the border is inside."""

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.key = f"{fence.id}@{_fingerprint(fence)}"  # another shape, trigger or set of vehicles: another key
        self.has_enter = fence.trigger in (FenceTrigger.ENTER, FenceTrigger.BOTH)
        self.has_leave = fence.trigger in (FenceTrigger.LEAVE, FenceTrigger.BOTH)
        self._polygon: shapely.Polygon | None = None
        self.south, self.west, self.north, self.east = (
            self._compile_circle() if fence.shape == FenceShape.CIRCLE else self._compile_polygon()
        )

    def _compile_polygon(self) -> tuple[float, float, float, float]:
        points = [(float(latitude), float(longitude)) for latitude, longitude in self.fence.points]
        if len(set(points)) < 3:
            raise FenceError(f"fence {self.fence.id} {self.fence.name!r}: a polygon needs three different corners")
        for point in points:
            _check_point(self.fence, point)
        self._polygon = shapely.Polygon([(longitude, latitude) for latitude, longitude in points])
        shapely.prepare(self._polygon)
        west, south, east, north = self._polygon.bounds
        return south, west, north, east

    def _compile_circle(self) -> tuple[float, float, float, float]:
        center, radius_m = self.fence.center, self.fence.radius_m
        if center is None or radius_m is None or not 0 < radius_m < math.pi * EARTH_RADIUS_M:
            raise FenceError(
                f"fence {self.fence.id} {self.fence.name!r}: a circle needs a centre and a radius above zero"
            )
        _check_point(self.fence, center)
        latitude, longitude = center
        angle = radius_m / EARTH_RADIUS_M
        south, north = latitude - math.degrees(angle), latitude + math.degrees(angle)
        if south <= -90 or north >= 90:
            return max(south, -90.0), -180.0, min(north, 90.0), 180.0
        half_width = math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(latitude))))
        west, east = longitude - half_width, longitude + half_width
        return (south, west, north, east) if west >= -180 and east <= 180 else (south, -180.0, north, 180.0)

    def contains(self, latitude_deg: NDArray[np.float64], longitude_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points are inside: polygons on the latitude-longitude plane, circles on the sphere."""
        if self._polygon is not None:
            inside: NDArray[np.bool_] = shapely.intersects_xy(self._polygon, longitude_deg, latitude_deg)
            return inside
        assert self.fence.center is not None
        assert self.fence.radius_m is not None
        latitude, longitude = (math.radians(degrees) for degrees in self.fence.center)
        point_latitude = np.radians(latitude_deg)
        half_chord_squared = (
            np.sin((point_latitude - latitude) / 2) ** 2
            + math.cos(latitude) * np.cos(point_latitude) * np.sin((np.radians(longitude_deg) - longitude) / 2) ** 2
        )
        return np.asarray(half_chord_squared <= math.sin(self.fence.radius_m / EARTH_RADIUS_M / 2) ** 2)


class FenceIndex:
    """All fences, a column each, in the order of their ids."""

    def __init__(self, fences: Iterable[CompiledFence] = ()) -> None:
        self.fences = sorted(fences, key=lambda compiled: compiled.fence.id)
        self.column = {compiled.key: column for column, compiled in enumerate(self.fences)}
        self._south = np.array([compiled.south for compiled in self.fences])
        self._north = np.array([compiled.north for compiled in self.fences])

    def __len__(self) -> int:
        return len(self.fences)

    def inside(self, latitude_deg: NDArray[np.float64], longitude_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Points by fences: whether each point is inside each fence.

        The points are sorted by latitude once, so a fence only looks at those in its own band.
        """
        inside = np.zeros((len(latitude_deg), len(self.fences)), np.bool_)
        order = np.argsort(latitude_deg)
        latitude, longitude = latitude_deg[order], longitude_deg[order]
        lows = np.searchsorted(latitude, self._south, "left").tolist()
        highs = np.searchsorted(latitude, self._north, "right").tolist()
        for column, (compiled, low, high) in enumerate(zip(self.fences, lows, highs, strict=True)):
            if low == high:
                continue
            band = longitude[low:high]
            near = np.flatnonzero((band >= compiled.west) & (band <= compiled.east))
            if len(near):
                near += low
                inside[order[near], column] = compiled.contains(latitude[near], longitude[near])
        return inside


def _check_point(fence: Fence, point: tuple[float, float]) -> None:
    latitude, longitude = point
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise FenceError(f"fence {fence.id} {fence.name!r}: {point} is no (latitude, longitude) in degrees")


def _fingerprint(fence: Fence) -> str:
    vehicles = None if fence.vehicle_ids is None else sorted(fence.vehicle_ids)
    points = [[float(degrees) for degrees in point] for point in fence.points]
    center = None if fence.center is None else [float(degrees) for degrees in fence.center]
    what = (str(fence.shape), str(fence.trigger), points, center, fence.radius_m and float(fence.radius_m), vehicles)
    return hashlib.blake2b(repr(what).encode(), digest_size=4).hexdigest()

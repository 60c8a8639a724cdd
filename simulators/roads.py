"""Polylines and routes over the corridors: smooth lines, speed limits, service areas, the way from city to city.

``python -m simulators.roads`` prints the corridors as GeoJSON for the console's demonstration map.
"""

from __future__ import annotations

import heapq
import json
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

from simulators.corridors import CITIES, CORRIDORS, JUNCTIONS, Corridor, Point

KM_PER_DEGREE: Final = 111.195
STEP_KM: Final = 1.0  # between two points of a smoothed line
SERVICE_AREA_EVERY_KM: Final = 48.0


def node(name: str) -> Point:
    """Where a city's centre or a junction lies."""
    return CITIES[name].centre if name in CITIES else JUNCTIONS[name]


def distance_km(a: Point, b: Point) -> float:
    """Flat-earth distance, good to a few parts in a thousand over the distances driven here."""
    north = (b[0] - a[0]) * KM_PER_DEGREE
    east = (b[1] - a[1]) * KM_PER_DEGREE * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.hypot(north, east)


def heading_deg(a: Point, b: Point) -> int:
    """Direction from a to b in degrees clockwise from north, 0-359."""
    east = (b[1] - a[1]) * math.cos(math.radians((a[0] + b[0]) / 2))
    return round(math.degrees(math.atan2(east, b[0] - a[0]))) % 360


def _catmull_rom(p0: Point, p1: Point, p2: Point, p3: Point, t: float) -> Point:
    def one(a: float, b: float, c: float, d: float) -> float:
        return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)

    return one(p0[0], p1[0], p2[0], p3[0]), one(p0[1], p1[1], p2[1], p3[1])


def smooth(points: list[Point]) -> list[Point]:
    """A Catmull-Rom line through the points, a point about every kilometre, with the slow bends of a real road."""
    padded = [points[0], *points, points[-1]]
    line = [points[0]]
    for i in range(1, len(padded) - 2):
        p1, p2 = padded[i], padded[i + 1]
        length = distance_km(p1, p2)
        steps = max(2, round(length / STEP_KM))
        for k in range(1, steps):
            t = k / steps
            lat, lon = _catmull_rom(padded[i - 1], p1, p2, padded[i + 2], t)
            sway = 0.0035 * math.sin(math.pi * t) * math.sin(t * length / 5 + 41 * p1[0] + 17 * p1[1])
            line.append((lat + sway * (p2[1] - p1[1]) / (length / 80), lon - sway * (p2[0] - p1[0]) / (length / 80)))
        line.append(p2)
    return line


@cache
def corridor_line(corridor: Corridor) -> tuple[Point, ...]:
    return tuple(smooth([node(corridor.start), *corridor.between, node(corridor.end)]))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vehicle is on its route."""

    latitude_deg: float
    longitude_deg: float
    heading_deg: int
    limit_kmh: int


@dataclass(frozen=True, slots=True)
class Route:
    """A way from city to city, measured along the line."""

    start: str
    end: str
    points: tuple[Point, ...]
    at_km: tuple[float, ...]  # distance from the start at each point
    limits_kmh: tuple[int, ...]  # of the piece that begins at each point
    service_areas_km: tuple[float, ...]

    @property
    def length_km(self) -> float:
        return self.at_km[-1]

    def place(self, km: float) -> Place:
        """The place ``km`` from the start; beyond either end, that end."""
        km = min(max(km, 0.0), self.length_km)
        i = min(max(bisect_right(self.at_km, km) - 1, 0), len(self.points) - 2)
        a, b = self.points[i], self.points[i + 1]
        share = (km - self.at_km[i]) / (self.at_km[i + 1] - self.at_km[i])
        return Place(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, heading_deg(a, b), self.limits_kmh[i])

    def next_service_area_km(self, km: float) -> float | None:
        """The first service area (服务区) beyond ``km``."""
        return next((area for area in self.service_areas_km if area > km), None)


def _neighbours() -> dict[str, list[tuple[str, Corridor]]]:
    out: dict[str, list[tuple[str, Corridor]]] = {}
    for corridor in CORRIDORS:
        out.setdefault(corridor.start, []).append((corridor.end, corridor))
        out.setdefault(corridor.end, []).append((corridor.start, corridor))
    return out


_GRAPH: Final = _neighbours()


def _fastest(start: str, end: str) -> list[tuple[Corridor, bool]]:
    """Corridors from start to end in order, each with whether it is driven backwards."""
    best: dict[str, float] = {start: 0.0}
    came: dict[str, tuple[str, Corridor]] = {}
    queue = [(0.0, start)]
    while queue:
        hours, here = heapq.heappop(queue)
        if here == end:
            break
        for there, corridor in _GRAPH[here]:
            line = corridor_line(corridor)
            arrival = hours + sum(distance_km(a, b) for a, b in pairwise(line)) / corridor.limit_kmh
            if arrival < best.get(there, math.inf):
                best[there] = arrival
                came[there] = (here, corridor)
                heapq.heappush(queue, (arrival, there))
    way: list[tuple[Corridor, bool]] = []
    while end != start:
        before, corridor = came[end]
        way.append((corridor, corridor.end != end))
        end = before
    return way[::-1]


@cache
def route(start: str, end: str) -> Route:
    """The fastest way between two nodes (cities or junctions).

    Raises:  KeyError: no such node; ValueError: start is end.
    """
    if start == end:
        raise ValueError(f"a route needs two places, not {start} twice")
    points: list[Point] = [node(start)]
    at_km = [0.0]
    limits: list[int] = []
    expressway_km = 0.0
    areas: list[float] = []
    node(end)
    for corridor, is_backwards in _fastest(start, end):
        line: Iterable[Point] = corridor_line(corridor)
        line = list(line)[::-1] if is_backwards else list(line)
        for point in line[1:]:
            step = distance_km(points[-1], point)
            points.append(point)
            at_km.append(at_km[-1] + step)
            limits.append(corridor.limit_kmh)
            if corridor.limit_kmh >= 100:
                expressway_km += step
                if expressway_km >= SERVICE_AREA_EVERY_KM * (len(areas) + 1):
                    areas.append(at_km[-1])
    limits.append(limits[-1])
    return Route(start, end, tuple(points), tuple(at_km), tuple(limits), tuple(areas))


def as_geojson() -> dict[str, Any]:
    """The corridors as GeoJSON lines, four decimals, marked as the simulator's."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "kind": "simulated_corridor",
                    "ref": corridor.ref,
                    "name": corridor.name,
                    "limit_kmh": corridor.limit_kmh,
                },
                "geometry": {
                    "type": "LineString",
                    "coordinates": [[round(lon, 4), round(lat, 4)] for lat, lon in corridor_line(corridor)],
                },
            }
            for corridor in CORRIDORS
        ],
    }


if __name__ == "__main__":
    print(json.dumps(as_geojson(), ensure_ascii=False))

from __future__ import annotations

import json
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from shapely.geometry import Point, shape
from shapely.ops import unary_union

from simulators.corridors import CITIES, CORRIDORS, JUNCTIONS
from simulators.roads import as_geojson, corridor_line, distance_km, heading_deg, route

BASEMAP = Path(__file__).parents[2] / "web/public/basemap"


def test_every_city_is_reached_from_every_other() -> None:
    for start, end in permutations(CITIES, 2):
        way = route(start, end)
        assert way.points[0] == CITIES[start].centre
        assert way.points[-1] == CITIES[end].centre
        straight = distance_km(way.points[0], way.points[-1])
        assert straight < way.length_km < 3.5 * straight
        assert all(a < b for a, b in pairwise(way.at_km))
        assert len(way.points) == len(way.at_km) == len(way.limits_kmh)


def test_corridors_begin_and_end_at_nodes_and_have_no_jumps() -> None:
    for corridor in CORRIDORS:
        assert {corridor.start, corridor.end} <= CITIES.keys() | JUNCTIONS.keys()
        line = corridor_line(corridor)
        assert max(distance_km(a, b) for a, b in pairwise(line)) < 2.0


def test_corridors_stay_on_liaonings_land() -> None:
    cities = json.loads((BASEMAP / "liaoning.json").read_text())["features"]
    land = unary_union([shape(city["geometry"]).buffer(0.003) for city in cities])
    for corridor in CORRIDORS:
        for latitude, longitude in corridor_line(corridor):
            assert land.contains(Point(longitude, latitude)), (corridor.name, latitude, longitude)


def test_the_map_shows_these_corridors() -> None:
    assert json.loads((BASEMAP / "roads.json").read_text()) == as_geojson()


def test_places_along_a_route() -> None:
    way = route("Shenyang", "Dalian")
    assert way.place(-5).latitude_deg == pytest.approx(CITIES["Shenyang"].centre[0])
    assert way.place(1e6).latitude_deg == pytest.approx(CITIES["Dalian"].centre[0])
    assert way.place(0).limit_kmh == 60
    assert way.place(way.length_km / 2).limit_kmh == 100
    area = way.next_service_area_km(0)
    assert area is not None
    assert way.next_service_area_km(area) == way.service_areas_km[1]
    assert way.next_service_area_km(way.length_km) is None


def test_headings() -> None:
    assert [heading_deg((41, 123), p) for p in ((42, 123), (41, 124), (40, 123), (41, 122))] == [0, 90, 180, 270]


def test_a_route_needs_two_places() -> None:
    with pytest.raises(ValueError, match="two places"):
        route("Dalian", "Dalian")
    with pytest.raises(KeyError):
        route("Dalian", "Nowhere")

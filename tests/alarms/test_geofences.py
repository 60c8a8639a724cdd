from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms import CompiledFence, FenceError
from alarms.geofences import EARTH_RADIUS_M, FenceIndex
from fleet import Fence, FenceShape, FenceTrigger


def circle(latitude: float, longitude: float, radius_m: float, number: int = 1) -> Fence:
    return Fence(number, "c", FenceShape.CIRCLE, FenceTrigger.BOTH, center=(latitude, longitude), radius_m=radius_m)


def polygon(*points: tuple[float, float], number: int = 1) -> Fence:
    return Fence(number, "p", FenceShape.POLYGON, FenceTrigger.BOTH, points=points)


def inside(fence: Fence, *points: tuple[float, float]) -> list[bool]:
    latitude, longitude = np.array(points).T
    return FenceIndex([CompiledFence(fence)]).inside(latitude, longitude)[:, 0].tolist()


def test_a_concave_polygon() -> None:
    boot = polygon((0, 0), (0, 4), (1, 4), (1, 1), (4, 1), (4, 0))
    assert inside(boot, (0.5, 3), (3, 3), (3, 0.5), (1, 2), (-0.1, 1), (0, 0)) == [True, False, True, True, False, True]


def test_a_circle_is_round_on_the_sphere() -> None:
    north_m, east_m = 1 / 111_195.08, 1 / (111_195.08 * math.cos(math.radians(60)))
    fence = circle(60, 120, 1000)
    assert inside(fence, (60 + 999 * north_m, 120), (60 + 1001 * north_m, 120)) == [True, False]
    assert inside(fence, (60, 120 - 999 * east_m), (60, 120 - 1001 * east_m)) == [True, False]
    assert inside(fence, (60 + 800 * north_m, 120 + 800 * east_m)) == [False]


def test_circles_over_the_date_line_and_the_pole() -> None:
    assert inside(circle(0, 179.99, 10_000), (0, -179.95), (0, -179.8), (0, 179.95)) == [True, False, True]
    assert inside(circle(89.99, 0, 10_000), (89.99, 180), (89.99, 90), (89.8, 0)) == [True, True, False]


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-85, 85), st.floats(-180, 180), st.floats(1, 3e6),
    st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20),
)  # fmt: skip
def test_the_box_never_cuts_the_circle(latitude: float, longitude: float, radius_m: float, points) -> None:
    def distance_m(point: tuple[float, float]) -> float:
        a, b = math.radians(latitude), math.radians(point[0])
        half = math.sin((b - a) / 2) ** 2
        half += math.cos(a) * math.cos(b) * math.sin(math.radians(point[1] - longitude) / 2) ** 2
        return 2 * EARTH_RADIUS_M * math.asin(min(1, math.sqrt(half)))

    clear = [point for point in points if abs(distance_m(point) - radius_m) > 1]
    if clear:
        expected = [distance_m(point) <= radius_m for point in clear]
        assert inside(circle(latitude, longitude, radius_m), *clear) == expected


def test_many_fences_are_each_themselves() -> None:
    rng = np.random.default_rng(3)
    fences = []
    for number in range(40):
        latitude, longitude = rng.uniform(40, 42), rng.uniform(120, 122)
        square = ((0, 0), (0, 0.3), (0.3, 0.3), (0.3, 0))
        fences.append(
            circle(latitude, longitude, 20_000, number)
            if number % 2
            else polygon(*((latitude + a, longitude + b) for a, b in square), number=number)
        )
    latitude, longitude = rng.uniform(40, 42.3, 500), rng.uniform(120, 122.3, 500)
    index = FenceIndex([CompiledFence(fence) for fence in reversed(fences)])
    assert [compiled.fence.id for compiled in index.fences] == list(range(40))
    table = index.inside(latitude, longitude)
    assert 0.005 < table.mean() < 0.2
    for column, compiled in enumerate(index.fences):
        assert table[:, column].tolist() == compiled.contains(latitude, longitude).tolist()


@pytest.mark.parametrize(
    "fence",
    [
        polygon((41, 123), (42, 123)),
        polygon((41, 123), (42, 123), (41, 123), (42, 123)),
        polygon((123, 41), (123, 42), (124, 42)),
        polygon((math.nan, 41), (40, 42), (41, 42)),
        circle(41, 123, 0),
        circle(41, 123, math.nan),
        circle(41, 223, 100),
        Fence(1, "c", FenceShape.CIRCLE, FenceTrigger.BOTH, center=(41.0, 123.0)),
        Fence(1, "c", FenceShape.CIRCLE, FenceTrigger.BOTH, radius_m=5),
    ],
)
def test_what_is_no_fence(fence: Fence) -> None:
    with pytest.raises(FenceError, match="fence 1"):
        CompiledFence(fence)


def test_the_key_follows_everything_but_the_name() -> None:
    base = polygon((41, 123), (42, 123), (42, 124))
    same = Fence(
        1, "other", FenceShape.POLYGON, FenceTrigger.BOTH, points=((41.0, 123.0), (42.0, 123.0), (42.0, 124.0))
    )
    moved = polygon((41, 123), (42, 123), (42, 125))
    assert CompiledFence(base).key == CompiledFence(same).key != CompiledFence(moved).key

"""Fences."""

from __future__ import annotations

from typing import Any

import httpx

from api import Services
from fleet import FleetChanged
from store.queries import engine
from tests.api.support import Seed, assert_problem

PATH = "/api/v1/geofences"
SQUARE = [[41.0, 123.0], [41.0, 124.0], [42.0, 124.0], [42.0, 123.0]]


async def test_create_change_delete(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    with services.bus.subscribe("test", FleetChanged) as subscription:
        answer = await operator.post(PATH, json={"name": "沈阳", "shape": "polygon", "points": SQUARE})
        assert await subscription.next() == FleetChanged("geofences")
    assert answer.status_code == 201, answer.text
    fence = answer.json()
    assert fence == {
        "id": fence["id"], "name": "沈阳", "shape": "polygon", "trigger": "both", "points": SQUARE, "center": None,
        "radius_m": None, "vehicle_ids": None, "enabled": True,
    }  # fmt: skip
    path = f"{PATH}/{fence['id']}"
    assert (await operator.get(path)).json() == fence
    changed = (await operator.patch(path, json={"vehicle_ids": [vehicle_id], "trigger": "leave"})).json()
    assert changed == fence | {"vehicle_ids": [vehicle_id], "trigger": "leave"}
    circle = (await operator.patch(path, json={"shape": "circle", "center": [41.8, 123.4], "radius_m": 500})).json()
    assert (circle["points"], circle["center"], circle["radius_m"]) == ([], [41.8, 123.4], 500.0)
    assert (await operator.get(PATH)).json() == {"items": [circle], "next": None}
    assert (await operator.delete(path)).status_code == 204
    for answer in (await operator.get(path), await operator.patch(path, json={}), await operator.delete(path)):
        assert_problem(answer, 404, "not-found")
    actions = [row[0] for row in await seed.rows("SELECT action FROM audit ORDER BY id")]
    assert actions == ["geofence.create", "geofence.update", "geofence.update", "geofence.delete"]


async def test_what_is_stored_the_engine_can_read(operator: httpx.AsyncClient, seed: Seed) -> None:
    closed = [*SQUARE, SQUARE[0]]  # a ring drawn closed, as map tools do
    await operator.post(PATH, json={"name": "a", "shape": "polygon", "points": closed, "trigger": "enter"})
    await operator.post(
        PATH, json={"name": "b", "shape": "circle", "center": [41, 123], "radius_m": 1, "vehicle_ids": []}
    )
    await operator.post(PATH, json={"name": "c", "shape": "polygon", "points": SQUARE, "enabled": False})
    async with seed.database.connection() as connection:
        fences = await engine.load_fences(connection)
    assert [(fence.name, len(fence.points), fence.radius_m) for fence in fences] == [("a", 4, None), ("b", 0, 1.0)]
    assert fences[1].vehicle_ids == frozenset()


async def test_bad_fences(operator: httpx.AsyncClient, seed: Seed) -> None:
    polygon: dict[str, Any] = {"name": "x", "shape": "polygon", "points": SQUARE}
    circle: dict[str, Any] = {"name": "x", "shape": "circle", "center": [41, 123], "radius_m": 10}
    for body, word in (
        (polygon | {"points": SQUARE[:2]}, "3 or more"),
        (polygon | {"points": [SQUARE[0], SQUARE[1], SQUARE[0]]}, "3 or more"),
        (polygon | {"points": [[0, 0], [1, 1], [2, 2]]}, "crosses itself"),
        (polygon | {"points": [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]]}, "crosses itself"),
        (polygon | {"points": [[91, 123], *SQUARE]}, "90"),
        (polygon | {"points": [[41, 181], *SQUARE]}, "180"),
        (polygon | {"points": [[41], *SQUARE]}, "points"),
        (polygon | {"points": [["a", "b"], *SQUARE]}, "points"),
        (polygon | {"points": [[41, 123 + i / 2000] for i in range(1001)]}, "1000"),
        (polygon | {"radius_m": 5}, "no center"),
        (polygon | {"vehicle_ids": [999]}, "999"),
        (polygon | {"name": " "}, "name"),
        (polygon | {"trigger": "near"}, "trigger"),
        (circle | {"radius_m": 0}, "radius_m"),
        (circle | {"radius_m": 1e7}, "radius_m"),
        (circle | {"center": None}, "center"),
        (circle | {"points": SQUARE}, "no points"),
        (circle | {"shape": "ring"}, "shape"),
    ):
        assert_problem(await operator.post(PATH, json=body), 422, "validation", word)
    assert await seed.one("SELECT count(*) FROM geofences") == 0
    nan = '{"name": "x", "shape": "circle", "center": [41, 123], "radius_m": NaN}'
    answer = await operator.post(PATH, content=nan, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)

    fence_id = (await operator.post(PATH, json=polygon)).json()["id"]
    for change, word in (
        ({"points": SQUARE[:2]}, "3 or more"), ({"shape": "circle"}, "center"), ({"vehicle_ids": [999]}, "999"),
        ({"name": None}, "name"), ({"radius_m": 3}, "no center"), ({"points": [[95, 0], [1, 1], [0, 1]]}, "90"),
    ):  # fmt: skip
        assert_problem(await operator.patch(f"{PATH}/{fence_id}", json=change), 422, "validation", word)


async def test_roles(viewer: httpx.AsyncClient) -> None:
    assert_problem(await viewer.post(PATH, json={"name": "x", "shape": "polygon", "points": SQUARE}), 403, "role")
    assert_problem(await viewer.delete(f"{PATH}/1"), 403, "role")
    assert (await viewer.get(PATH)).status_code == 200

"""Newest positions and tracks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import numpy as np
import pytest

import store
from api import Services, create_app
from tests.api.support import T0, Api, Seed, assert_problem, batch

DAY = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}


@pytest.fixture
async def everywhere(database: store.Database) -> AsyncIterator[tuple[httpx.AsyncClient, Seed]]:
    """A viewer, once per back end."""
    seed = Seed(database)
    async with await Api(create_app(Services(database)), seed).signed_in("viewer") as client:
        yield client, seed


async def test_latest(everywhere: tuple[httpx.AsyncClient, Seed]) -> None:
    viewer, seed = everywhere
    a, b = await seed.vehicle("辽A1"), await seed.vehicle("辽A2")
    await seed.positions(batch((a, T0, 50.0), (a, T0 + timedelta(seconds=10), 62.3), (b, T0, 0.0)))
    page = (await viewer.get("/api/v1/positions/latest")).json()
    assert page["next"] is None
    assert page["items"][0] == {
        "vehicle_id": a, "time": "2026-03-01T08:00:10.000Z", "received_at": "2026-03-01T08:00:12.000Z",
        "latitude_deg": 41.8, "longitude_deg": 123.4, "altitude_m": 50, "speed_kmh": 62.3, "heading_deg": 90,
        "alarm_flags": 0, "status_flags": 3, "late": False, "mileage_km": None,
    }  # fmt: skip
    first = (await viewer.get("/api/v1/positions/latest", params={"limit": 1})).json()
    second = (await viewer.get("/api/v1/positions/latest", params={"limit": 1, "cursor": first["next"]})).json()
    assert [item["vehicle_id"] for item in first["items"] + second["items"]] == [a, b]
    assert second["next"] is None
    only = (await viewer.get("/api/v1/positions/latest", params={"vehicle_id": [b, 999]})).json()
    assert [item["vehicle_id"] for item in only["items"]] == [b]
    assert_problem(await viewer.get("/api/v1/positions/latest?vehicle_id=x"), 422, "validation", "vehicle_id")


async def test_track(everywhere: tuple[httpx.AsyncClient, Seed]) -> None:
    viewer, seed = everywhere
    vehicle_id, other = await seed.vehicle("辽A1"), await seed.vehicle("辽A2")
    fixes = [(vehicle_id, T0 + timedelta(seconds=10 * i), float(i)) for i in range(7)]
    n = len(fixes)
    await seed.positions(
        batch(
            *fixes,
            items={"mileage_km": np.arange(n) + 0.5, "fuel_l": np.full(n, 42.5, np.float32)},
            present={"mileage_km": np.ones(n, bool), "fuel_l": np.arange(n) % 2 == 0},
        )
    )
    await seed.positions(batch((vehicle_id, T0 + timedelta(seconds=5), 99.0), late=np.ones(1, bool)))
    await seed.positions(batch((other, T0, 1.0)))
    path = f"/api/v1/vehicles/{vehicle_id}/track"

    items = (await viewer.get(path, params=DAY)).json()["items"]
    assert [item["speed_kmh"] for item in items] == [0, 99, 1, 2, 3, 4, 5, 6]  # late reports in their place
    assert [item["late"] for item in items] == [False, True, *[False] * 6]
    assert (items[0]["mileage_km"], items[0]["items"]) == (0.5, {"fuel_l": 42.5})
    assert items[2]["items"] == {}
    assert (items[1]["mileage_km"], items[1]["items"]) == (None, {})

    ends = {"from": "2026-03-01T16:00:10+08:00", "to": "2026-03-01T08:00:30Z"}
    assert [item["speed_kmh"] for item in (await viewer.get(path, params=ends)).json()["items"]] == [1, 2, 3]
    unescaped = f"{path}?from=2026-03-01T16:00:10+08:00&to=2026-03-01T16:00:30+08:00"
    assert len((await viewer.get(unescaped)).json()["items"]) == 3


async def test_a_track_in_pages(everywhere: tuple[httpx.AsyncClient, Seed]) -> None:
    viewer, seed = everywhere
    vehicle_id = await seed.vehicle("辽A1")
    same_second = batch(*[(vehicle_id, T0, float(i)) for i in range(4)])  # told apart by their bodies only
    await seed.positions(same_second)
    await seed.positions(batch(*[(vehicle_id, T0 + timedelta(microseconds=1 + i), 10.0 + i) for i in range(4)]))
    path = f"/api/v1/vehicles/{vehicle_id}/track"
    seen: list[float] = []
    cursor = None
    while True:
        params = DAY | {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await viewer.get(path, params=params)).json()
        seen += [item["speed_kmh"] for item in page["items"]]
        assert len(page["items"]) <= 3
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [0, 1, 2, 3, 10, 11, 12, 13]


async def test_bad_spans(viewer: httpx.AsyncClient, seed: Seed) -> None:
    path = f"/api/v1/vehicles/{await seed.vehicle('辽A1')}/track"
    cases = [
        (None, "2026-03-02T00:00:00Z", "from"),
        ("2026-03-01T00:00:00Z", None, "to"),
        ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "before"),
        ("2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z", "before"),
        ("2026-03-01T00:00:00Z", "2026-04-01T00:00:01Z", "31 days"),
        ("2026-03-01T00:00:00", "2026-03-02T00:00:00Z", "from"),
        ("yesterday", "2026-03-02T00:00:00Z", "from"),
    ]
    for begin, end, word in cases:
        params = {name: value for name, value in (("from", begin), ("to", end)) if value is not None}
        assert_problem(await viewer.get(path, params=params), 422, "validation", word)


async def test_bad_track_requests(viewer: httpx.AsyncClient, seed: Seed) -> None:
    path = f"/api/v1/vehicles/{await seed.vehicle('辽A1')}/track"
    assert_problem(await viewer.get("/api/v1/vehicles/999/track", params=DAY), 404, "not-found", "999")
    assert_problem(await viewer.get(path, params=DAY | {"limit": "10001"}), 422, "validation", "limit")
    vehicles = (await viewer.get("/api/v1/vehicles", params={"limit": 1})).json()
    assert vehicles["next"] is None
    # [9e18, 1, 1]: a number, but no time
    far = "WzkwMDAwMDAwMDAwMDAwMDAwMDAsMSwxXQ"
    assert_problem(await viewer.get(path, params=DAY | {"cursor": far}), 400, "bad-cursor")
    assert (await viewer.get(path, params=DAY)).json() == {"items": [], "next": None}

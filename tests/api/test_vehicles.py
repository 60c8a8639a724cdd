"""Vehicles: list, search, create, change, retire."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from api import Services
from fleet import FleetChanged
from tests.api.support import T0, Api, Seed, assert_problem, batch

PATH = "/api/v1/vehicles"


async def found(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return [item["plate"] for item in answer.json()["items"]]


async def test_create_with_a_phone(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    organization_id = await seed.one("INSERT INTO organizations (name) VALUES ('大连公司') RETURNING id")
    body = {
        "plate": "辽B12345", "plate_color": 2, "phone": "013912345678", "vin": "LFV2A21K6A3000001",
        "vehicle_type": "重型货车", "organization_id": organization_id, "speed_limit_kmh": 80, "note": "首批",
    }  # fmt: skip
    with services.bus.subscribe("test", FleetChanged) as subscription:
        answer = await operator.post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        assert await subscription.next() == FleetChanged("vehicles")
    vehicle = answer.json()
    terminal_id = vehicle["terminals"][0]["id"]
    assert vehicle == {
        "id": vehicle["id"], "plate": "辽B12345", "plate_color": 2, "plate_color_name": "yellow",
        "phone": "13912345678", "online": False, "vehicle_type": "重型货车", "vin": "LFV2A21K6A3000001",
        "organization_id": organization_id, "organization": "大连公司", "speed_limit_kmh": 80.0,
        "overspeed_duration_s": None, "offline_after_s": None, "note": "首批", "last_time": None,
        "terminals": [{"id": terminal_id, "phone": "13912345678", "standing": "approved", "terminal_model": "",
                       "edition": ""}],
    }  # fmt: skip
    assert (await operator.get(f"{PATH}/{vehicle['id']}")).json() == vehicle
    bindings = await seed.rows("SELECT terminal_id, vehicle_id, from_time = to_timestamp(0) FROM terminal_bindings")
    assert bindings == [(terminal_id, vehicle["id"], True)]
    assert await seed.rows("SELECT action, target FROM audit") == [("vehicle.create", "辽B12345")]


async def test_one_plate_one_vehicle(operator: httpx.AsyncClient) -> None:
    first = (await operator.post(PATH, json={"plate": "辽A00001"})).json()
    assert first["plate_color"] == 2  # the colour of lorries and coaches, when none is given
    problem = assert_problem(await operator.post(PATH, json={"plate": "辽A00001"}), 409, "vehicle-exists", "辽A00001")
    assert problem["existing_id"] == first["id"]
    blue = (await operator.post(PATH, json={"plate": "辽A00001", "plate_color": 1})).json()
    answer = await operator.patch(f"{PATH}/{blue['id']}", json={"plate_color": 2})
    assert assert_problem(answer, 409, "vehicle-exists")["existing_id"] == first["id"]


async def test_a_conflict_changes_nothing(operator: httpx.AsyncClient, seed: Seed) -> None:
    owner = await seed.vehicle("辽A00001")
    await seed.terminal("13900000001", owner)
    await seed.terminal("13900000002", standing="blocked")
    answer = await operator.post(PATH, json={"plate": "辽A00002", "phone": "13900000001"})
    assert assert_problem(answer, 409, "terminal-elsewhere", "辽A00001")["vehicle_id"] == owner
    answer = await operator.post(PATH, json={"plate": "辽A00002", "phone": "13900000002"})
    assert_problem(answer, 409, "terminal-blocked", "13900000002")
    assert await found(operator) == ["辽A00001"]
    assert await seed.one("SELECT count(*) FROM audit") == 0


async def test_a_waiting_terminal_is_taken_in(operator: httpx.AsyncClient, seed: Seed) -> None:
    await seed.terminal("13900000001", standing="pending")
    vehicle = (await operator.post(PATH, json={"plate": "辽A00001", "phone": "13900000001"})).json()
    assert vehicle["terminals"][0]["standing"] == "approved"


async def test_search(viewer: httpx.AsyncClient, seed: Seed) -> None:
    a = await seed.vehicle("辽A12345")
    b = await seed.vehicle("辽B67890")
    await seed.vehicle("test_100%a")
    await seed.terminal("13912345678", a, online=True)
    await seed.terminal("64120000001", b, online=False)
    assert await found(viewer, q="辽") == ["辽A12345", "辽B67890"]
    assert await found(viewer, q="a1234") == ["辽A12345"]
    assert await found(viewer, q="辽B·678") == ["辽B67890"]
    dotted = await seed.vehicle("辽C·11111")
    assert await found(viewer, q="c1111") == await found(viewer, q="C·111") == ["辽C·11111"]
    await seed.run("UPDATE vehicles SET retired_at = now() WHERE id = %s", dotted)
    assert await found(viewer, q="013912345678") == ["辽A12345"]
    assert await found(viewer, q="2000000") == ["辽B67890"]
    assert await found(viewer, q="0") == [
        "辽A12345",
        "辽B67890",
        "test_100%a",
    ]  # no digit is left to look for in phones
    assert await found(viewer, q="%") == ["test_100%a"]
    assert await found(viewer, q="t_1") == ["test_100%a"]
    assert await found(viewer, q="_") == ["test_100%a"]
    assert await found(viewer, q="  ") == ["辽A12345", "辽B67890", "test_100%a"]
    assert await found(viewer, q="\\") == []
    assert await found(viewer, online="true") == ["辽A12345"]
    assert await found(viewer, online="false") == ["辽B67890", "test_100%a"]
    assert_problem(await viewer.get(PATH, params={"q": "a\0b"}), 422, "validation", "q")


async def test_filter_by_organization(viewer: httpx.AsyncClient, seed: Seed) -> None:
    organization_id = await seed.one("INSERT INTO organizations (name) VALUES ('大连公司') RETURNING id")
    await seed.vehicle("辽A1", organization_id=organization_id)
    await seed.vehicle("辽A2")
    assert await found(viewer, organization_id=organization_id) == ["辽A1"]
    assert_problem(await viewer.get(PATH, params={"organization_id": "0"}), 422, "validation", "organization_id")
    assert_problem(await viewer.get(PATH, params={"organization_id": str(2**40)}), 422, "validation")


async def test_the_phone_shown_is_the_one_in_use(viewer: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id, online=True)
    await seed.terminal("13900000002", vehicle_id, online=False)
    await seed.terminal("13900000003", vehicle_id, standing="blocked", online=False)
    vehicle = (await viewer.get(f"{PATH}/{vehicle_id}")).json()
    assert (vehicle["phone"], vehicle["online"], len(vehicle["terminals"])) == ("13900000001", True, 3)


async def test_last_time(viewer: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.positions(batch((vehicle_id, T0, 60.0)))
    assert (await viewer.get(f"{PATH}/{vehicle_id}")).json()["last_time"] == "2026-03-01T08:00:00.000Z"


async def test_change(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1", speed_limit_kmh=80, note="x")
    path = f"{PATH}/{vehicle_id}"
    changed = (await operator.patch(path, json={"speed_limit_kmh": None, "plate": "辽A2"})).json()
    assert (changed["plate"], changed["speed_limit_kmh"], changed["note"]) == ("辽A2", None, "x")
    assert (await operator.patch(path, json={})).json() == changed
    assert_problem(await operator.patch(path, json={"organization_id": 77}), 422, "validation", "organization_id", "77")
    assert_problem(await operator.patch(f"{PATH}/999", json={"note": ""}), 404, "not-found", "999")
    detail = await seed.one("SELECT detail FROM audit WHERE action = 'vehicle.update' ORDER BY id LIMIT 1")
    assert detail == {"id": vehicle_id, "plate": "辽A2", "speed_limit_kmh": None}


async def test_bad_fields(operator: httpx.AsyncClient) -> None:
    cases: list[tuple[str, Any, str]] = [
        ("plate", "", "empty"),
        ("plate", "辽A 1", "spaces"),
        ("plate", "🚚1", "GBK"),
        ("plate", "辽" * 11, "21"),
        ("plate", None, "string"),
        ("plate_color", 7, "no plate colour"),
        ("plate_color", None, "integer"),
        ("phone", "139-1234", "digits"),
        ("phone", "0000", "zeros"),
        ("phone", "1" * 21, "digits"),
        ("speed_limit_kmh", 0, "greater"),
        ("speed_limit_kmh", "fast", "number"),
        ("vin", "?", "pattern"),
        ("note", "a\0", "U+0000"),
        ("speed_limit", 80, "Extra"),
    ]
    for name, value, word in cases:
        problem = assert_problem(
            await operator.post(PATH, json={"plate": "辽A1"} | {name: value}), 422, "validation", word
        )
        assert [error["field"] for error in problem["errors"]] == [name]


async def test_null_cannot_be_set_where_there_must_be_something(operator: httpx.AsyncClient, seed: Seed) -> None:
    path = f"{PATH}/{await seed.vehicle('辽A1')}"
    for name in ("plate", "plate_color", "note"):
        assert_problem(await operator.patch(path, json={name: None}), 422, "validation", name)


async def test_retire(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    terminal_id = await seed.terminal("13900000001", vehicle_id)
    await seed.positions(batch((vehicle_id, T0, 60.0)))
    path = f"{PATH}/{vehicle_id}"
    assert (await operator.delete(path)).status_code == 204
    assert await found(operator) == []
    assert_problem(await operator.get(path), 404, "not-found")
    assert_problem(await operator.delete(path), 404, "not-found")
    assert (await operator.get("/api/v1/positions/latest")).json()["items"] == []
    track = await operator.get(f"{path}/track", params={"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"})
    assert len(track.json()["items"]) == 1  # history stays
    terminal = (await operator.get(f"/api/v1/terminals/{terminal_id}")).json()
    assert (terminal["vehicle_id"], terminal["standing"]) == (None, "approved")
    assert (await operator.post(PATH, json={"plate": "辽A1", "phone": "13900000001"})).status_code == 201


async def test_pages(viewer: httpx.AsyncClient, seed: Seed) -> None:
    for i in range(5):
        await seed.vehicle(f"辽A{i}")
    first = (await viewer.get(PATH, params={"limit": 2})).json()
    second = (await viewer.get(PATH, params={"limit": 2, "cursor": first["next"]})).json()
    third = (await viewer.get(PATH, params={"limit": 2, "cursor": second["next"]})).json()
    plates = [item["plate"] for page in (first, second, third) for item in page["items"]]
    assert plates == [f"辽A{i}" for i in range(5)]
    assert third["next"] is None
    for limit in ("0", "1001", "many"):
        assert_problem(await viewer.get(PATH, params={"limit": limit}), 422, "validation", "limit")
    for cursor in ("x", "!!!", "bnVsbA", "WyJhIl0", "WzEsMl0", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", first["next"] + "A"):
        assert_problem(await viewer.get(PATH, params={"cursor": cursor}), 400, "bad-cursor")


async def test_one_plate_created_twice_at_once(api: Api) -> None:
    one, two = await api.signed_in("operator", "one"), await api.signed_in("operator", "two")
    body = {"plate": "辽A00001", "phone": "13900000001"}
    answers = await asyncio.gather(one.post(PATH, json=body), two.post(PATH, json=body))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_roles(viewer: httpx.AsyncClient, api: Api, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    for answer in (
        await viewer.post(PATH, json={"plate": "辽A2"}),
        await viewer.patch(f"{PATH}/{vehicle_id}", json={"note": "x"}),
        await viewer.delete(f"{PATH}/{vehicle_id}"),
        await viewer.post(f"{PATH}/import", content=b""),
    ):
        assert_problem(answer, 403, "role", "operator", "viewer")
    async with api.client() as nobody:
        assert_problem(await nobody.get(PATH), 401, "not-signed-in")
    assert (await viewer.get(PATH)).status_code == 200

"""Terminals: approval, binding, blocking."""

from __future__ import annotations

import httpx
import pytest

from tests.api.support import Api, Seed, assert_problem

PATH = "/api/v1/terminals"


async def test_create_and_list(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    body = {"phone": "013900000001", "vehicle_id": vehicle_id, "terminal_model": "KL-1"}
    answer = await operator.post(PATH, json=body)
    assert answer.status_code == 201
    terminal = answer.json()
    assert terminal | {"created_at": ""} == {
        "id": terminal["id"], "phone": "13900000001", "vehicle_id": vehicle_id, "plate": "辽A1", "standing": "approved",
        "manufacturer_id": "", "terminal_model": "KL-1", "terminal_id": "", "edition": "", "imei": "",
        "software_version": "", "claimed_plate": "", "claimed_plate_color": 0, "online": False, "last_refusal": "",
        "created_at": "", "idle_s": None, "former_imei": "", "imei_changed_at": None, "duplicate_identity_at": None,
    }  # fmt: skip
    assert terminal["created_at"].endswith("Z")
    problem = assert_problem(await operator.post(PATH, json=body), 409, "terminal-exists", "13900000001")
    assert problem["existing_id"] == terminal["id"]
    await seed.terminal("64120000002", standing="pending", online=True)
    for params, phones in (
        ({}, ["13900000001", "64120000002"]), ({"standing": "pending"}, ["64120000002"]),
        ({"vehicle_id": vehicle_id}, ["13900000001"]), ({"q": "0412"}, ["64120000002"]),
        ({"q": "00139"}, ["13900000001"]),
    ):  # fmt: skip
        items = (await operator.get(PATH, params=params)).json()["items"]
        assert [item["phone"] for item in items] == phones, params
    assert_problem(await operator.get(PATH, params={"standing": "new"}), 422, "validation", "standing")
    assert_problem(await operator.post(PATH, json={"phone": "1", "vehicle_id": 99}), 422, "validation", "99")


async def test_approve_by_plate_by_vehicle_and_by_claim(operator: httpx.AsyncClient, seed: Seed) -> None:
    known = await seed.vehicle("辽A1", 2)
    ids = [await seed.terminal(f"1390000000{i}", standing="pending") for i in range(4)]
    await seed.run("UPDATE terminals SET claimed_plate = '辽C3', claimed_plate_color = 1 WHERE id = %s", ids[2])

    by_plate = await operator.post(f"{PATH}/{ids[0]}/approve", json={"plate": "辽B2", "plate_color": 1})
    assert (by_plate.json()["plate"], by_plate.json()["standing"]) == ("辽B2", "approved")
    same = await operator.post(f"{PATH}/{ids[1]}/approve", json={"plate": "辽A1", "plate_color": 2})
    assert same.json()["vehicle_id"] == known
    claimed = await operator.post(f"{PATH}/{ids[2]}/approve", json={})
    assert claimed.json()["plate"] == "辽C3"
    color = await seed.one("SELECT plate_color FROM vehicles WHERE plate = '辽C3'")
    assert color == 1
    assert_problem(await operator.post(f"{PATH}/{ids[3]}/approve", json={}), 422, "validation", "plate")
    by_id = await operator.post(f"{PATH}/{ids[3]}/approve", json={"vehicle_id": known})
    assert by_id.json()["vehicle_id"] == known
    assert await seed.one("SELECT count(*) FROM terminal_bindings") == 4

    both = {"vehicle_id": known, "plate": "辽A1"}
    assert_problem(await operator.post(f"{PATH}/{ids[3]}/approve", json=both), 422, "validation", "not both")
    assert_problem(await operator.post(f"{PATH}/{ids[3]}/approve", json={"vehicle_id": 99}), 422, "validation", "99")
    assert_problem(await operator.post(f"{PATH}/999/approve", json=both | {"plate": None}), 404, "not-found")


async def test_moving_keeps_where_it_was(operator: httpx.AsyncClient, seed: Seed) -> None:
    first, second = await seed.vehicle("辽A1"), await seed.vehicle("辽A2")
    terminal_id = await seed.terminal("13900000001", first)
    path = f"{PATH}/{terminal_id}"
    assert (await operator.patch(path, json={"vehicle_id": second})).json()["plate"] == "辽A2"
    rows = await seed.rows("SELECT vehicle_id, from_time > '2000-01-01' FROM terminal_bindings ORDER BY from_time")
    assert rows == [(first, False), (second, True)]
    assert (await operator.patch(path, json={"vehicle_id": second, "terminal_model": "M"})).status_code == 200
    assert await seed.one("SELECT count(*) FROM terminal_bindings") == 2  # it did not move
    assert (await operator.patch(path, json={"vehicle_id": None})).json()["vehicle_id"] is None
    assert_problem(await operator.patch(path, json={"vehicle_id": 99}), 422, "validation", "99")
    assert_problem(await operator.patch(f"{PATH}/99", json={}), 404, "not-found")
    details = await seed.rows("SELECT detail->'was_in' FROM audit WHERE action = 'terminal.update' ORDER BY id")
    assert details[0] == (first,)


async def test_block_and_back(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    terminal_id = await seed.terminal("13900000001", vehicle_id)
    path = f"{PATH}/{terminal_id}"
    blocked = (await operator.post(f"{path}/block")).json()
    assert (blocked["standing"], blocked["vehicle_id"]) == ("blocked", vehicle_id)
    other = await seed.vehicle("辽A2")
    assert_problem(await operator.patch(path, json={"vehicle_id": other}), 409, "terminal-not-approved", "blocked")
    approved = (await operator.post(f"{path}/approve", json={})).json()
    assert (approved["standing"], approved["vehicle_id"]) == ("approved", vehicle_id)


async def test_delete(operator: httpx.AsyncClient, seed: Seed) -> None:
    terminal_id = await seed.terminal("13900000001", await seed.vehicle("辽A1"))
    assert (await operator.delete(f"{PATH}/{terminal_id}")).status_code == 204
    assert_problem(await operator.get(f"{PATH}/{terminal_id}"), 404, "not-found")
    assert_problem(await operator.delete(f"{PATH}/{terminal_id}"), 404, "not-found")


async def test_roles(viewer: httpx.AsyncClient, api: Api, seed: Seed) -> None:
    path = f"{PATH}/{await seed.terminal('13900000001')}"
    for answer in (
        await viewer.post(PATH, json={"phone": "1"}), await viewer.patch(path, json={}), await viewer.delete(path),
        await viewer.post(f"{path}/approve", json={}), await viewer.post(f"{path}/block"),
    ):  # fmt: skip
        assert_problem(answer, 403, "role")
    assert (await viewer.get(path)).status_code == 200


async def test_limits_of_silence(operator: httpx.AsyncClient, seed: Seed) -> None:
    path = f"{PATH}/limits"
    put = await operator.put(path, json={"terminal_model": "RW-1", "idle_s": 60})
    assert put.status_code == 200
    limit = put.json()
    assert limit == {"id": limit["id"], "manufacturer_id": "", "terminal_model": "RW-1", "idle_s": 60.0, "note": ""}
    again = await operator.put(path, json={"terminal_model": "RW-1", "idle_s": 90, "note": "sleeps"})
    assert again.json() == limit | {"idle_s": 90.0, "note": "sleeps"}
    assert (await operator.get(path)).json() == {"items": [again.json()], "next": None}
    assert_problem(await operator.put(path, json={"idle_s": 9}), 422, "validation", "idle_s")
    assert (await operator.delete(f"{path}/{limit['id']}")).status_code == 204
    assert_problem(await operator.delete(f"{path}/{limit['id']}"), 404, "not-found")
    assert await seed.one("SELECT count(*) FROM audit WHERE action LIKE 'link_limit.%%'") == 3
    terminal_id = await seed.terminal("13900000001")
    for idle_s in (30.0, None):
        changed = await operator.patch(f"{PATH}/{terminal_id}", json={"idle_s": idle_s})
        assert changed.json()["idle_s"] == idle_s


async def test_there_is_a_bound_of_limits(operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.queries.link_limits.MAX_LIMITS", 1)
    for _ in range(2):  # the same is no new one
        assert (await operator.put(f"{PATH}/limits", json={"idle_s": 60})).status_code == 200
    body = {"terminal_model": "RW-2", "idle_s": 60}
    assert_problem(await operator.put(f"{PATH}/limits", json=body), 409, "too-many-limits")


async def test_two_units_with_one_number_are_shown(operator: httpx.AsyncClient, seed: Seed) -> None:
    terminal_id = await seed.terminal("13900000001")
    await seed.run(
        "INSERT INTO session_log (time, phone, online, peer, transport, edition, reason)"
        " VALUES (now(), '13900000001', false, 'a:1', 'tcp', '2013', 'duplicate_identity')"
    )
    shown = (await operator.get(f"{PATH}/{terminal_id}")).json()
    assert shown["duplicate_identity_at"].endswith("Z")

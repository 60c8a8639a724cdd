"""Commands: queued, validated, read back."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx

from api import Services
from fleet import CommandChanged
from tests.api.support import Seed, assert_problem

PATH = "/api/v1/commands"


async def test_a_text_is_queued(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    with services.bus.subscribe("test", CommandChanged) as subscription:
        answer = await operator.post(PATH, json={"vehicle_id": vehicle_id, "kind": "text", "text": "前方拥堵，请减速"})
        assert answer.status_code == 202, answer.text
        command = answer.json()
        assert await subscription.next() == CommandChanged(UUID(command["id"]))
    assert command | {"created_at": "", "updated_at": "", "expires_at": ""} == {
        "id": command["id"], "vehicle_id": vehicle_id, "plate": "辽A1", "phone": "13900000001", "kind": "text",
        "payload": {"text": "前方拥堵，请减速", "urgent": False, "display": True, "tts": False, "advertising": False},
        "state": "queued", "reason": "", "created_by": int(operator.headers["x-user-id"]),
        "created_by_name": "operator", "created_at": "", "updated_at": "", "expires_at": "", "sent_at": None,
        "attempts": 0, "result": None, "answer": None, "group_id": None, "confirm_by": None, "confirmed_by_name": None,
        "confirmed_at": None, "progress": None, "is_open": True,
    }  # fmt: skip
    assert await seed.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM commands") == 300
    assert (await operator.get(f"{PATH}/{command['id']}")).json() == command
    assert await seed.rows("SELECT action, target FROM audit") == [("command.create", "辽A1")]


async def test_locate_and_expiry(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    answer = await operator.post(PATH, json={"vehicle_id": vehicle_id, "kind": "locate", "expires_in_s": 3600})
    assert (answer.status_code, answer.json()["payload"]) == (202, {})
    assert await seed.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM commands") == 3600


async def test_the_terminal_is_the_one_in_use(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    body = {"vehicle_id": vehicle_id, "kind": "locate"}
    assert_problem(await operator.post(PATH, json=body), 409, "no-terminal", "辽A1")
    await seed.terminal("13900000001", vehicle_id, standing="blocked", online=True)
    assert_problem(await operator.post(PATH, json=body), 409, "no-terminal", "辽A1")
    await seed.terminal("13900000002", vehicle_id, online=True)
    await seed.terminal("13900000003", vehicle_id, online=False)
    assert (await operator.post(PATH, json=body)).json()["phone"] == "13900000002"


async def test_bad_commands(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    good: dict[str, Any] = {"vehicle_id": vehicle_id, "kind": "text", "text": "ok"}
    for change, words in (
        ({"text": "小心🚧前方"}, ("character 3", "U+1F6A7", "GBK")),
        ({"text": "好" * 513}, ("1026", "1024")),
        ({"text": "  "}, ("empty",)),
        ({"text": None}, ("text",)),
        ({"text": "a\x1b"}, ("U+001B",)),
        ({"kind": "reboot"}, ("kind",)),
        ({"vehicle_id": 999}, ("999",)),
        ({"expires_in_s": 0}, ("expires_in_s",)),
        ({"expires_in_s": 8 * 86400}, ("expires_in_s",)),
        ({"urgnet": True}, ("urgnet",)),
    ):
        assert_problem(await operator.post(PATH, json=good | change), 422, "validation", *words)
    assert (await operator.post(PATH, json=good | {"text": "好" * 512})).status_code == 202
    assert await seed.one("SELECT count(*) FROM commands") == 1


async def test_list(viewer: httpx.AsyncClient, operator: httpx.AsyncClient, seed: Seed) -> None:
    ids = []
    vehicles = [await seed.vehicle(f"辽A{i}") for i in range(2)]
    for i, vehicle_id in enumerate(vehicles):
        await seed.terminal(f"1390000000{i}", vehicle_id)
    for i in range(5):
        answer = await operator.post(PATH, json={"vehicle_id": vehicles[i % 2], "kind": "locate"})
        ids.append(answer.json()["id"])
    await seed.run("UPDATE commands SET state = 'sent' WHERE id = %s", UUID(ids[0]))
    newest_first = ids[::-1]
    assert [item["id"] for item in (await viewer.get(PATH)).json()["items"]] == newest_first
    first = (await viewer.get(PATH, params={"limit": 3})).json()
    second = (await viewer.get(PATH, params={"limit": 3, "cursor": first["next"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == newest_first
    sent = (await viewer.get(PATH, params={"state": "sent,expired"})).json()["items"]
    assert [item["id"] for item in sent] == [ids[0]]
    of_one = (await viewer.get(PATH, params={"vehicle_id": vehicles[1]})).json()["items"]
    assert [item["id"] for item in of_one] == [ids[3], ids[1]]
    assert_problem(await viewer.get(PATH, params={"state": "lost"}), 422, "validation", "lost")
    assert_problem(await viewer.get(f"{PATH}/{uuid4()}"), 404, "not-found")
    assert_problem(await viewer.post(PATH, json={"vehicle_id": vehicles[0], "kind": "locate"}), 403, "role")


async def test_what_an_edition_lacks_is_said(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    await seed.run("UPDATE terminals SET edition = '2013'")
    body = {"vehicle_id": vehicle_id, "kind": "area_query", "shape": "circle"}
    assert_problem(await operator.post(PATH, json=body), 422, "edition", "2013", "查询区域")
    await seed.run("UPDATE terminals SET edition = ''")
    assert (await operator.post(PATH, json=body)).status_code == 202  # it is seen when it comes on-line


async def test_an_area_from_a_fence(operator: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    fence = {"name": "车场", "shape": "circle", "center": [41.8, 123.4], "radius_m": 200.4, "trigger": "leave"}
    fence_id = (await operator.post("/api/v1/geofences", json=fence)).json()["id"]
    body = {"vehicle_id": vehicle_id, "kind": "area_set", "geofence_id": fence_id, "max_speed_kmh": 30}
    payload = (await operator.post(PATH, json=body)).json()["payload"]
    assert payload == {
        "geofence_id": fence_id, "area_id": fence_id, "name": "车场", "action": "append", "max_speed_kmh": 30,
        "alerts": ["leave_driver", "leave_platform"],
        "area": {"shape": "circle", "latitude_deg": 41.8, "longitude_deg": 123.4, "radius_m": 200},
    }  # fmt: skip
    assert_problem(await operator.post(PATH, json=body | {"geofence_id": 99}), 422, "validation", "geofence_id")


async def test_the_kinds_are_listed(viewer: httpx.AsyncClient) -> None:
    items = {item["kind"]: item for item in (await viewer.get("/api/v1/command-kinds")).json()["items"]}
    assert items["text"]["message_ids"] == ["0x8300"]
    assert items["upgrade"] == {
        "kind": "upgrade", "chinese": "下发终端升级包", "message_ids": ["0x8108"], "answers": ["0x0108"],
        "editions": ["2013", "2019"], "dangerous": True, "admin_only": False, "media": False,
    }  # fmt: skip
    assert {name for name, item in items.items() if item["dangerous"]} == {"control", "upgrade", "raw", "oil_power"}

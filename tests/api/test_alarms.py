"""The alarm queue and its handling."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from psycopg.types.json import Jsonb

from alarms import RULES
from api import Services
from fleet import AlarmStepped
from tests.api.support import T0, Api, Seed, assert_problem

PATH = "/api/v1/alarms"


async def listed(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_an_alarm_reads_whole(viewer: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1", 1)
    terminal_id = await seed.terminal("13900000001", vehicle_id)
    alarm_id = await seed.alarm(
        vehicle_id, terminal_id=terminal_id, latitude_deg=41.5, longitude_deg=123.5, speed_kmh=98.5,
        facts=Jsonb({"limit_kmh": 80}), end_time=T0 + timedelta(minutes=1),
    )  # fmt: skip
    rule = RULES["overspeed"]
    alarm = (await viewer.get(f"{PATH}/{alarm_id}")).json()
    assert alarm == {
        "id": str(alarm_id), "vehicle_id": vehicle_id, "plate": "辽A1", "plate_color": 1, "phone": "13900000001",
        "rule": "overspeed", "rule_name": rule.chinese, "rule_name_en": rule.english, "severity": 3,
        "source": "platform", "state": "open", "late": False, "begin_time": "2026-03-01T08:00:00.000Z",
        "end_time": "2026-03-01T08:01:00.000Z", "updated_time": "2026-03-01T08:00:00.000Z", "latitude_deg": 41.5,
        "longitude_deg": 123.5, "speed_kmh": 98.5, "facts": {"limit_kmh": 80}, "claimed_by": None,
        "claimed_by_name": None, "claimed_at": None, "handled_by": None, "handled_by_name": None, "handled_at": None,
        "handle_code": None, "handle_text": None, "steps": [],
    }  # fmt: skip
    del alarm["steps"]
    assert (await viewer.get(PATH)).json() == {"items": [alarm], "next": None}


async def test_filters_and_pages(viewer: httpx.AsyncClient, seed: Seed) -> None:
    a, b = await seed.vehicle("辽A1"), await seed.vehicle("辽A2")
    minute = timedelta(minutes=1)
    one = str(await seed.alarm(a, T0, severity=1))
    two = str(await seed.alarm(a, T0 + minute, severity=2, state="claimed"))
    three = str(await seed.alarm(b, T0 + 2 * minute, state="handled", late=True))
    four = str(await seed.alarm(b, T0 + 3 * minute, state="false", rule="offline", severity=4))
    assert await listed(viewer) == [four, three, two, one]  # newest first
    assert await listed(viewer, state="open") == [one]
    assert await listed(viewer, state="open,claimed") == [two, one]
    assert await listed(viewer, state=["open", "false"]) == [four, one]
    assert await listed(viewer, severity="1,2") == [two, one]
    assert await listed(viewer, severity=["4"]) == [four]
    assert await listed(viewer, vehicle_id=b) == [four, three]
    assert await listed(viewer, rule="offline") == [four]
    assert await listed(viewer, late="true") == [three]
    begin, end = (T0 + minute).isoformat(), (T0 + 2 * minute).isoformat()
    assert await listed(viewer, **{"from": begin, "to": end}) == [three, two]
    first = (await viewer.get(PATH, params={"limit": 3})).json()
    assert [item["id"] for item in first["items"]] == [four, three, two]
    assert await listed(viewer, cursor=first["next"], limit=3) == [one]
    for params, name in (
        ({"state": "opened"}, "state"), ({"severity": "5"}, "severity"), ({"rule": "unheard-of"}, "rule"),
        ({"vehicle_id": "a"}, "vehicle_id"), ({"from": "now"}, "from"),
    ):  # fmt: skip
        problem = assert_problem(await viewer.get(PATH, params=params), 422, "validation", name)
        assert problem["errors"][0]["field"] == name
    assert_problem(await viewer.get(PATH, params={"cursor": "WzEsMl0"}), 400, "bad-cursor")


async def test_alarms_of_one_moment_are_paged_without_loss(viewer: httpx.AsyncClient, seed: Seed) -> None:
    ids = {str(await seed.alarm(await seed.vehicle(f"辽A{i}"))) for i in range(5)}
    seen: list[str] = []
    cursor = None
    while True:
        page = (await viewer.get(PATH, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert len(seen) == 5
    assert set(seen) == ids


async def test_claim_handle_close(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    path = f"{PATH}/{(alarm_id := await seed.alarm(await seed.vehicle('辽A1')))}"
    me = int(operator.headers["x-user-id"])
    with services.bus.subscribe("test", AlarmStepped) as subscription:
        claimed = (await operator.post(f"{path}/claim")).json()
        assert await subscription.next() == AlarmStepped(alarm_id)
    assert (claimed["state"], claimed["claimed_by"], claimed["claimed_by_name"]) == ("claimed", me, "operator")
    handled = (await operator.post(f"{path}/handle", json={"code": "driver_called", "text": "已电话提醒"})).json()
    assert (handled["state"], handled["handled_by"], handled["handle_code"], handled["handle_text"]) == (
        "handled", me, "driver_called", "已电话提醒",
    )  # fmt: skip
    closed = (await operator.post(f"{path}/close")).json()
    assert closed["state"] == "closed"
    steps = [(s["action"], s["from_state"], s["to_state"], s["code"], s["user"]) for s in closed["steps"]]
    assert steps == [
        ("claim", "open", "claimed", None, "operator"),
        ("handle", "claimed", "handled", "driver_called", "operator"),
        ("close", "handled", "closed", None, "operator"),
    ]
    assert [row[0] for row in await seed.rows("SELECT action FROM audit ORDER BY id")] == [
        "alarm.claim", "alarm.handle", "alarm.close",
    ]  # fmt: skip
    problem = assert_problem(await operator.post(f"{path}/claim"), 409, "alarm-state", "closed", "operator")
    assert (problem["state"], problem["by"]) == ("closed", "operator")


async def test_a_false_alarm(operator: httpx.AsyncClient, seed: Seed) -> None:
    path = f"{PATH}/{await seed.alarm(await seed.vehicle('辽A1'))}"
    answer = await operator.post(f"{path}/handle", json={"code": "false_alarm", "text": ""})
    assert (answer.json()["state"], answer.json()["steps"][0]["action"]) == ("false", "false_alarm")
    assert (await operator.post(f"{path}/close", json={"text": "已核实"})).json()["steps"][1]["text"] == "已核实"


async def test_of_two_who_claim_one_gets_it(api: Api, seed: Seed) -> None:
    one, two = await api.signed_in("operator", "one"), await api.signed_in("operator", "two")
    for i in range(5):
        path = f"{PATH}/{await seed.alarm(await seed.vehicle(f'辽A{i}'))}/claim"
        answers = await asyncio.gather(one.post(path), two.post(path))
        winner, loser = sorted(answers, key=lambda answer: answer.status_code)
        assert winner.status_code == 200
        name = winner.json()["claimed_by_name"]
        problem = assert_problem(loser, 409, "alarm-state", "claimed", name)
        assert problem["by"] == name
    assert await seed.one("SELECT count(*) FROM alarm_steps") == 5


async def test_transfer(api: Api, seed: Seed) -> None:
    one, two = await api.signed_in("operator", "one"), await api.signed_in("operator", "two")
    watcher = await api.signed_in("viewer")
    path = f"{PATH}/{await seed.alarm(await seed.vehicle('辽A1'))}"
    assert_problem(await one.post(f"{path}/transfer", json={}), 409, "alarm-state", "open")
    await one.post(f"{path}/claim")
    assert (await two.post(f"{path}/transfer", json={"text": "交接班"})).json()["claimed_by_name"] == "two"
    back = {"user_id": int(one.headers["x-user-id"])}
    assert (await two.post(f"{path}/transfer", json=back)).json()["claimed_by_name"] == "one"
    for user_id in (int(watcher.headers["x-user-id"]), 999):
        answer = await one.post(f"{path}/transfer", json={"user_id": user_id})
        assert_problem(answer, 422, "validation", "user_id")


async def test_many_take_a_step_at_once(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    ids = [str(await seed.alarm(vehicle_id, T0 + timedelta(minutes=i))) for i in range(4)]
    done = str(await seed.alarm(vehicle_id, T0 + timedelta(minutes=9), state="closed"))
    nobody = str(uuid4())
    body = {"ids": [*ids, ids[0], done, nobody], "code": "checked_normal", "text": "路段限速有误"}
    with services.bus.subscribe("test", AlarmStepped) as subscription:
        answer = (await operator.post(f"{PATH}/handle", json=body)).json()
        told = {str((await subscription.next()).alarm_id) for _ in ids}
    assert told == {item["id"] for item in answer["items"]} == set(ids)
    assert {(item["state"], item["handle_text"]) for item in answer["items"]} == {("handled", "路段限速有误")}
    assert {item["id"] for item in answer["refused"]} == {done, nobody}
    assert "closed" in next(item["detail"] for item in answer["refused"] if item["id"] == done)
    again = (await operator.post(f"{PATH}/claim", json={"ids": ids})).json()
    assert (again["items"], len(again["refused"])) == ([], 4)
    closed = (await operator.post(f"{PATH}/close", json={"ids": ids, "text": "归档"})).json()
    assert {item["state"] for item in closed["items"]} == {"closed"}
    assert await seed.one("SELECT count(*) FROM alarm_steps") == 8
    assert await seed.one("SELECT count(*) FROM audit WHERE action = 'alarm.handle'") == 4


async def test_many_are_handed_over(api: Api, seed: Seed) -> None:
    one, two = await api.signed_in("operator", "one"), await api.signed_in("operator", "two")
    await api.signed_in("viewer")
    vehicle_id = await seed.vehicle("辽A1")
    ids = [str(await seed.alarm(vehicle_id, T0 + timedelta(minutes=i))) for i in range(2)]
    await one.post(f"{PATH}/claim", json={"ids": ids})
    desk = (await one.get("/api/v1/users/desk")).json()["items"]
    assert [person["name"] for person in desk if person["role"] == "operator"] == ["one", "two"]
    [to] = [person["id"] for person in desk if person["name"] == "two"]
    assert to == int(two.headers["x-user-id"])
    answer = (await one.post(f"{PATH}/transfer", json={"ids": ids, "user_id": to, "text": "交班"})).json()
    assert {item["claimed_by_name"] for item in answer["items"]} == {"two"}
    assert_problem(await one.post(f"{PATH}/transfer", json={"ids": ids, "user_id": 999}), 422, "validation", "user_id")


async def test_bad_steps(operator: httpx.AsyncClient, seed: Seed) -> None:
    path = f"{PATH}/{await seed.alarm(await seed.vehicle('辽A1'))}"
    assert_problem(await operator.post(f"{path}/close"), 409, "alarm-state", "open")
    for ids in ([], [str(uuid4())] * 201, ["17"]):
        assert_problem(await operator.post(f"{PATH}/close", json={"ids": ids}), 422, "validation", "ids")
    for body, field in (
        ({}, "code"), ({"code": ""}, "code"), ({"code": "x" * 33}, "code"), ({"code": "two words"}, "code"),
        ({"code": "x", "text": "a\0"}, "text"), ({"code": "x", "text": "长" * 2001}, "text"),
    ):  # fmt: skip
        assert_problem(await operator.post(f"{path}/handle", json=body), 422, "validation", field)
    assert_problem(await operator.post(f"{PATH}/{uuid4()}/claim"), 404, "not-found")
    assert_problem(await operator.get(f"{PATH}/{uuid4()}"), 404, "not-found")
    assert_problem(await operator.post(f"{PATH}/17/claim"), 422, "validation", "alarm_id")


async def test_roles(viewer: httpx.AsyncClient, seed: Seed) -> None:
    path = f"{PATH}/{await seed.alarm(await seed.vehicle('辽A1'))}"
    for step in ("claim", "handle", "close", "transfer"):
        assert_problem(await viewer.post(f"{path}/{step}", json={"code": "x"} if step == "handle" else {}), 403, "role")
        assert_problem(await viewer.post(f"{PATH}/{step}", json={"ids": [str(uuid4())], "code": "x"}), 403, "role")
    assert_problem(await viewer.get("/api/v1/users/desk"), 403, "role")


async def test_the_catalogue(viewer: httpx.AsyncClient) -> None:
    items = (await viewer.get("/api/v1/alarm-rules")).json()["items"]
    assert {item["name"] for item in items} == set(RULES)
    assert all(item["chinese"] and 1 <= item["severity"] <= 4 for item in items)

"""Accounts."""

from __future__ import annotations

import asyncio

import httpx

from tests.api.support import Api, Seed, assert_problem


async def test_create_change_delete(admin: httpx.AsyncClient, api: Api, seed: Seed) -> None:
    body = {"username": "li.na", "password": "long enough", "display_name": "李娜", "role": "viewer"}
    answer = await admin.post("/api/v1/users", json=body)
    assert answer.status_code == 201
    user = answer.json()
    assert user == {
        "id": user["id"], "username": "li.na", "display_name": "李娜", "role": "viewer", "disabled": False,
        "dangerous_commands": False,
    }  # fmt: skip
    assert_problem(await admin.post("/api/v1/users", json=body), 409, "user-exists", "li.na")

    path = f"/api/v1/users/{user['id']}"
    assert (await admin.get(path)).json() == user
    changed = await admin.patch(path, json={"role": "operator", "password": "another long one"})
    assert changed.json() == user | {"role": "operator"}
    async with api.client() as client:
        answer = await client.post("/api/v1/sessions", json={"username": "li.na", "password": "another long one"})
        assert answer.status_code == 201
        assert (await admin.patch(path, json={"disabled": True})).json()["disabled"] is True
        assert (await client.get("/api/v1/sessions/current")).status_code == 401
    assert (await admin.delete(path)).status_code == 204
    assert_problem(await admin.get(path), 404, "not-found", str(user["id"]))
    assert_problem(await admin.patch(path, json={}), 404, "not-found")
    assert_problem(await admin.delete(path), 404, "not-found")

    audit = (await admin.get("/api/v1/audit")).json()["items"]
    assert [entry["action"] for entry in audit] == [
        "user.delete", "user.update", "session.sign_in", "user.update", "user.create",
    ]  # fmt: skip
    assert "another long one" not in str(audit)


async def test_bad_users(admin: httpx.AsyncClient) -> None:
    good = {"username": "wang", "password": "long enough"}
    for name, value in (
        ("username", ""), ("username", "two words"), ("password", "short"), ("role", "root"), ("nickname", "w"),
        ("display_name", "a\u0007b"),
    ):  # fmt: skip
        problem = assert_problem(await admin.post("/api/v1/users", json=good | {name: value}), 422, "validation")
        assert problem["errors"][0]["field"] == name
        assert "short" not in problem["detail"]  # a password is never echoed


async def test_who_is_on_record_stays(admin: httpx.AsyncClient, seed: Seed) -> None:
    user_id = await seed.user("operator", "zhang")
    alarm_id = await seed.alarm(await seed.vehicle("辽A1"))
    await seed.run(
        "INSERT INTO alarm_steps (alarm_id, user_id, action, from_state, to_state) VALUES (%s, %s, 'a', 'b', 'c')",
        alarm_id, user_id,
    )  # fmt: skip
    assert_problem(await admin.delete(f"/api/v1/users/{user_id}"), 409, "user-has-history", "zhang")
    for name in ("role", "disabled", "password", "display_name"):
        answer = await admin.patch(f"/api/v1/users/{user_id}", json={name: None})
        assert_problem(answer, 422, "validation", name)


async def test_who_was_handed_an_alarm_stays(admin: httpx.AsyncClient, seed: Seed) -> None:
    alarm_id = await seed.alarm(await seed.vehicle("辽A1"))
    heir = await seed.user("operator", "zhang")
    assert (await admin.post(f"/api/v1/alarms/{alarm_id}/claim")).status_code == 200
    assert (await admin.post(f"/api/v1/alarms/{alarm_id}/transfer", json={"user_id": heir})).status_code == 200
    assert_problem(await admin.delete(f"/api/v1/users/{heir}"), 409, "user-has-history", "zhang")


async def test_the_last_administrator_stays(admin: httpx.AsyncClient, seed: Seed) -> None:
    path = f"/api/v1/users/{admin.headers['x-user-id']}"
    assert_problem(await admin.delete(path), 409, "last-admin")
    assert_problem(await admin.patch(path, json={"role": "viewer"}), 409, "last-admin")
    assert_problem(await admin.patch(path, json={"disabled": True}), 409, "last-admin")
    await seed.user("admin", "second")
    assert (await admin.patch(path, json={"role": "viewer"})).status_code == 200


async def test_two_administrators_cannot_remove_each_other(api: Api) -> None:
    one, two = await api.signed_in("admin", "one"), await api.signed_in("admin", "two")
    answers = await asyncio.gather(
        one.delete(f"/api/v1/users/{two.headers['x-user-id']}"), two.delete(f"/api/v1/users/{one.headers['x-user-id']}")
    )
    assert sorted(answer.status_code for answer in answers) in ([204, 401], [204, 404], [204, 409])


async def test_pages(admin: httpx.AsyncClient, seed: Seed) -> None:
    for i in range(4):
        await seed.user("viewer", f"user{i}")
    seen, cursor = [], None
    while True:
        page = (await admin.get("/api/v1/users", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [user["username"] for user in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["admin", "user0", "user1", "user2", "user3"]

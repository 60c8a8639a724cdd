"""Superior platforms."""

from __future__ import annotations

from typing import Any

import httpx

from api import Services
from tests.api.support import T0, Seed, assert_problem

PATH = "/api/v1/platforms"
GOOD: dict[str, Any] = {
    "name": "省平台", "host": "127.0.0.1", "port": 5809, "access_code": 4294967295, "user_id": 210001,
    "password": "secret1!", "platform_id": "21000000001",
}  # fmt: skip


async def test_create_change_delete(admin: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    answer = await admin.post(PATH, json=GOOD)
    assert answer.status_code == 201, answer.text
    platform = answer.json()
    assert platform == {
        "id": platform["id"], "name": "省平台", "enabled": True, "edition": "2011", "host": "127.0.0.1", "port": 5809,
        "access_code": 4294967295, "user_id": 210001, "platform_id": "21000000001", "sub_link_host": "127.0.0.1",
        "sub_link_port": None, "encrypt": False, "supplement": True,
        "link": {"main": "down", "sub": "down", "since": None, "detail": "", "sent_live": 0, "sent_history": 0,
                 "backlog": 0, "cursor": None},
    }  # fmt: skip
    assert_problem(await admin.post(PATH, json=GOOD), 409, "platform-exists", "省平台")
    path = f"{PATH}/{platform['id']}"
    services.link_status = lambda: [
        {"id": platform["id"], "main": "up", "sub": "down", "since": T0, "detail": "", "sent_live": 7,
         "sent_history": 1, "backlog": 2, "cursor": 10}
    ]  # fmt: skip
    assert (await admin.get(path)).json()["link"] == {
        "main": "up", "sub": "down", "since": "2026-03-01T08:00:00.000Z", "detail": "", "sent_live": 7,
        "sent_history": 1, "backlog": 2, "cursor": 10,
    }  # fmt: skip
    changed = (await admin.patch(path, json={"enabled": False, "password": "another1", "sub_link_port": 6809})).json()
    assert (changed["enabled"], changed["sub_link_port"], changed["name"]) == (False, 6809, "省平台")
    assert await seed.one("SELECT password FROM platforms") == "another1"
    assert (await admin.get(PATH)).json()["items"] == [changed]
    other = (await admin.post(PATH, json=GOOD | {"name": "国家平台"})).json()
    answer = await admin.patch(f"{PATH}/{other['id']}", json={"name": "省平台"})
    assert_problem(answer, 409, "platform-exists", "省平台")
    assert (await admin.delete(path)).status_code == 204
    for answer in (await admin.get(path), await admin.patch(path, json={}), await admin.delete(path)):
        assert_problem(answer, 404, "not-found")
    audit = str(await seed.rows("SELECT action, detail FROM audit"))
    assert "secret1!" not in audit
    assert "another1" not in audit


async def test_bad_platforms(admin: httpx.AsyncClient, seed: Seed) -> None:
    for name, value in (
        ("name", ""), ("host", ""), ("host", "a b"), ("port", 0), ("port", 65536), ("access_code", -1),
        ("sub_link_host", "x" * 33), ("encrypt", True),
        ("access_code", 2**32), ("user_id", "x"), ("password", ""), ("password", "九"), ("password", "ninechars"),
        ("platform_id", "x" * 12), ("edition", "2019"), ("sub_link_port", 0), ("m1", 2**32), ("portt", 1),
    ):  # fmt: skip
        problem = assert_problem(await admin.post(PATH, json=GOOD | {name: value}), 422, "validation")
        assert problem["errors"][0]["field"] == name
    platform_id = (await admin.post(PATH, json=GOOD)).json()["id"]
    for name in ("name", "host", "password", "port"):
        assert_problem(await admin.patch(f"{PATH}/{platform_id}", json={name: None}), 422, "validation", name)


async def test_encryption_needs_keys(admin: httpx.AsyncClient) -> None:
    platform = (await admin.post(PATH, json=GOOD | {"supplement": False})).json()
    assert (platform["encrypt"], platform["supplement"]) == (False, False)
    path = f"{PATH}/{platform['id']}"
    assert_problem(await admin.patch(path, json={"encrypt": True}), 422, "validation", "M1")
    assert (await admin.get(path)).json() == platform
    keys = {"m1": 10000000, "ia1": 20000000, "ic1": 30000000}
    assert (await admin.patch(path, json={"encrypt": True} | keys)).json()["encrypt"]
    assert (await admin.patch(path, json={"encrypt": True, "supplement": True})).json()["supplement"]


async def test_roles(viewer: httpx.AsyncClient, operator: httpx.AsyncClient) -> None:
    assert (await viewer.get(PATH)).status_code == 200
    assert_problem(await operator.post(PATH, json=GOOD), 403, "role", "admin")
    assert_problem(await operator.patch(f"{PATH}/1", json={}), 403, "role")
    assert_problem(await operator.delete(f"{PATH}/1"), 403, "role")
    for path in ("users", "users/1", "audit"):
        assert_problem(await operator.get(f"/api/v1/{path}"), 403, "role", "admin")

"""Dangerous commands: a permission of their own, and a second word before anything is sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api import ApiSettings, Services
from tests.api.support import Api, Seed, assert_problem

PATH = "/api/v1/commands"
RESET = {"kind": "control", "command": "reset"}


@pytest.fixture
async def vehicle_id(seed: Seed) -> int:
    vehicle_id = await seed.vehicle("辽A12345")
    await seed.terminal("13900000001", vehicle_id)
    return vehicle_id


async def test_an_operator_needs_the_permission(
    operator: httpx.AsyncClient, admin: httpx.AsyncClient, seed: Seed, vehicle_id: int
) -> None:
    body = {"vehicle_id": vehicle_id, **RESET}
    assert_problem(await operator.post(PATH, json=body), 403, "dangerous-command", "dangerous_commands")
    user = operator.headers["x-user-id"]
    changed = await admin.patch(f"/api/v1/users/{user}", json={"dangerous_commands": True})
    assert changed.json()["dangerous_commands"] is True
    assert (await operator.post(PATH, json=body)).status_code == 202
    raw = {"vehicle_id": vehicle_id, "kind": "raw", "message_id": 0x8F01, "body": "00"}
    assert_problem(await operator.post(PATH, json=raw), 403, "role", "admin")
    assert_problem(
        await admin.post(PATH, json=raw | {"answer_id": 0x0900}), 422, "validation", "is not read as an answer"
    )
    assert (await admin.post(PATH, json=raw)).status_code == 202


async def test_nothing_is_queued_before_the_second_word(
    admin: httpx.AsyncClient, operator: httpx.AsyncClient, seed: Seed, vehicle_id: int
) -> None:
    command = (await admin.post(PATH, json={"vehicle_id": vehicle_id, **RESET})).json()
    assert (command["state"], command["is_open"]) == ("awaiting_confirmation", True)
    assert command["confirm_by"] is not None
    path = f"{PATH}/{command['id']}/confirm"
    assert_problem(await operator.post(path, json={"plate": "辽A12345"}), 403, "dangerous-command")
    assert_problem(await admin.post(path, json={"plate": "辽A12346"}), 422, "validation", "plate")
    assert (await admin.get(f"{PATH}/{command['id']}")).json()["state"] == "awaiting_confirmation"
    confirmed = (await admin.post(path, json={"plate": "辽a·12345"})).json()
    assert (confirmed["state"], confirmed["confirmed_by_name"]) == ("queued", "admin")
    assert_problem(await admin.post(path, json={"plate": "辽A12345"}), 409, "not-waiting", "queued")
    assert [row[0] for row in await seed.rows("SELECT action FROM audit ORDER BY id")] == [
        "command.create",
        "command.confirm",
    ]


async def test_too_late_is_too_late(admin: httpx.AsyncClient, seed: Seed, vehicle_id: int) -> None:
    command = (await admin.post(PATH, json={"vehicle_id": vehicle_id, **RESET})).json()
    await seed.run("UPDATE commands SET confirm_by = now() - interval '1 s'")
    answer = await admin.post(f"{PATH}/{command['id']}/confirm", json={"plate": "辽A12345"})
    assert_problem(answer, 409, "not-waiting")


async def test_taken_back(admin: httpx.AsyncClient, seed: Seed, vehicle_id: int) -> None:
    command = (await admin.post(PATH, json={"vehicle_id": vehicle_id, **RESET})).json()
    gone = (await admin.post(f"{PATH}/{command['id']}/cancel")).json()
    assert (gone["state"], gone["reason"], gone["is_open"]) == ("cancelled", "taken back by admin", False)
    assert_problem(await admin.post(f"{PATH}/{command['id']}/cancel"), 409, "already-sent")
    sent = (await admin.post(PATH, json={"vehicle_id": vehicle_id, "kind": "locate"})).json()
    await seed.run("UPDATE commands SET state = 'sent', attempts = 1 WHERE kind = 'locate'")
    assert_problem(await admin.post(f"{PATH}/{sent['id']}/cancel"), 409, "already-sent", "sent")


class TestTwoPersons:
    @pytest.fixture
    def services(self, postgresql_database: Any) -> Services:
        return Services(postgresql_database, settings=ApiSettings(command_two_persons=True))

    async def test_the_second_word_is_anothers(self, api: Api, seed: Seed, vehicle_id: int) -> None:
        one, other = await api.signed_in("admin", "one"), await api.signed_in("admin", "other")
        command = (await one.post(PATH, json={"vehicle_id": vehicle_id, **RESET})).json()
        path, body = f"{PATH}/{command['id']}/confirm", {"plate": "辽A12345"}
        assert_problem(await one.post(path, json=body), 403, "second-person")
        assert (await other.post(path, json=body)).json()["confirmed_by_name"] == "other"

"""Commands to many vehicles: who is meant, what is made, how far it is, taken back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from api import Services
from fleet import CommandGroupChanged
from tests.api.support import Seed, assert_problem

PATH = "/api/v1/command-groups"


async def fleet(seed: Seed, count: int, **columns: Any) -> list[int]:
    ids = []
    for number in range(count):
        vehicle_id = await seed.vehicle(f"辽A{number:04}", **columns)
        await seed.terminal(f"1390000{number:04}", vehicle_id)
        ids.append(vehicle_id)
    return ids


async def test_made_in_one_go(operator: httpx.AsyncClient, seed: Seed, services: Services) -> None:
    ids = await fleet(seed, 3)
    bare = await seed.vehicle("辽B0001")  # without a terminal
    with services.bus.subscribe("test", CommandGroupChanged) as subscription:
        answer = await operator.post(
            PATH, json={"vehicle_ids": [*ids, bare], "kind": "text", "text": "收车", "rate_per_s": 5}
        )
        assert answer.status_code == 202, answer.text
        group = answer.json()
        assert await subscription.next() == CommandGroupChanged(UUID(group["id"]))
    assert (group["vehicles"], group["skipped"], group["state"], group["counts"]) == (3, 1, "running", {"queued": 3})
    assert (group["rate_per_s"], group["payload"]["text"]) == (5, "收车")
    listed = (await operator.get("/api/v1/commands", params={"group_id": group["id"]})).json()["items"]
    assert {item["vehicle_id"] for item in listed} == set(ids)
    assert {item["payload"]["text"] for item in listed} == {"收车"}
    assert [item["id"] for item in (await operator.get(PATH)).json()["items"]] == [group["id"]]
    ((action, target, asked),) = await seed.rows("SELECT action, target, detail->'asked' FROM audit")
    assert (action, target, asked) == ("command_group.create", "text", {"vehicle_ids": [*ids, bare]})


@pytest.mark.parametrize(
    ("target", "count"),
    [({"q": "辽A000"}, 3), ({"q": "13900000001"}, 1), ({"all": True}, 3), ({"organization_id": 1}, 3)],
)
async def test_targets(operator: httpx.AsyncClient, seed: Seed, target: dict[str, Any], count: int) -> None:
    await seed.run("INSERT INTO organizations (name) VALUES ('parent')")
    await seed.run("INSERT INTO organizations (name, parent_id) VALUES ('child', 1)")
    await fleet(seed, 3, organization_id=2)
    group = (await operator.post(PATH, json={"kind": "locate", **target})).json()
    assert group["vehicles"] == count


async def test_bad_groups(operator: httpx.AsyncClient, viewer: httpx.AsyncClient, seed: Seed) -> None:
    (vehicle_id,) = await fleet(seed, 1)
    bare = await seed.vehicle("辽B0001")
    good = {"vehicle_ids": [vehicle_id], "kind": "locate"}
    for body, words in (
        ({"kind": "locate"}, ("exactly one",)),
        (good | {"all": True}, ("exactly one",)),
        (good | {"vehicle_ids": []}, ("vehicle_ids",)),
        (good | {"vehicle_ids": [999]}, ("999",)),
        (good | {"rate_per_s": 0}, ("rate_per_s",)),
        (good | {"text": "x"}, ("text",)),
        ({"kind": "locate", "organization_id": 9}, ("organization_id",)),
        ({"kind": "locate", "q": " "}, ("q",)),
    ):
        assert_problem(await operator.post(PATH, json=body), 422, "validation", *words)
    assert_problem(await operator.post(PATH, json=good | {"vehicle_ids": [bare]}), 409, "no-terminal")
    assert_problem(await viewer.post(PATH, json=good), 403, "role")
    assert await seed.one("SELECT count(*) FROM command_groups") == 0


async def test_terminals_of_an_edition_that_lacks_it(operator: httpx.AsyncClient, seed: Seed) -> None:
    await fleet(seed, 3)
    await seed.run("UPDATE terminals SET edition = '2011' WHERE phone = '13900000001'")
    await seed.run("UPDATE terminals SET edition = '2019' WHERE phone = '13900000002'")
    group = (await operator.post(PATH, json={"kind": "attributes", "all": True})).json()
    assert group["counts"] == {"queued": 2, "failed": 1}
    failed = (await operator.get("/api/v1/commands", params={"state": "failed"})).json()["items"]
    assert "2011" in failed[0]["reason"]


async def test_taken_back(operator: httpx.AsyncClient, seed: Seed) -> None:
    await fleet(seed, 3)
    group = (await operator.post(PATH, json={"kind": "locate", "all": True})).json()
    await seed.run("UPDATE commands SET state = 'sent', attempts = 1 WHERE phone = '13900000001'")
    gone = (await operator.post(f"{PATH}/{group['id']}/cancel")).json()
    assert (gone["state"], gone["counts"]) == ("cancelled", {"cancelled": 2, "sent": 1})
    assert_problem(await operator.post(f"{PATH}/{group['id']}/cancel"), 409, "group-over")


async def test_a_dangerous_one_is_confirmed_by_its_size(admin: httpx.AsyncClient, seed: Seed) -> None:
    await fleet(seed, 3)
    group = (await admin.post(PATH, json={"kind": "control", "command": "reset", "all": True})).json()
    assert (group["state"], group["counts"]) == ("awaiting_confirmation", {"awaiting_confirmation": 3})
    path = f"{PATH}/{group['id']}/confirm"
    assert_problem(await admin.post(path, json={"vehicles": 2}), 422, "validation", "vehicles")
    confirmed = (await admin.post(path, json={"vehicles": 3})).json()
    assert (confirmed["state"], confirmed["counts"]) == ("running", {"queued": 3})
    assert_problem(await admin.post(path, json={"vehicles": 3}), 409, "not-waiting")
    (item, *_) = (await admin.get("/api/v1/commands")).json()["items"]
    assert_problem(
        await admin.post(f"/api/v1/commands/{item['id']}/confirm", json={"plate": item["plate"]}), 409, "in-a-group"
    )


async def test_no_target_means_more_than_there_may_be(
    operator: httpx.AsyncClient, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.command_groups.routes.MAX_GROUP", 2)
    await fleet(seed, 3)
    for target in ({"all": True}, {"q": "辽A"}):
        answer = await operator.post(PATH, json={"kind": "locate", **target})
        assert_problem(answer, 422, "validation", "means 3 vehicles; 2 are the most")
    assert await seed.one("SELECT count(*) FROM commands") == 0
    assert (await operator.post(PATH, json={"kind": "locate", "q": "辽A0001"})).status_code == 202


async def test_the_edition_is_what_the_terminal_speaks_now(operator: httpx.AsyncClient, seed: Seed) -> None:
    """As for a single command: a unit that was changed logs in with its new edition."""
    (vehicle_id,) = await fleet(seed, 1)
    await seed.presence("13900000000", True)
    await seed.run("UPDATE terminals SET edition = '2013'")
    await seed.run("UPDATE terminal_presence SET edition = '2019'")
    group = (await operator.post(PATH, json={"kind": "link_test", "vehicle_ids": [vehicle_id]})).json()
    assert group["counts"] == {"queued": 1}

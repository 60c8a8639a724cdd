"""Organizations."""

from __future__ import annotations

import asyncio

import httpx

from tests.api.support import Seed, assert_problem

PATH = "/api/v1/organizations"


async def test_create_change_delete(operator: httpx.AsyncClient, seed: Seed) -> None:
    group = (await operator.post(PATH, json={"name": " 辽宁运输集团 "})).json()
    assert group == {"id": group["id"], "name": "辽宁运输集团", "parent_id": None, "vehicles": 0}
    branch = (await operator.post(PATH, json={"name": "大连公司", "parent_id": group["id"]})).json()
    await seed.vehicle("辽B12345", organization_id=branch["id"])
    assert (await operator.get(f"{PATH}/{branch['id']}")).json()["vehicles"] == 1
    assert [item["name"] for item in (await operator.get(PATH)).json()["items"]] == ["辽宁运输集团", "大连公司"]

    assert_problem(await operator.post(PATH, json={"name": "大连公司"}), 409, "organization-exists", "大连公司")
    assert_problem(
        await operator.patch(f"{PATH}/{branch['id']}", json={"name": "辽宁运输集团"}), 409, "organization-exists"
    )
    answer = await operator.patch(f"{PATH}/{group['id']}", json={"parent_id": branch["id"]})
    assert_problem(answer, 422, "validation", "parent_id")
    answer = await operator.patch(f"{PATH}/{group['id']}", json={"parent_id": group["id"]})
    assert_problem(answer, 422, "validation", "parent_id")
    assert_problem(await operator.post(PATH, json={"name": "x", "parent_id": 999}), 422, "validation", "999")
    assert_problem(await operator.post(PATH, json={"name": "  "}), 422, "validation", "name")

    assert_problem(await operator.delete(f"{PATH}/{group['id']}"), 409, "organization-in-use", "1 organizations")
    assert_problem(await operator.delete(f"{PATH}/{branch['id']}"), 409, "organization-in-use", "1 vehicles")
    await seed.run("UPDATE vehicles SET retired_at = now()")
    assert (await operator.delete(f"{PATH}/{branch['id']}")).status_code == 204
    moved = await operator.patch(f"{PATH}/{group['id']}", json={"name": "集团", "parent_id": None})
    assert moved.json()["name"] == "集团"
    assert (await operator.delete(f"{PATH}/{group['id']}")).status_code == 204
    assert_problem(await operator.get(f"{PATH}/{group['id']}"), 404, "not-found")


async def waiting(seed: Seed) -> None:
    """Until somebody waits for the organizations."""
    question = "SELECT count(*) FROM pg_locks WHERE relation = 'organizations'::regclass AND NOT granted"
    async with asyncio.timeout(60):
        while not await seed.one(question):  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)


async def test_a_parent_that_is_just_being_deleted_is_none(operator: httpx.AsyncClient, seed: Seed) -> None:
    parent = (await operator.post(PATH, json={"name": "集团"})).json()["id"]
    async with seed.database.connection() as connection:
        await connection.execute("DELETE FROM organizations")
        asked = asyncio.create_task(operator.post(PATH, json={"name": "分公司", "parent_id": parent}))
        await waiting(seed)
    assert_problem(await asked, 422, "validation", "parent_id")


async def test_an_import_finds_the_organization_that_was_just_made(operator: httpx.AsyncClient, seed: Seed) -> None:
    async with seed.database.connection() as connection:
        await connection.execute("INSERT INTO organizations (name) VALUES ('快运')")
        sheet = "车牌号,车牌颜色,所属企业\n辽A1,2,快运\n".encode()
        headers = {"content-type": "text/csv"}
        asked = asyncio.create_task(operator.post("/api/v1/vehicles/import", content=sheet, headers=headers))
        await waiting(seed)
    answer = await asked
    assert (answer.status_code, answer.json()["organizations_created"]) == (200, [])

"""Organizations."""

from __future__ import annotations

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

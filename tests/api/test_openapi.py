"""The OpenAPI document: every contract path, and the committed copy equal to it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from api.openapi import render
from tests.api.support import Api

COMMITTED = Path(__file__).parents[2] / "web" / "openapi.json"
CONTRACT = {
    "sessions": "post", "sessions/current": "get delete", "sessions/current/password": "put", "users": "get post",
    "users/{user_id}": "get patch delete", "organizations": "get post",
    "organizations/{organization_id}": "get patch delete", "vehicles": "get post", "vehicles/import": "post",
    "vehicles/{vehicle_id}": "get patch delete", "vehicles/{vehicle_id}/track": "get", "terminals": "get post",
    "terminals/{terminal_id}": "get patch delete", "terminals/{terminal_id}/approve": "post",
    "terminals/{terminal_id}/block": "post",
    "terminals/limits": "get put", "terminals/limits/{limit_id}": "delete",
    "positions/latest": "get", "alarms": "get", "alarms/{alarm_id}": "get",
    "alarms/{alarm_id}/claim": "post", "alarms/{alarm_id}/transfer": "post", "alarms/{alarm_id}/handle": "post",
    "alarms/{alarm_id}/close": "post", "alarms/claim": "post", "alarms/transfer": "post", "alarms/handle": "post",
    "alarms/close": "post", "users/desk": "get", "alarm-rules": "get",
    "commands": "get post", "commands/{command_id}": "get",
    "commands/{command_id}/confirm": "post", "commands/{command_id}/cancel": "post", "command-kinds": "get",
    "parameter-types": "get",
    "command-groups": "get post", "command-groups/{group_id}": "get", "command-groups/{group_id}/confirm": "post",
    "command-groups/{group_id}/cancel": "post", "firmware": "get post", "firmware/{firmware_id}": "get delete",
    "media": "get", "media/{media_id}": "get delete", "media/{media_id}/content": "get", "media-reports": "get",
    "geofences": "get post", "geofences/{fence_id}": "get patch delete", "platforms": "get post",
    "platforms/{platform_id}": "get patch delete", "audit": "get", "settings": "get", "live": "get",
}  # fmt: skip


def test_the_committed_document_is_the_servers() -> None:
    assert COMMITTED.read_text() == render(), "run: python -m api.openapi > web/openapi.json"


def test_every_contract_path_is_there() -> None:
    paths = {path: " ".join(methods) for path, methods in json.loads(render())["paths"].items()}
    health = {"/livez": "get", "/readyz": "get", "/metrics": "get"}
    assert paths == health | {f"/api/v1/{path}": methods for path, methods in CONTRACT.items()}


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(render())
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert {"Problem", "LiveSnapshot", "LiveDelta"} <= names


def test_every_operation_has_its_own_id() -> None:
    ids = [op["operationId"] for item in json.loads(render())["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


async def test_every_route_but_the_public_ones_needs_a_sign_in(api: Api) -> None:
    public = {("post", "/api/v1/sessions"), ("get", "/api/v1/settings"), ("get", "/api/v1/live")}
    async with api.client() as nobody:
        for path, item in json.loads(render())["paths"].items():
            for method in item:
                if not path.startswith("/api/") or (method, path) in public:
                    continue
                real = path.replace("{alarm_id}", "00000000-0000-0000-0000-000000000000")
                real = real.replace("{command_id}", "00000000-0000-0000-0000-000000000000")
                real = real.replace("{group_id}", "00000000-0000-0000-0000-000000000000")
                answer: httpx.Response = await nobody.request(method, real.replace("{", "").replace("}", ""))
                assert answer.status_code in (401, 422), (method, path, answer.text)
                if "_id}" not in path.replace("{alarm_id}", "").replace("{command_id}", ""):
                    assert answer.status_code == 401, (method, path, answer.text)

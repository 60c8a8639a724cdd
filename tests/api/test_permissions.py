"""Who may do what: every operation there is, asked by everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from tests.api.support import Api, assert_problem

OPEN = {"sign_in", "get_settings", "get_liveness", "get_readiness", "get_metrics"}
"""Without a sign-in. The live stream asks by itself: test_live_websocket.py."""

OWN = {"sign_out", "change_own_password"}
"""What even a viewer may change: their own sign-in."""

OPERATOR = {
    "create_organization", "change_organization", "delete_organization", "create_vehicle", "import_vehicle_list",
    "change_vehicle", "retire_vehicle", "put_link_limit", "delete_link_limit", "create_terminal", "change_terminal",
    "delete_terminal", "approve_terminal", "block_terminal", "claim_alarm", "transfer_alarm", "handle_alarm",
    "close_alarm", "claim_alarms", "transfer_alarms", "handle_alarms", "close_alarms", "create_command",
    "confirm_command", "cancel_command", "create_command_group", "confirm_command_group", "cancel_command_group",
    "create_geofence", "change_geofence", "delete_geofence", "list_desk",
}  # fmt: skip

ADMIN = {
    "list_users", "create_user", "get_user", "change_user", "delete_user", "delete_media", "create_platform",
    "change_platform", "delete_platform", "list_audit", "create_firmware", "delete_firmware",
}  # fmt: skip

LESS = {"viewer": (), "operator": ("viewer",), "admin": ("viewer", "operator")}


class Operation(NamedTuple):
    name: str
    method: str
    path: str

    @property
    def role(self) -> str:
        return "admin" if self.name in ADMIN else "operator" if self.name in OPERATOR else "viewer"


def operations(api: Api) -> Iterator[Operation]:
    """All of the OpenAPI document, with a thing that is not there in the place of each id."""
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            uuids = re.sub(r"\{(alarm|command|group)_id\}", str(UUID(int=9)), path)
            yield Operation(operation["operationId"], method.upper(), re.sub(r"\{\w+\}", "999999", uuids))


def test_the_tables_name_what_there_is(api: Api) -> None:
    names = {operation.name for operation in operations(api)}
    assert names >= OPEN | OWN | OPERATOR | ADMIN
    for operation in operations(api):
        if operation.role == "viewer" and operation.name not in OPEN | OWN:
            assert operation.method == "GET", f"{operation.name}: a viewer looks, and changes nothing"


async def test_nobody_gets_anything_without_a_sign_in(api: Api) -> None:
    async with api.client() as nobody, api.client("no session of ours") as stranger:
        for operation in operations(api):
            if operation.name not in OPEN | {"live"}:
                for client in (nobody, stranger):
                    assert_problem(await client.request(operation.method, operation.path), 401, "not-signed-in")


async def test_each_role_may_do_what_is_its_own_and_no_more(api: Api) -> None:
    clients = {role: await api.signed_in(role) for role in LESS}
    for operation in operations(api):
        if operation.name in OPEN | OWN | {"live"}:
            continue
        for less in LESS[operation.role]:
            answer = await clients[less].request(operation.method, operation.path)
            assert_problem(answer, 403, "role", operation.role)
        answer = await clients[operation.role].request(operation.method, operation.path)
        assert answer.status_code in (200, 404, 409, 415, 422), (operation, answer.text)

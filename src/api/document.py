"""The OpenAPI document: what FastAPI finds, our problem details, and the live stream's messages."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.alarms.schemas import Alarm
from api.commands.schemas import Command, CommandGroup
from api.fields import Time
from api.media.schemas import Media
from api.problems import MEDIA_TYPE, Problem

DESCRIPTION: Final = (
    "Vehicles, positions, alarms, commands and platforms of a Roadwarden server. Sign in with `POST /api/v1/sessions`;"
    " lists are paged by `next`; errors are RFC 9457 problem details; times are ISO 8601 UTC, coordinates WGS-84."
)
_REF: Final = "#/components/schemas/{model}"
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "What went wrong",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
}

UpDown = Literal["up", "down"]
PositionRow = list[float | None]


class LivePlatform(BaseModel):
    id: int
    name: str
    main: UpDown
    sub: UpDown
    sent_live: int
    sent_history: int
    backlog: int


class SystemNotice(BaseModel):
    """What operators have to be told of the server itself; there until it is no longer so."""

    code: str
    severity: Literal["warning", "error"]
    detail: str


class LiveStats(BaseModel):
    """``alarms``: open and not late, by severity. ``reports_per_s``: over the last 10 s. ``notices``: worst first."""

    online: int
    vehicles: int
    reports_per_s: float
    alarms: dict[str, int]
    database: UpDown
    journal_lag_s: float
    notices: list[SystemNotice]
    platforms: list[LivePlatform]


class LiveSnapshot(BaseModel):
    """Everything as of ``seq``; may come again at any time, and then replaces everything."""

    type: Literal["snapshot"]
    seq: int
    time: Time
    position_columns: list[str]
    positions: list[PositionRow]
    online: list[int]
    alarms: list[Alarm]
    stats: LiveStats


class LiveDelta(BaseModel):
    """What changed since ``seq - 1``; once a second, also when nothing did. ``fleet``: lists to read again.
    ``media``: uploads that are new."""

    type: Literal["delta"]
    seq: int
    time: Time
    positions: list[PositionRow]
    online: list[tuple[int, bool]]
    alarms: list[Alarm]
    commands: list[Command]
    command_groups: list[CommandGroup]
    media: list[Media]
    fleet: list[str]
    stats: LiveStats


_LIVE: Final = {
    "get": {
        "tags": ["live"],
        "summary": "Live stream (WebSocket)",
        "description": "A WebSocket, with the cookie of the sign-in. JSON text frames: `LiveSnapshot`, then `LiveDelta`"
        " once a second with `seq` counting by one; after a gap, reconnect. Closes with 4401 (not signed in),"
        " 4008 (too slow), 1013 (try again later).",
        "operationId": "live",
        "responses": {
            "101": {
                "description": "Switching to WebSocket",
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [{"$ref": _REF.format(model=m)} for m in ("LiveSnapshot", "LiveDelta")]}
                    }
                },
            }
        },
    }
}


def install(app: FastAPI) -> None:
    """Replace the application's document by ours."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        separate_input_output_schemas=False,
    )  # fmt: skip
    models = [(model, "serialization") for model in (Problem, LiveSnapshot, LiveDelta)]
    _, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in definitions["$defs"].items():
        schemas.setdefault(name, schema)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["paths"]["/api/v1/live"] = _LIVE
    return document

"""Commands: queue one, see what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Query

from api.commands.schemas import Command, CommandState, NewCommand
from api.deps import Operator, ServicesDep, Viewer
from api.fields import Id
from api.filters import choices
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import conflict, invalid, not_found
from fleet import CommandChanged
from store.queries import commands, terminals, vehicles

router = APIRouter(prefix="/commands", tags=["commands"])


@router.get("", response_model=Page[Command])
async def list_commands(
    services: ServicesDep,
    actor: Viewer,
    vehicle_id: Annotated[Id | None, Query()] = None,
    state: Annotated[list[str] | None, Query(description="Repeatable, or a comma list.")] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """Newest first."""
    states = choices("state", state, get_args(CommandState))
    before = decode_cursor(cursor, datetime, UUID)
    async with services.database.connection() as connection:
        rows = await commands.page(connection, before=before, limit=limit + 1, vehicle_id=vehicle_id, states=states)
    items, following = cut(rows, limit, "created_at", "id")
    return {"items": items, "next": following}


@router.post("", status_code=202, response_model=Command)
async def create_command(body: NewCommand, services: ServicesDep, actor: Operator) -> Any:
    """Queue a command. It is sent when the terminal is on-line, or next comes on-line before it expires."""
    payload = body.model_dump(exclude={"vehicle_id", "kind", "expires_in_s"})
    expires_in_s = body.expires_in_s or services.settings.command_expires_in_s
    async with services.database.connection() as connection:
        vehicle = await vehicles.lock(connection, body.vehicle_id)
        if vehicle is None:
            raise invalid("vehicle_id", f"there is no vehicle {body.vehicle_id}")
        phone = await terminals.for_command(connection, body.vehicle_id)
        if phone is None:
            raise conflict("no-terminal", f"Vehicle {vehicle['plate']} has no approved terminal to send to.")
        command_id = await commands.insert(
            connection, vehicle_id=body.vehicle_id, phone=phone, kind=body.kind, payload=payload,
            created_by=actor.user_id, expires_in_s=expires_in_s,
        )  # fmt: skip
        await actor.record(
            connection, "command.create", vehicle["plate"], id=str(command_id), kind=body.kind, **payload
        )
        command = await commands.get(connection, command_id)
    services.bus.publish(CommandChanged(command_id))
    return command


@router.get("/{command_id}", response_model=Command)
async def get_command(command_id: UUID, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        command = await commands.get(connection, command_id)
    if command is None:
        raise not_found("command", command_id)
    return command

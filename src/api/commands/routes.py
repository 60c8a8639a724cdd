"""Commands: queue one, confirm it, take it back, see what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Query

from api.commands import giving
from api.commands.schemas import Command, CommandConfirmation, CommandKind, CommandState, NewCommand
from api.deps import Operator, ServicesDep, Viewer
from api.fields import Id
from api.filters import choices
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import conflict, invalid, not_found
from downlink import KINDS
from fleet import CommandChanged
from store.queries import commands, terminals, vehicles

router = APIRouter(prefix="/commands", tags=["commands"])
kinds_router = APIRouter(prefix="/command-kinds", tags=["commands"])


@kinds_router.get("", response_model=Page[CommandKind])
async def list_command_kinds(actor: Viewer) -> Any:
    """Everything that may be asked of a terminal."""
    items = [
        {
            "kind": kind.name,
            "chinese": kind.chinese,
            "message_ids": [f"0x{number:04X}" for number in kind.message_ids],
            "answers": [f"0x{number:04X}" for number in kind.answers],
            "editions": [edition.value for edition in kind.editions],
            "dangerous": kind.dangerous,
            "admin_only": kind.admin_only,
            "media": kind.media,
        }
        for kind in KINDS.values()
    ]
    return {"items": items, "next": None}


@router.get("", response_model=Page[Command])
async def list_commands(
    services: ServicesDep,
    actor: Viewer,
    vehicle_id: Annotated[Id | None, Query()] = None,
    state: Annotated[list[str] | None, Query(description="Repeatable, or a comma list.")] = None,
    kind: Annotated[list[str] | None, Query(description="Repeatable, or a comma list.")] = None,
    group_id: UUID | None = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """Newest first."""
    states = choices("state", state, get_args(CommandState))
    kinds = choices("kind", kind, tuple(KINDS))
    before = decode_cursor(cursor, datetime, UUID)
    async with services.database.connection() as connection:
        rows = await commands.page(
            connection, before=before, limit=limit + 1, vehicle_id=vehicle_id, states=states, group_id=group_id,
            kinds=kinds,
        )  # fmt: skip
    items, following = cut(rows, limit, "created_at", "id")
    return {"items": items, "next": following}


@router.post("", status_code=202, response_model=Command)
async def create_command(body: NewCommand, services: ServicesDep, actor: Operator) -> Any:
    """Queue a command. It is sent when the terminal is on-line, or next comes on-line before it expires.

    A dangerous one is ``awaiting_confirmation`` first: see ``POST commands/{id}/confirm``.
    """
    kind = KINDS[body.kind]
    giving.check_permission(actor, kind)
    async with services.database.connection() as connection:
        vehicle = await vehicles.lock(connection, body.vehicle_id)
        if vehicle is None:
            raise invalid("vehicle_id", f"there is no vehicle {body.vehicle_id}")
        phone = await terminals.for_command(connection, body.vehicle_id)
        if phone is None:
            raise conflict("no-terminal", f"Vehicle {vehicle['plate']} has no approved terminal to send to.")
        payload = await giving.payload_of(connection, services, body)
        giving.check_edition(kind, payload, await terminals.edition_of(connection, phone))
        command_id = await commands.insert(
            connection, vehicle_id=body.vehicle_id, phone=phone, kind=kind.name, payload=payload,
            created_by=actor.user_id, expires_in_s=giving.expires_in_s(kind, body.expires_in_s, services),
            confirm_in_s=giving.confirm_in_s(kind, services),
        )  # fmt: skip
        await actor.record(
            connection, "command.create", vehicle["plate"], id=str(command_id), kind=kind.name, payload=payload
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


@router.post("/{command_id}/confirm", response_model=Command)
async def confirm_command(command_id: UUID, body: CommandConfirmation, services: ServicesDep, actor: Operator) -> Any:
    """The second word for a dangerous command: the plate of the vehicle, typed once more. Then it is queued."""
    async with services.database.connection() as connection:
        command = await commands.lock(connection, command_id)
        if command is None:
            raise not_found("command", command_id)
        if command["group_id"] is not None:
            raise conflict("in-a-group", "The command belongs to a group; the group is confirmed as a whole.")
        giving.check_permission(actor, KINDS[command["kind"]])
        giving.check_second_person(actor, command["created_by"], services)
        if _bare(body.plate) != _bare(command["plate"]):
            raise invalid("plate", "is not the plate of the vehicle that the command goes to")
        if not await commands.confirm(connection, command_id, actor.user_id):
            raise conflict("not-waiting", f"The command is {command['state']}; it does not wait to be confirmed.")
        await actor.record(connection, "command.confirm", command["plate"], id=str(command_id), kind=command["kind"])
        command = await commands.get(connection, command_id)
    services.bus.publish(CommandChanged(command_id))
    return command


@router.post("/{command_id}/cancel", response_model=Command)
async def cancel_command(command_id: UUID, services: ServicesDep, actor: Operator) -> Any:
    """Take back a command that is still to be sent, also once more; or an upgrade whose packages are going out."""
    async with services.database.connection() as connection:
        command = await commands.lock(connection, command_id)
        if command is None:
            raise not_found("command", command_id)
        if not await commands.cancel(connection, command_id, f"taken back by {actor.shown_name}"):
            raise conflict("already-sent", f"The command is {command['state']}; it cannot be taken back.")
        await actor.record(connection, "command.cancel", command["plate"], id=str(command_id), kind=command["kind"])
        command = await commands.get(connection, command_id)
    services.bus.publish(CommandChanged(command_id, group_id=command["group_id"] if command else None))
    return command


def _bare(plate: str) -> str:
    """People write 辽B·12345."""
    return plate.replace("·", "").replace(" ", "").upper()

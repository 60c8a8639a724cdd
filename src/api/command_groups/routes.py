"""Commands to many vehicles: give, confirm, take back, see how far they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from psycopg import AsyncConnection

from api.commands import giving
from api.commands.schemas import MAX_GROUP, TARGETS, CommandGroup, GroupConfirmation, NewCommandGroup
from api.deps import Operator, ServicesDep, Viewer
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, conflict, invalid, not_found
from api.services import Services
from api.vehicles.routes import search_patterns
from downlink import KINDS
from fleet import CommandGroupChanged
from jt808.header import Edition
from store.queries import command_groups, organizations, vehicles
from store.queries.command_groups import Target

router = APIRouter(prefix="/command-groups", tags=["commands"])


@router.get("", response_model=Page[CommandGroup])
async def list_command_groups(
    services: ServicesDep, actor: Viewer, limit: Limit = 100, cursor: CursorText = None
) -> Any:
    """Newest first."""
    before = decode_cursor(cursor, datetime, UUID)
    async with services.database.connection() as connection:
        rows = await command_groups.page(connection, before=before, limit=limit + 1)
    items, following = cut(rows, limit, "created_at", "id")
    return {"items": items, "next": following}


@router.post("", status_code=202, response_model=CommandGroup)
async def create_command_group(body: NewCommandGroup, services: ServicesDep, actor: Operator) -> Any:
    """Give one command to many vehicles. They are sent at a bounded rate, behind single commands.

    Vehicles whose terminal's edition has no such command get theirs as ``failed``, with the reason. A dangerous one
    waits for ``POST command-groups/{id}/confirm``.
    """
    kind = KINDS[body.kind]
    giving.check_permission(actor, kind)
    shown = body.model_dump(include=set(TARGETS), exclude_none=True)
    async with services.database.connection() as connection:
        target = await _target(connection, shown)
        payload = await giving.payload_of(connection, services, body)
        refused = giving.refusals(kind, payload)
        if len(refused) == len(Edition):
            giving.check_edition(kind, payload, "")
        group_id, count, skipped = await command_groups.insert(
            connection, kind=kind.name, payload=payload, target=target, target_shown=_short(shown),
            rate_per_s=body.rate_per_s or services.settings.command_group_per_s, created_by=actor.user_id,
            expires_in_s=giving.expires_in_s(kind, body.expires_in_s, services),
            confirm_in_s=giving.confirm_in_s(kind, services), refused=refused,
        )  # fmt: skip
        if count + skipped > MAX_GROUP:
            raise invalid(next(iter(shown)), f"means {count + skipped} vehicles; {MAX_GROUP} are the most")
        if not count:
            raise conflict("no-terminal", f"None of the {skipped} vehicles has an approved terminal to send to.")
        await actor.record(
            connection, "command_group.create", kind.name, id=str(group_id), vehicles=count, asked=_short(shown),
            payload=payload,
        )  # fmt: skip
        group = await command_groups.get(connection, group_id)
    services.bus.publish(CommandGroupChanged(group_id))
    return group


async def _target(connection: AsyncConnection[Any], given: dict[str, Any]) -> Target:
    if "vehicle_ids" in given:
        if missing := await vehicles.missing(connection, given["vehicle_ids"]):
            raise invalid("vehicle_ids", f"there is no vehicle {', '.join(map(str, missing[:10]))}")
        return Target(vehicle_ids=given["vehicle_ids"])
    if "organization_id" in given:
        if not await organizations.exists(connection, given["organization_id"]):
            raise invalid("organization_id", f"there is no organization {given['organization_id']}")
        return Target(organization_id=given["organization_id"])
    if "q" in given:
        plate_like, phone_like = search_patterns(given["q"])
        if plate_like is None:
            raise invalid("q", "must not be empty")
        return Target(plate_like=plate_like, phone_like=phone_like)
    return Target(everyone=True)


def _short(shown: dict[str, Any]) -> dict[str, Any]:
    """For the row and the audit: not a list of a hundred thousand numbers."""
    ids = shown.get("vehicle_ids")
    return shown if ids is None or len(ids) <= 100 else {"vehicle_ids": ids[:100], "and_more": len(ids) - 100}


@router.get("/{group_id}", response_model=CommandGroup)
async def get_command_group(group_id: UUID, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        group = await command_groups.get(connection, group_id)
    if group is None:
        raise not_found("command group", group_id)
    return group


@router.post("/{group_id}/confirm", response_model=CommandGroup)
async def confirm_command_group(group_id: UUID, body: GroupConfirmation, services: ServicesDep, actor: Operator) -> Any:
    """The second word for a dangerous one: how many vehicles it goes to, typed once more. Then it is queued."""
    async with services.database.connection() as connection:
        group = await _locked(connection, group_id)
        giving.check_permission(actor, KINDS[group["kind"]])
        giving.check_second_person(actor, group["created_by"], services)
        if group["state"] != "awaiting_confirmation":
            raise conflict("not-waiting", f"The group is {group['state']}; it does not wait to be confirmed.")
        if body.vehicles != group["vehicles"]:
            raise invalid("vehicles", "is not the number of vehicles that the command goes to")
        await command_groups.confirm(connection, group_id, actor.user_id)
        await actor.record(
            connection, "command_group.confirm", group["kind"], id=str(group_id), vehicles=group["vehicles"]
        )
    return await _changed(services, group_id)


@router.post("/{group_id}/cancel", response_model=CommandGroup)
async def cancel_command_group(group_id: UUID, services: ServicesDep, actor: Operator) -> Any:
    """Take back what is still to be sent; what was sent goes on."""
    async with services.database.connection() as connection:
        group = await _locked(connection, group_id)
        if group["state"] not in ("running", "awaiting_confirmation"):
            raise conflict("group-over", f"The group is {group['state']}; there is nothing to take back.")
        count = await command_groups.cancel(connection, group_id, actor.user_id, f"taken back by {actor.shown_name}")
        await actor.record(connection, "command_group.cancel", group["kind"], id=str(group_id), cancelled=count)
    return await _changed(services, group_id)


async def _locked(connection: AsyncConnection[Any], group_id: UUID) -> dict[str, Any]:
    group = await command_groups.lock(connection, group_id)
    if group is None:
        raise not_found("command group", group_id)
    return group


async def _changed(services: Services, group_id: UUID) -> dict[str, Any]:
    services.bus.publish(CommandGroupChanged(group_id))
    async with services.database.connection() as connection:
        group = await command_groups.get(connection, group_id)
    if group is None:
        raise ProblemError(404, "not-found", f"There is no command group {group_id}.")
    return group

"""Terminals: what asked to be let in, approval, binding, blocking."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from psycopg import AsyncConnection

from api.deps import Operator, ServicesDep, Viewer
from api.fields import YELLOW, Id, PathId
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import conflict, invalid, not_found
from api.terminals import limits
from api.terminals.schemas import Approval, NewTerminal, Standing, Terminal, TerminalChange
from fleet import FleetChanged
from store.queries import terminals, vehicles

router = APIRouter(prefix="/terminals", tags=["terminals"])
router.include_router(limits.router)  # before /{terminal_id}


@router.get("", response_model=Page[Terminal])
async def list_terminals(
    services: ServicesDep,
    actor: Viewer,
    standing: Standing | None = None,
    vehicle_id: Annotated[Id | None, Query()] = None,
    q: Annotated[str | None, Query(pattern=r"^[0-9]{1,20}$", description="Part of the phone number.")] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    phone_like = vehicles.contains(q.lstrip("0")) if q else None
    async with services.database.connection() as connection:
        rows = await terminals.page(
            connection, after_id=after_id, limit=limit + 1, standing=standing, vehicle_id=vehicle_id,
            phone_like=phone_like,
        )  # fmt: skip
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}


@router.post("", status_code=201, response_model=Terminal)
async def create_terminal(body: NewTerminal, services: ServicesDep, actor: Operator) -> Any:
    async with services.database.connection() as connection:
        terminal_id = await terminals.insert(connection, phone=body.phone)
        if terminal_id is None:
            known = await terminals.lock(connection, phone=body.phone)
            existing_id = known["id"] if known else None
            raise conflict("terminal-exists", f"There is already a terminal {body.phone}.", existing_id=existing_id)
        await terminals.update(connection, terminal_id, body.model_dump(exclude={"phone", "vehicle_id"}))
        if body.vehicle_id is not None:
            await _check_vehicle(connection, body.vehicle_id)
            await terminals.bind(connection, [terminal_id], [body.vehicle_id])
        await actor.record(connection, "terminal.create", body.phone, vehicle_id=body.vehicle_id)
        terminal = await terminals.get(connection, terminal_id)
    services.bus.publish(FleetChanged("terminals"))
    return terminal


@router.get("/{terminal_id}", response_model=Terminal)
async def get_terminal(terminal_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        terminal = await terminals.get(connection, terminal_id)
    if terminal is None:
        raise not_found("terminal", terminal_id)
    return terminal


@router.patch("/{terminal_id}", response_model=Terminal)
async def change_terminal(terminal_id: PathId, body: TerminalChange, services: ServicesDep, actor: Operator) -> Any:
    changes = body.model_dump(exclude_unset=True)
    async with services.database.connection() as connection:
        old = await _locked(connection, terminal_id)
        if "vehicle_id" in changes and changes["vehicle_id"] != old["vehicle_id"]:
            if old["standing"] != "approved":
                raise conflict(
                    "terminal-not-approved", f"Terminal {old['phone']} is {old['standing']}; approve it first."
                )
            if body.vehicle_id is not None:
                await _check_vehicle(connection, body.vehicle_id)
            await terminals.bind(connection, [terminal_id], [body.vehicle_id])
        columns = {name: value for name, value in changes.items() if name != "vehicle_id"}
        if columns:
            await terminals.update(connection, terminal_id, columns)
        await actor.record(connection, "terminal.update", old["phone"], was_in=old["vehicle_id"], **changes)
        terminal = await terminals.get(connection, terminal_id)
    services.bus.publish(FleetChanged("terminals"))
    return terminal


@router.delete("/{terminal_id}", status_code=204)
async def delete_terminal(terminal_id: PathId, services: ServicesDep, actor: Operator) -> None:
    """Forget a terminal. What it reported stays with its vehicles; when it calls again it is unknown."""
    async with services.database.connection() as connection:
        old = await _locked(connection, terminal_id)
        await terminals.delete(connection, terminal_id)
        await actor.record(connection, "terminal.delete", old["phone"], was_in=old["vehicle_id"])
    services.bus.publish(FleetChanged("terminals"))


@router.post("/{terminal_id}/approve", response_model=Terminal)
async def approve_terminal(terminal_id: PathId, body: Approval, services: ServicesDep, actor: Operator) -> Any:
    """Let a terminal in, into a vehicle; it registers again by itself."""
    async with services.database.connection() as connection:
        old = await _locked(connection, terminal_id)
        vehicle_id = await _approved_vehicle(connection, body, old)
        if vehicle_id == old["vehicle_id"]:
            await terminals.update(connection, terminal_id, {"standing": "approved"})
        else:
            await terminals.bind(connection, [terminal_id], [vehicle_id])
        await actor.record(connection, "terminal.approve", old["phone"], vehicle_id=vehicle_id)
        terminal = await terminals.get(connection, terminal_id)
    services.bus.publish(FleetChanged("vehicles"))
    services.bus.publish(FleetChanged("terminals"))
    return terminal


@router.post("/{terminal_id}/block", response_model=Terminal)
async def block_terminal(terminal_id: PathId, services: ServicesDep, actor: Operator) -> Any:
    """Shut a terminal out until it is approved again."""
    async with services.database.connection() as connection:
        old = await _locked(connection, terminal_id)
        await terminals.update(connection, terminal_id, {"standing": "blocked"})
        await actor.record(connection, "terminal.block", old["phone"])
        terminal = await terminals.get(connection, terminal_id)
    services.bus.publish(FleetChanged("terminals"))
    return terminal


async def _locked(connection: AsyncConnection[Any], terminal_id: int) -> dict[str, Any]:
    terminal = await terminals.lock(connection, terminal_id=terminal_id)
    if terminal is None:
        raise not_found("terminal", terminal_id)
    return terminal


async def _check_vehicle(connection: AsyncConnection[Any], vehicle_id: int) -> None:
    if await vehicles.lock(connection, vehicle_id) is None:
        raise invalid("vehicle_id", f"there is no vehicle {vehicle_id}")


async def _approved_vehicle(connection: AsyncConnection[Any], body: Approval, terminal: dict[str, Any]) -> int:
    if body.vehicle_id is not None:
        await _check_vehicle(connection, body.vehicle_id)
        return body.vehicle_id
    if body.plate is None and terminal["vehicle_id"] is not None:
        return int(terminal["vehicle_id"])
    plate = body.plate or terminal["claimed_plate"]
    if not plate:
        raise invalid("plate", "must be given: the terminal claimed none")
    claimed_color = terminal["claimed_plate_color"] if body.plate is None else YELLOW
    color = body.plate_color if body.plate_color is not None else claimed_color
    vehicle_id = await vehicles.find(connection, plate, color)
    if vehicle_id is None:
        vehicle_id = await vehicles.insert(connection, {"plate": plate, "plate_color": color})
    if vehicle_id is None:  # somebody else made it between the two
        vehicle_id = await vehicles.find(connection, plate, color)
    assert vehicle_id is not None
    return vehicle_id

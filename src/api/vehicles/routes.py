"""The fleet: list and search, create, change, retire, import."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from psycopg import AsyncConnection

from api.deps import Operator, ServicesDep, Viewer
from api.fields import Id, Line, PathId
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import conflict, invalid, not_found
from api.services import Services
from api.terminals.binding import put_into
from api.vehicles.importing import REQUEST_BODY, import_vehicles, read_upload
from api.vehicles.schemas import ImportResult, NewVehicle, Vehicle, VehicleChange
from fleet import FleetChanged, plate_color_name
from store.queries import organizations, vehicles

router = APIRouter(prefix="/vehicles", tags=["vehicles"])

Search = Annotated[Line | None, Query(max_length=50, description="Part of a plate, or of a terminal's phone number.")]


def shape(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"plate_color_name": plate_color_name(row["plate_color"])}


@router.get("", response_model=Page[Vehicle])
async def list_vehicles(
    services: ServicesDep,
    actor: Viewer,
    q: Search = None,
    organization_id: Annotated[Id | None, Query()] = None,
    online: bool | None = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    plate_like, phone_like = search_patterns(q)
    async with services.database.connection() as connection:
        rows = await vehicles.page(
            connection, after_id=after_id, limit=limit + 1, plate_like=plate_like, phone_like=phone_like,
            organization_id=organization_id, online=online,
        )  # fmt: skip
    items, following = cut(rows, limit, "id")
    return {"items": [shape(row) for row in items], "next": following}


def search_patterns(q: str | None) -> tuple[str | None, str | None]:
    """What to look for in plates and in phones; people write 辽B·12345 and 013912345678."""
    text = (q or "").strip()
    if not text:
        return None, None
    plate = text.replace("·", "").replace(" ", "") or text
    phone = vehicles.contains(text.lstrip("0")) if text.isascii() and text.isdigit() else None
    return vehicles.contains(plate), phone


@router.post("", status_code=201, response_model=Vehicle)
async def create_vehicle(body: NewVehicle, services: ServicesDep, actor: Operator) -> Any:
    values = body.model_dump(exclude={"phone"})
    values["vin"] = values["vin"] or None
    async with services.database.connection() as connection:
        await _check_organization(connection, body.organization_id)
        vehicle_id = await vehicles.insert(connection, values)
        if vehicle_id is None:
            raise await _plate_taken(connection, body.plate, body.plate_color)
        if body.phone is not None:
            await put_into(connection, body.phone, vehicle_id)
        await actor.record(
            connection, "vehicle.create", body.plate, id=vehicle_id, **body.model_dump(exclude_none=True)
        )
        vehicle = await vehicles.get(connection, vehicle_id)
    _announce(services)
    assert vehicle is not None
    return shape(vehicle)


@router.post("/import", response_model=ImportResult, openapi_extra=REQUEST_BODY)
async def import_vehicle_list(request: Request, services: ServicesDep, actor: Operator, dry_run: bool = False) -> Any:
    """Create and update vehicles from a CSV file: all of it, or, when anything is wrong, nothing."""
    content = await read_upload(request)
    result = await import_vehicles(services.database, actor, content, dry_run=dry_run)
    if not dry_run:
        _announce(services)
    return result


@router.get("/{vehicle_id}", response_model=Vehicle)
async def get_vehicle(vehicle_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        vehicle = await vehicles.get(connection, vehicle_id)
    if vehicle is None:
        raise not_found("vehicle", vehicle_id)
    return shape(vehicle)


@router.patch("/{vehicle_id}", response_model=Vehicle)
async def change_vehicle(vehicle_id: PathId, body: VehicleChange, services: ServicesDep, actor: Operator) -> Any:
    changes = body.model_dump(exclude_unset=True)
    if changes.get("vin") == "":
        changes["vin"] = None
    async with services.database.connection() as connection:
        old = await vehicles.lock(connection, vehicle_id)
        if old is None:
            raise not_found("vehicle", vehicle_id)
        await _check_organization(connection, changes.get("organization_id"))
        if not await vehicles.update(connection, vehicle_id, changes):
            new = old | changes
            raise await _plate_taken(connection, new["plate"], new["plate_color"])
        await actor.record(connection, "vehicle.update", old["plate"], id=vehicle_id, **changes)
        vehicle = await vehicles.get(connection, vehicle_id)
    services.bus.publish(FleetChanged("vehicles"))
    assert vehicle is not None
    return shape(vehicle)


@router.delete("/{vehicle_id}", status_code=204)
async def retire_vehicle(vehicle_id: PathId, services: ServicesDep, actor: Operator) -> None:
    """Take a vehicle out of service. Its history stays; its terminals go back to stock."""
    async with services.database.connection() as connection:
        old = await vehicles.lock(connection, vehicle_id)
        if old is None:
            raise not_found("vehicle", vehicle_id)
        await vehicles.retire(connection, vehicle_id)
        await actor.record(connection, "vehicle.retire", old["plate"], id=vehicle_id)
    _announce(services)


def _announce(services: Services) -> None:
    for what in ("vehicles", "terminals"):
        services.bus.publish(FleetChanged(what))


async def _check_organization(connection: AsyncConnection[Any], organization_id: int | None) -> None:
    if organization_id is not None and not await organizations.exists(connection, organization_id):
        raise invalid("organization_id", f"there is no organization {organization_id}")


async def _plate_taken(connection: AsyncConnection[Any], plate: str, plate_color: int) -> Exception:
    vehicle_id = await vehicles.find(connection, plate, plate_color)
    detail = f"There is already a vehicle {plate} ({plate_color_name(plate_color)}), with id {vehicle_id}."
    return conflict("vehicle-exists", detail, existing_id=vehicle_id)

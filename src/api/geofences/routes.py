"""Fences: create, change, remove. The engine takes them up as soon as they are stored."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from psycopg import AsyncConnection
from pydantic import ValidationError

from api.deps import Operator, ServicesDep, Viewer
from api.fields import PathId
from api.geofences.schemas import Geofence, GeofenceChange, NewGeofence
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import invalid, not_found
from fleet import FleetChanged
from store.queries import geofences, vehicles

router = APIRouter(prefix="/geofences", tags=["geofences"])


@router.get("", response_model=Page[Geofence])
async def list_geofences(services: ServicesDep, actor: Viewer, limit: Limit = 100, cursor: CursorText = None) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    async with services.database.connection() as connection:
        rows = await geofences.page(connection, after_id=after_id, limit=limit + 1)
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}


@router.post("", status_code=201, response_model=Geofence)
async def create_geofence(body: NewGeofence, services: ServicesDep, actor: Operator) -> Any:
    fence = body.model_dump()
    async with services.database.connection() as connection:
        await _check_vehicles(connection, body.vehicle_ids)
        fence_id = await geofences.insert(connection, fence)
        await actor.record(connection, "geofence.create", body.name, id=fence_id, **fence)
    services.bus.publish(FleetChanged("geofences"))
    return {"id": fence_id, **fence}


@router.get("/{fence_id}", response_model=Geofence)
async def get_geofence(fence_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        fence = await geofences.get(connection, fence_id)
    if fence is None:
        raise not_found("geofence", fence_id)
    return fence


@router.patch("/{fence_id}", response_model=Geofence)
async def change_geofence(fence_id: PathId, body: GeofenceChange, services: ServicesDep, actor: Operator) -> Any:
    async with services.database.connection() as connection:
        old = await geofences.get(connection, fence_id, for_update=True)
        if old is None:
            raise not_found("geofence", fence_id)
        try:
            fence = NewGeofence.model_validate(body.over(old)).model_dump()
        except ValidationError as error:
            faults = [dict(fault) | {"loc": ("body", *fault["loc"])} for fault in error.errors()]
            raise RequestValidationError(faults) from error
        await _check_vehicles(connection, fence["vehicle_ids"] if "vehicle_ids" in body.model_fields_set else None)
        await geofences.update(connection, fence_id, fence)
        await actor.record(connection, "geofence.update", old["name"], id=fence_id, **fence)
    services.bus.publish(FleetChanged("geofences"))
    return {"id": fence_id, **fence}


@router.delete("/{fence_id}", status_code=204)
async def delete_geofence(fence_id: PathId, services: ServicesDep, actor: Operator) -> None:
    async with services.database.connection() as connection:
        old = await geofences.get(connection, fence_id, for_update=True)
        if old is None:
            raise not_found("geofence", fence_id)
        await geofences.delete(connection, fence_id)
        await actor.record(connection, "geofence.delete", old["name"], id=fence_id)
    services.bus.publish(FleetChanged("geofences"))


async def _check_vehicles(connection: AsyncConnection[Any], vehicle_ids: list[int] | None) -> None:
    if vehicle_ids and (missing := await vehicles.missing(connection, vehicle_ids)):
        shown = ", ".join(map(str, missing[:10]))
        raise invalid("vehicle_ids", f"there is no vehicle {shown}")

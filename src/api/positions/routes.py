"""Newest positions and tracks. Rows go out as they come, without a model each: a page may hold ten thousand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Response

from api.deps import ServicesDep, Viewer
from api.fields import Id, PathId, TimeIn, iso
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.positions.schemas import Position, TrackPosition
from api.problems import ProblemError, not_found
from fleet import ITEM_COLUMNS
from store.queries import tracks, vehicles

router = APIRouter(tags=["positions"])

MAX_SPAN: Final = timedelta(days=31)
_COMMON: Final = (
    "vehicle_id", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg", "alarm_flags",
    "status_flags", "mileage_km",
)  # fmt: skip
_ITEMS: Final = tuple(name for name in ITEM_COLUMNS if name != "mileage_km")


def shape(row: dict[str, Any], *, late: bool) -> dict[str, Any]:
    return {
        "time": iso(row["time"]), "received_at": iso(row["received_at"]), "late": late,
        **{name: row[name] for name in _COMMON},
    }  # fmt: skip


@router.get("/positions/latest", response_model=Page[Position])
async def list_latest_positions(
    services: ServicesDep,
    actor: Viewer,
    vehicle_id: Annotated[list[Id] | None, Query(max_length=1000)] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """The newest position of every vehicle, or of those named."""
    (after_id,) = decode_cursor(cursor, int) or (0,)
    async with services.database.connection() as connection:
        rows = await tracks.latest(connection, after_id=after_id, limit=limit + 1, vehicle_ids=vehicle_id)
    items, following = cut(rows, limit, "vehicle_id")
    return _page([shape(row, late=False) for row in items], following)


@router.get("/vehicles/{vehicle_id}/track", response_model=Page[TrackPosition])
async def get_track(
    vehicle_id: PathId,
    services: ServicesDep,
    actor: Viewer,
    begin: Annotated[TimeIn, Query(alias="from", description="First device time, with its offset from UTC.")],
    end: Annotated[TimeIn, Query(alias="to", description="Last device time, itself included.")],
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: CursorText = None,
) -> Any:
    """Where a vehicle was, in order of device time, late reports in their place."""
    if begin >= end:
        raise _bad_span("from must be before to")
    if end - begin > MAX_SPAN:
        raise _bad_span(f"from and to are more than {MAX_SPAN.days} days apart")
    after = decode_cursor(cursor, datetime, int, int)
    async with services.database.connection() as connection:
        if not await vehicles.exists(connection, vehicle_id):
            raise not_found("vehicle", vehicle_id)
        rows = await tracks.track(connection, vehicle_id, begin, end, after=after, limit=limit + 1)
    items, following = cut(rows, limit, "time", "terminal_id", "fix_hash")
    return _page([_shape_track(row) for row in items], following)


def _shape_track(row: dict[str, Any]) -> dict[str, Any]:
    item = shape(row, late=row["late"])
    item["items"] = {name: row[name] for name in _ITEMS if row[name] is not None}
    return item


def _page(items: list[dict[str, Any]], following: str | None) -> Response:
    return Response(orjson.dumps({"items": items, "next": following}), media_type="application/json")


def _bad_span(message: str) -> ProblemError:
    return ProblemError(422, "validation", message, errors=[{"field": "from", "place": "query", "message": message}])

"""Superior platforms: where data goes, and how the links are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.deps import Admin, ServicesDep, Viewer
from api.fields import PathId
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.platforms.schemas import NewPlatform, Platform, PlatformChange
from api.problems import conflict, invalid, not_found
from api.services import Services
from fleet import FleetChanged
from store.queries import platforms

router = APIRouter(prefix="/platforms", tags=["platforms"])

_SECRETS = {"password", "m1", "ia1", "ic1"}
_NO_KEYS = invalid("encrypt", "needs the keys M1, IA1 and IC1 that were agreed with the platform")
_NO_LINK = {
    "main": "down", "sub": "down", "since": None, "detail": "", "sent_live": 0, "sent_history": 0, "backlog": 0,
    "cursor": None,
}  # fmt: skip


def _shape(rows: list[dict[str, Any]], services: Services) -> list[dict[str, Any]]:
    links: dict[int, Any] = {status["id"]: status for status in services.link_status()}
    return [row | {"link": _NO_LINK | dict(links.get(row["id"], {}))} for row in rows]


@router.get("", response_model=Page[Platform])
async def list_platforms(services: ServicesDep, actor: Viewer, limit: Limit = 100, cursor: CursorText = None) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    async with services.database.connection() as connection:
        rows = await platforms.page(connection, after_id=after_id, limit=limit + 1)
    items, following = cut(rows, limit, "id")
    return {"items": _shape(items, services), "next": following}


@router.post("", status_code=201, response_model=Platform)
async def create_platform(body: NewPlatform, services: ServicesDep, actor: Admin) -> Any:
    async with services.database.connection() as connection:
        platform_id = await platforms.insert(connection, body.model_dump())
        if platform_id is None:
            raise conflict("platform-exists", f"There is already a platform {body.name}.")
        if await platforms.lacks_keys(connection, platform_id):
            raise _NO_KEYS
        await actor.record(connection, "platform.create", body.name, **body.model_dump(exclude=_SECRETS))
        platform = await platforms.get(connection, platform_id)
    services.bus.publish(FleetChanged("platforms"))
    assert platform is not None
    return _shape([platform], services)[0]


@router.get("/{platform_id}", response_model=Platform)
async def get_platform(platform_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        platform = await platforms.get(connection, platform_id)
    if platform is None:
        raise not_found("platform", platform_id)
    return _shape([platform], services)[0]


@router.patch("/{platform_id}", response_model=Platform)
async def change_platform(platform_id: PathId, body: PlatformChange, services: ServicesDep, actor: Admin) -> Any:
    changes = body.model_dump(exclude_unset=True)
    async with services.database.connection() as connection:
        old = await platforms.get(connection, platform_id)
        if old is None:
            raise not_found("platform", platform_id)
        if not await platforms.update(connection, platform_id, changes):
            raise conflict("platform-exists", f"There is already a platform {body.name}.")
        if await platforms.lacks_keys(connection, platform_id):
            raise _NO_KEYS
        said = {name: "changed" if name in _SECRETS else value for name, value in changes.items()}
        await actor.record(connection, "platform.update", old["name"], **said)
        platform = await platforms.get(connection, platform_id)
    services.bus.publish(FleetChanged("platforms"))
    assert platform is not None
    return _shape([platform], services)[0]


@router.delete("/{platform_id}", status_code=204)
async def delete_platform(platform_id: PathId, services: ServicesDep, actor: Admin) -> None:
    """Stop forwarding to it and forget it, with how far it had our data."""
    async with services.database.connection() as connection:
        old = await platforms.get(connection, platform_id)
        if old is None:
            raise not_found("platform", platform_id)
        await platforms.delete(connection, platform_id)
        await actor.record(connection, "platform.delete", old["name"])
    services.bus.publish(FleetChanged("platforms"))

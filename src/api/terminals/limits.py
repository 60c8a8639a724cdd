"""How long terminals may be silent before their link is ended, by maker and model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.deps import Operator, ServicesDep, Viewer
from api.fields import PathId
from api.paging import Page
from api.problems import conflict, not_found
from api.terminals.schemas import LinkLimit, NewLinkLimit
from store.queries import link_limits

router = APIRouter(prefix="/limits")


@router.get("", response_model=Page[LinkLimit])
async def list_link_limits(services: ServicesDep, actor: Viewer) -> Any:
    """All of them, on one page."""
    async with services.database.connection() as connection:
        return {"items": await link_limits.all_limits(connection), "next": None}


@router.put("", response_model=LinkLimit)
async def put_link_limit(body: NewLinkLimit, services: ServicesDep, actor: Operator) -> Any:
    """Set the limit of a maker's model. The closest one holds for a terminal: its own, model and maker, model, maker,
    all; links that are open take it over."""
    async with services.database.connection() as connection:
        limit = await link_limits.put(connection, **body.model_dump())
        if limit is None:
            raise conflict("too-many-limits", f"There are {link_limits.MAX_LIMITS} limits already; delete some.")
        await actor.record(connection, "link_limit.put", _name(limit), **body.model_dump())
    return limit


@router.delete("/{limit_id}", status_code=204)
async def delete_link_limit(limit_id: PathId, services: ServicesDep, actor: Operator) -> None:
    async with services.database.connection() as connection:
        limit = await link_limits.delete(connection, limit_id)
        if limit is None:
            raise not_found("limit", limit_id)
        await actor.record(connection, "link_limit.delete", _name(limit), idle_s=limit["idle_s"])


def _name(limit: dict[str, Any]) -> str:
    return f"{limit['manufacturer_id'] or '*'}/{limit['terminal_model'] or '*'}"

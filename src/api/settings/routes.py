"""The public settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.deps import ServicesDep
from api.settings.schemas import PublicSettings

router = APIRouter(prefix="/settings", tags=["settings"])


@router.get("", response_model=PublicSettings)
async def get_settings(services: ServicesDep) -> Any:
    settings, source = services.settings, services.settings.map
    tiles = {
        "url": source.tiles_url, "kind": source.tiles_kind, "attribution": source.attribution, "datum": source.datum,
        "max_zoom": source.max_zoom,
    }  # fmt: skip
    return {
        "centre_name": settings.centre_name,
        "version": settings.version,
        "data_edition": settings.data_edition,
        "session_lifetime_s": settings.session_lifetime_s,
        "map": {"tiles": tiles if source.tiles_url else None, "center": source.center, "zoom": source.zoom},
    }

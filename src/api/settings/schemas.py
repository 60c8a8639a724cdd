"""The public settings on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class TileSource(BaseModel):
    """Tiles from elsewhere. ``datum`` says in which coordinates the source draws (gcj02: mainland map providers)."""

    url: str
    kind: Literal["raster", "vector"]
    attribution: str
    datum: Literal["wgs84", "gcj02"]
    max_zoom: int


class MapDefaults(BaseModel):
    """``tiles`` null: the base map that comes with the console. ``center`` is [latitude, longitude]."""

    tiles: TileSource | None
    center: tuple[float, float]
    zoom: float


class PublicSettings(BaseModel):
    """What the console needs before anybody signed in; nothing secret."""

    centre_name: str
    version: str
    data_edition: str
    session_lifetime_s: float
    map: MapDefaults

"""Fences on the wire. Coordinates are WGS-84 degrees, [latitude, longitude]."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, model_validator
from shapely import Polygon
from shapely.validation import explain_validity

from api.fields import Body, Id, Name, left_out

MAX_CORNERS: Final = 1000
MAX_RADIUS_M: Final = 1_000_000.0

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Point = tuple[Latitude, Longitude]
Shape = Literal["polygon", "circle"]
Trigger = Literal["enter", "leave", "both"]


class Geofence(BaseModel):
    """A fence (电子围栏): polygon of ``points`` or circle around ``center``. ``vehicle_ids`` null: every vehicle."""

    id: int
    name: str
    shape: Shape
    trigger: Trigger
    points: list[Point]
    center: Point | None
    radius_m: float | None
    vehicle_ids: list[int] | None
    enabled: bool


class NewGeofence(Body):
    """A polygon has three or more corners, not closed, and does not cross itself; a circle has center and radius_m."""

    name: Name
    shape: Shape
    trigger: Trigger = "both"
    points: Annotated[list[Point], Field(max_length=MAX_CORNERS, default_factory=list)]
    center: Point | None = None
    radius_m: Annotated[float, Field(gt=0, le=MAX_RADIUS_M)] | None = None
    vehicle_ids: Annotated[list[Id], Field(max_length=100_000)] | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _sound(self) -> NewGeofence:
        if self.shape == "circle":
            if self.center is None or self.radius_m is None:
                raise ValueError("a circle needs center and radius_m")
            if self.points:
                raise ValueError("a circle has no points")
            return self
        if self.center is not None or self.radius_m is not None:
            raise ValueError("a polygon has no center and no radius_m")
        if len(self.points) > 3 and self.points[0] == self.points[-1]:
            self.points = self.points[:-1]  # drawn closed; kept open
        if len(set(self.points)) < 3:
            raise ValueError(f"points: a polygon needs 3 or more different corners, not {len(set(self.points))}")
        polygon = Polygon([(longitude, latitude) for latitude, longitude in self.points])
        if not polygon.is_valid:
            raise ValueError(f"points: the polygon crosses itself ({explain_validity(polygon)}, longitude latitude)")
        if polygon.area == 0:
            raise ValueError("points: all corners lie on one line")
        return self


class GeofenceChange(Body):
    """What is left out stays; the whole is then checked as a new fence would be."""

    name: Name = left_out()
    shape: Shape = left_out()
    trigger: Trigger = left_out()
    points: list[Point] = left_out()
    center: Point | None = None
    radius_m: float | None = None
    vehicle_ids: list[Id] | None = None
    enabled: bool = left_out()

    def over(self, old: dict[str, Any]) -> dict[str, Any]:
        """The fence as it would be."""
        changes = self.model_dump(exclude_unset=True)
        if changes.get("shape", old["shape"]) != old["shape"]:
            old = old | {"points": [], "center": None, "radius_m": None}
        return {name: value for name, value in old.items() if name in NewGeofence.model_fields} | changes

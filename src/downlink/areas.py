"""Regions and routes that a terminal watches by itself: set, deleted, asked for."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from downlink.payload import Byte, CommandError, DWord, Latitude, Longitude, Moment, Payload, Word, gbk
from jt808.fields import CHINA_TIME
from jt808.header import Edition
from jt808.messages import (
    AreaAction,
    AreaKind,
    AreasQuery,
    CircleArea,
    DeleteCircles,
    DeletePolygons,
    DeleteRectangles,
    DeleteRoutes,
    Message,
    RectangleArea,
    RoutePoint,
    SetCircles,
    SetPolygon,
    SetRectangles,
    SetRoute,
    Vertex,
)
from jt808.messages.regions import HAS_SPEED, HAS_TIMES

MAX_POINTS: Final = 1000
MAX_IDS: Final = 125
_ACTIONS: Final = {"replace": AreaAction.REPLACE, "append": AreaAction.APPEND, "modify": AreaAction.MODIFY}
_ALERT_BITS: Final = {"enter_driver": 2, "enter_platform": 3, "leave_driver": 4, "leave_platform": 5}
_SHAPES: Final = {
    "circle": AreaKind.CIRCLE, "rectangle": AreaKind.RECTANGLE, "polygon": AreaKind.POLYGON, "route": AreaKind.ROUTE,
}  # fmt: skip
_DELETIONS: Final[dict[str, Any]] = {
    "circle": DeleteCircles, "rectangle": DeleteRectangles, "polygon": DeletePolygons, "route": DeleteRoutes,
}  # fmt: skip

Shape = Literal["circle", "rectangle", "polygon", "route"]
Alert = Literal["enter_driver", "enter_platform", "leave_driver", "leave_platform"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$")]


class _Geometry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Circle(_Geometry):
    """A round region (圆形区域)."""

    shape: Literal["circle"]
    latitude_deg: Latitude
    longitude_deg: Longitude
    radius_m: Annotated[int, Field(ge=1, le=1_000_000)]


class Rectangle(_Geometry):
    """A rectangular region (矩形区域) from its top left to its bottom right."""

    shape: Literal["rectangle"]
    top_latitude_deg: Latitude
    left_longitude_deg: Longitude
    bottom_latitude_deg: Latitude
    right_longitude_deg: Longitude

    @model_validator(mode="after")
    def _sound(self) -> Rectangle:
        if self.bottom_latitude_deg >= self.top_latitude_deg or self.right_longitude_deg <= self.left_longitude_deg:
            raise ValueError("bottom must lie below top, right must lie right of left")
        return self


class Polygon(_Geometry):
    """A polygon (多边形区域): corners [latitude, longitude], not closed."""

    shape: Literal["polygon"]
    points: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=3, max_length=MAX_POINTS)
    ]

    @model_validator(mode="after")
    def _on_earth(self) -> Polygon:
        for latitude, longitude in self.points:
            if abs(latitude) > 90 or abs(longitude) > 180:
                raise ValueError(f"points: {latitude}, {longitude} is not on Earth")
        return self


class Turn(_Geometry):
    """A turn of a route (拐点) and the segment (路段) from it to the next."""

    latitude_deg: Latitude
    longitude_deg: Longitude
    width_m: Byte = 50
    max_time_s: Word | None = None
    min_time_s: Word | None = None
    max_speed_kmh: Annotated[int, Field(ge=1, le=255)] | None = None
    overspeed_duration_s: Byte | None = None


class Route(_Geometry):
    """A route (路线) by its turns."""

    shape: Literal["route"]
    points: Annotated[list[Turn], Field(min_length=2, max_length=500)]


Geometry = Annotated[Circle | Rectangle | Polygon | Route, Field(discriminator="shape")]


class AreaSet(Payload):
    """Set a region or a route (设置区域、路线, 0x8600, 0x8602, 0x8604, 0x8606): a stored fence's, or ``area``.

    ``area_id`` is the terminal's number for it, with a fence its id unless another is given. ``replace`` takes all
    others of its shape away. It holds always, or from ``begin`` to ``end``, or daily (GMT+8). ``alerts``: whom it
    alarms; with a fence as its trigger says, unless given. Night speed since 2019.
    """

    kind: Literal["area_set"]
    geofence_id: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    area: Geometry | None = None
    area_id: DWord | None = None
    action: Literal["replace", "append", "modify"] = "append"
    alerts: list[Alert] | None = None
    begin: Moment | None = None
    end: Moment | None = None
    daily_begin: TimeOfDay | None = None
    daily_end: TimeOfDay | None = None
    max_speed_kmh: Annotated[int, Field(ge=1, le=255)] | None = None
    overspeed_duration_s: Byte | None = None
    night_max_speed_kmh: Annotated[int, Field(ge=1, le=255)] | None = None
    name: Annotated[str, gbk(100)] | None = None

    @model_validator(mode="after")
    def _sound(self) -> AreaSet:
        if self.area is None and self.geofence_id is None:
            raise ValueError("geofence_id or area is needed")
        if self.area is not None and self.area_id is None:
            raise ValueError("area_id is needed with an area")
        if (self.begin is None) != (self.end is None) or (self.daily_begin is None) != (self.daily_end is None):
            raise ValueError("begin and end belong together, daily_begin and daily_end too")
        if self.begin is not None and self.daily_begin is not None:
            raise ValueError("begin and end, or daily_begin and daily_end")
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise ValueError("end must be after begin")
        if self.max_speed_kmh is None and (self.overspeed_duration_s or self.night_max_speed_kmh):
            raise ValueError("max_speed_kmh is needed with overspeed_duration_s or night_max_speed_kmh")
        if isinstance(self.area, Route) and self.max_speed_kmh is not None:
            raise ValueError("max_speed_kmh: a route has limits at its points")
        return self

    def message(self, edition: Edition) -> Message:
        if self.area is None or self.area_id is None:
            raise CommandError("area: the fence was not looked up")
        if self.night_max_speed_kmh is not None and edition != Edition.V2019:
            raise CommandError(f"night_max_speed_kmh: JT/T 808-{edition} has none")
        action = _ACTIONS[self.action]
        common = self._common()
        match self.area:
            case Circle() as area:
                where = (area.latitude_deg, area.longitude_deg, area.radius_m)
                return SetCircles(action, (CircleArea(self.area_id, self._attributes(), *where, **common),))
            case Rectangle() as area:
                corners = (area.top_latitude_deg, area.left_longitude_deg, area.bottom_latitude_deg,
                           area.right_longitude_deg)  # fmt: skip
                return SetRectangles(action, (RectangleArea(self.area_id, self._attributes(), *corners, **common),))
            case Polygon() as area:
                vertices = tuple(Vertex(latitude, longitude) for latitude, longitude in area.points)
                return SetPolygon(self.area_id, self._attributes(), vertices, **common)
            case Route() as area:
                points = tuple(_turn(number, point, edition) for number, point in enumerate(area.points, 1))
                times = {name: common[name] for name in ("start_time", "end_time", "name")}
                return SetRoute(self.area_id, self._attributes(), points, **times)

    def _attributes(self) -> int:
        bits = (self.begin is not None or self.daily_begin is not None) * HAS_TIMES
        bits |= (self.max_speed_kmh is not None) * HAS_SPEED
        for alert in self.alerts if self.alerts is not None else list(_ALERT_BITS):
            bits |= 1 << _ALERT_BITS[alert]
        return bits

    def _common(self) -> dict[str, Any]:
        begin: datetime | time | None = self.begin
        end: datetime | time | None = self.end
        if self.daily_begin is not None and self.daily_end is not None:
            begin, end = (
                time.fromisoformat(text).replace(tzinfo=CHINA_TIME) for text in (self.daily_begin, self.daily_end)
            )
        found: dict[str, Any] = {"start_time": begin, "end_time": end, "name": self.name or ""}
        if self.max_speed_kmh is not None:
            found["max_speed_kmh"] = self.max_speed_kmh
            found["overspeed_duration_s"] = self.overspeed_duration_s or 0
            found["night_max_speed_kmh"] = self.night_max_speed_kmh or self.max_speed_kmh
        return found


def _turn(number: int, point: Turn, edition: Edition) -> RoutePoint:
    has_times = point.max_time_s is not None or point.min_time_s is not None
    has_speed = point.max_speed_kmh is not None
    return RoutePoint(
        number,
        number,
        point.latitude_deg,
        point.longitude_deg,
        point.width_m,
        has_times * HAS_TIMES | has_speed * HAS_SPEED,
        (point.max_time_s or 0xFFFF) if has_times else None,
        (point.min_time_s or 0) if has_times and edition != Edition.V2011 else None,
        point.max_speed_kmh,
        (point.overspeed_duration_s or 0) if has_speed else None,
        point.max_speed_kmh if edition == Edition.V2019 else None,
    )


class AreaDelete(Payload):
    """Delete regions or routes (删除区域、路线, 0x8601, 0x8603, 0x8605, 0x8607); without ids all of that shape."""

    kind: Literal["area_delete"]
    shape: Shape
    area_ids: Annotated[list[DWord], Field(max_length=MAX_IDS, default_factory=list)]

    def message(self, edition: Edition) -> Message:
        message: Message = _DELETIONS[self.shape](tuple(self.area_ids))
        return message


class AreaAsk(Payload):
    """Ask for the regions or routes it holds (查询区域或线路数据, 0x8608), since 2019; without ids all."""

    kind: Literal["area_query"]
    shape: Shape
    area_ids: Annotated[list[DWord], Field(max_length=MAX_IDS, default_factory=list)]

    def message(self, edition: Edition) -> Message:
        return AreasQuery(_SHAPES[self.shape], tuple(self.area_ids))

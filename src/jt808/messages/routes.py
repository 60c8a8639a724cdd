"""Routes (路线), and asking for the regions and routes that a terminal holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

from construct import Byte, Computed, Construct, ConstructError, Int16ub, Int32ub, Rebuild, Struct, ValidationError

from jt808.fields import Label, TextWordLength, bits
from jt808.header import Edition
from jt808.layouts import Counted, Record, end_of, read_values
from jt808.messages.regions import (
    CIRCLES,
    HAS_SPEED,
    HAS_TIMES,
    POLYGONS,
    RECTANGLES,
    AreaTime,
    CircleArea,
    RectangleArea,
    SetCircles,
    SetPolygon,
    SetRectangles,
    circle,
    if_bit,
    rectangle,
    times,
)
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_fit, listed, with_signs

SOUTH_BIT: Final = 2
WEST_BIT: Final = 3
"""Of a segment's attributes; those of areas and routes have them elsewhere, or not."""

_ROUTE_ATTRIBUTES: Final = bits(
    "attribute_names",
    {
        0: ("has_times", "启用起始时间与结束时间"),
        2: ("enter_alarms_driver", "进路线报警给驾驶员"),
        3: ("enter_alarms_platform", "进路线报警给平台"),
        4: ("leave_alarms_driver", "出路线报警给驾驶员"),
        5: ("leave_alarms_platform", "出路线报警给平台"),
    },
    16,
)
"""As those of areas, but for limits, hemispheres and doors: these bits are reserved here."""


@dataclass(frozen=True, slots=True)
class RoutePoint:
    """A turn of a route (拐点), and the segment (路段) from it to the next.

    ``point_id`` is None in 2011. Times stand there by bit 0 of the segment's ``attributes``: the longest to drive along
    it and, since 2013, the shortest; 2011 has one time, here ``max_time_s``. Speeds by bit 1, that at night since 2019.
    """

    point_id: Annotated[int | None, Label("拐点ID")]
    segment_id: Annotated[int, Label("路段ID")]
    latitude_deg: Annotated[float, Label("拐点纬度", "°")]
    longitude_deg: Annotated[float, Label("拐点经度", "°")]
    width_m: Annotated[int, Label("路段宽度", "m")]
    attributes: Annotated[int, Label("路段属性", bits=bits("attribute_names", {
        0: ("has_times", "行驶时间"), 1: ("has_speed_limit", "限速"),
        SOUTH_BIT: ("south", "南纬"), WEST_BIT: ("west", "西经"),
    }, 8))]  # fmt: skip
    max_time_s: Annotated[int | None, Label("路段行驶过长阈值", "s")] = None
    min_time_s: Annotated[int | None, Label("路段行驶不足阈值", "s")] = None
    max_speed_kmh: Annotated[int | None, Label("路段最高速度", "km/h")] = None
    overspeed_duration_s: Annotated[int | None, Label("路段超速持续时间", "s")] = None
    night_max_speed_kmh: Annotated[int | None, Label("路段夜间最高速度", "km/h")] = None


@dataclass(frozen=True, slots=True)
class SetRoute(Message):
    """Set a route (设置路线). ``name`` since 2019; ``total`` counts points, 2011 only, None when all are here."""

    route_id: Annotated[int, Label("路线ID")]
    attributes: Annotated[int, Label("路线属性", bits=_ROUTE_ATTRIBUTES)]
    points: Annotated[tuple[RoutePoint, ...], Label("拐点项")]
    start_time: Annotated[AreaTime | None, Label("起始时间")] = None
    end_time: Annotated[AreaTime | None, Label("结束时间")] = None
    name: Annotated[str, Label("路线名称")] = ""
    total: Annotated[int | None, Label("路线总拐点数")] = None


@dataclass(frozen=True, slots=True)
class DeleteRoutes(Message):
    """Delete routes (删除路线): at most 125; none named deletes all."""

    route_ids: Annotated[tuple[int, ...], Label("路线ID")]


class AreaKind(IntEnum):
    """Kinds of regions (查询类型)."""

    CIRCLE = 1  # 圆形区域
    RECTANGLE = 2  # 矩形区域
    POLYGON = 3  # 多边形区域
    ROUTE = 4  # 线路


@dataclass(frozen=True, slots=True)
class AreasQuery(Message):
    """Ask for the regions or routes a terminal holds (查询区域或线路数据), since 2019; no id asks for all."""

    kind: Annotated[int, Label("查询类型", values=AreaKind)]
    area_ids: Annotated[tuple[int, ...], Label("区域或线路ID")]


AreaData = SetCircles | SetRectangles | SetPolygon | SetRoute | CircleArea | RectangleArea


@dataclass(frozen=True, slots=True)
class AreasResponse(Message):
    """The regions or routes a terminal holds (查询区域或线路数据应答), since 2019.

    The standard does not say whether circles and rectangles come with the action and the count of the message that
    sets them. ``data`` holds those messages where they do (so do the implementations known to us), bare areas where
    not.
    """

    kind: Annotated[int, Label("查询类型", values=AreaKind)]
    data: Annotated[tuple[AreaData, ...], Label("数据")]


class _PointDegrees(Construct):  # type: ignore[misc]
    """DWORD, × 10⁻⁶, the sign in the attributes. Those stand ``ahead`` bytes behind it."""

    def __init__(self, negative_bit: int, ahead: int) -> None:
        super().__init__()
        self.mask = 1 << negative_bit
        self.ahead = ahead

    def _parse(self, stream: Any, context: Any, path: str) -> float:
        here = stream.tell()
        stream.seek(here + 4 + self.ahead)
        attributes = int.from_bytes(stream.read(1), "big")
        stream.seek(here)
        magnitude: int = Int32ub._parsereport(stream, context, path)
        return (-magnitude if attributes & self.mask else magnitude) / 1_000_000

    def _build(self, obj: float, stream: Any, context: Any, path: str) -> Any:
        Int32ub._build(round(abs(obj) * 1_000_000), stream, context, path)
        return obj


def _point_attributes(context: Any) -> int:
    return with_signs(context["attributes"], SOUTH_BIT, [context["latitude_deg"]], [context["longitude_deg"]])


def _point(edition: Edition) -> Record:
    is_2011, is_2019 = edition == Edition.V2011, edition == Edition.V2019
    return Record(
        RoutePoint,
        Struct(
            "point_id" / (Computed(None) if is_2011 else Int32ub),
            "segment_id" / Int32ub,
            "latitude_deg" / _PointDegrees(SOUTH_BIT, 5),
            "longitude_deg" / _PointDegrees(WEST_BIT, 1),
            "width_m" / Byte,
            "attributes" / Rebuild(Byte, _point_attributes),
            "max_time_s" / if_bit(HAS_TIMES, Int16ub),
            *(() if is_2011 else ("min_time_s" / if_bit(HAS_TIMES, Int16ub),)),
            "max_speed_kmh" / if_bit(HAS_SPEED, Int16ub),
            "overspeed_duration_s" / if_bit(HAS_SPEED, Byte),
            *(("night_max_speed_kmh" / if_bit(HAS_SPEED, Int16ub),) if is_2019 else ()),
        ),
    )


def _route(edition: Edition) -> Struct:
    return Struct(
        "route_id" / Int32ub,
        "attributes" / Int16ub,
        *times(),
        *listed("points", _point(edition), edition, Int16ub),
        *(("name" / TextWordLength,) if edition == Edition.V2019 else ()),
    )


_ROUTES: Final = {edition: _route(edition) for edition in Edition}
_MESSAGES: Final = {
    AreaKind.CIRCLE: Record(SetCircles, CIRCLES[Edition.V2019]),
    AreaKind.RECTANGLE: Record(SetRectangles, RECTANGLES[Edition.V2019]),
    AreaKind.POLYGON: Record(SetPolygon, POLYGONS[Edition.V2019]),
    AreaKind.ROUTE: Record(SetRoute, _ROUTES[Edition.V2019]),
}
_BARE: Final = {AreaKind.CIRCLE: circle(Edition.V2019), AreaKind.RECTANGLE: rectangle(Edition.V2019)}


_LEAST_BYTES: Final = 2
"""Of a datum: the action and the count of a message without areas."""


class _AreaData(Construct):  # type: ignore[misc]
    """As many as the count says: whole messages that set them, or bare areas where only they end with the body."""

    def __init__(self) -> None:
        super().__init__()
        self.layouts = {("whole", kind): form for kind, form in _MESSAGES.items()}
        self.layouts |= {("bare", kind): form for kind, form in _BARE.items()}

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[AreaData, ...]:
        kind = context["kind"]
        if kind not in _MESSAGES:
            raise ValidationError(f"there is no kind {kind}", path=path)
        if context["count"] * _LEAST_BYTES > end_of(stream) - stream.tell():
            raise ValidationError(f"{context['count']} data are more than there can be", path=path)
        item = _MESSAGES[kind]
        if kind in _BARE and not self._ends(item, stream, context):
            item = _BARE[kind]
            if not self._ends(item, stream, context):
                raise ValidationError("neither messages nor bare areas end where the body does", path=path)
        return tuple(item._parse(stream, context, path) for _ in range(context["count"]))

    @staticmethod
    def _ends(item: Record, stream: Any, context: Any) -> bool:
        """Whether the data read this way end with the body; the position stays."""
        here = stream.tell()
        try:
            for _ in range(context["count"]):
                read_values(item.layout, stream, context)
        except ConstructError:
            return False
        else:
            return not stream.read(1)
        finally:
            stream.seek(here)

    def _build(self, obj: tuple[AreaData, ...], stream: Any, context: Any, path: str) -> Any:
        kind = context["kind"]
        is_bare = bool(obj) and isinstance(obj[0], CircleArea | RectangleArea)
        item = (_BARE if is_bare else _MESSAGES).get(kind)
        if item is None:
            raise ValidationError(f"there is no kind {kind}", path=path)
        for entry in obj:
            item._build(entry, stream, context, path)
        return obj


register(
    0x8606,
    SetRoute,
    _ROUTES,
    name="set route",
    chinese="设置路线",
    clause="JT/T 808-2013 §8.41, -2019 §8.38",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_ROUTES),
)
register(
    0x8607,
    DeleteRoutes,
    Struct("route_ids" / Counted(Byte, Int32ub)),
    name="delete routes",
    chinese="删除路线",
    clause="JT/T 808-2013 §8.42, -2019 §8.39",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8608,
    AreasQuery,
    Struct("kind" / Byte, "area_ids" / Counted(Int32ub, Int32ub)),
    name="areas query",
    chinese="查询区域或线路数据",
    clause="JT/T 808-2019 §8.40",
    direction=Direction.DOWNLINK,
    answer_id=0x0608,
    editions=(Edition.V2019,),
)
register(
    0x0608,
    AreasResponse,
    Struct(
        "kind" / Byte,
        "count" / Rebuild(Int32ub, lambda context: len(context["data"])),
        "data" / _AreaData(),
    ),
    name="areas response",
    chinese="查询区域或线路数据应答",
    clause="JT/T 808-2019 §8.41",
    direction=Direction.UPLINK,
    answer_id=None,
    editions=(Edition.V2019,),
)

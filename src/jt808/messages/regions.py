"""Regions (区域): circles, rectangles, polygons, that a terminal watches by itself, and deleting them.

A region's times, limits and name stand in it only where its attributes (区域属性) ask for them. The signs of its
coordinates rule when writing: the hemisphere bits of the attributes follow them, and a region lies in one hemisphere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from typing import Annotated, Any, Final

from construct import Adapter, Byte, Bytes, Construct, Int16ub, Int32ub, Rebuild, Struct, ValidationError

from jt808.fields import CHINA_TIME, Label, TextWordLength, bits, decode_bcd_time, encode_bcd_time
from jt808.header import Edition
from jt808.layouts import Counted, Record
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import Degrees, When, by_fit, listed, with_signs

HAS_TIMES: Final = 1 << 0
HAS_SPEED: Final = 1 << 1
SOUTH_BIT: Final = 6
WEST_BIT: Final = 7

AREA_ATTRIBUTES: Final = bits(
    "attribute_names",
    {
        0: ("has_times", "启用起始时间与结束时间"),
        1: ("has_speed_limit", "启用最高速度、超速持续时间和夜间最高速度"),
        2: ("enter_alarms_driver", "进区域报警给驾驶员"),
        3: ("enter_alarms_platform", "进区域报警给平台"),
        4: ("leave_alarms_driver", "出区域报警给驾驶员"),
        5: ("leave_alarms_platform", "出区域报警给平台"),
        SOUTH_BIT: ("south", "南纬"),
        WEST_BIT: ("west", "西经"),
        8: ("doors_forbidden", "禁止开门"),  # since 2013, as all that follow
        14: ("radio_off_inside", "进区域关闭通信模块"),
        15: ("collects_gnss_inside", "进区域采集GNSS详细定位数据"),
    },
    16,
)


class AreaAction(IntEnum):
    """What to do with the areas (设置属性). An area of the same kind and id is overwritten anyhow."""

    REPLACE = 0  # 更新区域
    APPEND = 1  # 追加区域
    MODIFY = 2  # 修改区域


AreaTime = datetime | time | bytes
"""When an area begins or ends to hold: aware UTC; a time of day in GMT+8 when the date on the wire is zero, which means
every day; the six bytes when they are neither."""


@dataclass(frozen=True, slots=True)
class CircleArea:
    """A round region (圆形区域). ``max_speed_kmh``, ``overspeed_duration_s`` and, since 2019, ``night_max_speed_kmh``
    with attribute bit 1 only, times with bit 0 only; otherwise None. ``name`` since 2019."""

    area_id: Annotated[int, Label("区域ID")]
    attributes: Annotated[int, Label("区域属性", bits=AREA_ATTRIBUTES)]
    latitude_deg: Annotated[float, Label("中心点纬度", "°")]
    longitude_deg: Annotated[float, Label("中心点经度", "°")]
    radius_m: Annotated[int, Label("半径", "m")]
    start_time: Annotated[AreaTime | None, Label("起始时间")] = None
    end_time: Annotated[AreaTime | None, Label("结束时间")] = None
    max_speed_kmh: Annotated[int | None, Label("最高速度", "km/h")] = None
    overspeed_duration_s: Annotated[int | None, Label("超速持续时间", "s")] = None
    night_max_speed_kmh: Annotated[int | None, Label("夜间最高速度", "km/h")] = None
    name: Annotated[str, Label("区域名称")] = ""


@dataclass(frozen=True, slots=True)
class RectangleArea:
    """A rectangular region (矩形区域) from its top left to its bottom right; the rest as in :class:`CircleArea`."""

    area_id: Annotated[int, Label("区域ID")]
    attributes: Annotated[int, Label("区域属性", bits=AREA_ATTRIBUTES)]
    top_latitude_deg: Annotated[float, Label("左上点纬度", "°")]
    left_longitude_deg: Annotated[float, Label("左上点经度", "°")]
    bottom_latitude_deg: Annotated[float, Label("右下点纬度", "°")]
    right_longitude_deg: Annotated[float, Label("右下点经度", "°")]
    start_time: Annotated[AreaTime | None, Label("起始时间")] = None
    end_time: Annotated[AreaTime | None, Label("结束时间")] = None
    max_speed_kmh: Annotated[int | None, Label("最高速度", "km/h")] = None
    overspeed_duration_s: Annotated[int | None, Label("超速持续时间", "s")] = None
    night_max_speed_kmh: Annotated[int | None, Label("夜间最高速度", "km/h")] = None
    name: Annotated[str, Label("区域名称")] = ""


@dataclass(frozen=True, slots=True)
class SetCircles(Message):
    """Set round regions (设置圆形区域). ``total``: 2011 only, how many there are in all where they are not all here."""

    action: Annotated[int, Label("设置属性", values=AreaAction)]
    areas: Annotated[tuple[CircleArea, ...], Label("区域项")]
    total: Annotated[int | None, Label("区域总数")] = None


@dataclass(frozen=True, slots=True)
class SetRectangles(Message):
    """Set rectangular regions (设置矩形区域). ``total`` as in :class:`SetCircles`."""

    action: Annotated[int, Label("设置属性", values=AreaAction)]
    areas: Annotated[tuple[RectangleArea, ...], Label("区域项")]
    total: Annotated[int | None, Label("区域总数")] = None


@dataclass(frozen=True, slots=True)
class Vertex:
    """A corner of a polygon (顶点)."""

    latitude_deg: Annotated[float, Label("顶点纬度", "°")]
    longitude_deg: Annotated[float, Label("顶点经度", "°")]


@dataclass(frozen=True, slots=True)
class SetPolygon(Message):
    """Set one polygon (设置多边形区域). ``total`` counts vertices, as in :class:`SetCircles`."""

    area_id: Annotated[int, Label("区域ID")]
    attributes: Annotated[int, Label("区域属性", bits=AREA_ATTRIBUTES)]
    vertices: Annotated[tuple[Vertex, ...], Label("顶点项")]
    start_time: Annotated[AreaTime | None, Label("起始时间")] = None
    end_time: Annotated[AreaTime | None, Label("结束时间")] = None
    max_speed_kmh: Annotated[int | None, Label("最高速度", "km/h")] = None
    overspeed_duration_s: Annotated[int | None, Label("超速持续时间", "s")] = None
    night_max_speed_kmh: Annotated[int | None, Label("夜间最高速度", "km/h")] = None
    name: Annotated[str, Label("区域名称")] = ""
    total: Annotated[int | None, Label("区域总顶点数")] = None


@dataclass(frozen=True, slots=True)
class DeleteCircles(Message):
    """Delete round regions (删除圆形区域): at most 125; none named deletes all."""

    area_ids: Annotated[tuple[int, ...], Label("区域ID")]


@dataclass(frozen=True, slots=True)
class DeleteRectangles(Message):
    """Delete rectangular regions (删除矩形区域): at most 125; none named deletes all."""

    area_ids: Annotated[tuple[int, ...], Label("区域ID")]


@dataclass(frozen=True, slots=True)
class DeletePolygons(Message):
    """Delete polygons (删除多边形区域): at most 125; none named deletes all."""

    area_ids: Annotated[tuple[int, ...], Label("区域ID")]


class _AreaTime(Adapter):  # type: ignore[misc]
    """BCD time, or a time of each day where the date is zero. <-> :data:`AreaTime`"""

    def _decode(self, obj: bytes, context: Any, path: str) -> AreaTime:
        if found := decode_bcd_time(obj):
            return found
        digits = obj.hex()
        if digits.startswith("000000") and digits.isdecimal():
            hour, minute, second = int(digits[6:8]), int(digits[8:10]), int(digits[10:])
            if hour < 24 and minute < 60 and second < 60:
                return time(hour, minute, second, tzinfo=CHINA_TIME)
        return obj

    def _encode(self, obj: AreaTime, context: Any, path: str) -> bytes:
        if isinstance(obj, bytes):
            return obj
        if not isinstance(obj, datetime | time):
            raise ValidationError(f"{obj!r} is no time", path=path)
        if isinstance(obj, time):
            return bytes(3) + bytes.fromhex(f"{obj:%H%M%S}")
        try:
            return encode_bcd_time(obj)
        except ValueError as error:
            raise ValidationError(str(error), path=path) from error


def if_bit(mask: int, subcon: Construct) -> Construct:
    """A field that is there when the ``attributes`` have the bit."""
    return When(lambda context: bool(context["attributes"] & mask), subcon)


def times() -> tuple[Construct, ...]:
    """Start and end, by attribute bit 0."""
    return ("start_time" / if_bit(HAS_TIMES, _AreaTime(Bytes(6))), "end_time" / if_bit(HAS_TIMES, _AreaTime(Bytes(6))))


def night_and_name(edition: Edition) -> tuple[Construct, ...]:
    """What 2019 added at the end of an area."""
    if edition != Edition.V2019:
        return ()
    return ("night_max_speed_kmh" / if_bit(HAS_SPEED, Int16ub), "name" / TextWordLength)


_SPEED: Final = (
    "max_speed_kmh" / if_bit(HAS_SPEED, Int16ub),
    "overspeed_duration_s" / if_bit(HAS_SPEED, Byte),
)


def _area_head(*coordinates: str) -> tuple[Construct, ...]:
    """Id, attributes, coordinates (latitude and longitude in turn)."""

    def attributes(context: Any) -> int:
        signed = [context[name] for name in coordinates]
        return with_signs(context["attributes"], SOUTH_BIT, signed[::2], signed[1::2])

    own: Callable[[Any], int] = lambda context: context["attributes"]  # noqa: E731
    return (
        "area_id" / Int32ub,
        "attributes" / Rebuild(Int16ub, attributes),
        *(name / Degrees(WEST_BIT if at % 2 else SOUTH_BIT, own) for at, name in enumerate(coordinates)),
    )


def _polygon_attributes(context: Any) -> int:
    vertices = context["vertices"]
    latitudes = (vertex.latitude_deg for vertex in vertices)
    return with_signs(context["attributes"], SOUTH_BIT, latitudes, (vertex.longitude_deg for vertex in vertices))


def _of_polygon(context: Any) -> int:
    attributes: int = context._["attributes"]
    return attributes


_VERTEX: Final = Record(
    Vertex,
    Struct("latitude_deg" / Degrees(SOUTH_BIT, _of_polygon), "longitude_deg" / Degrees(WEST_BIT, _of_polygon)),
)


def circle(edition: Edition) -> Record:
    """One round region as the edition has it."""
    head = _area_head("latitude_deg", "longitude_deg")
    return Record(CircleArea, Struct(*head, "radius_m" / Int32ub, *times(), *_SPEED, *night_and_name(edition)))


def rectangle(edition: Edition) -> Record:
    """One rectangular region as the edition has it."""
    head = _area_head("top_latitude_deg", "left_longitude_deg", "bottom_latitude_deg", "right_longitude_deg")
    return Record(RectangleArea, Struct(*head, *times(), *_SPEED, *night_and_name(edition)))


def _polygon(edition: Edition) -> Struct:
    return Struct(
        "area_id" / Int32ub,
        "attributes" / Rebuild(Int16ub, _polygon_attributes),
        *times(),
        *_SPEED,
        *listed("vertices", _VERTEX, edition, Int16ub),
        *night_and_name(edition),
    )


CIRCLES: Final = {e: Struct("action" / Byte, *listed("areas", circle(e), e)) for e in Edition}
RECTANGLES: Final = {e: Struct("action" / Byte, *listed("areas", rectangle(e), e)) for e in Edition}
POLYGONS: Final = {edition: _polygon(edition) for edition in Edition}
_IDS: Final = Struct("area_ids" / Counted(Byte, Int32ub))

register(
    0x8600,
    SetCircles,
    CIRCLES,
    name="set circles",
    chinese="设置圆形区域",
    clause="JT/T 808-2013 §8.35, -2019 §8.32",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(CIRCLES),
)
register(
    0x8601,
    DeleteCircles,
    _IDS,
    name="delete circles",
    chinese="删除圆形区域",
    clause="JT/T 808-2013 §8.36, -2019 §8.33",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8602,
    SetRectangles,
    RECTANGLES,
    name="set rectangles",
    chinese="设置矩形区域",
    clause="JT/T 808-2013 §8.37, -2019 §8.34",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(RECTANGLES),
)
register(
    0x8603,
    DeleteRectangles,
    _IDS,
    name="delete rectangles",
    chinese="删除矩形区域",
    clause="JT/T 808-2013 §8.38, -2019 §8.35",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8604,
    SetPolygon,
    POLYGONS,
    name="set polygon",
    chinese="设置多边形区域",
    clause="JT/T 808-2013 §8.39, -2019 §8.36",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(POLYGONS),
)
register(
    0x8605,
    DeletePolygons,
    _IDS,
    name="delete polygons",
    chinese="删除多边形区域",
    clause="JT/T 808-2013 §8.40, -2019 §8.37",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

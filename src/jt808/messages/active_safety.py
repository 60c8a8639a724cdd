"""Active-safety alarms of Su-biao (苏标): what the additional items 0x64 to 0x67 of a location report say.

Source: T/JSATL 12-2017 §4.4. In the form of Yue-biao (粤标, T/GDRTA 002-2020) the alarm identifier is 40 bytes instead
of 16, and the item that much longer; that is how it is told. Items of other lengths are some maker's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from construct import Adapter, Byte, Bytes, Construct, Int16ub, Int32ub, Struct

from jt808.fields import BcdTime, Label, bits, padded_text
from jt808.layouts import Counted, Record

STATES: Final = {0: "not applicable", 1: "start", 2: "end"}

ADAS_ALARMS: Final = {
    0x01: "forward collision", 0x02: "lane departure", 0x03: "too close", 0x04: "pedestrian collision",
    0x05: "frequent lane change", 0x06: "road sign limit exceeded", 0x07: "obstacle", 0x10: "road sign recognised",
    0x11: "active snapshot",
}  # fmt: skip
"""Alarms and events (0x10 and above) of the driver's assistance; 8 to 0x0F and 0x12 to 0x1F are makers' own."""

DSM_ALARMS: Final = {
    0x01: "fatigue", 0x02: "phone", 0x03: "smoking", 0x04: "distraction", 0x05: "driver abnormal",
    0x10: "automatic snapshot", 0x11: "driver change",
}  # fmt: skip

BSD_ALARMS: Final = {1: "rear approach", 2: "left rear approach", 3: "right rear approach"}

_VEHICLE: Final = bits(
    "vehicle",
    {
        0: ("acc_on", "ACC"),
        1: ("left_turn", "左转向"),
        2: ("right_turn", "右转向"),
        3: ("wiper", "雨刮器"),
        4: ("brake", "制动"),
        5: ("card_inserted", "插卡"),
        10: ("positioned", "定位"),
    },
    16,
)

_TYRE: Final = bits(
    "alarms",
    {
        0: ("timed_report", "胎压（定时上报）"),
        1: ("pressure_high", "胎压过高"),
        2: ("pressure_low", "胎压过低"),
        3: ("temperature_high", "胎温过高"),
        4: ("sensor_fault", "传感器异常"),
        5: ("imbalance", "胎压不平衡"),
        6: ("slow_leak", "慢漏气"),
        7: ("battery_low", "电池电量低"),
    },
    16,
)


@dataclass(frozen=True, slots=True)
class AlarmIdentifier:
    """Names one alarm and its attachments (报警标识号); to be sent back in a 0x9208 as it came: one whose id is padded
    otherwise than with 00 behind, or whose time is none, in the bytes of the item and not in this.

    ``sequence_no`` counts the alarms of the same second from 0. ``reserved`` is one byte, in the form of Yue-biao two.
    """

    terminal_id: Annotated[str, Label("终端ID")]
    time: Annotated[datetime | None, Label("时间")]
    sequence_no: Annotated[int, Label("序号")]
    attachment_count: Annotated[int, Label("附件数量")]
    reserved: Annotated[bytes, Label("预留")] = b"\0"


@dataclass(frozen=True, slots=True)
class AdasAlarm:
    """Alarm of the driver's assistance (高级驾驶辅助系统报警信息), item 0x64.

    ``front_speed_kmh`` for the types 1 and 2, ``distance`` (to vehicle or pedestrian, in 100 ms) for 1, 2 and 4,
    ``departure`` for 2, the road sign for 6 and 0x10. Degrees have no sign here: the hemisphere is the report's.
    """

    alarm_id: Annotated[int, Label("报警ID")]
    state: Annotated[int, Label("标志状态", values=STATES)]
    alarm_type: Annotated[int, Label("报警/事件类型", values=ADAS_ALARMS)]
    level: Annotated[int, Label("报警级别")]
    front_speed_kmh: Annotated[int, Label("前车车速", "km/h")]
    distance: Annotated[int, Label("前车/行人距离", "100 ms")]
    departure: Annotated[int, Label("偏离类型", values={1: "left", 2: "right"})]
    road_sign: Annotated[int, Label("道路标志识别类型", values={1: "speed", 2: "height", 3: "weight"})]
    road_sign_value: Annotated[int, Label("道路标志识别数据")]
    speed_kmh: Annotated[int, Label("车速", "km/h")]
    altitude_m: Annotated[int, Label("高程", "m")]
    latitude_deg: Annotated[float, Label("纬度", "°")]
    longitude_deg: Annotated[float, Label("经度", "°")]
    time: Annotated[datetime | None, Label("日期时间")]
    vehicle_status: Annotated[int, Label("车辆状态", bits=_VEHICLE)]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]


@dataclass(frozen=True, slots=True)
class DsmAlarm:
    """Alarm of the driver's monitoring (驾驶员状态监测系统报警信息), item 0x65. ``fatigue_degree`` 1 to 10, type 1."""

    alarm_id: Annotated[int, Label("报警ID")]
    state: Annotated[int, Label("标志状态", values=STATES)]
    alarm_type: Annotated[int, Label("报警/事件类型", values=DSM_ALARMS)]
    level: Annotated[int, Label("报警级别")]
    fatigue_degree: Annotated[int, Label("疲劳程度")]
    reserved: Annotated[bytes, Label("预留")]
    speed_kmh: Annotated[int, Label("车速", "km/h")]
    altitude_m: Annotated[int, Label("高程", "m")]
    latitude_deg: Annotated[float, Label("纬度", "°")]
    longitude_deg: Annotated[float, Label("经度", "°")]
    time: Annotated[datetime | None, Label("日期时间")]
    vehicle_status: Annotated[int, Label("车辆状态", bits=_VEHICLE)]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]


@dataclass(frozen=True, slots=True)
class Tyre:
    """One tyre (胎压报警信息). ``position`` counts from 0 at the front left, in Z order."""

    position: Annotated[int, Label("胎压报警位置")]
    alarm_flags: Annotated[int, Label("报警/事件类型", bits=_TYRE)]
    pressure_kpa: Annotated[int, Label("胎压", "kPa")]
    temperature_c: Annotated[int, Label("胎温", "°C")]
    battery_percent: Annotated[int, Label("电池电量", "%")]


@dataclass(frozen=True, slots=True)
class TpmsAlarm:
    """Alarm of the tyres' monitoring (胎压监测系统报警信息), item 0x66."""

    alarm_id: Annotated[int, Label("报警ID")]
    state: Annotated[int, Label("标志状态", values=STATES)]
    speed_kmh: Annotated[int, Label("车速", "km/h")]
    altitude_m: Annotated[int, Label("高程", "m")]
    latitude_deg: Annotated[float, Label("纬度", "°")]
    longitude_deg: Annotated[float, Label("经度", "°")]
    time: Annotated[datetime | None, Label("日期时间")]
    vehicle_status: Annotated[int, Label("车辆状态", bits=_VEHICLE)]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]
    tyres: Annotated[tuple[Tyre, ...], Label("报警/事件信息列表")]


@dataclass(frozen=True, slots=True)
class BsdAlarm:
    """Alarm of the blind spots' monitoring (盲区监测系统报警信息), item 0x67."""

    alarm_id: Annotated[int, Label("报警ID")]
    state: Annotated[int, Label("标志状态", values=STATES)]
    alarm_type: Annotated[int, Label("报警/事件类型", values=BSD_ALARMS)]
    speed_kmh: Annotated[int, Label("车速", "km/h")]
    altitude_m: Annotated[int, Label("高程", "m")]
    latitude_deg: Annotated[float, Label("纬度", "°")]
    longitude_deg: Annotated[float, Label("经度", "°")]
    time: Annotated[datetime | None, Label("日期时间")]
    vehicle_status: Annotated[int, Label("车辆状态", bits=_VEHICLE)]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]


class _Degrees(Adapter):  # type: ignore[misc]
    """DWORD of 10^-6 degrees without a sign."""

    def _decode(self, obj: int, context: Any, path: str) -> float:
        return obj / 1_000_000

    def _encode(self, obj: float, context: Any, path: str) -> int:
        return round(obj * 1_000_000)


def identifier_layout(terminal_id_bytes: int, reserved_bytes: int) -> Record:
    """An alarm identifier: 7 and 1 by Su-biao, 30 and 2 by Yue-biao."""
    return Record(
        AlarmIdentifier,
        Struct(
            "terminal_id" / padded_text(terminal_id_bytes),
            "time" / BcdTime,
            "sequence_no" / Byte,
            "attachment_count" / Byte,
            "reserved" / Bytes(reserved_bytes),
        ),
    )


SU_IDENTIFIER: Final = identifier_layout(7, 1)
YUE_IDENTIFIER: Final = identifier_layout(30, 2)

_HEAD: Final = ("alarm_id" / Int32ub, "state" / Byte)
_WHERE: Final = (
    "speed_kmh" / Byte,
    "altitude_m" / Int16ub,
    "latitude_deg" / _Degrees(Int32ub),
    "longitude_deg" / _Degrees(Int32ub),
    "time" / BcdTime,
    "vehicle_status" / Int16ub,
)
_ADAS: Final = (
    "alarm_type" / Byte, "level" / Byte, "front_speed_kmh" / Byte, "distance" / Byte, "departure" / Byte,
    "road_sign" / Byte, "road_sign_value" / Byte,
)  # fmt: skip
_DSM: Final = ("alarm_type" / Byte, "level" / Byte, "fatigue_degree" / Byte, "reserved" / Bytes(4))


def _tyre(position: Construct) -> Record:
    """The printed types of an entry sum to 9 bytes, the printed offsets to 10: then the position is a WORD."""
    numbers = ("alarm_flags", "pressure_kpa", "temperature_c", "battery_percent")
    return Record(Tyre, Struct("position" / position, *(name / Int16ub for name in numbers)))


def _layouts(identifier: Record) -> dict[int, tuple[Record, ...]]:
    named = ("identifier" / identifier,)
    return {
        0x64: (Record(AdasAlarm, Struct(*_HEAD, *_ADAS, *_WHERE, *named)),),
        0x65: (Record(DsmAlarm, Struct(*_HEAD, *_DSM, *_WHERE, *named)),),
        0x66: tuple(
            Record(TpmsAlarm, Struct(*_HEAD, *_WHERE, *named, "tyres" / Counted(Byte, _tyre(position))))
            for position in (Byte, Int16ub)
        ),
        0x67: (Record(BsdAlarm, Struct(*_HEAD, "alarm_type" / Byte, *_WHERE, *named)),),
    }


_SU, _YUE = _layouts(SU_IDENTIFIER), _layouts(YUE_IDENTIFIER)
ITEM_LAYOUTS: Final = {item_id: _SU[item_id] + _YUE[item_id] for item_id in _SU}
"""Item id -> its forms, told apart by length."""

Alarm = AdasAlarm | DsmAlarm | TpmsAlarm | BsdAlarm

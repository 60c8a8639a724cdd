"""Dynamic vehicle information (车辆动态信息交换): 0x1200 with 0x1201, 0x1202, 0x1203 of the 2011 edition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from construct import Adapter, Array, Int8ub, Int16ub, Int32ub, Struct, ValidationError, this

from jt809.fields import IS_SET, LOCAL_CALENDAR, gbk_string
from jt809.header import Edition
from jt809.messages.registry import Direction, VehicleMessage, register

STATE_IS_SOUTH: Final = 1 << 2
STATE_IS_WEST: Final = 1 << 3

MAX_HISTORY_POSITIONS: Final = 5
"""How many positions one 0x1203 may carry. JT/T 809-2011, automatic supplement of positions (定位信息自动补报)."""


@dataclass(frozen=True, slots=True)
class Position:
    """The 36-byte position block (GNSS_DATA) of 2011.

    Attributes:
        time:               aware UTC, whole seconds; Beijing calendar fields on the wire.
        longitude_deg, latitude_deg: signed WGS-84 degrees; the sign travels in bits 2 and 3 of ``state``.
        speed_kmh:          VEC1, from the satellites, 0..65535.
        recorder_speed_kmh: VEC2, from the tachograph.
        mileage_km:         VEC3, of the vehicle in all, whole kilometres.
        heading_deg:        0..359 clockwise from north.
        altitude_m:         0..65535; the field cannot go below sea level.
        state, alarm:       the words of JT/T 808-2011 tables 17 and 18.
        is_encrypted:       coordinates went through the national encryption (加密); always False from us.
    """

    time: datetime
    longitude_deg: float
    latitude_deg: float
    speed_kmh: int
    recorder_speed_kmh: int
    mileage_km: int
    heading_deg: int
    altitude_m: int
    state: int
    alarm: int
    is_encrypted: bool = False


@dataclass(frozen=True, slots=True)
class VehicleRegister(VehicleMessage):
    """0x1200/0x1201 as the supplement of 2013 lays it out (61 bytes of data). Sent after terminal authentication.

    ``platform_id`` and ``producer_id`` (the terminal's maker) at most 11 bytes, ``terminal_model`` 20,
    ``terminal_id`` 7 (upper case), ``sim`` 12. No answer in 2011.
    """

    platform_id: str
    producer_id: str
    terminal_model: str
    terminal_id: str
    sim: str


@dataclass(frozen=True, slots=True)
class VehicleRegisterBase(VehicleMessage):
    """0x1200/0x1201 as first printed in 2011 (49 bytes of data): ``terminal_model`` has 8 bytes."""

    platform_id: str
    producer_id: str
    terminal_model: str
    terminal_id: str
    sim: str


@dataclass(frozen=True, slots=True)
class RealLocation(VehicleMessage):
    """0x1200/0x1202: one position, as it happens. No answer."""

    position: Position


@dataclass(frozen=True, slots=True)
class HistoryLocation(VehicleMessage):
    """0x1200/0x1203: one to five positions missed before, oldest first. No answer of its own."""

    positions: tuple[Position, ...]


class _PositionAdapter(Adapter):  # type: ignore[misc]  # construct has no types
    def _decode(self, obj: Any, context: Any, path: str) -> Position:
        values = {name: value for name, value in obj.items() if not name.startswith("_")}
        longitude, latitude = values.pop("longitude") / 1e6, values.pop("latitude") / 1e6
        return Position(
            longitude_deg=-longitude if obj.state & STATE_IS_WEST else longitude,
            latitude_deg=-latitude if obj.state & STATE_IS_SOUTH else latitude,
            **values,
        )

    def _encode(self, obj: Position, context: Any, path: str) -> dict[str, Any]:
        for name, value, bit in (
            ("longitude_deg", obj.longitude_deg, STATE_IS_WEST),
            ("latitude_deg", obj.latitude_deg, STATE_IS_SOUTH),
        ):
            if value and (value < 0) != bool(obj.state & bit):
                raise ValidationError(f"{name} is {value}, but state is 0x{obj.state:08X}", path=path)
        return {
            "is_encrypted": obj.is_encrypted,
            "time": obj.time,
            "longitude": round(abs(obj.longitude_deg) * 1e6),
            "latitude": round(abs(obj.latitude_deg) * 1e6),
            "speed_kmh": obj.speed_kmh,
            "recorder_speed_kmh": obj.recorder_speed_kmh,
            "mileage_km": obj.mileage_km,
            "heading_deg": obj.heading_deg,
            "altitude_m": obj.altitude_m,
            "state": obj.state,
            "alarm": obj.alarm,
        }


POSITION: Final = _PositionAdapter(
    Struct(
        "is_encrypted" / IS_SET,
        "time" / LOCAL_CALENDAR,
        "longitude" / Int32ub,
        "latitude" / Int32ub,
        "speed_kmh" / Int16ub,
        "recorder_speed_kmh" / Int16ub,
        "mileage_km" / Int32ub,
        "heading_deg" / Int16ub,
        "altitude_m" / Int16ub,
        "state" / Int32ub,
        "alarm" / Int32ub,
    )
)
"""The block's layout. Longitude comes first, the other way round from JT/T 808."""


class _Counted(Adapter):  # type: ignore[misc]
    def _decode(self, obj: Any, context: Any, path: str) -> list[Position]:
        if not 1 <= obj.count <= MAX_HISTORY_POSITIONS:
            raise ValidationError(f"GNSS_CNT is {obj.count}, not 1..{MAX_HISTORY_POSITIONS}", path=path)
        return list(obj.items_)

    def _encode(self, obj: tuple[Position, ...], context: Any, path: str) -> dict[str, Any]:
        if not 1 <= len(obj) <= MAX_HISTORY_POSITIONS:
            raise ValidationError(f"{len(obj)} positions, not 1..{MAX_HISTORY_POSITIONS}", path=path)
        return {"count": len(obj), "items_": obj}


def _registration(model_bytes: int) -> dict[str, Any]:
    return {
        "platform_id": gbk_string(11),
        "producer_id": gbk_string(11),
        "terminal_model": gbk_string(model_bytes),
        "terminal_id": gbk_string(7),
        "sim": gbk_string(12),
    }


_2011 = (Edition.V2011,)

register(0x1200, 0x1201, Direction.UP, VehicleRegister, _registration(20),
         name="UP_EXG_MSG_REGISTER", chinese="上传车辆注册信息消息", editions=_2011,
         source="supplement of 2013 to JT/T 809-2011")  # fmt: skip
register(0x1200, 0x1201, Direction.UP, VehicleRegisterBase, _registration(8),
         name="UP_EXG_MSG_REGISTER", chinese="上传车辆注册信息消息", editions=_2011)  # fmt: skip
register(0x1200, 0x1202, Direction.UP, RealLocation, {"position": POSITION},
         name="UP_EXG_MSG_REAL_LOCATION", chinese="实时上传车辆定位信息消息", editions=_2011)  # fmt: skip
register(0x1200, 0x1203, Direction.UP, HistoryLocation,
         {"positions": _Counted(Struct("count" / Int8ub, "items_" / Array(this.count, POSITION)))},
         name="UP_EXG_MSG_HISTORY_LOCATION", chinese="车辆定位信息自动补报请求消息", editions=_2011)  # fmt: skip

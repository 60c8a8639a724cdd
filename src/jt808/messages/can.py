"""Data of the vehicle's CAN bus (CAN总线)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any, Final

from construct import Adapter, Bytes, Int16ub, Int32ub, Rebuild, Struct, ValidationError

from jt808.fields import Bits, Label
from jt808.header import Edition
from jt808.layouts import Record, Repeated
from jt808.messages.registry import SINCE_2013, Direction, Message, register


def _flag_names(can_id: int, edition: Edition) -> list[tuple[str, str]]:
    """The three bits above an id."""
    names = (("can2", "CAN2通道"), ("extended", "扩展帧"), ("averaged", "采集区间的计算值"))
    return [name for bit, name in zip((31, 30, 29), names, strict=True) if can_id >> bit & 1]


CAN_FLAGS: Final = Bits("can_flags", _flag_names)
"""Bit 31: channel 2 instead of 1; 30: an extended frame; 29: computed over the interval instead of raw."""


@dataclass(frozen=True, slots=True)
class CanItem:
    """One frame of the bus (CAN总线数据项): ``can_id`` with its flags as on the wire, and 8 bytes of data."""

    can_id: Annotated[int, Label("CAN ID", bits=CAN_FLAGS)]
    data: Annotated[bytes, Label("CAN DATA")]

    @property
    def channel(self) -> int:
        """1 or 2."""
        return 1 + (self.can_id >> 31)

    @property
    def is_extended(self) -> bool:
        """Whether the id has 29 bits."""
        return bool(self.can_id >> 30 & 1)

    @property
    def is_averaged(self) -> bool:
        """Whether the data is computed over the interval instead of raw."""
        return bool(self.can_id >> 29 & 1)

    @property
    def bus_id(self) -> int:
        """The id on the bus, without the flags."""
        return self.can_id & 0x1FFFFFFF


@dataclass(frozen=True, slots=True)
class CanData(Message):
    """Data of the CAN bus (CAN总线数据上传), since 2013.

    ``received_at`` is when the first item was received, of a day that the message does not name, GMT+8; the five bytes
    as they are when they are no time of day. The items are read to the end of the body whatever the count says.
    """

    received_at: Annotated[time | bytes, Label("CAN总线数据接收时间")]
    items: Annotated[tuple[CanItem, ...], Label("CAN总线数据项")]


class _TimeOfDay(Adapter):  # type: ignore[misc]
    """BCD[5] hh mm ss and four digits of milliseconds."""

    def _decode(self, obj: bytes, context: Any, path: str) -> time | bytes:
        digits = obj.hex()
        if not digits.isdecimal() or digits[6] != "0":
            return obj
        try:
            return time(int(digits[:2]), int(digits[2:4]), int(digits[4:6]), int(digits[6:]) * 1000)
        except ValueError:
            return obj

    def _encode(self, obj: time | bytes, context: Any, path: str) -> bytes:
        if isinstance(obj, bytes):
            return obj
        if obj.microsecond % 1000:
            raise ValidationError(f"{obj} has more than milliseconds", path=path)
        return bytes.fromhex(f"{obj:%H%M%S}{obj.microsecond // 1000:04}")


register(
    0x0705,
    CanData,
    Struct(
        "count" / Rebuild(Int16ub, lambda context: len(context["items"])),
        "received_at" / _TimeOfDay(Bytes(5)),
        "items" / Repeated(Record(CanItem, Struct("can_id" / Int32ub, "data" / Bytes(8)))),
    ),
    name="CAN data",
    chinese="CAN总线数据上传",
    clause="JT/T 808-2013 §8.50, -2019 §8.49",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    editions=SINCE_2013,
)

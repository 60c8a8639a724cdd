"""Watching a terminal: temporary tracking (临时位置跟踪), confirming its alarms by hand, testing the link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from construct import Int16ub, Int32ub, Struct

from jt808.fields import Bits, Label
from jt808.header import Edition
from jt808.layouts import IfMore
from jt808.messages.location_flags import alarm_names
from jt808.messages.registry import SINCE_2013, Direction, Message, register


@dataclass(frozen=True, slots=True)
class TrackingControl(Message):
    """Temporary tracking (临时位置跟踪控制): report every ``interval_s`` for ``validity_s``.

    An interval of 0 stops the tracking; then there is no validity and it is None.
    """

    interval_s: Annotated[int, Label("时间间隔", "s")]
    validity_s: Annotated[int | None, Label("位置跟踪有效期", "s")] = None


@dataclass(frozen=True, slots=True)
class AlarmConfirmation(Message):
    """Confirm alarms by hand (人工确认报警消息), since 2013.

    ``alarm_serial_no`` is the serial number of the report that brought the alarm, 0 for all alarms of these types.
    ``alarm_types`` has the bits of the alarm word that are cleared by an answer: 0, 3, 20, 21, 22, 27, 28.
    """

    alarm_serial_no: Annotated[int, Label("报警消息流水号")]
    alarm_types: Annotated[int, Label("人工确认报警类型", bits=Bits("alarms", alarm_names))]


@dataclass(frozen=True, slots=True)
class LinkDetection(Message):
    """Ask whether the link is alive (链路检测), since 2019; an empty body."""


register(
    0x8202,
    TrackingControl,
    Struct("interval_s" / Int16ub, "validity_s" / IfMore(Int32ub)),
    name="tracking control",
    chinese="临时位置跟踪控制",
    clause="JT/T 808-2013 §8.21, -2019 §8.24",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8203,
    AlarmConfirmation,
    Struct("alarm_serial_no" / Int16ub, "alarm_types" / Int32ub),
    name="alarm confirmation",
    chinese="人工确认报警消息",
    clause="JT/T 808-2013 §8.22, -2019 §8.25",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    editions=SINCE_2013,
)
register(
    0x8204,
    LinkDetection,
    Struct(),
    name="link detection",
    chinese="链路检测",
    clause="JT/T 808-2019 §8.26",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    editions=(Edition.V2019,),
)

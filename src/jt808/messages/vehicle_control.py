"""Controlling the vehicle (车辆控制): its doors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from construct import Byte, Bytes, Construct, GreedyBytes, Int16ub, Struct

from jt808.fields import Label
from jt808.header import Edition
from jt808.layouts import Counted, Nothing, Record
from jt808.messages.location import REPORT, LocationReport
from jt808.messages.registry import Direction, Message, register

DOOR_CONTROL: Final = 0x0001


@dataclass(frozen=True, slots=True)
class ControlItem:
    """One thing to control, since 2019 (控制类型). 0x0001 (:data:`DOOR_CONTROL`): one byte, 0 lock, 1 open. 0xF001 and
    above are makers' own; no length stands before the value, so one that is not in the standard takes all the rest."""

    control_id: Annotated[int, Label("控制类型ID")]
    value: Annotated[bytes, Label("控制参数")]


@dataclass(frozen=True, slots=True)
class VehicleControl(Message):
    """Control the vehicle (车辆控制).

    Before 2019 ``flags``: bit 0 locks the doors, 0 unlocks them, and no items. Since 2019 ``items``, and ``flags`` is
    None. Mind that 1 means the opposite there; :meth:`doors` knows.
    """

    flags: Annotated[int | None, Label("控制标志")] = None
    items: Annotated[tuple[ControlItem, ...], Label("控制类型列表")] = ()

    @classmethod
    def doors(cls, edition: Edition, *, lock: bool) -> Self:
        """Lock or unlock the doors."""
        if edition == Edition.V2019:
            return cls(items=(ControlItem(DOOR_CONTROL, bytes((not lock,))),))
        return cls(flags=int(lock))


@dataclass(frozen=True, slots=True)
class VehicleControlResponse(Message):
    """What the control led to (车辆控制应答): the status bits of the position show it. It comes after a 0x0001."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    location: Annotated[LocationReport, Label("位置信息汇报", is_inline=True)]


class _Value(Construct):  # type: ignore[misc]
    """The value of an item: a byte for the doors, all that is left for an id that only its maker knows."""

    def _parse(self, stream: Any, context: Any, path: str) -> bytes:
        if context["control_id"] == DOOR_CONTROL:
            return bytes((Byte._parsereport(stream, context, path),))
        value: bytes = GreedyBytes._parsereport(stream, context, path)
        return value

    def _build(self, obj: bytes, stream: Any, context: Any, path: str) -> Any:
        if context["control_id"] == DOOR_CONTROL:
            Bytes(1)._build(obj, stream, context, path)
        else:
            GreedyBytes._build(obj, stream, context, path)
        return obj


_BEFORE_2019: Final = Struct("flags" / Byte)
_ITEM: Final = Record(ControlItem, Struct("control_id" / Int16ub, "value" / _Value()))

register(
    0x8500,
    VehicleControl,
    {
        Edition.V2011: _BEFORE_2019,
        Edition.V2013: _BEFORE_2019,
        Edition.V2019: Struct("flags" / Nothing(), "items" / Counted(Int16ub, _ITEM)),
    },
    name="vehicle control",
    chinese="车辆控制",
    clause="JT/T 808-2013 §8.33, -2019 §8.30",
    direction=Direction.DOWNLINK,
    answer_id=0x0500,
    choose=lambda edition, body: Edition.V2013 if edition == Edition.V2019 and len(body) == 1 else edition,
)
register(
    0x0500,
    VehicleControlResponse,
    Struct("answered_serial_no" / Int16ub, "location" / REPORT),
    name="vehicle control response",
    chinese="车辆控制应答",
    clause="JT/T 808-2013 §8.34, -2019 §8.31",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)

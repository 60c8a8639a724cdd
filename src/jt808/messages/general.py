"""General responses (通用应答)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from construct import Byte, Int16ub, Struct

from jt808.errors import Result
from jt808.fields import Label
from jt808.messages.registry import Direction, Message, register

_TERMINAL_RESULTS: Final = {result.value: result.name for result in Result if result != Result.ALARM_CONFIRMED}


@dataclass(frozen=True, slots=True)
class TerminalGeneralResponse(Message):
    """Terminal general response (终端通用应答): what became of a message of ours.

    ``result`` is one of :class:`jt808.Result`, or a number the terminal invented.
    """

    answered_serial_no: Annotated[int, Label("应答流水号")]
    answered_message_id: Annotated[int, Label("应答ID")]
    result: Annotated[int, Label("结果", values=_TERMINAL_RESULTS)]


@dataclass(frozen=True, slots=True)
class PlatformGeneralResponse(Message):
    """Platform general response (平台通用应答): what became of a message of the terminal's."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    answered_message_id: Annotated[int, Label("应答ID")]
    result: Annotated[int, Label("结果", values=Result)]


_LAYOUT = Struct("answered_serial_no" / Int16ub, "answered_message_id" / Int16ub, "result" / Byte)

register(
    0x0001,
    TerminalGeneralResponse,
    _LAYOUT,
    name="terminal general response",
    chinese="终端通用应答",
    clause="JT/T 808-2013 §8.1, -2019 §8.1",
    direction=Direction.UPLINK,
    answer_id=None,
)
register(
    0x8001,
    PlatformGeneralResponse,
    _LAYOUT,
    name="platform general response",
    chinese="平台通用应答",
    clause="JT/T 808-2013 §8.2, -2019 §8.2",
    direction=Direction.DOWNLINK,
    answer_id=None,
)

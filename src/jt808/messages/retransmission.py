"""Asking for packages of a sub-packaged message (分包) that did not arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from construct import Byte, Int16ub, Struct

from jt808.fields import Label
from jt808.header import Edition
from jt808.layouts import Counted
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import by_fit


@dataclass(frozen=True, slots=True)
class PlatformPackagesRequest(Message):
    """The platform asks for missing packages (服务器补传分包请求).

    ``first_serial_no`` is the serial number of the first package of the message, ``package_nos`` count from 1. The
    packages themselves are the answer, unchanged.
    """

    first_serial_no: Annotated[int, Label("原始消息流水号")]
    package_nos: Annotated[tuple[int, ...], Label("重传包ID列表")]


@dataclass(frozen=True, slots=True)
class TerminalPackagesRequest(Message):
    """The terminal asks for missing packages (终端补传分包请求), since 2019; fields as in the platform's request."""

    first_serial_no: Annotated[int, Label("原始消息流水号")]
    package_nos: Annotated[tuple[int, ...], Label("重传包ID列表")]


_BEFORE_2019 = Struct("first_serial_no" / Int16ub, "package_nos" / Counted(Byte, Int16ub))
_SINCE_2019 = Struct("first_serial_no" / Int16ub, "package_nos" / Counted(Int16ub, Int16ub))
_LAYOUTS: Final = {Edition.V2011: _BEFORE_2019, Edition.V2013: _BEFORE_2019, Edition.V2019: _SINCE_2019}

register(
    0x8003,
    PlatformPackagesRequest,
    _LAYOUTS,
    name="platform's request for packages",
    chinese="服务器补传分包请求",
    clause="JT/T 808-2013 §8.4, -2019 §8.6",
    direction=Direction.DOWNLINK,
    answer_id=None,
    editions=SINCE_2013,
    choose=by_fit(_LAYOUTS),
)
register(
    0x0005,
    TerminalPackagesRequest,
    _LAYOUTS,
    name="terminal's request for packages",
    chinese="终端补传分包请求",
    clause="JT/T 808-2019 §8.7",
    direction=Direction.UPLINK,
    answer_id=None,
    editions=(Edition.V2019,),
    choose=by_fit(_LAYOUTS),
)

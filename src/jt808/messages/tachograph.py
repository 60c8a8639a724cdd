"""The tachograph in the terminal (行驶记录仪). Its data blocks follow GB/T 19056 and stay bytes here.

A block is a complete packet of that standard, 55 7A or AA 75, command, length, reserved byte, data, check byte; this
library has no layouts for what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from construct import Byte, Computed, GreedyBytes, Int16ub, Rebuild, Struct

from jt808.fields import Label
from jt808.header import Edition
from jt808.layouts import Window
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_fit, fits

BLOCK_BEGINS: Final = b"\x55\x7a"


@dataclass(frozen=True, slots=True)
class TachographQuery(Message):
    """Collect data of the tachograph (行驶记录数据采集命令): ``command`` (命令字) of GB/T 19056, and since 2013 its
    block or nothing."""

    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块")] = b""


@dataclass(frozen=True, slots=True)
class TachographUpload(Message):
    """Data of the tachograph (行驶记录数据上传), the answer to a collection.

    2011 names no serial number (None), and sends long data in several messages: ``total_length`` is that of all the
    data where it is not all here, None otherwise.
    """

    answered_serial_no: Annotated[int | None, Label("应答流水号")]
    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块")]
    total_length: Annotated[int | None, Label("数据总长度", "bytes")] = None


@dataclass(frozen=True, slots=True)
class TachographParameters(Message):
    """Set parameters of the tachograph (行驶记录参数下传命令): ``command`` of GB/T 19056 and its block."""

    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块")]


def _declared_bytes(context: Any) -> int:
    total: int | None = context["total_length"]
    return len(context["block"]) if total is None else total


def _total_bytes(context: Any) -> int | None:
    total: int = context["declared_total"]
    return None if total == len(context["block"]) else total


_WITH_BLOCK: Final = Struct("command" / Byte, "block" / GreedyBytes)
_QUERIES: Final = {
    Edition.V2011: Struct("command" / Byte),
    Edition.V2013: _WITH_BLOCK,
    Edition.V2019: _WITH_BLOCK,
}
_UPLOAD: Final = Struct("answered_serial_no" / Int16ub, "command" / Byte, "block" / GreedyBytes)
_UPLOAD_2011: Final = Struct(
    "answered_serial_no" / Computed(None),
    "command" / Byte,
    "declared_total" / Rebuild(Int16ub, _declared_bytes),
    "block" / Window(Int16ub, GreedyBytes),
    "total_length" / Computed(_total_bytes),
)


def _upload_edition(edition: Edition, body: bytes) -> Edition:
    """Any three bytes fit the layout of 2013; that of 2011 has two lengths that must be right, and is taken where the
    block of 2013 would not begin as one does."""
    if edition != Edition.V2011 and (len(body) == 3 or body[3:5] == BLOCK_BEGINS):
        return edition
    if fits(_UPLOAD_2011, body):
        return Edition.V2011
    return Edition.V2013 if edition == Edition.V2011 else edition


register(
    0x8700,
    TachographQuery,
    _QUERIES,
    name="tachograph query",
    chinese="行驶记录数据采集命令",
    clause="JT/T 808-2013 §8.43, -2019 §8.42",
    direction=Direction.DOWNLINK,
    answer_id=0x0700,
    choose=by_fit(_QUERIES),
)
register(
    0x0700,
    TachographUpload,
    {Edition.V2011: _UPLOAD_2011, Edition.V2013: _UPLOAD, Edition.V2019: _UPLOAD},
    name="tachograph upload",
    chinese="行驶记录数据上传",
    clause="JT/T 808-2013 §8.44, -2019 §8.43",
    direction=Direction.UPLINK,
    answer_id=None,
    choose=_upload_edition,
)
register(
    0x8701,
    TachographParameters,
    _WITH_BLOCK,
    name="tachograph parameters",
    chinese="行驶记录参数下传命令",
    clause="JT/T 808-2013 §8.45, -2019 §8.44",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

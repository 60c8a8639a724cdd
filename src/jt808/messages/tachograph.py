"""The tachograph in the terminal (行驶记录仪). The data in its blocks follow GB/T 19056 and stay bytes here.

A block is a whole packet of that standard (:class:`TachographPacket`). Its frame is from general knowledge, and every
vector agrees with it; what the data of a command hold stands in no text that we have, so that none is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Annotated, Any, Final, Self

from construct import Byte, Bytes, Computed, ConstructError, GreedyBytes, Int16ub, OneOf, Rebuild, Struct, this

from jt808.errors import UsageError
from jt808.fields import Label
from jt808.framing import checksum
from jt808.header import Edition
from jt808.layouts import Record, Window
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_fit, fits

BLOCK_BEGINS: Final = b"\x55\x7a"
COMMAND_BEGINS: Final = b"\xaa\x75"
"""How a packet begins: one from a tachograph, one to it; platforms are seen that begin theirs as if from one."""


@dataclass(frozen=True, slots=True)
class TachographPacket:
    """A packet of GB/T 19056 (数据块): begin, command, length, a reserved byte, data, check byte."""

    begin: Annotated[bytes, Label("起始字头")]
    command: Annotated[int, Label("命令字")]
    reserved: Annotated[int, Label("保留字")]
    data: Annotated[bytes, Label("数据块")]
    check: Annotated[int, Label("校验字")]

    @classmethod
    def compose(cls, command: int, data: bytes = b"", begin: bytes = COMMAND_BEGINS) -> Self:
        """A packet whose check byte is right."""
        plain = cls(begin, command, 0, data, 0)
        return replace(plain, check=checksum(plain.to_bytes()))

    @property
    def is_check_right(self) -> bool:
        return not checksum(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The block. Raises:  UsageError: something does not fit its field."""
        try:
            raw: bytes = PACKET.build(self)
        except (ConstructError, TypeError) as error:
            raise UsageError(f"no packet of GB/T 19056: {self}") from error
        return raw


PACKET: Final = Record(
    TachographPacket,
    Struct(
        "begin" / OneOf(Bytes(2), (BLOCK_BEGINS, COMMAND_BEGINS)),
        "command" / Byte,
        "length" / Rebuild(Int16ub, lambda context: len(context["data"])),
        "reserved" / Byte,
        "data" / Bytes(this.length),
        "check" / Byte,
    ),
)


def packet_of(block: bytes) -> TachographPacket | None:
    """The packet that a block is; None when it has not the form of one."""
    stream = BytesIO(block)
    try:
        packet: TachographPacket = PACKET.parse_stream(stream)
    except ConstructError:
        return None
    return packet if stream.tell() == len(block) else None


def _oddities(command: int, block: bytes) -> list[str]:
    """What an explanation warns of."""
    if not block:
        return []
    packet = packet_of(block)
    if packet is None:
        return ["the block is no packet of GB/T 19056 and stays bytes"]
    odd = [] if packet.is_check_right else ["the check byte of the block is wrong"]
    if packet.command != command:
        odd.append(f"the block is of command 0x{packet.command:02X}, the message of 0x{command:02X}")
    if packet.data:
        odd.append(f"the data of GB/T 19056 for command 0x{packet.command:02X} stay bytes: no layout is known here")
    return odd


@dataclass(frozen=True, slots=True)
class TachographQuery(Message):
    """Collect data of the tachograph (行驶记录数据采集命令): ``command`` (命令字) of GB/T 19056, and since 2013 its
    block or nothing."""

    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块", within=PACKET)] = b""

    @property
    def oddities(self) -> list[str]:
        return _oddities(self.command, self.block)


@dataclass(frozen=True, slots=True)
class TachographUpload(Message):
    """Data of the tachograph (行驶记录数据上传), the answer to a collection.

    2011 names no serial number (None), and sends long data in several messages: ``total_length`` is that of all the
    data where it is not all here, None otherwise.
    """

    answered_serial_no: Annotated[int | None, Label("应答流水号")]
    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块", within=PACKET)]
    total_length: Annotated[int | None, Label("数据总长度", "bytes")] = None

    @property
    def oddities(self) -> list[str]:
        return [] if self.total_length is not None else _oddities(self.command, self.block)


@dataclass(frozen=True, slots=True)
class TachographParameters(Message):
    """Set parameters of the tachograph (行驶记录参数下传命令): ``command`` of GB/T 19056 and its block."""

    command: Annotated[int, Label("命令字")]
    block: Annotated[bytes, Label("数据块", within=PACKET)]

    @property
    def oddities(self) -> list[str]:
        return _oddities(self.command, self.block)


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

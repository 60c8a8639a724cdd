"""Data that is not the protocol's own: pass-through (透传), compressed uploads (数据压缩上报), RSA keys."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from construct import (
    Byte,
    Bytes,
    Construct,
    ConstructError,
    GreedyBytes,
    Int16ub,
    Int32ub,
    Prefixed,
    Struct,
    stream_write,
)

from jt808.errors import BodyError, UsageError
from jt808.fields import Label, TextByteLength, bits
from jt808.header import Edition
from jt808.layouts import Counted, Nothing, Record, Window, forget_parts, read_within
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_fit

PERIPHERAL_STATE: Final = 0xF7
PERIPHERAL_INFORMATION: Final = 0xF8

KINDS: Final = {
    0x00: "GNSS detail",
    0x0B: "IC card",
    0x41: "serial port 1",
    0x42: "serial port 2",
    PERIPHERAL_STATE: "peripheral state",
    PERIPHERAL_INFORMATION: "peripheral information",
}
"""Kinds of pass-through (透传消息类型); 0xF0 to 0xFF are makers' own, 0xF7 and 0xF8 as T/JSATL 12 uses them."""

PERIPHERALS: Final = {0x64: "ADAS", 0x65: "DSM", 0x66: "TPMS", 0x67: "BSD"}
WORKING_STATES: Final = {1: "normal", 2: "standby", 3: "upgrading", 4: "fault", 0x10: "disconnected"}
_ALARMS: Final = bits(
    "alarms",
    {
        0: ("camera", "摄像头异常"),
        1: ("main_storage", "主存储器异常"),
        2: ("auxiliary_storage", "辅存储器异常"),
        3: ("infrared", "红外补光异常"),
        4: ("speaker", "扬声器异常"),
        5: ("battery", "电池异常"),
        10: ("communication_module", "通讯模块异常"),
        11: ("positioning_module", "定位模块异常"),
    },
)


@dataclass(frozen=True, slots=True)
class WorkingState:
    """How a peripheral is (外设状态信息)."""

    state: Annotated[int, Label("工作状态", values=WORKING_STATES)]
    alarm_flags: Annotated[int, Label("报警状态", bits=_ALARMS)]


@dataclass(frozen=True, slots=True)
class SystemInformation:
    """What a peripheral is (外设系统信息)."""

    company: Annotated[str, Label("公司名称")]
    product_model: Annotated[str, Label("产品型号")]
    hardware_version: Annotated[str, Label("硬件版本号")]
    software_version: Annotated[str, Label("软件版本号")]
    device_id: Annotated[str, Label("设备ID")]
    customer_code: Annotated[str, Label("客户代码")]


@dataclass(frozen=True, slots=True)
class Peripheral:
    """One peripheral (外设) in an upload of T/JSATL 12."""

    peripheral_id: Annotated[int, Label("外设ID", values=PERIPHERALS)]
    content: Annotated[WorkingState | SystemInformation, Label("消息内容")]


@dataclass(frozen=True, slots=True)
class DownlinkPassThrough(Message):
    """Data for something behind the terminal (数据下行透传).

    ``content`` is bytes; for the kinds 0xF7 and 0xF8 the ids of the peripherals that are asked, where it has their
    form. ``total_bytes``: in 2011 the length over several messages, None elsewhere.
    """

    kind: Annotated[int, Label("透传消息类型", values=KINDS)]
    content: Annotated[bytes | tuple[int, ...], Label("透传消息内容", values=PERIPHERALS)]
    total_bytes: Annotated[int | None, Label("总数据长度", "bytes")] = None


@dataclass(frozen=True, slots=True)
class UplinkPassThrough(Message):
    """Data from something behind the terminal (数据上行透传); as downlink, but the peripherals tell of themselves."""

    kind: Annotated[int, Label("透传消息类型", values=KINDS)]
    content: Annotated[bytes | tuple[Peripheral, ...], Label("透传消息内容")]
    total_bytes: Annotated[int | None, Label("总数据长度", "bytes")] = None


MAX_DECOMPRESSED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CompressedUpload(Message):
    """A compressed message (数据压缩上报). ``data`` is GZIP and stays so; :meth:`decompress` opens it."""

    data: Annotated[bytes, Label("压缩消息体")]

    @classmethod
    def compress(cls, content: bytes) -> CompressedUpload:
        """The same bytes for the same content, whenever it is made."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return cls(packer.compress(content) + packer.flush())

    def decompress(self, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
        """What was compressed; never holds more than ``max_bytes``.

        Raises:  BodyError: no GZIP, cut short, or more than ``max_bytes``.
        """
        if max_bytes < 0:
            raise UsageError(f"max_bytes is {max_bytes}")
        opener = zlib.decompressobj(31)
        try:
            content = opener.decompress(self.data, max_bytes + 1)
        except zlib.error as error:
            raise BodyError(0x0901, 4, f"no GZIP: {error}") from error
        if len(content) > max_bytes:
            raise BodyError(0x0901, 4, f"more than {max_bytes} bytes when decompressed")
        if not opener.eof:
            raise BodyError(0x0901, 4 + len(self.data), "the GZIP data is cut short")
        return content


@dataclass(frozen=True, slots=True)
class PlatformRsaKey(Message):
    """The platform's public RSA key {e, n} (平台RSA公钥); ``n`` is 128 bytes. Each side answers with its own."""

    e: Annotated[int, Label("e")]
    n: Annotated[bytes, Label("n")]


@dataclass(frozen=True, slots=True)
class TerminalRsaKey(Message):
    """The terminal's public RSA key {e, n} (终端RSA公钥)."""

    e: Annotated[int, Label("e")]
    n: Annotated[bytes, Label("n")]


class _Content(Construct):  # type: ignore[misc]
    """Bytes, or what a kind's layout reads of them if it fits: 0xF7 and 0xF8 are makers' own by the standard."""

    def __init__(self, layouts: Mapping[int, Construct]) -> None:
        super().__init__()
        self.layouts = layouts

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        begin = stream.tell()
        raw = stream.read()
        layout = self.layouts.get(context.kind)
        if layout is None:
            return raw
        try:
            return read_within(layout, raw, context, begin)
        except ConstructError:
            forget_parts(context)
            return raw

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if isinstance(obj, bytes):
            stream_write(stream, obj, len(obj), path)
        elif context.kind in self.layouts:
            self.layouts[context.kind]._build(obj, stream, context, path)
        else:
            raise TypeError(f"the content of kind 0x{context.kind:02X} is bytes")
        return obj


_TEXTS: Final = ("company", "product_model", "hardware_version", "software_version", "device_id", "customer_code")
_STATE: Final = Record(WorkingState, Struct("state" / Byte, "alarm_flags" / Int32ub))
_INFORMATION: Final = Record(SystemInformation, Struct(*(name / TextByteLength for name in _TEXTS)))


def _peripherals(content: Construct) -> Construct:
    return Counted(Byte, Record(Peripheral, Struct("peripheral_id" / Byte, "content" / Window(Byte, content))))


_DOWN: Final = _Content(dict.fromkeys((PERIPHERAL_STATE, PERIPHERAL_INFORMATION), Counted(Byte, Byte)))
_UP: Final = _Content({PERIPHERAL_STATE: _peripherals(_STATE), PERIPHERAL_INFORMATION: _peripherals(_INFORMATION)})


class _TotalBytes(Construct):  # type: ignore[misc]
    """DWORD of the whole length; None writes that of this message's content."""

    flagbuildnone = True

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        return Int32ub._parsereport(stream, context, path)

    def _build(self, obj: int | None, stream: Any, context: Any, path: str) -> Any:
        return Int32ub._build(len(context.content) if obj is None else obj, stream, context, path)


def _layouts(content: Construct) -> dict[Edition, Struct]:
    since_2013 = Struct("kind" / Byte, "content" / content, "total_bytes" / Nothing())
    in_2011 = Struct("kind" / Byte, "total_bytes" / _TotalBytes(), "content" / Prefixed(Int16ub, GreedyBytes))
    return {Edition.V2011: in_2011, Edition.V2013: since_2013, Edition.V2019: since_2013}


_DOWN_LAYOUTS: Final = _layouts(_DOWN)
_UP_LAYOUTS: Final = _layouts(_UP)

register(
    0x8900,
    DownlinkPassThrough,
    _DOWN_LAYOUTS,
    name="downlink pass-through",
    chinese="数据下行透传",
    clause="JT/T 808-2013 §8.61, -2019 §8.60",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_DOWN_LAYOUTS),
)
register(
    0x0900,
    UplinkPassThrough,
    _UP_LAYOUTS,
    name="uplink pass-through",
    chinese="数据上行透传",
    clause="JT/T 808-2013 §8.62, -2019 §8.61",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    choose=by_fit(_UP_LAYOUTS),
)
register(
    0x0901,
    CompressedUpload,
    Struct("data" / Prefixed(Int32ub, GreedyBytes)),
    name="compressed upload",
    chinese="数据压缩上报",
    clause="JT/T 808-2013 §8.63, -2019 §8.62",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
_KEY: Final = Struct("e" / Int32ub, "n" / Bytes(128))
register(
    0x8A00,
    PlatformRsaKey,
    _KEY,
    name="platform's RSA key",
    chinese="平台RSA公钥",
    clause="JT/T 808-2013 §8.64, -2019 §8.63",
    direction=Direction.DOWNLINK,
    answer_id=0x0A00,
)
register(
    0x0A00,
    TerminalRsaKey,
    _KEY,
    name="terminal's RSA key",
    chinese="终端RSA公钥",
    clause="JT/T 808-2013 §8.65, -2019 §8.64",
    direction=Direction.UPLINK,
    answer_id=0x8A00,
)

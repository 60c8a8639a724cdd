"""Pictures, sounds and films from a terminal (多媒体): told of, sent up, asked for now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

from construct import Byte, Construct, GreedyBytes, Int16ub, Int32ub, Struct

from jt808.fields import Label, decode_bcd_time
from jt808.header import Edition
from jt808.layouts import Counted, IfMore, Nothing
from jt808.messages.location import BASIC_BYTES, BASIC_REPORT, LocationReport
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import When, by_fit


class MediaKind(IntEnum):
    """Kind of media (多媒体类型)."""

    IMAGE = 0  # 图像
    AUDIO = 1  # 音频
    VIDEO = 2  # 视频


class MediaFormat(IntEnum):
    """Format of media (多媒体格式编码)."""

    JPEG = 0
    TIF = 1
    MP3 = 2
    WAV = 3
    WMV = 4


class MediaEvent(IntEnum):
    """What a recording was made for (事件项编码); from DOOR_OPEN on since 2013."""

    PLATFORM_ORDER = 0  # 平台下发指令
    TIMER = 1  # 定时动作
    ROBBERY = 2  # 抢劫报警触发
    COLLISION = 3  # 碰撞侧翻报警触发
    DOOR_OPEN = 4  # 门开拍照
    DOOR_CLOSE = 5  # 门关拍照
    DOOR_CLOSED_MOVING = 6  # 车门由开变关，车速从小于20km到超过20km
    DISTANCE = 7  # 定距拍照


@dataclass(frozen=True, slots=True)
class MediaReport(Message):
    """A recording was made (多媒体事件信息上传). ``media_id`` counts from 1."""

    media_id: Annotated[int, Label("多媒体数据ID")]
    kind: Annotated[int, Label("多媒体类型", values=MediaKind)]
    format: Annotated[int, Label("多媒体格式编码", values=MediaFormat)]
    event: Annotated[int, Label("事件项编码", values=MediaEvent)]
    channel: Annotated[int, Label("通道ID")]


@dataclass(frozen=True, slots=True)
class MediaUpload(Message):
    """A recording itself (多媒体数据上传), mostly put together from many packages.

    ``location`` is the basic part of the position where it was made; None in 2011, and from units that leave these 28
    bytes out. ``package_total`` and ``package_no`` (from 1) stand in the body of 2011 only.
    """

    media_id: Annotated[int, Label("多媒体数据ID")]
    kind: Annotated[int, Label("多媒体类型", values=MediaKind)]
    format: Annotated[int, Label("多媒体格式编码", values=MediaFormat)]
    event: Annotated[int, Label("事件项编码", values=MediaEvent)]
    channel: Annotated[int, Label("通道ID")]
    location: Annotated[LocationReport | None, Label("位置信息汇报")]
    data: Annotated[bytes, Label("多媒体数据包")]
    package_total: Annotated[int | None, Label("包总数")] = None
    package_no: Annotated[int | None, Label("包ID")] = None


@dataclass(frozen=True, slots=True)
class MediaUploadResponse(Message):
    """Answer to a media upload (多媒体数据上传应答).

    ``package_nos`` are the packages to send once more, at most 125; None: all of them are there (in 2011 an empty
    list). ``answered_serial_no`` in 2011 only.
    """

    media_id: Annotated[int, Label("多媒体ID")]
    package_nos: Annotated[tuple[int, ...] | None, Label("重传包ID列表")] = None
    answered_serial_no: Annotated[int | None, Label("应答流水号")] = None


SHOOT_STOP: Final = 0
SHOOT_RECORD: Final = 0xFFFF

RESOLUTIONS: Final = {
    0x00: "lowest", 0x01: "320x240", 0x02: "640x480", 0x03: "800x600", 0x04: "1024x768", 0x05: "176x144 QCIF",
    0x06: "352x288 CIF", 0x07: "704x288 half D1", 0x08: "704x576 D1", 0xFF: "highest",
}  # fmt: skip
"""Resolutions (分辨率) of a 0x8801; lowest and highest since 2019."""


@dataclass(frozen=True, slots=True)
class ShootNow(Message):
    """Take pictures or record now (摄像头立即拍摄命令).

    ``command``: 0 stop, 0xFFFF record a film, otherwise how many photos. ``interval_s`` is the gap between photos (0:
    the shortest) or the length of the film (0: without end). ``channel`` counts from 1; 0x64 and 0x65 are the ADAS and
    DSM cameras of T/JSATL 12. ``quality`` 1 to 10, 1 the best; ``brightness`` and ``chroma`` 0 to 255; ``contrast``
    and ``saturation`` 0 to 127.
    """

    channel: Annotated[int, Label("通道ID")]
    command: Annotated[int, Label("拍摄命令", values={SHOOT_STOP: "stop", SHOOT_RECORD: "record"})]
    interval_s: Annotated[int, Label("拍照间隔/录像时间", "s")]
    save: Annotated[int, Label("保存标志", values={0: "upload", 1: "store"})]
    resolution: Annotated[int, Label("分辨率", values=RESOLUTIONS)]
    quality: Annotated[int, Label("图像/视频质量")]
    brightness: Annotated[int, Label("亮度")]
    contrast: Annotated[int, Label("对比度")]
    saturation: Annotated[int, Label("饱和度")]
    chroma: Annotated[int, Label("色度")]


@dataclass(frozen=True, slots=True)
class ShootNowResponse(Message):
    """Answer to a 0x8801 (摄像头立即拍摄命令应答), since 2013; before, and beside it, comes a 0x0001.

    ``media_ids`` only when ``result`` is 0, otherwise None.
    """

    answered_serial_no: Annotated[int, Label("应答流水号")]
    result: Annotated[int, Label("结果", values={0: "OK", 1: "FAILED", 2: "CHANNEL_UNSUPPORTED"})]
    media_ids: Annotated[tuple[int, ...] | None, Label("多媒体ID列表")] = None


def is_position(raw: bytes) -> bool:
    """Whether 28 bytes can be the basic part of a location report: a time (or none at all) where it should be, and
    degrees not beyond 180. The first bytes of a picture never pass."""
    if len(raw) < BASIC_BYTES:
        return False
    degrees = (int.from_bytes(raw[8:12], "big"), int.from_bytes(raw[12:16], "big"))
    return max(degrees) <= 180_000_000 and (raw[22:28] == bytes(6) or decode_bcd_time(raw[22:28]) is not None)


class OptionalPosition(Construct):  # type: ignore[misc]
    """The 28 bytes of a position, or nothing where a unit leaves them out."""

    def _parse(self, stream: Any, context: Any, path: str) -> LocationReport | None:
        at = stream.tell()
        raw = stream.read(BASIC_BYTES)
        stream.seek(at)
        if not is_position(raw):
            return None
        report: LocationReport = BASIC_REPORT._parsereport(stream, context, path)
        return report

    def _build(self, obj: LocationReport | None, stream: Any, context: Any, path: str) -> Any:
        return obj if obj is None else BASIC_REPORT._build(obj, stream, context, path)


_ABOUT: Final = ("media_id" / Int32ub, "kind" / Byte, "format" / Byte, "event" / Byte, "channel" / Byte)
_UPLOAD: Final = Struct(
    *_ABOUT,
    "location" / OptionalPosition(),
    "data" / GreedyBytes,
    "package_total" / Nothing(),
    "package_no" / Nothing(),
)


def _upload_edition(edition: Edition, body: bytes) -> Edition:
    """The package numbers of 2011 can only be what they say when they are small and in order."""
    total, number = int.from_bytes(body[8:12], "big"), int.from_bytes(body[12:16], "big")
    if edition == Edition.V2011 and not (len(body) >= 16 and 1 <= number <= total <= 0xFFFF):
        return Edition.V2013
    return edition


register(
    0x0800,
    MediaReport,
    Struct(*_ABOUT),
    name="media report",
    chinese="多媒体事件信息上传",
    clause="JT/T 808-2013 §8.51, -2019 §8.50",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x0801,
    MediaUpload,
    {
        Edition.V2011: Struct(
            *_ABOUT,
            "package_total" / Int32ub,
            "package_no" / Int32ub,
            "location" / Nothing(),
            "data" / GreedyBytes,
        ),
        Edition.V2013: _UPLOAD,
        Edition.V2019: _UPLOAD,
    },
    name="media upload",
    chinese="多媒体数据上传",
    clause="JT/T 808-2013 §8.52, -2019 §8.51",
    direction=Direction.UPLINK,
    answer_id=0x8800,
    choose=_upload_edition,
)

_ALL_THERE_OR_LIST: Final = Struct(
    "media_id" / Int32ub, "package_nos" / IfMore(Counted(Byte, Int16ub)), "answered_serial_no" / Nothing()
)
_RESPONSES: Final = {
    Edition.V2011: Struct("answered_serial_no" / Int16ub, "media_id" / Int32ub, "package_nos" / Counted(Byte, Int16ub)),
    Edition.V2013: _ALL_THERE_OR_LIST,
    Edition.V2019: _ALL_THERE_OR_LIST,
}

register(
    0x8800,
    MediaUploadResponse,
    _RESPONSES,
    name="media upload response",
    chinese="多媒体数据上传应答",
    clause="JT/T 808-2013 §8.53, -2019 §8.52",
    direction=Direction.DOWNLINK,
    answer_id=None,
    choose=by_fit(_RESPONSES),
)
register(
    0x8801,
    ShootNow,
    Struct(
        "channel" / Byte,
        "command" / Int16ub,
        "interval_s" / Int16ub,
        "save" / Byte,
        "resolution" / Byte,
        "quality" / Byte,
        "brightness" / Byte,
        "contrast" / Byte,
        "saturation" / Byte,
        "chroma" / Byte,
    ),
    name="shoot now",
    chinese="摄像头立即拍摄命令",
    clause="JT/T 808-2013 §8.54, -2019 §8.53",
    direction=Direction.DOWNLINK,
    answer_id=0x0805,
)
register(
    0x0805,
    ShootNowResponse,
    Struct(
        "answered_serial_no" / Int16ub,
        "result" / Byte,
        "media_ids" / When(lambda context: context.result == 0, Counted(Int16ub, Int32ub)),
    ),
    name="shoot now response",
    chinese="摄像头立即拍摄命令应答",
    clause="JT/T 808-2013 §8.55, -2019 §8.54",
    direction=Direction.UPLINK,
    answer_id=None,
    editions=SINCE_2013,
)

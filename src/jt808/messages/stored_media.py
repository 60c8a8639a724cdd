"""Recordings that a terminal keeps (存储多媒体数据): searched, sent for; and sound recorded on order (录音)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from construct import Byte, Int16ub, Int32ub, Struct

from jt808.fields import BcdTime, Label
from jt808.header import Edition
from jt808.layouts import Counted, Nothing, Record, Repeated
from jt808.messages.location import BASIC_REPORT, LocationReport
from jt808.messages.media import MediaEvent, MediaKind
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import by_fit

DELETE: Final = {0: "keep", 1: "delete"}
"""What becomes of a recording once it is uploaded (删除标志)."""


@dataclass(frozen=True, slots=True)
class StoredMediaSearch(Message):
    """Search what is stored (存储多媒体数据检索). ``channel`` 0: every channel; both times None: any time."""

    kind: Annotated[int, Label("多媒体类型", values=MediaKind)]
    channel: Annotated[int, Label("通道ID")]
    event: Annotated[int, Label("事件项编码", values=MediaEvent)]
    begin: Annotated[datetime | None, Label("起始时间")]
    end: Annotated[datetime | None, Label("结束时间")]


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """One recording that was found (多媒体检索项). ``media_id`` is None in 2011; ``location`` has no items."""

    media_id: Annotated[int | None, Label("多媒体ID")]
    kind: Annotated[int, Label("多媒体类型", values=MediaKind)]
    channel: Annotated[int, Label("通道ID")]
    event: Annotated[int, Label("事件项编码", values=MediaEvent)]
    location: Annotated[LocationReport, Label("位置信息汇报")]


@dataclass(frozen=True, slots=True)
class StoredMediaSearchResponse(Message):
    """What the search found (存储多媒体数据检索应答). ``total`` counts all, ``found`` has those of this message."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    total: Annotated[int, Label("多媒体数据总项数")]
    found: Annotated[tuple[StoredMedia, ...], Label("检索项")]


@dataclass(frozen=True, slots=True)
class StoredMediaUpload(Message):
    """Upload what is stored and fits (存储多媒体数据上传命令); fields as in the search. Answered by 0x0001, then the
    0x0801s."""

    kind: Annotated[int, Label("多媒体类型", values=MediaKind)]
    channel: Annotated[int, Label("通道ID")]
    event: Annotated[int, Label("事件项编码", values=MediaEvent)]
    begin: Annotated[datetime | None, Label("起始时间")]
    end: Annotated[datetime | None, Label("结束时间")]
    delete: Annotated[int, Label("删除标志", values=DELETE)]


@dataclass(frozen=True, slots=True)
class RecordSound(Message):
    """Start or stop recording sound (录音开始命令). ``duration_s`` 0: until told to stop."""

    command: Annotated[int, Label("录音命令", values={0: "stop", 1: "start"})]
    duration_s: Annotated[int, Label("录音时间", "s")]
    save: Annotated[int, Label("保存标志", values={0: "upload", 1: "store"})]
    sampling: Annotated[int, Label("音频采样率", values={0: "8 kHz", 1: "11 kHz", 2: "23 kHz", 3: "32 kHz"})]


@dataclass(frozen=True, slots=True)
class OneStoredMediaUpload(Message):
    """Upload one stored recording (单条存储多媒体数据检索上传命令), since 2013. Answered by 0x0001, then the 0x0801."""

    media_id: Annotated[int, Label("多媒体ID")]
    delete: Annotated[int, Label("删除标志", values=DELETE)]


_FOUND: Final = ("kind" / Byte, "channel" / Byte, "event" / Byte, "location" / BASIC_REPORT)
_WITH_ID: Final = Record(StoredMedia, Struct("media_id" / Int32ub, *_FOUND))
WITHOUT_ID: Final = Record(StoredMedia, Struct("media_id" / Nothing(), *_FOUND))
_SINCE_2013: Final = Struct("answered_serial_no" / Int16ub, "total" / Int16ub, "found" / Repeated(_WITH_ID))
_RESPONSES: Final = {
    Edition.V2011: Struct("answered_serial_no" / Int16ub, "total" / Int16ub, "found" / Counted(Int16ub, WITHOUT_ID)),
    Edition.V2013: _SINCE_2013,
    Edition.V2019: _SINCE_2013,
}
_WHICH: Final = ("kind" / Byte, "channel" / Byte, "event" / Byte, "begin" / BcdTime, "end" / BcdTime)

register(
    0x8802,
    StoredMediaSearch,
    Struct(*_WHICH),
    name="stored media search",
    chinese="存储多媒体数据检索",
    clause="JT/T 808-2013 §8.56, -2019 §8.55",
    direction=Direction.DOWNLINK,
    answer_id=0x0802,
)
register(
    0x0802,
    StoredMediaSearchResponse,
    _RESPONSES,
    name="stored media search response",
    chinese="存储多媒体数据检索应答",
    clause="JT/T 808-2013 §8.57, -2019 §8.56",
    direction=Direction.UPLINK,
    answer_id=None,
    choose=by_fit(_RESPONSES),
)
register(
    0x8803,
    StoredMediaUpload,
    Struct(*_WHICH, "delete" / Byte),
    name="stored media upload",
    chinese="存储多媒体数据上传命令",
    clause="JT/T 808-2013 §8.58, -2019 §8.57",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8804,
    RecordSound,
    Struct("command" / Byte, "duration_s" / Int16ub, "save" / Byte, "sampling" / Byte),
    name="record sound",
    chinese="录音开始命令",
    clause="JT/T 808-2013 §8.59, -2019 §8.58",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8805,
    OneStoredMediaUpload,
    Struct("media_id" / Int32ub, "delete" / Byte),
    name="one stored media upload",
    chinese="单条存储多媒体数据检索上传命令",
    clause="JT/T 808-2013 §8.60, -2019 §8.59",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    editions=SINCE_2013,
)

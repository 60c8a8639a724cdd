"""Films that a terminal keeps (历史音视频): found, played back, uploaded by FTP.

Source: JT/T 1078-2016 §5.6; clauses not checked, but for 5.6.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from construct import Byte, Int16ub, Int32ub, Int64ub, Struct

from jt808.fields import BcdTime, Bits, Label, TextByteLength, bits
from jt808.header import Edition
from jt808.layouts import Record, Repeated
from jt808.messages.additional_items import BY_ID
from jt808.messages.location_flags import alarm_names
from jt808.messages.registry import Direction, Message, register
from jt808.messages.video import MEDIA

STREAMS: Final = {0: "any", 1: "main", 2: "sub"}
STORAGES: Final = {0: "any", 1: "main", 2: "disaster"}
SPEEDS: Final = {0: "none", 1: "x1", 2: "x2", 3: "x4", 4: "x8", 5: "x16"}


def _alarm64_names(flags: int, edition: Edition) -> list[tuple[str, str]]:
    """Bits 0 to 31 are those of the alarm word (2011's table), 32 to 63 those of additional item 0x14."""
    video = BY_ID[0x14].bits or {}
    high = flags >> 32
    names = [(video.get(bit, f"bit_{bit + 32}"), "视频相关报警") for bit in range(32) if high >> bit & 1]
    return alarm_names(flags & 0xFFFFFFFF, Edition.V2011) + names


_ALARMS: Final = Bits("alarms", _alarm64_names)


@dataclass(frozen=True, slots=True)
class ResourceQuery(Message):
    """Ask which recordings there are (查询资源列表). ``channel`` 0: all; a time None: open; ``alarm_flags`` 0: any."""

    channel: Annotated[int, Label("逻辑通道号")]
    begin: Annotated[datetime | None, Label("开始时间")]
    end: Annotated[datetime | None, Label("结束时间")]
    alarm_flags: Annotated[int, Label("报警标志", bits=_ALARMS)]
    kind: Annotated[int, Label("音视频资源类型", values=MEDIA)]
    stream: Annotated[int, Label("码流类型", values=STREAMS)]
    storage: Annotated[int, Label("存储器类型", values=STORAGES)]


@dataclass(frozen=True, slots=True)
class Resource:
    """One recording (音视频资源)."""

    channel: Annotated[int, Label("逻辑通道号")]
    begin: Annotated[datetime | None, Label("开始时间")]
    end: Annotated[datetime | None, Label("结束时间")]
    alarm_flags: Annotated[int, Label("报警标志", bits=_ALARMS)]
    kind: Annotated[int, Label("音视频资源类型", values=MEDIA)]
    stream: Annotated[int, Label("码流类型", values=STREAMS)]
    storage: Annotated[int, Label("存储器类型", values=STORAGES)]
    size_bytes: Annotated[int, Label("文件大小", "bytes")]


@dataclass(frozen=True, slots=True)
class ResourceList(Message):
    """The recordings there are (终端上传音视频资源列表). ``total`` counts all, ``resources`` has this message's. The
    platform answers each sub-package (分包) with a 0x8001."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    total: Annotated[int, Label("音视频资源总数")]
    resources: Annotated[tuple[Resource, ...], Label("音视频资源列表")]


@dataclass(frozen=True, slots=True)
class PlaybackRequest(Message):
    """Play a recording back to a media server (平台下发远程录像回放请求); answered by 0x1205, then the stream.

    ``mode`` 4 sends the one frame of ``begin``; ``speed`` counts in the modes 1 and 2; ``end`` None: to the end.
    """

    server: Annotated[str, Label("服务器IP地址")]
    tcp_port: Annotated[int, Label("服务器音视频通道监听端口号(TCP)")]
    udp_port: Annotated[int, Label("服务器音视频通道监听端口号(UDP)")]
    channel: Annotated[int, Label("逻辑通道号")]
    kind: Annotated[int, Label("音视频类型", values=MEDIA)]
    stream: Annotated[int, Label("码流类型", values=STREAMS)]
    storage: Annotated[int, Label("存储器类型", values=STORAGES)]
    mode: Annotated[
        int,
        Label(
            "回放方式",
            values={0: "normal", 1: "fast forward", 2: "key-frame rewind", 3: "key frames", 4: "single frame"},
        ),
    ]
    speed: Annotated[int, Label("快进或快退倍数", values=SPEEDS)]
    begin: Annotated[datetime | None, Label("开始时间")]
    end: Annotated[datetime | None, Label("结束时间")]


@dataclass(frozen=True, slots=True)
class PlaybackControl(Message):
    """Control a playback (平台下发远程录像回放控制). ``speed`` counts for the commands 3 and 4, ``position`` for 5."""

    channel: Annotated[int, Label("音视频通道号")]
    command: Annotated[
        int,
        Label(
            "回放控制",
            values={
                0: "start", 1: "pause", 2: "end", 3: "fast forward", 4: "key-frame rewind", 5: "seek", 6: "key frames",
            },
        ),
    ]  # fmt: skip
    speed: Annotated[int, Label("快进或快退倍数", values=SPEEDS)]
    position: Annotated[datetime | None, Label("拖动回放位置")]


_CONDITIONS: Final = bits("allowed_over", {0: ("wifi", "WI-FI"), 1: ("lan", "LAN"), 2: ("mobile", "3G/4G")}, 8)


@dataclass(frozen=True, slots=True)
class FtpUpload(Message):
    """Upload recordings to an FTP server (文件上传指令); a 0x1206 tells when it is done."""

    server: Annotated[str, Label("FTP服务器地址")]
    port: Annotated[int, Label("端口")]
    username: Annotated[str, Label("用户名")]
    password: Annotated[str, Label("密码")]
    path: Annotated[str, Label("文件上传路径")]
    channel: Annotated[int, Label("逻辑通道号")]
    begin: Annotated[datetime | None, Label("开始时间")]
    end: Annotated[datetime | None, Label("结束时间")]
    alarm_flags: Annotated[int, Label("报警标志", bits=_ALARMS)]
    kind: Annotated[int, Label("音视频资源类型", values=MEDIA)]
    stream: Annotated[int, Label("码流类型", values=STREAMS)]
    storage: Annotated[int, Label("存储位置", values=STORAGES)]
    conditions: Annotated[int, Label("任务执行条件", bits=_CONDITIONS)]


@dataclass(frozen=True, slots=True)
class FtpUploadDone(Message):
    """An upload by FTP is over (文件上传完成通知)."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    result: Annotated[int, Label("结果", values={0: "OK", 1: "FAILED"})]


@dataclass(frozen=True, slots=True)
class FtpUploadControl(Message):
    """Pause, continue or cancel an upload (文件上传控制). ``answered_serial_no`` is that of its 0x9206."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    command: Annotated[int, Label("上传控制", values={0: "pause", 1: "continue", 2: "cancel"})]


_SPAN: Final = ("channel" / Byte, "begin" / BcdTime, "end" / BcdTime, "alarm_flags" / Int64ub)
_WHICH: Final = ("kind" / Byte, "stream" / Byte, "storage" / Byte)
_RESOURCE: Final = Record(Resource, Struct(*_SPAN, *_WHICH, "size_bytes" / Int32ub))


register(
    0x9205,
    ResourceQuery,
    Struct(*_SPAN, *_WHICH),
    name="resource query",
    chinese="查询资源列表",
    clause="JT/T 1078-2016 §5.6.1",
    direction=Direction.DOWNLINK,
    answer_id=0x1205,
)
register(
    0x1205,
    ResourceList,
    Struct("answered_serial_no" / Int16ub, "total" / Int32ub, "resources" / Repeated(_RESOURCE)),
    name="resource list",
    chinese="终端上传音视频资源列表",
    clause="JT/T 1078-2016 §5.6.2",
    is_clause_checked=True,
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x9201,
    PlaybackRequest,
    Struct(
        "server" / TextByteLength,
        "tcp_port" / Int16ub,
        "udp_port" / Int16ub,
        "channel" / Byte,
        *_WHICH,
        "mode" / Byte,
        "speed" / Byte,
        "begin" / BcdTime,
        "end" / BcdTime,
    ),
    name="playback request",
    chinese="平台下发远程录像回放请求",
    clause="JT/T 1078-2016 §5.6.3",
    direction=Direction.DOWNLINK,
    answer_id=0x1205,
)
register(
    0x9202,
    PlaybackControl,
    Struct("channel" / Byte, "command" / Byte, "speed" / Byte, "position" / BcdTime),
    name="playback control",
    chinese="平台下发远程录像回放控制",
    clause="JT/T 1078-2016 §5.6.4",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x9206,
    FtpUpload,
    Struct(
        "server" / TextByteLength,
        "port" / Int16ub,
        "username" / TextByteLength,
        "password" / TextByteLength,
        "path" / TextByteLength,
        *_SPAN,
        *_WHICH,
        "conditions" / Byte,
    ),
    name="FTP upload",
    chinese="文件上传指令",
    clause="JT/T 1078-2016 §5.6.5",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x1206,
    FtpUploadDone,
    Struct("answered_serial_no" / Int16ub, "result" / Byte),
    name="FTP upload done",
    chinese="文件上传完成通知",
    clause="JT/T 1078-2016 §5.6.6",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x9207,
    FtpUploadControl,
    Struct("answered_serial_no" / Int16ub, "command" / Byte),
    name="FTP upload control",
    chinese="文件上传控制",
    clause="JT/T 1078-2016 §5.6.7",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

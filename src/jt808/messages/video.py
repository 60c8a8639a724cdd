"""Live sound and film (实时音视频) and what a terminal can do of it.

Source: JT/T 1078-2016 §5.3 to §5.5; clauses not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from construct import Byte, Int16ub, Struct

from jt808.fields import BcdTime, Label, TextByteLength
from jt808.messages.registry import Direction, Message, register

CODINGS: Final = {
    1: "G.721", 2: "G.722", 3: "G.723", 4: "G.728", 5: "G.729", 6: "G.711A", 7: "G.711U", 8: "G.726", 9: "G.729A",
    10: "DVI4_3", 11: "DVI4_4", 12: "DVI4_8K", 13: "DVI4_16K", 14: "LPC", 15: "S16BE stereo", 16: "S16BE mono",
    17: "MPEG audio", 18: "LPCM", 19: "AAC", 20: "WMA9STD", 21: "HEAAC", 22: "PCM voice", 23: "PCM audio",
    24: "AACLC", 25: "MP3", 26: "ADPCMA", 27: "MP4 audio", 28: "AMR", 91: "transparent", 98: "H.264", 99: "H.265",
    100: "AVS", 101: "SVAC",
}  # fmt: skip
"""Codings of sound and film (音视频编码类型); 111 to 127 are makers' own."""

AUDIO_AND_VIDEO, AUDIO, VIDEO = 0, 1, 2
MEDIA: Final = {AUDIO_AND_VIDEO: "audio and video", AUDIO: "audio", VIDEO: "video", 3: "video or both"}
"""Kinds of a resource (音视频资源类型); 3 only where resources are asked for."""


@dataclass(frozen=True, slots=True)
class VideoAttributesQuery(Message):
    """Ask for the terminal's sound and film attributes (查询终端音视频属性); an empty body."""


@dataclass(frozen=True, slots=True)
class VideoAttributes(Message):
    """The terminal's sound and film attributes (终端上传音视频属性), answer to a 0x9003."""

    audio_coding: Annotated[int, Label("输入音频编码方式", values=CODINGS)]
    audio_channels: Annotated[int, Label("输入音频声道数")]
    sampling: Annotated[int, Label("输入音频采样率", values={0: "8 kHz", 1: "22.05 kHz", 2: "44.1 kHz", 3: "48 kHz"})]
    bits_per_sample: Annotated[int, Label("输入音频采样位数", values={0: "8 bits", 1: "16 bits", 2: "32 bits"})]
    audio_frame_bytes: Annotated[int, Label("音频帧长度")]
    has_audio_output: Annotated[int, Label("是否支持音频输出", values={0: "no", 1: "yes"})]
    video_coding: Annotated[int, Label("视频编码方式", values=CODINGS)]
    max_audio_channels: Annotated[int, Label("终端支持的最大音频物理通道数量")]
    max_video_channels: Annotated[int, Label("终端支持的最大视频物理通道数量")]


@dataclass(frozen=True, slots=True)
class PassengerFlow(Message):
    """How many passengers got on and off (终端上传乘客流量)."""

    begin: Annotated[datetime | None, Label("起始时间")]
    end: Annotated[datetime | None, Label("结束时间")]
    boarded: Annotated[int, Label("上车人数")]
    alighted: Annotated[int, Label("下车人数")]


@dataclass(frozen=True, slots=True)
class LiveRequest(Message):
    """Send live sound and film to a media server (实时音视频传输请求). A port of 0 is not used."""

    server: Annotated[str, Label("服务器IP地址")]
    tcp_port: Annotated[int, Label("服务器视频通道监听端口号(TCP)")]
    udp_port: Annotated[int, Label("服务器视频通道监听端口号(UDP)")]
    channel: Annotated[int, Label("逻辑通道号")]
    content: Annotated[
        int,
        Label(
            "数据类型",
            values={0: "audio and video", 1: "video", 2: "talk", 3: "listen", 4: "broadcast", 5: "transparent"},
        ),
    ]
    stream: Annotated[int, Label("码流类型", values={0: "main", 1: "sub"})]


@dataclass(frozen=True, slots=True)
class LiveControl(Message):
    """Control what is sent live (音视频实时传输控制). ``close`` and ``stream`` count for the commands 0 and 1."""

    channel: Annotated[int, Label("逻辑通道号")]
    command: Annotated[
        int,
        Label("控制指令", values={0: "close", 1: "switch stream", 2: "pause", 3: "resume", 4: "close talk"}),
    ]
    close: Annotated[int, Label("关闭音视频类型", values={0: "all", 1: "audio", 2: "video"})]
    stream: Annotated[int, Label("切换码流类型", values={0: "main", 1: "sub"})]


@dataclass(frozen=True, slots=True)
class LiveStatus(Message):
    """How the stream arrives (实时音视频传输状态通知). ``loss`` is the loss rate times 100, whole."""

    channel: Annotated[int, Label("逻辑通道号")]
    loss: Annotated[int, Label("丢包率", "%")]


register(
    0x9003,
    VideoAttributesQuery,
    Struct(),
    name="video attributes query",
    chinese="查询终端音视频属性",
    clause="JT/T 1078-2016 §5.3.2",
    direction=Direction.DOWNLINK,
    answer_id=0x1003,
)
register(
    0x1003,
    VideoAttributes,
    Struct(
        "audio_coding" / Byte,
        "audio_channels" / Byte,
        "sampling" / Byte,
        "bits_per_sample" / Byte,
        "audio_frame_bytes" / Int16ub,
        "has_audio_output" / Byte,
        "video_coding" / Byte,
        "max_audio_channels" / Byte,
        "max_video_channels" / Byte,
    ),
    name="video attributes",
    chinese="终端上传音视频属性",
    clause="JT/T 1078-2016 §5.3.3",
    direction=Direction.UPLINK,
    answer_id=None,
)
register(
    0x1005,
    PassengerFlow,
    Struct("begin" / BcdTime, "end" / BcdTime, "boarded" / Int16ub, "alighted" / Int16ub),
    name="passenger flow",
    chinese="终端上传乘客流量",
    clause="JT/T 1078-2016 §5.4.2",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x9101,
    LiveRequest,
    Struct(
        "server" / TextByteLength,
        "tcp_port" / Int16ub,
        "udp_port" / Int16ub,
        "channel" / Byte,
        "content" / Byte,
        "stream" / Byte,
    ),
    name="live video request",
    chinese="实时音视频传输请求",
    clause="JT/T 1078-2016 §5.5.1",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x9102,
    LiveControl,
    Struct("channel" / Byte, "command" / Byte, "close" / Byte, "stream" / Byte),
    name="live video control",
    chinese="音视频实时传输控制",
    clause="JT/T 1078-2016 §5.5.2",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x9105,
    LiveStatus,
    Struct("channel" / Byte, "loss" / Byte),
    name="live video status",
    chinese="实时音视频传输状态通知",
    clause="JT/T 1078-2016 §5.5.4",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

"""Attachments of active-safety alarms (报警附件): asked for, announced and acknowledged, file by file.

The terminal sends them on a connection of its own to an attachment server; the files themselves travel there in packets
that are no frames of this protocol. Source: T/JSATL 12-2017 (the tables of the attachment messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from construct import Byte, Bytes, Construct, Int16ub, Int32ub, Struct

from jt808.fields import Label, TextByteLength, padded_text
from jt808.layouts import Counted, Record
from jt808.messages.active_safety import SU_IDENTIFIER, AlarmIdentifier
from jt808.messages.registry import Direction, Message, register

FILE_TYPES: Final = {0: "picture", 1: "audio", 2: "video", 3: "text", 4: "other"}


@dataclass(frozen=True, slots=True)
class AttachmentRequest(Message):
    """Upload an alarm's attachments to that server (报警附件上传指令); 0x0001, then the terminal connects there.

    ``alarm_no`` (报警编号) is the platform's own name of the alarm, at most 32 bytes.
    """

    server: Annotated[str, Label("附件服务器IP地址")]
    tcp_port: Annotated[int, Label("附件服务器端口(TCP)")]
    udp_port: Annotated[int, Label("附件服务器端口(UDP)")]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]
    alarm_no: Annotated[str, Label("报警编号")]
    reserved: Annotated[bytes, Label("预留")] = bytes(16)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file that will come (附件信息)."""

    name: Annotated[str, Label("文件名称")]
    size_bytes: Annotated[int, Label("文件大小", "bytes")]


@dataclass(frozen=True, slots=True)
class AttachmentList(Message):
    """The files of an alarm (报警附件信息消息), first message to the attachment server."""

    terminal_id: Annotated[str, Label("终端ID")]
    identifier: Annotated[AlarmIdentifier, Label("报警标识号")]
    alarm_no: Annotated[str, Label("报警编号")]
    kind: Annotated[int, Label("信息类型", values={0: "normal", 1: "resend"})]
    attachments: Annotated[tuple[Attachment, ...], Label("附件信息列表")]


@dataclass(frozen=True, slots=True)
class FileInformation(Message):
    """The file that comes next (文件信息上传)."""

    name: Annotated[str, Label("文件名称")]
    file_type: Annotated[int, Label("文件类型", values=FILE_TYPES)]
    size_bytes: Annotated[int, Label("文件大小", "bytes")]


@dataclass(frozen=True, slots=True)
class FileDone(Message):
    """That file was sent (文件上传完成消息); fields as in the 0x1211."""

    name: Annotated[str, Label("文件名称")]
    file_type: Annotated[int, Label("文件类型", values=FILE_TYPES)]
    size_bytes: Annotated[int, Label("文件大小", "bytes")]


@dataclass(frozen=True, slots=True)
class MissingPart:
    """A part of a file to send again (补传数据包)."""

    offset: Annotated[int, Label("数据偏移量")]
    size_bytes: Annotated[int, Label("数据长度", "bytes")]


@dataclass(frozen=True, slots=True)
class FileDoneResponse(Message):
    """Answer to a 0x1212 (文件上传完成消息应答): the file is whole, or these parts are wanted again."""

    name: Annotated[str, Label("文件名称")]
    file_type: Annotated[int, Label("文件类型", values=FILE_TYPES)]
    result: Annotated[int, Label("上传结果", values={0: "complete", 1: "resend"})]
    missing: Annotated[tuple[MissingPart, ...], Label("补传数据包列表")] = ()


_ATTACHMENT: Final = Record(Attachment, Struct("name" / TextByteLength, "size_bytes" / Int32ub))
_PART: Final = Record(MissingPart, Struct("offset" / Int32ub, "size_bytes" / Int32ub))
_FILE: Final = Struct("name" / TextByteLength, "file_type" / Byte, "size_bytes" / Int32ub)


def request_layout(identifier: Construct) -> Struct:
    """A 0x9208 with that form of the identifier."""
    return Struct(
        "server" / TextByteLength,
        "tcp_port" / Int16ub,
        "udp_port" / Int16ub,
        "identifier" / identifier,
        "alarm_no" / padded_text(32),
        "reserved" / Bytes(16),
    )


def list_layout(terminal_id_bytes: int, identifier: Construct) -> Struct:
    """A 0x1210 with that form of the identifier."""
    return Struct(
        "terminal_id" / padded_text(terminal_id_bytes),
        "identifier" / identifier,
        "alarm_no" / padded_text(32),
        "kind" / Byte,
        "attachments" / Counted(Byte, _ATTACHMENT),
    )


register(
    0x9208,
    AttachmentRequest,
    request_layout(SU_IDENTIFIER),
    name="attachment request",
    chinese="报警附件上传指令",
    clause="T/JSATL 12-2017, 0x9208",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x1210,
    AttachmentList,
    list_layout(7, SU_IDENTIFIER),
    name="attachment list",
    chinese="报警附件信息消息",
    clause="T/JSATL 12-2017, 0x1210",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x1211,
    FileInformation,
    _FILE,
    name="file information",
    chinese="文件信息上传",
    clause="T/JSATL 12-2017, 0x1211",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x1212,
    FileDone,
    _FILE,
    name="file done",
    chinese="文件上传完成消息",
    clause="T/JSATL 12-2017, 0x1212",
    direction=Direction.UPLINK,
    answer_id=0x9212,
)
register(
    0x9212,
    FileDoneResponse,
    Struct("name" / TextByteLength, "file_type" / Byte, "result" / Byte, "missing" / Counted(Byte, _PART)),
    name="file done response",
    chinese="文件上传完成消息应答",
    clause="T/JSATL 12-2017, 0x9212",
    direction=Direction.DOWNLINK,
    answer_id=None,
)

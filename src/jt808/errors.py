"""The error tree of the library.

::

    JT808Error
    ├── UsageError        our caller asked for something impossible (a text too long, a serial number above 65535)
    └── PeerError         the other side sent something wrong; ``result`` is what a 0x8001 should answer
        ├── FrameError    escaping, check byte, size
        ├── HeaderError   message header (消息头)
        ├── EncryptionError   a key that is none, a body that cannot be decrypted
        └── BodyError     message body (消息体): message id, offset, what is wrong
"""

from __future__ import annotations

from enum import IntEnum


class Result(IntEnum):
    """Result of a general response (通用应答), 0x0001 and 0x8001.

    Source: JT/T 808-2013 and -2019, tables of 0x0001 and 0x8001; ``ALARM_CONFIRMED`` only in 0x8001 and not in 2011.
    """

    OK = 0  # 成功/确认
    FAILED = 1  # 失败
    MESSAGE_WRONG = 2  # 消息有误
    UNSUPPORTED = 3  # 不支持
    ALARM_CONFIRMED = 4  # 报警处理确认


class JT808Error(Exception):
    """Any error of this library."""


class UsageError(JT808Error):
    """Our caller's fault: the arguments cannot be put on the wire."""


class PeerError(JT808Error):
    """The other side's fault."""

    result = Result.MESSAGE_WRONG


class FrameError(PeerError):
    """What stood between two flags is no frame. ``reason`` is one of :data:`jt808.framing.REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class HeaderError(PeerError):
    """The header (消息头) cannot be right. ``message_id`` is None when not even that could be read."""

    def __init__(self, detail: str, *, message_id: int | None = None) -> None:
        super().__init__(detail)
        self.message_id = message_id


class EncryptionError(PeerError):
    """A body cannot be decrypted, or the public key that came is none. Source: `jt808.encryption`."""

    result = Result.UNSUPPORTED


class BodyError(PeerError):
    """The body of a message cannot be read.

    ``offset`` counts from the first byte of the body and names where reading stopped; None when it is not known.
    """

    def __init__(self, message_id: int, offset: int | None, detail: str) -> None:
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"0x{message_id:04X}{where}: {detail}")
        self.message_id = message_id
        self.offset = offset
        self.detail = detail

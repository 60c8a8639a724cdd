"""Whose fault it is.

JT809Error
├── UsageError          our caller asked for something the state or a field's range does not allow
└── PeerError           the other platform sent something that cannot be read
    ├── FrameError      flags, escapes, MSG_LENGTH or CRC
    ├── HeaderError     the message header
    └── BodyError       the body; carries the message id and what was wrong
"""

from __future__ import annotations


class JT809Error(Exception):
    """Any error of this package."""


class UsageError(JT809Error):
    """The caller's mistake: a value out of its range, a call the state does not allow."""


class PeerError(JT809Error):
    """The other platform's mistake."""


class FrameError(PeerError):
    """A frame that does not hold. ``reason`` is one of ``jt809.framing.REASONS``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class HeaderError(PeerError):
    """The message header (消息头) cannot be read."""


class BodyError(PeerError):
    """The message body (消息体) does not fit its layout.

    ``sub_id`` is the DATA_TYPE (子业务类型) of an enveloped message, None where there is none or it could not be read.
    """

    def __init__(self, message_id: int, sub_id: int | None, detail: str) -> None:
        name = f"0x{message_id:04X}" if sub_id is None else f"0x{message_id:04X}/0x{sub_id:04X}"
        super().__init__(f"{name}: {detail}")
        self.message_id = message_id
        self.sub_id = sub_id

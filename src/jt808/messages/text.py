"""Texts to the driver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Self

from construct import Byte, Default, Struct

from jt808.fields import Label, Text
from jt808.header import Edition
from jt808.messages.registry import Direction, Message, register


class TextType(IntEnum):
    """Type of a text message (文本类型), since 2019."""

    NOTICE = 1  # 通知
    SERVICE = 2  # 服务


@dataclass(frozen=True, slots=True)
class TextMessage(Message):
    """Text message (文本信息下发), at most 1024 bytes of GBK.

    ``flags`` (标志): bit 0 urgent (before 2019; since 2019 bits 0 and 1 are 01 service, 10 urgent, 11 notice), bit 2
    shown on the display, bit 3 read aloud (TTS), bit 4 advertising screen (before 2019), bit 5 content: 0 navigation,
    1 CAN fault code (since 2013). ``text_type`` is None before 2019.
    """

    flags: Annotated[int, Label("标志")]
    text: Annotated[str, Label("文本信息")]
    text_type: Annotated[int | None, Label("文本类型")] = None

    @classmethod
    def compose(
        cls,
        text: str,
        edition: Edition,
        *,
        urgent: bool = False,
        display: bool = True,
        tts: bool = False,
        advertising: bool = False,
    ) -> Self:
        """The text with the flags as the edition has them. Since 2019 there is no advertising screen to ask for."""
        flags = display << 2 | tts << 3
        if edition == Edition.V2019:
            return cls(flags | (0b10 if urgent else 0b11), text, TextType.NOTICE)
        return cls(flags | urgent | advertising << 4, text)


_BEFORE_2019 = Struct("flags" / Byte, "text" / Text)

register(
    0x8300,
    TextMessage,
    {
        Edition.V2011: _BEFORE_2019,
        Edition.V2013: _BEFORE_2019,
        Edition.V2019: Struct("flags" / Byte, "text_type" / Default(Byte, TextType.NOTICE), "text" / Text),
    },
    name="text message",
    chinese="文本信息下发",
    clause="JT/T 808-2013 §8.23, -2019 §8.27",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

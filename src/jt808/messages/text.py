"""Texts to the driver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Self

from construct import Byte, Default, Struct

from jt808.fields import Bits, Label, Text
from jt808.header import Edition
from jt808.messages.registry import Direction, Message, register


class TextType(IntEnum):
    """Type of a text message (文本类型), since 2019."""

    NOTICE = 1  # 通知
    SERVICE = 2  # 服务


_KINDS: Final = {1: ("service", "服务"), 2: ("urgent", "紧急"), 3: ("notice", "通知")}


def _flag_names(flags: int, edition: Edition) -> list[tuple[str, str]]:
    """What the flags say. Bits 0 and 1 are one number since 2019; bit 5 says what the text is, since 2013."""
    table = {2: ("display", "终端显示器显示"), 3: ("tts", "终端TTS播读")}
    if edition != Edition.V2019:
        table |= {0: ("urgent", "紧急"), 4: ("advertising_screen", "广告屏显示")}
    if edition != Edition.V2011:
        table[5] = ("can_fault_code", "CAN故障码信息")
    kind = flags & 3 if edition == Edition.V2019 else 0
    names = [_KINDS[kind]] if kind else []
    left = flags & ~3 if edition == Edition.V2019 else flags
    return names + [table.get(bit, (f"bit_{bit}", "保留")) for bit in range(8) if left >> bit & 1]


@dataclass(frozen=True, slots=True)
class TextMessage(Message):
    """Text message (文本信息下发), at most 1024 bytes of GBK.

    ``flags`` (标志): bit 0 urgent (before 2019; since 2019 bits 0 and 1 are 01 service, 10 urgent, 11 notice), bit 2
    shown on the display, bit 3 read aloud (TTS), bit 4 advertising screen (before 2019), bit 5 content: 0 navigation,
    1 CAN fault code (since 2013). ``text_type`` is None before 2019.
    """

    flags: Annotated[int, Label("标志", bits=Bits("flag_names", _flag_names))]
    text: Annotated[str, Label("文本信息")]
    text_type: Annotated[int | None, Label("文本类型", values=TextType)] = None

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


def _edition(edition: Edition, body: bytes) -> Edition:
    """A text without the type of 2019 begins where that would stand, and with a character."""
    is_old = edition == Edition.V2019 and (len(body) < 2 or body[1] >= 0x20)
    return Edition.V2013 if is_old else edition


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
    choose=_edition,
)

"""Where is it, what shall its driver know: texts, positions, tracking, alarms, calls."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from downlink.payload import DWord, Payload, PhoneNumber, Word, gbk
from jt808.header import Edition
from jt808.messages import (
    AlarmConfirmation,
    CallBack,
    LinkDetection,
    LocationQuery,
    Message,
    TextMessage,
    TrackingControl,
)

MAX_TEXT_BYTES: Final = 1024  # of the text of 0x8300 (文本信息下发), JT/T 808-2013 and 2019

CONFIRMED_BITS: Final = {
    "emergency": 0, "danger_warning": 3, "area_in_out": 20, "route_in_out": 21, "segment_time": 22,
    "illegal_ignition": 27, "illegal_movement": 28,
}  # fmt: skip
"""Alarms that a 0x8203 can confirm, JT/T 808-2013 §8.22 table 30."""


class Text(Payload):
    """Send a text (文本信息下发, 0x8300): shown, read aloud, or both."""

    model_config = ConfigDict(strict=False)
    kind: Literal["text"]
    text: Annotated[str, gbk(MAX_TEXT_BYTES)]
    urgent: bool = False
    display: bool = True
    tts: bool = False
    advertising: bool = False

    def message(self, edition: Edition) -> Message:
        return TextMessage.compose(
            self.text, edition, urgent=self.urgent, display=self.display, tts=self.tts, advertising=self.advertising
        )


class Locate(Payload):
    """Ask where it is now (位置信息查询, 0x8201)."""

    kind: Literal["locate"]

    def message(self, edition: Edition) -> Message:
        return LocationQuery()


class Track(Payload):
    """Have it report every ``interval_s`` for ``duration_s`` (临时位置跟踪控制, 0x8202); interval 0 ends that."""

    kind: Literal["track"]
    interval_s: Word
    duration_s: Annotated[DWord, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Track:
        if self.interval_s and self.duration_s is None:
            raise ValueError("duration_s is needed, unless interval_s is 0")
        if not self.interval_s and self.duration_s is not None:
            raise ValueError("interval_s 0 ends the tracking: duration_s has no meaning then")
        return self

    def message(self, edition: Edition) -> Message:
        return TrackingControl(self.interval_s, self.duration_s)


class AlarmConfirm(Payload):
    """Confirm alarms by hand (人工确认报警消息, 0x8203), since 2013; ``alarm_serial_no`` 0: all of these kinds."""

    kind: Literal["alarm_confirm"]
    alarms: Annotated[
        list[
            Literal[
                "emergency",
                "danger_warning",
                "area_in_out",
                "route_in_out",
                "segment_time",
                "illegal_ignition",
                "illegal_movement",
            ]
        ],
        Field(min_length=1, max_length=7),
    ]
    alarm_serial_no: Word = 0

    def message(self, edition: Edition) -> Message:
        bits = 0
        for name in self.alarms:
            bits |= 1 << CONFIRMED_BITS[name]
        return AlarmConfirmation(self.alarm_serial_no, bits)


class LinkTest(Payload):
    """Ask whether it is there (链路检测, 0x8204), since 2019."""

    kind: Literal["link_test"]

    def message(self, edition: Edition) -> Message:
        return LinkDetection()


class PhoneCall(Payload):
    """Have it call a number (电话回拨, 0x8400); ``listen``: with its loudspeaker off."""

    kind: Literal["phone_call"]
    number: PhoneNumber
    listen: bool = False

    def message(self, edition: Edition) -> Message:
        return CallBack(int(self.listen), self.number)

"""Pictures and sound: taking them, finding what a terminal keeps, having it sent."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from downlink.payload import Byte, DWord, Moment, Payload, Word
from jt808.header import Edition
from jt808.messages import (
    MediaEvent,
    MediaKind,
    Message,
    OneStoredMediaUpload,
    RecordSound,
    ShootNow,
    StoredMediaSearch,
    StoredMediaUpload,
)

_RESOLUTIONS: Final = {
    "lowest": 0x00, "320x240": 0x01, "640x480": 0x02, "800x600": 0x03, "1024x768": 0x04, "176x144": 0x05,
    "352x288": 0x06, "704x288": 0x07, "704x576": 0x08, "highest": 0xFF,
}  # fmt: skip
_KINDS: Final = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_SAMPLING: Final = {8: 0, 11: 1, 23: 2, 32: 3}
_EVENTS: Final = {event.name.lower(): event for event in MediaEvent}
RECORD: Final = 0xFFFF

Resolution = Literal[
    "lowest", "320x240", "640x480", "800x600", "1024x768", "176x144", "352x288", "704x288", "704x576", "highest"
]
Media = Literal["image", "audio", "video"]
Event = Literal[
    "platform_order", "timer", "robbery", "collision", "door_open", "door_close", "door_closed_moving", "distance"
]


class Photo(Payload):
    """Take photos or film now (摄像头立即拍摄命令, 0x8801).

    ``count`` photos every ``interval_s`` (0: as fast as it can), or a film of ``interval_s`` (0: without end) until
    ``stop``. ``quality`` 1 is the best. What is not only stored arrives as media.
    """

    kind: Literal["photo"]
    action: Literal["photo", "record", "stop"] = "photo"
    channel: Annotated[int, Field(ge=1, le=255)] = 1
    count: Annotated[int, Field(ge=1, le=100)] = 1
    interval_s: Word = 0
    store_only: bool = False
    resolution: Resolution = "640x480"
    quality: Annotated[int, Field(ge=1, le=10)] = 5
    brightness: Byte = 128
    contrast: Annotated[int, Field(ge=0, le=127)] = 64
    saturation: Annotated[int, Field(ge=0, le=127)] = 64
    chroma: Byte = 128

    def message(self, edition: Edition) -> Message:
        return ShootNow(
            self.channel,
            {"photo": self.count, "record": RECORD, "stop": 0}[self.action],
            self.interval_s,
            int(self.store_only),
            _RESOLUTIONS[self.resolution],
            self.quality,
            self.brightness,
            self.contrast,
            self.saturation,
            self.chroma,
        )


class _Span(Payload):
    begin: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Span:
        if (self.begin is None) != (self.end is None):
            raise ValueError("begin and end belong together; without both it is any time")
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise ValueError("end must be after begin")
        return self


class MediaSearch(_Span):
    """Search what it keeps (存储多媒体数据检索, 0x8802); ``channel`` 0: every channel."""

    kind: Literal["media_search"]
    media: Media = "image"
    channel: Byte = 0
    event: Event = "platform_order"

    def message(self, edition: Edition) -> Message:
        return StoredMediaSearch(_KINDS[self.media], self.channel, _EVENTS[self.event], self.begin, self.end)


class MediaUpload(_Span):
    """Have it send what it keeps (0x8803), or one recording by ``media_id`` (0x8805, since 2013)."""

    kind: Literal["media_upload"]
    media_id: Annotated[DWord, Field(ge=1)] | None = None
    media: Media | None = None
    channel: Byte | None = None
    event: Event | None = None
    delete: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> MediaUpload:
        by_search = self.media is not None or self.channel is not None or self.event is not None or self.begin
        if self.media_id is not None and by_search:
            raise ValueError("media_id names one recording: media, channel, event, begin and end have no meaning then")
        if self.media_id is None and self.media is None:
            raise ValueError("media_id or media is needed")
        return self

    def message(self, edition: Edition) -> Message:
        if self.media_id is not None:
            return OneStoredMediaUpload(self.media_id, int(self.delete))
        media, event = _KINDS[self.media or "image"], _EVENTS[self.event or "platform_order"]
        return StoredMediaUpload(media, self.channel or 0, event, self.begin, self.end, int(self.delete))


class Recording(Payload):
    """Start or stop recording sound (录音开始命令, 0x8804); ``duration_s`` 0: until it is stopped."""

    kind: Literal["recording"]
    action: Literal["start", "stop"]
    duration_s: Word = 0
    store_only: bool = False
    sampling_khz: Literal[8, 11, 23, 32] = 8

    def message(self, edition: Edition) -> Message:
        return RecordSound(
            int(self.action == "start"), self.duration_s, int(self.store_only), _SAMPLING[self.sampling_khz]
        )

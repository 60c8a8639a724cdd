"""Media on the wire."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.fields import Time
from fleet.media import CONTENT_TYPES, MEDIA_EVENTS, MEDIA_TYPES

MediaType = Literal["image", "audio", "video", "other"]
MediaEvent = Literal[
    "platform_order", "timer", "robbery", "collision", "door_open", "door_close", "door_closed_moving", "distance",
    "other",
]  # fmt: skip


class Media(BaseModel):
    """A picture, sound or film that a terminal sent (多媒体数据上传, 0x0801). Its bytes: ``GET media/{id}/content``.

    ``media_id`` is the terminal's own number, ``event_code`` is as sent (事件项编码), ``command_id`` the command that
    asked for it. Position and speed are those of the recording, null where the terminal sent none.
    """

    id: int
    vehicle_id: int | None
    plate: str | None
    plate_color: int | None
    phone: str
    media_id: int
    type: MediaType
    event: MediaEvent
    event_code: int
    channel: int
    time: Time = Field(description="Of the recording; of the receipt where `time_source` says so.")
    time_source: Literal["terminal", "receipt"]
    received_at: Time
    latitude_deg: float | None
    longitude_deg: float | None
    speed_kmh: float | None
    heading_deg: int | None
    alarm_flags: int | None
    status_flags: int | None
    size_bytes: int
    content_type: str = Field(description="By the bytes; `application/octet-stream` when they are nothing we know.")
    sha256: str
    command_id: UUID | None


class MediaReport(BaseModel):
    """A terminal said that it recorded something (多媒体事件信息上传, 0x0800). ``upload_id``: the ``media`` that
    followed, if one did."""

    id: int
    received_at: Time
    vehicle_id: int | None
    plate: str | None
    plate_color: int | None
    phone: str
    media_id: int
    type: MediaType
    event: MediaEvent
    event_code: int
    channel: int
    upload_id: int | None


def shape(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``media`` as the API tells it."""
    return _named(row) | {
        "time_source": "receipt" if row["is_time_of_receipt"] else "terminal",
        "content_type": CONTENT_TYPES.get(row["suffix"], CONTENT_TYPES["bin"]),
        "sha256": row["sha256"].hex(),
    }


def shape_report(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``media_reports`` as the API tells it."""
    return _named(row)


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """The row as it goes out over the live stream, equal to what ``GET media/{id}`` answers."""
    return Media.model_validate(shape(row)).model_dump(mode="json")


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "type": MEDIA_TYPES.get(row["kind"], "other"),
        "event": MEDIA_EVENTS.get(row["event"], "other"),
        "event_code": row["event"],
    }

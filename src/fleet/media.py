"""Pictures, sounds and films that terminals send (多媒体)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

MEDIA_TYPES: Final = {0: "image", 1: "audio", 2: "video"}
"""Kind on the wire -> what it is called. JT/T 808-2013 §8.52, table 79; others are "other"."""

MEDIA_EVENTS: Final = {
    0: "platform_order", 1: "timer", 2: "robbery", 3: "collision", 4: "door_open", 5: "door_close",
    6: "door_closed_moving", 7: "distance",
}  # fmt: skip
"""Event on the wire (事件项编码) -> what it was recorded for; others are "other"."""

CONTENT_TYPES: Final = {
    "jpg": "image/jpeg", "png": "image/png", "tif": "image/tiff", "mp3": "audio/mpeg", "wav": "audio/wav",
    "wmv": "video/x-ms-wmv", "mp4": "video/mp4", "bin": "application/octet-stream",
}  # fmt: skip
"""Ending of a file -> its content type. Nothing in here can be made to run by a browser."""

_MP3: Final = 2  # format codes of the standard whose beginning alone does not say enough


def suffix_of(format_code: int, content: bytes) -> str:
    """The ending that fits the bytes, one of CONTENT_TYPES. What the terminal says of the format counts only where the
    bytes leave it open: there are terminals that call everything JPEG. Nothing known: "bin"."""
    head = content[:16]
    if head[:3] == b"\xff\xd8\xff":
        return "jpg"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "tif"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"\x30\x26\xb2\x75":  # ASF, which WMV is in
        return "wmv"
    if head[4:8] == b"ftyp":
        return "mp4"
    is_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2  # MPEG audio, layer III
    if head[:3] == b"ID3" or (format_code == _MP3 and is_frame):
        return "mp3"
    return "bin"


@dataclass(frozen=True, slots=True)
class Media:
    """An upload (多媒体数据上传) as it is stored: the row, and the bytes of its file."""

    received_us: int
    phone: str
    edition: str
    terminal_id: int | None  # None: no such terminal
    vehicle_id: int | None  # where the terminal was at ``time_us``; None: in none
    media_id: int  # the terminal's own number of it
    kind: int
    format: int
    event: int
    channel: int
    time_us: int  # of the recording; of the receipt where the terminal gives none that can be believed
    is_time_of_receipt: bool
    latitude_deg: float | None  # None: the upload has no position, or none on Earth
    longitude_deg: float | None
    speed_kmh: float | None
    heading_deg: int | None
    alarm_flags: int | None
    status_flags: int | None
    suffix: str  # of CONTENT_TYPES
    sha256: bytes  # of the content
    upload_key: bytes  # the same for the same upload only: its head and its content
    content: bytes
    is_filed: bool = False  # the content is in its file, on disk, and has no need to stand in the row

    @property
    def file_name(self) -> str:
        return file_name(self.sha256, self.suffix)


@dataclass(frozen=True, slots=True)
class MediaReport:
    """A terminal says that it recorded something (多媒体事件信息上传); it sends it when asked, or by itself."""

    received_us: int
    phone: str
    terminal_id: int | None
    vehicle_id: int | None
    media_id: int
    kind: int
    format: int
    event: int
    channel: int


def file_name(sha256: bytes, suffix: str) -> str:
    """Where the content is, below the media folder: ``ab/cd/<sha256>.jpg``."""
    digest = sha256.hex()
    return f"{digest[:2]}/{digest[2:4]}/{digest}.{suffix}"


def upload_key(head: bytes, sha256: bytes) -> bytes:
    """What tells one upload from another: 16 bytes from what stands before the content, and the content's hash."""
    return hashlib.blake2b(head + sha256, digest_size=16).digest()

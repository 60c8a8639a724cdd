"""What terminals say and send of their recordings (多媒体): journal records -> what is stored of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

import jt808
from fleet import Media, MediaReport
from fleet.media import suffix_of, upload_key
from ingest.directory import Directory
from ingest.plausible import Plausible
from ingest.records import Records
from jt808.messages import LocationReport
from jt808.messages import MediaReport as ReportBody
from jt808.messages import MediaUpload as UploadBody

REPORT, UPLOAD = 0x0800, 0x0801


@dataclass(slots=True)
class ReadMedia:
    """What a run of records said. ``unread``: record, reason and detail of those that cannot be stored as media."""

    uploads: list[Media] = field(default_factory=list)
    reports: list[MediaReport] = field(default_factory=list)
    unread: list[tuple[int, str, str]] = field(default_factory=list)


def read_media(records: Records, rows: Sequence[int], directory: Directory, plausible: Plausible) -> ReadMedia:
    """Read the 0x0800 and 0x0801 among the records.

    Args:  rows: which records they are; plausible: which device times are believed, as for positions.
    """
    read = ReadMedia()
    for i in rows:
        header, body = records.headers[i], records.body(i)
        edition = records.edition(i)
        try:
            message = jt808.decode_body(int(header["message_id"]), edition, body)
        except jt808.PeerError as error:
            read.unread.append((i, "undecodable", str(error)))
            continue
        about = {name: getattr(message, name) for name in ABOUT}
        about |= {"received_us": int(header["received_us"]), "phone": records.phone(i)}
        if isinstance(message, ReportBody):
            about |= _whose(directory, header, about["received_us"])
            read.reports.append(MediaReport(**about))
        elif isinstance(message, UploadBody) and (fault := _fault(message)):
            read.unread.append((i, *fault))
        elif isinstance(message, UploadBody):
            about |= _recorded(message.location, about["received_us"], plausible)
            about |= _whose(directory, header, about["time_us"])
            about |= _content(message, body)
            read.uploads.append(Media(edition=edition.value, **about))
    return read


ABOUT: Final = ("media_id", "kind", "format", "event", "channel")


def _fault(message: UploadBody) -> tuple[str, str] | None:
    """Why an upload cannot be stored as media."""
    if not message.data:
        return "undecodable", "there is no data behind the head"
    if message.package_total is not None and message.package_total > 1:
        return "media_part", f"package {message.package_no} of {message.package_total}, counted in the body (2011)"
    return None


def _recorded(location: LocationReport | None, received_us: int, plausible: Plausible) -> dict[str, Any]:
    """When and where, as far as the terminal says so and it can be."""
    time = location.time if location is not None else None
    time_us = int(time.timestamp()) * 1_000_000 if time is not None else 0
    is_believed = plausible.oldest_us <= time_us <= received_us + plausible.ahead_us
    values: dict[str, Any] = {
        "time_us": time_us if is_believed else received_us,
        "is_time_of_receipt": not is_believed,
        **dict.fromkeys(_WHERE),
    }
    if location is not None:
        values |= {name: getattr(location, name) for name in _WHERE}
        place = location.latitude_deg, location.longitude_deg
        if place == (0.0, 0.0) or abs(place[0]) > 90 or abs(place[1]) > 180:
            values |= {"latitude_deg": None, "longitude_deg": None}
    return values


_WHERE: Final = ("latitude_deg", "longitude_deg", "speed_kmh", "heading_deg", "alarm_flags", "status_flags")


def _whose(directory: Directory, header: np.void, time_us: int) -> dict[str, Any]:
    """The terminal, and the vehicle it was in at that time."""
    terminal, vehicle = directory.resolve(header["phone"].reshape(1), np.array([time_us], np.int64))
    ids = {"terminal_id": int(terminal[0]), "vehicle_id": int(vehicle[0])}
    return {name: None if key < 0 else key for name, key in ids.items()}


def _content(message: UploadBody, body: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(message.data).digest()
    head = body[: len(body) - len(message.data)]
    return {
        "content": message.data,
        "sha256": sha256,
        "upload_key": upload_key(head, sha256),
        "suffix": suffix_of(message.format, message.data),
    }

"""Media to store."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import store
from fleet import Media
from fleet.media import suffix_of, upload_key
from store.media_store import MediaStore
from store.queries import media as queries

T0_US = int(datetime(2026, 3, 1, 8, 0, tzinfo=UTC).timestamp()) * 1_000_000
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20


def upload(content: bytes = JPEG, at: float = 0.0, **changes: Any) -> Media:
    """An upload recorded ``at`` seconds after T0 and received five seconds later."""
    sha256 = hashlib.sha256(content).digest()
    time_us = T0_US + int(at * 1e6)
    values: dict[str, Any] = {
        "received_us": time_us + 5_000_000, "phone": "13900000001", "edition": "2013", "terminal_id": None,
        "vehicle_id": None, "media_id": 7, "kind": 0, "format": 0, "event": 0, "channel": 1, "time_us": time_us,
        "is_time_of_receipt": False, "latitude_deg": 41.8, "longitude_deg": 123.4, "speed_kmh": 60.0,
        "heading_deg": 90, "alarm_flags": 0, "status_flags": 3, "suffix": suffix_of(changes.get("format", 0), content),
        "sha256": sha256, "upload_key": upload_key(f"{at}{changes}".encode(), sha256), "content": content,
    } | changes  # fmt: skip
    return Media(**values)


async def put(shelf: MediaStore, database: store.Database, *items: Media) -> list[int]:
    """As the pipeline does: the files, then the rows; the ids of those that are new."""
    async with shelf.kept(items) as kept, database.connection() as connection:
        return (await queries.insert(connection, kept))[0]

"""Media: lists, bytes, removal."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import store
from api import Services
from fleet import MediaReport
from store.media_store import MediaStore
from store.queries import media
from tests.api.support import T0, Seed, assert_problem, us
from tests.store.media import JPEG, put, upload

PATH = "/api/v1/media"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shelf(postgresql_database: store.Database, tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media", postgresql_database)


@pytest.fixture
def services(postgresql_database: store.Database, shelf: MediaStore) -> Services:
    return Services(postgresql_database, media=shelf)


async def listed(client: httpx.AsyncClient, **params: Any) -> list[int]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_a_picture_reads_whole(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    vehicle_id = await seed.vehicle("辽B12345")
    (row_id,) = await put(shelf, seed.database, upload(vehicle_id=vehicle_id, event=5, channel=3))
    expected = {
        "id": row_id, "vehicle_id": vehicle_id, "plate": "辽B12345", "plate_color": 2, "phone": "13900000001",
        "media_id": 7, "type": "image", "event": "door_close", "event_code": 5, "channel": 3,
        "time": "2026-03-01T08:00:00.000Z", "time_source": "terminal", "received_at": "2026-03-01T08:00:05.000Z",
        "latitude_deg": 41.8, "longitude_deg": 123.4, "speed_kmh": 60.0, "heading_deg": 90, "alarm_flags": 0,
        "status_flags": 3, "size_bytes": len(JPEG), "content_type": "image/jpeg",
        "sha256": hashlib.sha256(JPEG).hexdigest(), "command_id": None,
    }  # fmt: skip
    assert (await viewer.get(f"{PATH}/{row_id}")).json() == expected
    assert (await viewer.get(PATH)).json() == {"items": [expected], "next": None}
    assert_problem(await viewer.get(f"{PATH}/{row_id + 1}"), 404, "not-found", str(row_id + 1))


async def test_filters_and_pages(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    one, two, three, four = await put(
        shelf, seed.database, upload(), upload(at=60, kind=1, vehicle_id=vehicle_id),
        upload(at=120, kind=2), upload(at=180, kind=9),
    )  # fmt: skip
    assert await listed(viewer) == [four, three, two, one]
    assert await listed(viewer, vehicle_id=vehicle_id) == [two]
    assert await listed(viewer, type="image") == [one]
    assert await listed(viewer, type="audio,video") == [three, two]
    assert await listed(viewer, type=["other", "image"]) == [four, one]
    assert await listed(viewer, **{"from": (T0 + MINUTE).isoformat(), "to": (T0 + 2 * MINUTE).isoformat()}) == [
        three,
        two,
    ]
    page = (await viewer.get(PATH, params={"limit": 3})).json()
    assert [one["id"] for one in page["items"]] == [four, three, two]
    assert await listed(viewer, cursor=page["next"]) == [one]
    assert_problem(await viewer.get(PATH, params={"type": "smell"}), 422, "validation", "smell")


async def test_the_bytes_and_what_a_browser_is_told_of_them(
    viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore
) -> None:
    vehicle_id = await seed.vehicle("辽B12345")
    (row_id,) = await put(shelf, seed.database, upload(vehicle_id=vehicle_id))
    answer = await viewer.get(f"{PATH}/{row_id}/content")
    assert (answer.status_code, answer.content) == (200, JPEG)
    headers = answer.headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["content-disposition"].startswith('inline; filename="_B12345_20260301-160000_ch1.jpg"')
    assert "filename*=UTF-8''%E8%BE%BDB12345_20260301-160000_ch1.jpg" in headers["content-disposition"]
    again = await viewer.get(f"{PATH}/{row_id}/content", headers={"if-none-match": f'"x", {headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", headers["etag"])


async def test_parts_of_a_film(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    film = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 100
    (row_id,) = await put(shelf, seed.database, upload(film, kind=2, format=4))
    part = await viewer.get(f"{PATH}/{row_id}/content", headers={"range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, film[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(film)}"
    assert part.headers["content-type"] == "video/mp4"
    tail = await viewer.get(f"{PATH}/{row_id}/content", headers={"range": "bytes=-10"})
    assert tail.content == film[-10:]
    beyond = await viewer.get(f"{PATH}/{row_id}/content", headers={"range": f"bytes={len(film)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("content", [b"<html><script>alert(1)</script>", b"<svg onload='x'/>" * 200, b"%PDF-1.7"])
async def test_what_is_no_media_is_only_for_keeping(
    viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore, content: bytes
) -> None:
    """Whatever the terminal calls it."""
    (row_id,) = await put(shelf, seed.database, upload(content, format=0))
    answer = await viewer.get(f"{PATH}/{row_id}/content")
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="13900000001_')
    assert "content-encoding" not in answer.headers


async def test_downloads_are_in_the_audit(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    (row_id,) = await put(shelf, seed.database, upload())
    await viewer.get(f"{PATH}/{row_id}/content")
    assert await seed.rows("SELECT action FROM audit") == []
    answer = await viewer.get(f"{PATH}/{row_id}/content", params={"download": True})
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert await seed.rows("SELECT username, action, target, detail FROM audit") == [
        ("viewer", "media.download", "13900000001", {"id": row_id})
    ]


async def test_removal(
    viewer: httpx.AsyncClient, operator: httpx.AsyncClient, admin: httpx.AsyncClient, seed: Seed, shelf: MediaStore
) -> None:
    """By administrators, audited; the file goes with the last row that has it."""
    one, two = await put(shelf, seed.database, upload(), upload(at=60))
    path = shelf.path(upload().file_name)
    for other in (viewer, operator):
        assert_problem(await other.delete(f"{PATH}/{one}"), 403, "role")
    assert (await admin.delete(f"{PATH}/{one}")).status_code == 204
    assert path.read_bytes() == JPEG
    assert await listed(viewer) == [two]
    assert (await admin.delete(f"{PATH}/{two}")).status_code == 204
    assert not path.exists()
    assert_problem(await admin.delete(f"{PATH}/{two}"), 404, "not-found")
    assert await seed.rows("SELECT action, detail->>'id' FROM audit ORDER BY id") == [
        ("media.delete", str(one)),
        ("media.delete", str(two)),
    ]


async def test_a_file_that_is_gone_is_said(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    (row_id,) = await put(shelf, seed.database, upload())
    shelf.path(upload().file_name).unlink()
    assert_problem(await viewer.get(f"{PATH}/{row_id}/content"), 404, "media-file", "gone")


async def test_what_could_not_be_filed_is_shown_all_the_same(
    viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore
) -> None:
    shelf.folder.root.write_bytes(b"no folder")
    (row_id,) = await put(shelf, seed.database, upload())
    answer = await viewer.get(f"{PATH}/{row_id}/content")
    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"


async def test_reports_name_the_upload_that_followed(viewer: httpx.AsyncClient, seed: Seed, shelf: MediaStore) -> None:
    reports = [MediaReport(us(T0), "13900000001", None, None, number, 0, 0, 3, 1) for number in (7, 8)]
    async with seed.database.connection() as connection:
        await media.insert_reports(connection, reports)
        await media.insert_reports(connection, reports)  # sent again
    (row_id,) = await put(shelf, seed.database, upload())
    answer = (await viewer.get("/api/v1/media-reports", params={"limit": 10})).json()
    assert [(one["media_id"], one["event"], one["upload_id"]) for one in answer["items"]] == [
        (8, "collision", None),
        (7, "collision", row_id),
    ]

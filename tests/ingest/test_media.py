"""Uploads from the journal to file and row; the janitor's limits."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import store
from fleet import CommandChanged, Media, MediaStored
from ingest.media_janitor import ORPHAN_AGE_S, MediaJanitor
from ingest.pipeline import Pipeline
from store.media_store import MediaStore
from store.queries import media as queries
from tests.ingest.waiting import until
from tests.ingest.world import PHONE, Rec, World, events, fix, registered, report, us
from tests.store.media import T0_US, put, upload

JPEG = b"\xff\xd8\xff\xe0 a picture"
COLUMNS = "media_id, kind, format, event, channel, suffix, size_bytes, is_time_of_receipt"


class Site(World):
    """A world with a media folder."""

    def __init__(self, folder: Path, database: store.Database) -> None:
        self.shelf = MediaStore(folder / "media", database, retry_s=0.01)
        super().__init__(folder, database)

    def begin(self, **options: Any) -> Pipeline:
        return super().begin(**{"media": self.shelf} | options)

    def files(self) -> list[str]:
        root = self.shelf.folder.root
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture
async def site(tmp_path: Path, postgresql_database: store.Database) -> AsyncIterator[Site]:
    site = Site(tmp_path, postgresql_database)
    yield site
    site.close()


def about(media_id: int, kind: int = 0, format_code: int = 0, event: int = 0, channel: int = 1) -> bytes:
    return struct.pack(">IBBBB", media_id, kind, format_code, event, channel)


def sent(media_id: int, data: bytes = JPEG, at: float = 0.0, place: bytes | None = None, **rest: Any) -> Rec:
    """A 0x0801 recorded ``at`` seconds after T0 and received a minute later."""
    edition = rest.pop("edition", "2013")
    body = about(media_id, **rest) + (fix(at) if place is None else place) + data
    return Rec(body, 0x0801, received=at + 60, edition=edition)


async def test_an_upload_becomes_a_file_and_a_row(site: Site) -> None:
    site.write(registered(), report(1.0), sent(7, event=5, channel=3), report(2.0))
    pipeline = await site.drain()
    rows = await site.rows(f"SELECT {COLUMNS} FROM media")
    assert rows == [(7, 0, 0, 5, 3, "jpg", len(JPEG), False)]
    ((time_, received, place, plate),) = await site.rows(
        "SELECT extract(epoch FROM time)::bigint, extract(epoch FROM received_at)::bigint,"
        " ARRAY[latitude_deg, longitude_deg, speed_kmh, heading_deg], plate"
        " FROM media JOIN vehicles v ON v.id = vehicle_id"
    )
    assert (time_ * 1_000_000, received * 1_000_000, plate) == (us(0), us(60), "辽A10001")
    assert place == [41.8, 123.4, 60.0, 90.0]
    name = upload(JPEG).file_name
    assert site.files() == [name]
    assert site.shelf.path(name).read_bytes() == JPEG
    assert len(await site.positions()) == 2
    assert [len(event.ids) for event in events(site, MediaStored)] == [1]
    assert pipeline.status.counts["media"] == 1


async def test_the_same_upload_again_is_the_same_row(site: Site) -> None:
    site.write(registered(), sent(7), sent(7))
    site.write(sent(7), sent(8), sent(7, at=5))
    pipeline = await site.drain()
    assert len(await site.rows("SELECT FROM media")) == 3  # another number, or another time, is another recording
    assert len(site.files()) == 1
    assert pipeline.status.counts["media_repeats"] == 2


async def test_killed_between_file_and_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there, the row is not: the journal says it again, and there is one of each."""
    reached = asyncio.Event()

    async def killed(*_: object) -> None:
        assert site.files() == [upload(JPEG).file_name]  # before the row
        reached.set()
        await asyncio.Event().wait()

    site.write(registered(), sent(7))
    with monkeypatch.context() as patch:
        patch.setattr("store.writer.Writer.commit", killed)
        async with site.running():
            await asyncio.wait_for(reached.wait(), 60)
    assert await site.rows("SELECT FROM media") == []
    site.begin()
    await site.drain()
    assert len(await site.rows("SELECT FROM media")) == 1
    assert site.files() == [upload(JPEG).file_name]
    site.begin()  # and a replay of what is stored adds nothing
    await site.drain()
    assert len(await site.rows("SELECT FROM media")) == 1


async def test_units_that_leave_the_position_out(site: Site) -> None:
    data = JPEG + bytes(100)
    site.write(registered(), sent(7, data, place=b""))
    await site.drain()
    rows = await site.rows("SELECT is_time_of_receipt, latitude_deg, extract(epoch FROM time)::bigint FROM media")
    assert rows == [(True, None, us(60) // 1_000_000)]
    assert site.files() == [upload(data).file_name]


@pytest.mark.parametrize("at", [7200.0, -20 * 365.25 * 86400])
async def test_a_time_that_cannot_be_is_that_of_the_receipt(site: Site, at: float) -> None:
    body = about(7) + fix(at) + JPEG
    site.write(registered(), Rec(body, 0x0801, received=60))
    await site.drain()
    rows = await site.rows("SELECT is_time_of_receipt, extract(epoch FROM time)::bigint, latitude_deg FROM media")
    assert rows == [(True, us(60) // 1_000_000, 41.8)]


async def test_a_terminal_nobody_knows(site: Site) -> None:
    site.write(sent(7))
    await site.drain()
    assert await site.rows("SELECT phone, vehicle_id, terminal_id FROM media") == [(PHONE, None, None)]


@pytest.mark.parametrize(
    ("body", "edition", "reason"),
    [
        (about(7)[:5], "2013", "undecodable"),
        (about(7), "2013", "undecodable"),
        (about(7) + fix(0), "2013", "undecodable"),
        (about(7) + struct.pack(">II", 3, 1) + JPEG, "2011", "media_part"),
    ],
)
async def test_what_is_no_upload_goes_to_quarantine_whole(site: Site, body: bytes, edition: str, reason: str) -> None:
    site.write(registered(), Rec(body, 0x0801, received=1, edition=edition), report(1.0))
    pipeline = await site.drain()
    assert await site.quarantine() == [(reason, PHONE, 0x0801, body)]
    assert len(await site.positions()) == 1
    assert pipeline.status.counts[f"quarantined_{reason}"] == 1


async def test_2011_in_one_piece(site: Site) -> None:
    site.write(registered(), sent(7, place=struct.pack(">II", 1, 1), edition="2011"))
    await site.drain()
    assert await site.rows("SELECT edition, is_time_of_receipt FROM media") == [("2011", True)]
    assert site.files() == [upload(JPEG).file_name]


async def test_positions_do_not_wait_for_a_full_disk(site: Site) -> None:
    site.shelf.folder.root.write_bytes(b"not a folder")
    site.write(registered(), sent(7), report(1.0))
    await site.drain()
    assert len(await site.positions()) == 1
    assert await site.rows("SELECT content FROM media") == [(JPEG,)]
    site.shelf.folder.root.unlink()
    await site.shelf.file_the_unfiled()
    assert await site.rows("SELECT content FROM media") == [(None,)]
    assert site.files() == [upload(JPEG).file_name]


async def test_without_a_folder_the_rows_have_it(site: Site) -> None:
    site.begin(media=None)
    site.write(registered(), sent(7))
    await site.drain()
    assert await site.rows("SELECT content FROM media") == [(JPEG,)]


async def test_what_was_recorded_is_listed_once(site: Site) -> None:
    site.write(registered(), *[Rec(about(number, event=3), 0x0800, received=number) for number in (1, 2, 2)])
    await site.drain()
    rows = await site.rows("SELECT media_id, event, plate FROM media_reports JOIN vehicles v ON v.id = vehicle_id")
    assert sorted(rows) == [(1, 3, "辽A10001"), (2, 3, "辽A10001")]


async def test_the_command_is_told_what_came(site: Site) -> None:
    site.write(registered())
    await site.drain()
    ((command_id,),) = await site.rows(
        "INSERT INTO commands (vehicle_id, phone, kind, payload, state, expires_at, sent_at, attempts, message_id)"
        " SELECT id, %s, 'photo', '{\"channel\": 1}', 'sent', now(), to_timestamp(%s), 1, 34817 FROM vehicles"
        " RETURNING id", PHONE, us(50) / 1e6,
    )  # fmt: skip
    site.write(sent(7))
    await site.drain()
    assert await site.rows("SELECT command_id FROM media") == [(command_id,)]
    assert command_id in [event.command_id for event in events(site, CommandChanged)]
    assert await site.rows("SELECT progress->'arrived' FROM commands") == [(1,)]


# -- the janitor


def janitor(site: Site, max_bytes: int = 1 << 40, keep_days: int = 30, now_s: float = 0.0) -> MediaJanitor:
    return MediaJanitor(
        site.shelf, site.database, max_bytes=max_bytes, keep_days=keep_days,
        clock_us=lambda: T0_US + int(now_s * 1e6),
    )  # fmt: skip


async def kept(site: Site) -> list[int]:
    return [row[0] for row in await site.rows("SELECT media_id FROM media ORDER BY media_id")]


def items(count: int, size: int = 1000) -> Sequence[Media]:
    return [upload(bytes([number]) * size, number * 86400.0, media_id=number) for number in range(count)]


async def test_old_media_go_with_their_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.media_janitor.BATCH", 2)
    await put(site.shelf, site.database, *items(10))
    cleaner = janitor(site, keep_days=5, now_s=10.0 * 86400)
    await cleaner.enforce_limits()
    assert await kept(site) == [5, 6, 7, 8, 9]
    assert len(site.files()) == 5
    assert site.shelf.counts["expired"] == 5
    assert (cleaner.files, cleaner.bytes) == (5, 5000)


async def test_the_oldest_go_when_there_is_too_much(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.media_janitor.BATCH", 3)
    await put(site.shelf, site.database, *items(10))
    await janitor(site, max_bytes=2500).enforce_limits()
    assert await kept(site) == [8, 9]
    assert len(site.files()) == 2
    assert site.shelf.counts["evicted"] == 8


async def test_a_shared_file_stays_as_long_as_one_needs_it(site: Site) -> None:
    await put(site.shelf, site.database, upload(JPEG, 0.0, media_id=1), upload(JPEG, 9.0 * 86400, media_id=2))
    await janitor(site, keep_days=5, now_s=10.0 * 86400).enforce_limits()
    assert await kept(site) == [2]
    assert len(site.files()) == 1


async def test_files_that_nothing_refers_to(site: Site) -> None:
    """Old ones go; young ones may be about to get their row; what is not ours is left alone."""
    await put(site.shelf, site.database, upload(b"has a row"))
    folder = site.shelf.folder
    old, young = upload(b"old").file_name, upload(b"young").file_name
    folder.write(old, b"old")
    folder.write(young, b"young")
    (folder.root / "README").write_text("not ours")
    long_ago = time.time() - ORPHAN_AGE_S - 60
    for path in folder.root.rglob("*"):
        if path.is_file() and path.name != Path(young).name:
            os.utime(path, (long_ago, long_ago))
    assert await janitor(site).remove_orphans() == 1
    assert site.files() == sorted([upload(b"has a row").file_name, young, "README"])
    assert site.shelf.counts["orphans_removed"] == 1


async def test_it_runs_by_itself(site: Site) -> None:
    await put(site.shelf, site.database, *items(3))
    cleaner = janitor(site, max_bytes=1000)
    task = asyncio.create_task(cleaner.run())
    try:
        await until(lambda: cleaner.files == 1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await kept(site) == [2]
    metrics = cleaner.metrics()
    assert (metrics["media_rows"], metrics["media_bytes"], metrics["media_evicted_total"]) == (1, 1000, 2)


async def test_reports_go_after_the_same_time(site: Site) -> None:
    site.write(registered(), Rec(about(1), 0x0800, received=0))
    await site.drain()
    await janitor(site, keep_days=1, now_s=(us(0) - T0_US) / 1e6 + 2 * 86400).enforce_limits()
    assert await site.rows("SELECT FROM media_reports") == []
    async with site.database.connection() as connection:
        assert await queries.usage(connection) == (0, 0, 0)

"""Files before rows, rows before the removal of files; what happens when the disk does not take them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

import store
from store.media_folder import MediaFolder
from store.media_store import MediaStore
from store.queries import media as queries
from tests.ingest.waiting import until
from tests.store.media import JPEG, T0_US, put, upload

NAME = upload().file_name


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media")


@pytest.fixture
def shelf(postgresql_database: store.Database, tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media", postgresql_database, retry_s=0.01)


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


# -- the folder


def test_a_file_lies_where_its_hash_says(folder: MediaFolder) -> None:
    folder.write(NAME, JPEG)
    digest = upload().sha256.hex()
    assert files(folder.root) == [f"{digest[:2]}/{digest[2:4]}/{digest}.jpg"]
    assert folder.path(NAME).read_bytes() == JPEG


def test_a_file_is_on_disk_before_it_has_its_name(folder: MediaFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the bytes, rename, fsync of the directory: in this order."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noting_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.suffix:
            steps.append(f"bytes of {path.parent.name}")
        elif path == folder.path(NAME).parent:
            steps.append("directory")
        fsync(descriptor)

    def noting_rename(source: Path, target: Path) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting_rename)
    folder.write(NAME, JPEG)
    assert steps == ["bytes of tmp", "rename", "directory"]
    steps.clear()
    folder.write(NAME, JPEG)
    assert steps == ["directory"]  # it is there; perhaps its directory is not on disk yet


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_what_fails_leaves_nothing(folder: MediaFolder, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    folder.write(upload(b"another").file_name, b"another")  # the directories are there

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(OSError, match="No space"):
            folder.write(NAME, JPEG)
    assert files(folder.root) == [upload(b"another").file_name]
    folder.write(NAME, JPEG)
    assert folder.path(NAME).read_bytes() == JPEG


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "ab/cd/short.jpg", f"00/00/{'f' * 64}.jpg", ""])
def test_no_other_names(folder: MediaFolder, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a media file"):
        folder.path(name)


def test_what_a_killed_process_left_is_removed_when_it_is_old(folder: MediaFolder) -> None:
    folder.write(NAME, JPEG)
    aside = folder.root / "tmp" / "half.jpg.1.0"
    aside.write_bytes(b"half")
    assert folder.remove_temporary(older_than_s=60) == 0
    os.utime(aside, (time.time() - 61,) * 2)
    assert folder.remove_temporary(older_than_s=60) == 1
    assert files(folder.root) == [NAME]


# -- files and rows


async def test_the_same_upload_is_one_row_the_same_content_one_file(
    shelf: MediaStore, postgresql_database: store.Database
) -> None:
    assert len(await put(shelf, postgresql_database, upload())) == 1
    assert len(await put(shelf, postgresql_database, upload())) == 0
    assert len(await put(shelf, postgresql_database, upload(at=60, media_id=8))) == 1
    assert files(shelf.folder.root) == [NAME]


async def test_a_file_goes_after_the_last_row_that_needs_it(
    shelf: MediaStore, postgresql_database: store.Database
) -> None:
    one, two = await put(shelf, postgresql_database, upload(), upload(at=60))
    async with postgresql_database.connection() as connection:
        await queries.delete(connection, one)
    assert await shelf.remove([NAME]) == 0
    async with postgresql_database.connection() as connection:
        await queries.delete(connection, two)
    assert await shelf.remove([NAME]) == 1
    assert files(shelf.folder.root) == []


async def test_a_file_about_to_get_its_row_stays(shelf: MediaStore, postgresql_database: store.Database) -> None:
    async with shelf.kept([upload()]) as kept:
        assert await shelf.remove([NAME]) == 0  # no row yet, and yet it stays
        async with postgresql_database.connection() as connection:
            await queries.insert(connection, kept)
    assert await shelf.remove([NAME]) == 0
    assert shelf.path(NAME).read_bytes() == JPEG


async def test_a_file_whose_row_was_not_committed_can_go(shelf: MediaStore) -> None:
    with pytest.raises(RuntimeError):
        async with shelf.kept([upload()]):
            raise RuntimeError("the database refuses it")
    assert await shelf.remove([NAME]) == 1


async def test_without_a_disk_contents_wait_in_their_rows(
    shelf: MediaStore, postgresql_database: store.Database
) -> None:
    shelf.folder.root.write_bytes(b"not a folder")
    (row_id,) = await put(shelf, postgresql_database, upload())
    assert (shelf.is_failing, shelf.unfiled_bytes, shelf.counts["write_errors"]) == (True, len(JPEG), 1)
    assert not await shelf.file_the_unfiled()  # still not
    shelf.folder.root.unlink()
    assert not await shelf.file_the_unfiled()
    assert (shelf.is_failing, shelf.unfiled_bytes) == (False, 0)
    assert shelf.path(NAME).read_bytes() == JPEG
    async with postgresql_database.connection() as connection:
        found = await queries.content_of(connection, row_id)
    assert found is not None
    assert found.content is None


async def test_rows_hold_so_much_then_the_pipeline_waits(postgresql_database: store.Database, tmp_path: Path) -> None:
    shelf = MediaStore(tmp_path / "media", postgresql_database, unfiled_max_bytes=len(JPEG), retry_s=0.01)
    shelf.folder.root.write_bytes(b"not a folder")
    await put(shelf, postgresql_database, upload())
    second = asyncio.create_task(put(shelf, postgresql_database, upload(b"second", at=1)))
    await until(lambda: shelf.counts["waits"] > 0)
    assert not second.done()
    shelf.folder.root.unlink()
    assert len(await second) == 1
    assert shelf.path(upload(b"second").file_name).read_bytes() == b"second"


# -- the command that an upload answers


async def command(database: store.Database, message_id: int, sent: float, payload: str = "{}", **columns: str) -> str:
    """A command sent ``sent`` seconds after T0."""
    values = {"answer": "null"} | columns
    async with database.connection() as connection:
        await connection.execute("INSERT INTO vehicles (plate, plate_color) VALUES ('辽A1', 2) ON CONFLICT DO NOTHING")
        cursor = await connection.execute(
            "INSERT INTO commands (vehicle_id, phone, kind, payload, state, expires_at, sent_at, attempts, message_id,"
            " answer) SELECT min(id), '13900000001', 'photo', %s, 'acknowledged', now(), to_timestamp(%s), 1, %s,"
            " nullif(%s, 'null')::jsonb FROM vehicles RETURNING id::text",
            (payload, T0_US / 1e6 + sent, message_id, values["answer"]),
        )
        row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def asked_by(shelf: MediaStore, database: store.Database, **changes: int) -> str | None:
    (row_id,) = await put(shelf, database, upload(JPEG, 0.0, **changes))
    async with database.connection() as connection:
        row = await queries.get(connection, row_id)
    assert row is not None
    return None if row["command_id"] is None else str(row["command_id"])


async def test_an_upload_names_the_command_it_answers(shelf: MediaStore, postgresql_database: store.Database) -> None:
    database = postgresql_database
    assert await asked_by(shelf, database, media_id=1) is None
    photo = await command(database, 0x8801, -30, '{"channel": 1, "count": 2, "interval_s": 5}')
    assert await asked_by(shelf, database, media_id=2) == photo
    assert await asked_by(shelf, database, media_id=3, channel=2) is None  # another camera
    assert await asked_by(shelf, database, media_id=4, event=1) is None  # made by a timer
    one = await command(database, 0x8805, -600, '{"media_id": 5, "delete": false}')
    assert await asked_by(shelf, database, media_id=5, event=3) == one
    assert await asked_by(shelf, database, media_id=6) == photo
    named = await command(database, 0x8801, -20, '{"channel": 1}', answer='{"result": 0, "media_ids": [7]}')
    assert await asked_by(shelf, database, media_id=7) == named
    assert await asked_by(shelf, database, media_id=8) == photo  # not among those that were named
    fitting = await command(database, 0x8803, -500, '{"media": "video", "channel": null, "media_id": null}')
    assert await asked_by(shelf, database, media_id=9, kind=2, event=3) == fitting
    assert await asked_by(shelf, database, media_id=10, kind=1, event=3) is None
    sound = await command(database, 0x8804, -4000, '{"action": "start", "duration_s": 1200}')
    assert await asked_by(shelf, database, media_id=11, kind=1) == sound
    await command(database, 0x8801, -100, '{"channel": 1, "count": "many", "interval_s": null}')  # harmless
    assert await asked_by(shelf, database, media_id=12) == photo
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT (progress->>'arrived')::int, jsonb_array_length(progress->'media_ids') FROM commands WHERE id = %s",
            (photo,),
        )
        assert await cursor.fetchone() == (4, 4)

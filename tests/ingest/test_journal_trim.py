"""Trimming the journal: what the reader is done with goes, its disk comes back, and no answer waits for it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.journal import JournalError, JournalFile, journal_path
from ingest.journal import group_commit as group_commit_module
from ingest.journal import sqlite as sqlite_module
from tests.ingest.journals import open_journal, open_reader
from tests.ingest.waiting import until


async def test_trim_deletes_what_was_read_and_offsets_go_on(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        for number in range(40):
            journal.append(number, bytes(1000))
            await journal.writer.flush()
        async with open_reader(journal_path(tmp_path)) as reader:
            await reader.trim(30)
            file = journal.file
            await until(lambda: not file.wants_trim())
            assert [group.offset for group in await reader.read(30, 1000)] == list(range(31, 41))
            await reader.trim(40)
            await until(lambda: not file.wants_trim())
            assert await reader.last_offset() == 40  # the newest stays, so that its number is not given again
            journal.append(41)
            await journal.writer.flush()
            assert [group.offset for group in await reader.read(40, 10)] == [41]
    reopened = JournalFile(journal_path(tmp_path))
    reopened.open()
    assert reopened.last_offset == 41
    assert reopened.wants_trim()  # what had to stay as the newest may go now
    assert not reopened.trim()
    assert not reopened.wants_trim()
    reopened.close()


async def test_a_trimmed_journal_gives_its_disk_back_once_little_of_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "KEPT_FREE_BYTES", 500_000)
    path = journal_path(tmp_path)
    file = JournalFile(path)
    file.open()
    for _ in range(20):
        file.write(1, [bytes(100_000)])
    large = file.size_bytes()
    async with open_reader(path) as reader:
        await reader.trim(10)
        while file.trim():
            pass
        assert file.size_bytes() < large * 0.6
        assert pages_bytes(path) >= large  # to make it shorter now, the backlog at its end would have to move
        await reader.trim(20)
    while file.trim():
        pass
    assert file.size_bytes() < large // 10
    file.close()
    assert path.stat().st_size < large // 2


def trimmable(path: Path, groups: int, each_bytes: int) -> JournalFile:
    """A journal of which all but the newest group was read."""
    file = JournalFile(path)
    file.open()
    for _ in range(groups):
        file.write(1, [bytes(each_bytes)])
    sqlite_module.trim_path(path).write_bytes(b"%d" % groups)
    return file


def trim_all(file: JournalFile) -> None:
    while file.trim():
        pass


def test_the_file_is_made_shorter_by_many_pages_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "KEPT_FREE_BYTES", 500_000)
    path = journal_path(tmp_path)
    file = trimmable(path, 30, 100_000)
    pages = [pages_bytes(path)]
    while file.trim():
        pages.append(pages_bytes(path))
    slices = [before - after for before, after in pairwise(pages) if after < before]
    assert slices == [sqlite_module.VACUUM_PAGES * sqlite_module.PAGE_BYTES] * len(slices)
    assert len(slices) > 3
    file.close()


def test_the_file_is_made_shorter_later_when_it_cannot_be_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_path(tmp_path)
    file = trimmable(path, 20, 100_000)

    def no_room(_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(file, "_shorten", no_room)
        with pytest.raises(sqlite3.OperationalError):
            trim_all(file)
    assert file.wants_trim()  # though all groups are gone
    monkeypatch.setattr(sqlite_module, "KEPT_FREE_BYTES", 500_000)
    trim_all(file)
    assert not file.wants_trim()
    assert pages_bytes(path) < 1_100_000
    file.close()


def test_large_groups_are_trimmed_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = trimmable(journal_path(tmp_path), 40, 1000)
    clock = iter(range(10**6))
    with monkeypatch.context() as slow:
        slow.setattr(sqlite_module.time, "monotonic", lambda: next(clock) * sqlite_module.TRIM_SLICE_S * 0.9)
        assert file.trim()  # the first delete took all of the slice
    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("SELECT min(id) FROM groups").fetchone()[0] == 2
    file.close()


async def test_a_gap_is_said_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    for _ in range(3):
        file.write(1, [bytes(32)])
    async with open_reader(journal_path(tmp_path)) as reader:
        await reader.trim(2)
        file.trim()
        assert [group.offset for group in await reader.read(1, 10)] == [3]
        assert "what was between is gone" in caplog.text
    file.close()


async def test_a_journal_older_than_what_was_read_is_an_error(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    file.write(1, [bytes(32)])
    async with open_reader(journal_path(tmp_path)) as reader:
        with pytest.raises(JournalError, match="older copy"):
            await reader.read(5, 10)
    file.close()


class LongTrim(JournalFile):
    """One that has always more to trim, and notes when it did."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.trims: list[float] = []
        self.groups: list[int] = []  # that had been written by then

    def wants_trim(self) -> bool:
        return True

    def trim(self) -> bool:
        self.trims.append(time.monotonic())
        self.groups.append(self.last_offset)
        return True


async def test_between_two_slices_of_a_trim_groups_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit_module, "HOUSEKEEPING_S", 0.01)
    file = LongTrim(journal_path(tmp_path))
    async with open_journal(file) as journal:
        while len(file.trims) < 6:
            journal.append(1)
            await journal.writer.flush()
    pauses = [after - before for before, after in pairwise(file.trims)]
    assert min(pauses) >= group_commit_module.TRIM_PAUSE_S * 0.9
    assert file.groups[-1] > file.groups[0]


class BrokenTrim(JournalFile):
    """One that cannot trim, for a while."""

    failures = 3

    def trim(self) -> bool:
        if self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return super().trim()


async def test_a_trim_that_fails_is_counted_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit_module, "HOUSEKEEPING_S", 0.01)
    file = BrokenTrim(journal_path(tmp_path))
    async with open_journal(file) as journal:
        for number in range(10):
            journal.append(number)
            await journal.writer.flush()
        async with open_reader(file.path) as reader:
            await reader.trim(9)
        await until(lambda: not file.failures and not file.wants_trim())
        assert journal.counters["journal_trim_errors"] == 3


async def test_a_slice_whose_time_comes_after_the_end_is_none(tmp_path: Path) -> None:
    file = LongTrim(journal_path(tmp_path))
    async with open_journal(file) as journal:
        pass
    journal.writer._trim_on()  # a timer may have been under way
    assert file.trims == []


def pages_bytes(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0]) * sqlite_module.PAGE_BYTES

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
    assert all(before < after for before, after in pairwise(file.groups))


def pages_bytes(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0]) * sqlite_module.PAGE_BYTES

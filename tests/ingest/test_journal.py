"""The SQLite journal and its group commit: what is said to be stored is, in order, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.journal import (
    JournalError,
    JournalFile,
    JournalFull,
    Kind,
    SqliteJournalReader,
    journal_path,
)
from ingest.journal import group_commit as group_commit_module
from tests.ingest.journals import PHONE, GatedFile, Journal, numbers, open_journal, open_reader, read_all
from tests.ingest.waiting import until


async def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        journal.writer.append(Kind.MESSAGE, 1_700_000_000_000_000, PHONE, 11, 0x0704, 65535, b"body one", "a")
        journal.writer.append(Kind.SESSION_BEGIN, 1_700_000_000_000_001, bytes(10), 19, 0, 0, b"", None, urgent=True)
        await journal.writer.flush()
        assert journal.acknowledged == ["a"]
        async with open_reader(journal_path(tmp_path)) as reader:
            assert reader.name == journal.writer.name
            (group,) = await reader.read(0, 10)
            assert (group.offset, len(group)) == (1, 2)
            assert [tuple(row) for row in group.headers[["received_us", "message_id", "serial_no"]]] == [
                (1_700_000_000_000_000, 0x0704, 65535),
                (1_700_000_000_000_001, 0, 0),
            ]
            assert group.headers["kind"].tolist() == [Kind.MESSAGE, Kind.SESSION_BEGIN]
            assert group.headers["edition"].tolist() == [11, 19]
            assert (group.body(0), group.body(1)) == (b"body one", b"")
            assert (group.phone(0), group.phone(1)) == ("13912345678", "0")
            assert bytes(group.bodies) == b"body one"


async def test_a_group_closes_when_the_one_before_is_on_disk(tmp_path: Path) -> None:
    file = GatedFile(journal_path(tmp_path))
    async with open_journal(file) as journal:
        file.gate.clear()
        journal.append(0)
        await until(file.started.is_set)
        for number in range(1, 500):
            journal.append(number)
        assert journal.stored == []
        file.gate.set()
        await journal.writer.flush()
        assert [offset for offset, _ in journal.stored] == [1, 2]
        assert [len(tokens) for _, tokens in journal.stored] == [1, 499]
        assert journal.acknowledged == list(range(500))


async def test_large_groups_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit_module, "MAX_GROUP_RECORDS", 10)
    monkeypatch.setattr(group_commit_module, "MAX_GROUP_BYTES", 1000)
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        for number in range(25):
            journal.append(number)
        for number in range(25, 30):
            journal.append(number, bytes(600))
        await journal.writer.flush()
        async with open_reader(journal_path(tmp_path)) as reader:
            groups = await reader.read(0, 1000)
            assert [len(group) for group in groups] == [10, 10, 7, 2, 1]
            assert numbers(groups) == list(range(30))
            assert all(group.body(i)[:4] in (b"body", bytes(4)) for group in groups for i in range(len(group)))


async def test_groups_under_load_keep_their_distance(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path)), min_interval_s=3600.0) as journal:
        journal.append(0)
        await until(lambda: journal.acknowledged == [0])  # the first is written at once
        journal.append(1)
        journal.append(2)
        await journal.writer.flush()  # does not wait an hour
        assert [len(tokens) for _, tokens in journal.stored] == [1, 2]


async def test_read_gives_whole_groups_up_to_the_bound(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        for first in range(0, 30, 10):
            for number in range(first, first + 10):
                journal.append(number)
            await journal.writer.flush()
        async with open_reader(journal_path(tmp_path)) as reader:
            assert [group.offset for group in await reader.read(0, 25)] == [1, 2]
            assert [group.offset for group in await reader.read(1, 5)] == [2]  # one at least
            assert await reader.read(3, 100) == []
            assert await reader.last_offset() == 3


async def test_reopened_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        name = journal.writer.name
        journal.append(1)
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        assert journal.writer.name == name
        journal.append(2)
        await journal.writer.flush()
        async with open_reader(journal_path(tmp_path)) as reader:
            assert numbers(await reader.read(0, 10)) == [1, 2]
            assert numbers(await reader.read(1, 10)) == [2]


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        for number in range(100):
            journal.append(number)
    assert journal.acknowledged == list(range(100))


async def test_after_the_end_nothing_is_taken_and_that_is_said(tmp_path: Path) -> None:
    async with open_journal(JournalFile(tmp_path / "journal.sqlite")) as journal:
        assert journal.append(1)
    assert not journal.append(2)
    assert not journal.append(3, urgent=True)
    assert journal.counters["journal_dropped{reason=full}"] == 1
    assert journal.counters["journal_dropped{reason=urgent}"] == 1
    assert journal.pressed == []
    assert journal.acknowledged == [1]


async def test_a_connection_that_would_not_synchronise_is_never_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt to open the file anew fails half way: the second must not find it open."""
    file = JournalFile(tmp_path / "journal.sqlite")
    file.open()
    assert file._connection is not None
    file._connection.close()
    file._connection = None

    def fail(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(file, "_prepare", fail)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                file.write(0, [])
    assert file._connection is None
    assert file.write(0, []) == 1
    file.close()


async def test_one_writer_only(tmp_path: Path) -> None:
    async with open_journal(JournalFile(journal_path(tmp_path))):
        with pytest.raises(JournalError, match="another process"):
            JournalFile(journal_path(tmp_path)).open()
    again = JournalFile(journal_path(tmp_path))
    again.open()
    again.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    journal_path(tmp_path).write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        JournalFile(journal_path(tmp_path)).open()


def test_a_journal_of_a_later_format_is_refused(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    file.close()
    with sqlite3.connect(journal_path(tmp_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="format 99"):
        file.open()


def test_it_is_durable_by_its_settings(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    connection = file._connection
    assert connection is not None
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    file.close()


# ---- the reader beside the writer


async def test_the_reader_waits_for_news(tmp_path: Path) -> None:
    async with (
        open_journal(JournalFile(journal_path(tmp_path))) as journal,
        open_reader(journal_path(tmp_path)) as reader,
    ):
        assert await reader.read(0, 10, timeout_s=0.0) == []
        reading = asyncio.create_task(reader.read(0, 10, timeout_s=60.0))
        await asyncio.sleep(0)
        journal.append(1)
        assert numbers(await reading) == [1]


async def test_a_wake_up_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.journal import sqlite as sqlite_module

    monkeypatch.setattr(sqlite_module, "POLL_S", 3600.0)
    wake = asyncio.Event()
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        reader = SqliteJournalReader(journal_path(tmp_path), wake=wake)
        await reader.open()
        reading = asyncio.create_task(reader.read(0, 10, timeout_s=3600.0))
        await asyncio.sleep(0)
        journal.append(1)
        await journal.writer.flush()
        wake.set()
        assert numbers(await reading) == [1]
        reader.close()


async def test_the_reader_waits_for_the_journal_to_be_made(tmp_path: Path) -> None:
    reader = SqliteJournalReader(journal_path(tmp_path))
    with pytest.raises(JournalError, match="not made"):
        _ = reader.name
    opening = asyncio.create_task(reader.open())
    await asyncio.sleep(0)
    async with open_journal(JournalFile(journal_path(tmp_path))) as journal:
        await opening
        assert reader.name == journal.writer.name
        reader.close()


async def test_a_reader_in_parallel_sees_everything_once_and_in_order(tmp_path: Path) -> None:
    async with (
        open_journal(JournalFile(journal_path(tmp_path))) as journal,
        open_reader(journal_path(tmp_path)) as reader,
    ):

        async def write() -> None:
            for number in range(3000):
                journal.append(number)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await journal.writer.flush()

        async def read() -> list[int]:
            seen: list[int] = []
            offset = 0
            while len(seen) < 3000:
                for group in await reader.read(offset, 500, timeout_s=60.0):
                    assert group.offset == offset + 1
                    offset = group.offset
                    seen += numbers([group])
                await reader.trim(offset)
            return seen

        _, seen = await asyncio.gather(write(), read())
        assert seen == list(range(3000))


# ---- disk trouble


async def test_a_failing_disk_is_retried_and_nothing_is_said_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = GatedFile(journal_path(tmp_path))
    async with open_journal(file) as journal:
        file.error = sqlite3.OperationalError("disk I/O error")
        journal.append(1)
        failed = "journal_write_errors{reason=disk}"
        await until(lambda: journal.counters[failed] >= 3)
        journal.append(2)
        assert journal.writer.is_failing
        assert journal.stored == []
        file.error = None
        await journal.writer.flush()
        assert not journal.writer.is_failing
        assert journal.acknowledged == [1, 2]
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1  # loudly, once
        async with open_reader(journal_path(tmp_path)) as reader:
            assert numbers(await reader.read(0, 10)) == [1, 2]


async def test_a_full_disk_is_survived_by_the_real_file(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path))
    async with open_journal(file) as journal:
        connection = file._connection
        assert connection is not None
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        journal.append(1, bytes(100_000))
        await until(lambda: journal.counters["journal_write_errors{reason=disk}"] > 0)
        assert journal.stored == []
        connection.execute("PRAGMA max_page_count = 1000000")
        await journal.writer.flush()
        assert journal.acknowledged == [1]


async def test_above_its_size_the_journal_takes_nothing_until_trimmed(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path), max_bytes=200_000)
    async with open_journal(file) as journal:
        for number in range(5):
            journal.append(number, bytes(60_000))
            if not journal.writer.is_failing:
                await asyncio.wait(
                    [asyncio.create_task(journal.writer.flush()), asyncio.create_task(fails(journal))],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        assert journal.counters["journal_write_errors{reason=full}"] > 0
        assert 0 < len(journal.acknowledged) < 5
        async with open_reader(journal_path(tmp_path)) as reader:
            await reader.trim(await reader.last_offset())
            await journal.writer.flush()
        assert journal.acknowledged == list(range(5))


async def fails(journal: Journal) -> None:
    await until(lambda: journal.writer.is_failing)


async def test_above_the_bound_records_are_dropped_and_counted(tmp_path: Path) -> None:
    file = GatedFile(journal_path(tmp_path))
    file.error = sqlite3.OperationalError("disk I/O error")
    async with open_journal(file, max_pending_bytes=10_000) as journal:
        journal.append(0, bytes(100))
        await until(lambda: journal.writer.is_failing)
        taken = [journal.append(number, bytes(968)) for number in range(1, 20)]
        assert taken == [True] * 9 + [False] * 10
        assert journal.counters["journal_dropped{reason=full}"] == 10
        assert journal.append(100, bytes(968), urgent=True)  # facts have a reserve
        assert journal.pressed == []  # links go on, so that heartbeats are answered
        file.error = None
        await journal.writer.flush()
        assert journal.acknowledged == [*range(10), 100]
        assert journal.writer.pending_bytes == 0
        assert journal.append(200, bytes(968))


async def test_a_slow_disk_presses_the_links(tmp_path: Path) -> None:
    file = GatedFile(journal_path(tmp_path))
    async with open_journal(file, max_pending_bytes=10_000) as journal:
        file.gate.clear()
        for number in range(6):
            journal.append(number, bytes(968))
        assert journal.pressed == [True]
        assert journal.counters["journal_pauses"] == 1
        file.gate.set()
        await journal.writer.flush()
        assert journal.pressed == [True, False]


async def test_a_disk_that_fails_for_good_does_not_hold_up_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = GatedFile(journal_path(tmp_path))
    file.error = JournalFull("full")
    async with open_journal(file) as journal:
        journal.append(1)
        await until(lambda: journal.writer.is_failing)
    assert "1 records not written" in caplog.text


WRITER = """
import asyncio, sys
from pathlib import Path
from ingest.journal import GroupCommitWriter, JournalFile, journal_path

def say(offset, tokens):
    sys.stdout.write("".join(f"{token}\\n" for token in tokens))
    sys.stdout.flush()

async def main():
    writer = GroupCommitWriter(JournalFile(journal_path(Path(sys.argv[1]))), on_stored=say, min_interval_s=0.0)
    await writer.open()
    number = int(sys.argv[2])
    while True:
        for _ in range(20):
            writer.append(0, number, bytes(10), 13, 0x0200, number & 0xFFFF, b"%d" % number, number)
            number += 1
        await asyncio.sleep(0)

asyncio.run(main())
"""


def killed_writer(folder: Path, first: int, enough: int) -> list[int]:
    """Have a process write until it has acknowledged enough, kill it, give what it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(enough)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.stdout.close()
    process.wait(60)
    return said + [int(line) for line in rest.split(b"\n")[:-1]]


async def test_kill_minus_nine_loses_nothing_acknowledged(tmp_path: Path) -> None:
    first = 0
    for enough in (1, 150, 700):
        acknowledged = killed_writer(tmp_path, first, enough)
        assert acknowledged == list(range(first, first + len(acknowledged)))
        async with open_reader(journal_path(tmp_path)) as reader:
            stored = numbers(await read_all(reader))
        assert set(acknowledged) <= set(stored)
        assert stored == sorted(set(stored))  # in order, nothing twice
        first = stored[-1] + 1

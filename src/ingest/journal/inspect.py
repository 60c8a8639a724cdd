"""What is in a journal, for people: read beside a running server, nothing is changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.journal.base import Group, JournalError
from ingest.journal.sqlite import FORMAT, SqliteJournalReader, read_trim, trim_path


@dataclass(frozen=True, slots=True)
class Edge:
    """The first or the last group."""

    offset: int
    closed_us: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands behind an offset."""

    groups: int
    records: int
    oldest_us: int | None  # when its first group was written


@dataclass(frozen=True, slots=True)
class JournalInfo:
    name: str
    groups: int
    records: int
    payload_bytes: int
    file_bytes: int  # with the write-ahead log
    oldest: Edge | None
    newest: Edge | None
    released: int  # offset up to which the pipeline needs nothing any more


class JournalInspector:
    """Opens the journal for reading. Close it afterwards.

    Raises:  JournalError: there is none at this path, or it is not one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():
                raise JournalError(f"{path}: there is no journal")
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        if problem := _problem_of(path):
            raise JournalError(f"{path}: {problem}")
        self._reader = SqliteJournalReader(path)
        self.name = self._reader.name
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        self._connection.close()
        self._reader.close()

    def info(self) -> JournalInfo:
        groups, records, payload_bytes = self._connection.execute(
            "SELECT count(*), coalesce(sum(records), 0), coalesce(sum(length(payload)), 0) FROM groups"
        ).fetchone()
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        return JournalInfo(
            name=self.name,
            groups=groups,
            records=records,
            payload_bytes=payload_bytes,
            file_bytes=sum(file.stat().st_size for file in files if file.exists()),
            oldest=self._edge("ASC"),
            newest=self._edge("DESC"),
            released=read_trim(trim_path(self.path)),
        )

    def _edge(self, order: str) -> Edge | None:
        row = self._connection.execute(f"SELECT id, closed_us FROM groups ORDER BY id {order} LIMIT 1").fetchone()
        return Edge(*row) if row else None

    def waiting(self, after: int) -> Waiting:
        """What a pipeline that has stored ``after`` has not read yet."""
        row = self._connection.execute(
            "SELECT count(*), coalesce(sum(records), 0), min(closed_us) FROM groups WHERE id > ?", (after,)
        ).fetchone()
        return Waiting(*row)

    def groups(self, after: int) -> Iterator[Group]:
        """The groups after this offset, oldest first. Those that were trimmed already are no hole, to people."""
        while (oldest := self._edge("ASC")) and (newest := self._edge("DESC")) and after < newest.offset:
            found = self._reader.read_now(max(after, oldest.offset - 1), 1000)
            if not found:
                return
            yield from found
            after = found[-1].offset


def _problem_of(path: Path) -> str:
    """Why this file is no journal that can be read; empty when it is one, or may become one."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10.0)) as connection:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        return f"no journal: {error}"
    return "" if found in (0, FORMAT) else f"no journal that this version reads: its format is {found}, not {FORMAT}"

"""The local journal: one SQLite file in WAL mode with `synchronous=FULL`, a row per group.

**One writer.** The gateway process alone writes, trims and checkpoints, in one thread; a lock file holds a second one
off. The reader, in another process, only reads: what it does not need any more it says in a file beside the journal
(`<journal>.trim`), which the writer looks at between groups. So a reader's transaction can never make an answer wait.

**Offsets** are the rows' ids, one after the other, never used twice: the newest group is never trimmed, and the next
one counts on from it.

A torn write is SQLite's matter (its WAL frames have checksums).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from ingest.journal.base import HEADER_DTYPE, RECORD_HEADER, Group, JournalError, JournalFull
from ingest.journal.space import Space

log = logging.getLogger(__name__)

MAX_READ_BYTES: Final = 1 << 20
"""Of groups at once, one group at least: a record of media may have several MiB. 4,000 plain reports have 0.4 MiB; of
0x0704, 35,000 fixes are in one MiB, and whoever reads them keeps the event loop for that long."""

APPLICATION_ID: Final = 0x52574A4C  # "RWJL", in the file's header
FORMAT: Final = 1
PAGE_BYTES: Final = 8192
KEPT_FREE_BYTES: Final = 64 << 20  # free pages kept for the next groups before the file is made shorter
TRIM_SLICE_S: Final = 0.001  # of deletes between two groups, which wait for it
TRIM_GROUPS: Final = 16
VACUUM_PAGES: Final = 64
POLL_S: Final = 0.02

_SCHEMA: Final = """
CREATE TABLE journal (name TEXT NOT NULL);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    records INTEGER NOT NULL,
    closed_us INTEGER NOT NULL,
    payload BLOB NOT NULL        -- records x 32-byte header, then the bodies
);
"""


class JournalFile:
    """The file itself: blocking calls, from one thread at a time."""

    def __init__(self, path: Path, max_bytes: int = 20 << 30) -> None:
        self.path = path
        self.name = ""
        self.last_offset = 0
        self._max_bytes = max_bytes
        self._trimmed = 0
        self._trim_path = trim_path(path)
        self._lock = -1
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or create the journal, and see that it keeps what it is given.

        Raises:  JournalError: another process writes it; it is no journal; WAL or full synchronisation is not to be
                 had.
        """
        self._lock = os.open(
            self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            raise JournalError(f"{self.path}: another process is writing this journal") from error
        try:
            self._connect()
        except sqlite3.Error as error:
            self.close()
            raise JournalError(f"{self.path}: {error}") from error
        except JournalError:
            self.close()
            raise

    def _connect(self) -> None:
        # autocommit; every transaction is begun by hand
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            self._prepare(connection)
        except (sqlite3.Error, JournalError):
            connection.close()  # never write through one that does not synchronise
            raise
        self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        synchronous = _pragma(connection, "synchronous")
        if mode != "wal" or synchronous != 2:
            raise JournalError(f"{self.path}: journal mode is {mode}, synchronous is {synchronous}; need wal and 2")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        found = _pragma(connection, "user_version")
        if found == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO journal VALUES (?)", (str(uuid.uuid4()),))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        elif found != FORMAT:
            raise JournalError(f"{self.path}: format {found}, this version reads {FORMAT}")
        self.name = connection.execute("SELECT name FROM journal").fetchone()[0]
        self.last_offset = connection.execute("SELECT coalesce(max(id), 0) FROM groups").fetchone()[0]

    def write(self, records: int, parts: Sequence[bytes]) -> int:
        """Make one group durable; returns its offset.

        Args:    parts: the headers and then the bodies; joined here, in the writer's thread.
        Raises:  JournalFull, sqlite3.Error: nothing was written.
        """
        connection = self._open_connection()
        offset = self.last_offset + 1
        try:
            if self.size_bytes() > self._max_bytes:
                raise JournalFull(f"{self.path}: holds {self._max_bytes} bytes that were not read yet")
            connection.execute(
                "INSERT INTO groups (id, records, closed_us, payload) VALUES (?, ?, ?, ?)",
                (offset, records, time.time_ns() // 1000, b"".join(parts)),
            )
        except sqlite3.Error as error:
            self._recover(error)
            raise
        self.last_offset = offset
        return offset

    def _recover(self, error: sqlite3.Error) -> None:
        """After a failed statement: leave no transaction behind, and take a fresh connection next time, for the file's
        handle may be what is broken (a disk that was away). Not when the disk is full: to open it anew needs room."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                self._connection = connection
                return
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._lock < 0:
                raise JournalError(f"{self.path}: closed")
            self._connect()
            assert self._connection is not None
        return self._connection

    def size_bytes(self) -> int:
        """Bytes of pages in use; free pages inside the file do not count."""
        connection = self._open_connection()
        pages = _pragma(connection, "page_count")
        free = _pragma(connection, "freelist_count")
        return (pages - free) * PAGE_BYTES

    def space(self) -> Space:
        """How full it is, and the disk under it. Raises: sqlite3.Error, OSError."""
        disk = os.statvfs(self.path.parent)
        return Space(self.size_bytes(), self._max_bytes, disk.f_bavail * disk.f_frsize)

    def wants_trim(self) -> bool:
        """Has the reader said that more groups are done with?"""
        return self._trim_target() > self._trimmed

    def _trim_target(self) -> int:
        """Never the newest group: the next one's offset is counted from it."""
        return min(read_trim(self._trim_path), self.last_offset - 1)

    def trim(self) -> bool:
        """Delete groups that the reader is done with, for a time slice; True: there is more to do.

        Raises:  sqlite3.Error: the rest stays for another time.
        """
        connection = self._open_connection()
        target = self._trim_target()
        stop = time.monotonic() + TRIM_SLICE_S
        step = 1
        try:
            first = connection.execute("SELECT coalesce(min(id), 0) FROM groups").fetchone()[0]
            connection.execute("BEGIN IMMEDIATE")
            while first and first <= target and time.monotonic() < stop:
                first = min(first + step, target + 1)
                connection.execute("DELETE FROM groups WHERE id < ?", (first,))
                step = min(step * 2, TRIM_GROUPS)  # of photos, one group alone may take longer than the slice
            connection.execute("COMMIT")
            if first <= target or self._shorten(connection):
                return True
            self._trimmed = target
            return False
        except sqlite3.Error as error:
            self._recover(error)
            raise

    def _shorten(self, connection: sqlite3.Connection) -> bool:
        """Give the disk a part of the free pages back; True: there are more. Not while much is in use: that is a
        backlog, soon deleted, and each page of it at the file's end would have to move first."""
        free = _pragma(connection, "freelist_count") * PAGE_BYTES
        if free <= KEPT_FREE_BYTES or self.size_bytes() > KEPT_FREE_BYTES:
            return False
        # Not by `execute`: in Python 3.11 it stops after the first page.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def trim_path(path: Path) -> Path:
    """Where the reader says what it does not need any more."""
    return path.with_name(path.name + ".trim")


def read_trim(path: Path) -> int:
    """The offset in a trim file; 0 when there is none."""
    try:
        return int(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return 0


class SqliteJournalReader:
    """Reads the journal from any process while the writer writes it. `await open()` first."""

    def __init__(self, path: Path, *, wake: asyncio.Event | None = None) -> None:
        """Args:  wake: set by whoever knows that something new was written; cleared here. Without it, or when its
        setter is away, news is seen within 20 ms all the same.
        """
        self._path = path
        self._wake = wake if wake is not None else asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._executor = ThreadPoolExecutor(1, "journal-reader")
        self._name = ""
        self._seen_version = -1
        self._trimmed = 0

    async def open(self) -> None:
        """Wait until the gateway has made the journal."""
        while self._connect() is None:
            await self._doze(POLL_S * 5)

    @property
    def name(self) -> str:
        """The journal's name. Raises JournalError when it could not be opened yet."""
        if self._connect() is None:
            raise JournalError(f"{self._path}: the gateway has not made this journal yet")
        return self._name

    def _connect(self) -> sqlite3.Connection | None:
        if self._connection is None and self._path.exists():
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10.0)
            try:
                connection.execute("PRAGMA query_only = ON")
                if _pragma(connection, "user_version") != FORMAT:
                    raise sqlite3.DatabaseError("not ready")
                self._name = connection.execute("SELECT name FROM journal").fetchone()[0]
            except sqlite3.Error:
                connection.close()
                return None
            self._connection = connection
        return self._connection

    async def read(self, after: int, max_records: int, timeout_s: float = 0.0) -> list[Group]:
        """See `JournalReader.read`.

        Raises:  JournalError: the journal ends before `after`: it is older than what was read from it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            self._wake.clear()
            groups = await loop.run_in_executor(self._executor, self.read_now, after, max_records)
            if groups:
                return groups
            while not self._changed() and not self._wake.is_set():
                if (left := deadline - loop.time()) <= 0:
                    return []
                await self._doze(min(POLL_S, left))

    async def _doze(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may forget a cancellation
                await self._wake.wait()

    def _changed(self) -> bool:
        """Has anyone committed since the last read? A look into shared memory, no disk."""
        connection = self._connect()
        return connection is not None and _pragma(connection, "data_version") != self._seen_version

    def read_now(self, after: int, max_records: int) -> list[Group]:
        """What there is, blocking."""
        connection = self._connect()
        if connection is None:
            return []
        self._seen_version = _pragma(connection, "data_version")
        groups: list[Group] = []
        total = size = 0
        cursor = connection.execute(
            "SELECT id, records, closed_us, payload FROM groups WHERE id > ? ORDER BY id", (after,)
        )
        try:
            for offset, records, closed_us, payload in cursor:
                total += records
                size += len(payload)
                if groups and (total > max_records or size > MAX_READ_BYTES):
                    break
                groups.append(_group(offset, records, closed_us, payload))
        finally:
            cursor.close()
        self._check(after, groups)
        return groups

    def _check(self, after: int, groups: list[Group]) -> None:
        """A hole or a step back means that journal and database do not belong together: never silent."""
        if groups and groups[0].offset != after + 1:
            log.error(
                "journal %s: what follows %d was asked for, the oldest is %d; what was between is gone",
                self._path,
                after,
                groups[0].offset,
            )
        elif not groups and after and (last := self.last_offset_now()) < after:
            raise JournalError(f"{self._path}: ends at {last}, but {after} was read before: is it an older copy?")

    async def last_offset(self) -> int:
        """The newest group's offset; 0 when there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.last_offset_now)

    def last_offset_now(self) -> int:
        connection = self._connect()
        if connection is None:
            return 0
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM groups").fetchone()[0])

    async def trim(self, offset: int) -> None:
        """See `JournalReader.trim`: the writer deletes within a second or so.

        Raises:  OSError: it could not be said; say it again.
        """
        if offset > self._trimmed:
            path = trim_path(self._path)
            new = path.with_name(path.name + ".new")
            new.write_bytes(b"%d" % offset)
            new.replace(path)
            self._trimmed = offset

    def close(self) -> None:
        self._executor.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _group(offset: int, records: int, closed_us: int, payload: bytes) -> Group:
    return Group(
        offset,
        closed_us,
        np.frombuffer(payload, HEADER_DTYPE, records),
        memoryview(payload)[records * RECORD_HEADER.size :],
    )


def journal_path(data_dir: Path) -> Path:
    """Where the journal stands in a data directory."""
    return data_dir / "journal.sqlite"

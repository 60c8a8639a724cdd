"""A journal and its reader, for tests."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ingest.counters import Counters
from ingest.journal import Group, GroupCommitWriter, JournalFile, Kind, SqliteJournalReader

PHONE = bytes.fromhex("00000000013912345678")


class Journal:
    """A writer with what it said, for one test."""

    def __init__(self, file: Any, **options: Any) -> None:
        self.stored: list[tuple[int, Sequence[Any]]] = []
        self.pressed: list[bool] = []
        self.counters = Counters()
        self.file = file
        self.writer = GroupCommitWriter(
            file,
            on_stored=lambda offset, tokens: self.stored.append((offset, tokens)),
            on_pressure=self.pressed.append,
            counters=self.counters,
            **{"min_interval_s": 0.0, "retry_s": 0.01} | options,
        )

    def append(self, number: int, body: bytes = b"body", **options: Any) -> bool:
        return self.writer.append(Kind.MESSAGE, number, PHONE, 13, 0x0200, number & 0xFFFF, body, number, **options)

    @property
    def acknowledged(self) -> list[Any]:
        return [token for _, tokens in self.stored for token in tokens]


@asynccontextmanager
async def open_journal(file: Any, **options: Any) -> AsyncIterator[Journal]:
    journal = Journal(file, **options)
    await journal.writer.open()
    try:
        yield journal
    finally:
        await journal.writer.close()


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[SqliteJournalReader]:
    reader = SqliteJournalReader(path)
    await reader.open()
    try:
        yield reader
    finally:
        reader.close()


class GatedFile(JournalFile):
    """A journal whose writes wait for a gate, or fail as told."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.error: Exception | None = None

    def write(self, records: int, parts: Sequence[bytes]) -> int:
        self.started.set()
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return super().write(records, parts)


def numbers(groups: list[Group]) -> list[int]:
    return [int(number) for group in groups for number in group.headers["received_us"]]


async def read_all(reader: SqliteJournalReader) -> list[Group]:
    """All groups, in as many reads as their size takes."""
    groups: list[Group] = []
    while found := await reader.read(groups[-1].offset if groups else 0, 10**9):
        groups += found
    return groups

"""Media files and the rows that refer to them: a row only after its file, a file only as long as a row needs it.

Two may want the same file at once: an upload whose content is there already, and the removal of the last row that had
it. So whoever is about to commit a row *claims* the file first, and a file goes only when it is neither claimed nor
referred to; both under one lock. All writers of the folder are in one process.

When the folder cannot be written (its disk is full, its permissions are wrong) the content stands in the row instead,
up to a bound, and goes to its file when that works again. Beyond the bound the pipeline waits: then the journal grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fleet.media import Media
from store.media_folder import MediaFolder
from store.pool import Database
from store.queries import media as queries

log = logging.getLogger("roadwarden.media")

UNFILED_MAX_BYTES: Final = 256 << 20  # of contents that stand in rows
RETRY_S: Final = 1.0
BATCH: Final = 10  # rows whose contents are moved to their files at once


class MediaStore:
    """See the module."""

    def __init__(
        self,
        root: Path,
        database: Database,
        *,
        unfiled_max_bytes: int = UNFILED_MAX_BYTES,
        retry_s: float = RETRY_S,
    ) -> None:
        self.folder = MediaFolder(root)
        self.counts: Counter[str] = Counter()  # the names are ours: bounded
        self.unfiled_bytes = 0  # of contents in rows
        self.is_failing = False  # the folder cannot be written
        self._database = database
        self._unfiled_max_bytes = unfiled_max_bytes
        self._retry_s = retry_s
        self._lock = asyncio.Lock()
        self._claimed: Counter[str] = Counter()

    def path(self, name: str) -> Path:
        return self.folder.path(name)

    @contextlib.asynccontextmanager
    async def kept(self, items: Sequence[Media]) -> AsyncIterator[list[Media]]:
        """The items with their contents on disk (``is_filed``), as long as this lasts: commit their rows inside."""
        if not items:
            yield []
            return
        names = [item.file_name for item in items]
        async with self._claim(names):
            yield await self._file(items)

    @contextlib.asynccontextmanager
    async def _claim(self, names: Iterable[str]) -> AsyncIterator[None]:
        async with self._lock:
            self._claimed.update(names)
        try:
            yield
        finally:
            self._claimed.subtract(names)
            self._claimed = +self._claimed

    async def _file(self, items: Sequence[Media]) -> list[Media]:
        kept: list[Media] = []
        for item in items:
            while not (is_filed := await self._write(item.file_name, item.content)):
                if self.unfiled_bytes + len(item.content) <= self._unfiled_max_bytes:
                    self.unfiled_bytes += len(item.content)
                    break
                self.counts["waits"] += 1
                await asyncio.sleep(self._retry_s)
            kept.append(replace(item, is_filed=is_filed))
        return kept

    async def _write(self, name: str, content: bytes) -> bool:
        try:
            await asyncio.to_thread(self.folder.write, name, content)
        except OSError as error:
            self.counts["write_errors"] += 1
            if not self.is_failing:
                log.error("media cannot be written, they wait in the database: %s", error)
            self.is_failing = True
            return False
        if self.is_failing:
            log.info("media are written again")
        self.is_failing = False
        return True

    async def file_the_unfiled(self) -> bool:
        """Move a few contents from their rows to their files, as far as that works. True: there may be more.

        Raises:  psycopg.OperationalError: the database is away.
        """
        async with self._database.connection() as connection:
            rows = await queries.unfiled(connection, BATCH)
        if not rows:  # nearly always: the rest reads the whole table
            self.unfiled_bytes = 0
            return False
        async with self._claim([name for _, name, _ in rows]):
            done = [row_id for row_id, name, content in rows if await self._write(name, content)]
            async with self._database.connection() as connection:
                await queries.filed(connection, done)
                _, _, self.unfiled_bytes = await queries.usage(connection)
        return len(rows) == BATCH and len(done) == len(rows)

    async def remove(self, names: Sequence[str]) -> int:
        """Remove those of these files that no row refers to and nobody is about to; how many.

        Raises:  psycopg.OperationalError: the database is away, so nobody knows; nothing was removed.
        """
        if not names:
            return 0
        async with self._lock:
            async with self._database.connection() as connection:
                referred = await queries.referred(connection, names)
            free = [name for name in names if name not in referred and not self._claimed[name]]
            return await asyncio.to_thread(self._remove, free)

    def _remove(self, names: Sequence[str]) -> int:
        removed = 0
        for name in names:
            try:
                removed += self.folder.remove([name])
            except OSError as error:
                self.counts["remove_errors"] += 1
                log.warning("a media file cannot be removed: %s", error)
        return removed

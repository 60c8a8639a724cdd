"""Keeps the media within their limits: age, bytes, and nothing on disk that no row refers to.

Rows go first, their files afterwards: what is left between the two by a crash is a file without a row, and those are
looked for at the start and then a few times a day. A row without its file cannot come about here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import psycopg

from store import Database
from store.media_store import MediaStore
from store.queries import media as queries

log = logging.getLogger("roadwarden.media")

LOOK_S: Final = 10.0  # for contents that could not be written to their files
LIMITS_EVERY: Final = 6  # looks
ORPHANS_EVERY: Final = 6 * 360
ORPHAN_AGE_S: Final = 3600.0  # younger ones may be about to get their row
BATCH: Final = 500


class MediaJanitor:
    """``await run()`` in a task, cancel it to end; or call what it does one by one."""

    def __init__(
        self,
        store: MediaStore,
        database: Database,
        *,
        max_bytes: int,
        keep_days: int,
        clock_us: Callable[[], int],
    ) -> None:
        self.files = self.bytes = 0  # rows and their bytes, as last seen
        self._store = store
        self._database = database
        self._max_bytes = max_bytes
        self._keep = timedelta(days=keep_days)
        self._clock_us = clock_us

    async def run(self) -> None:
        for look in itertools.count():
            try:
                if look % LIMITS_EVERY == 0:
                    await self.enforce_limits()
                if look % ORPHANS_EVERY == 0:
                    await self.remove_orphans()
                while await self._store.file_the_unfiled():
                    pass
            except psycopg.OperationalError:
                pass  # the database is away, others say so
            except Exception:  # deleting has time, and must not end what stores
                log.exception("media could not be put in order")
                self._store.counts["janitor_failures"] += 1
            await asyncio.sleep(LOOK_S)

    async def enforce_limits(self) -> None:
        """Delete what is too old, then the oldest of what is too much.

        Raises:  psycopg.OperationalError: the database is away; what is left is for the next time.
        """
        before = datetime.fromtimestamp(self._clock_us() / 1e6).astimezone() - self._keep
        async with self._database.connection() as connection:
            await queries.drop_reports_before(connection, before)
        expired = await self._drop("expired", before)
        if expired:
            log.info("%d media were deleted: received before %s", expired, before.isoformat(timespec="minutes"))
        await self._count()
        if self.bytes > self._max_bytes:
            evicted = await self._drop("evicted", self._max_bytes)
            log.warning("%d media were deleted: together they were larger than %d bytes", evicted, self._max_bytes)
            await self._count()

    async def _count(self) -> None:
        async with self._database.connection() as connection:
            self.files, self.bytes, self._store.unfiled_bytes = await queries.usage(connection)

    async def _drop(self, why: str, bound: datetime | int) -> int:
        """Rows beyond a bound, a batch at a time, each with its files; how many."""
        count = 0
        while True:
            async with self._database.connection() as connection:
                if isinstance(bound, datetime):
                    names = await queries.drop_before(connection, bound, BATCH)
                else:
                    names = await queries.drop_beyond(connection, bound, BATCH)
            await self._store.remove(sorted(set(names)))
            self._store.counts[why] += len(names)
            count += len(names)
            if len(names) < BATCH:
                return count

    async def remove_orphans(self) -> int:
        """Remove files that no row refers to, and those half written; how many.

        Raises:  psycopg.OperationalError: the database is away; nothing more was removed.
        """
        folder = self._store.folder
        removed = await asyncio.to_thread(folder.remove_temporary, ORPHAN_AGE_S)
        names = folder.names(ORPHAN_AGE_S)
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(names, BATCH))):
            removed += await self._store.remove(batch)
        if removed:
            self._store.counts["orphans_removed"] += removed
            log.info("%d media files that nothing refers to were removed", removed)
        return removed

    def metrics(self) -> dict[str, float]:
        store = self._store
        counts = {f"media_{name}_total": float(count) for name, count in store.counts.items()}
        gauges = {"media_rows": self.files, "media_bytes": self.bytes, "media_unfiled_bytes": store.unfiled_bytes}
        return counts | {name: float(value) for name, value in gauges.items()} | {
            "media_failing": float(store.is_failing)
        }  # fmt: skip

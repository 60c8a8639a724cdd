"""What goes with age, once an hour: see ``store.retention`` and docs/storage.md."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

import psycopg

from ingest.status import wall_clock_us
from roadwarden.settings import Settings
from store import Database, partitions
from store.errors import in_short
from store.retention import Keep, drop_old

log = logging.getLogger("roadwarden.retention")

EVERY_S: Final = 3600.0
AGAIN_S: Final = 60.0  # after the database was away in the middle of it
US_PER_DAY: Final = 86_400_000_000


class Retention:
    """``await run()`` in a task; cancel it to end."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.counts: Counter[str] = Counter()  # bounded: a name per table and reason
        self._database = database
        self._settings = settings

    async def run(self) -> None:
        while True:
            try:
                await self.once(wall_clock_us())
            except psycopg.Error as error:  # also a right that this account has not: reports are stored all the same
                self.counts["retention_failures_total"] += 1
                log.warning("retention is tried again in a minute: %s", in_short(error))
                await asyncio.sleep(AGAIN_S)
            else:
                await asyncio.sleep(EVERY_S)

    async def once(self, now_us: int) -> None:
        """Make the days ahead, drop the days that are over, delete old rows."""
        settings = self._settings
        records = settings.record_retention_days
        keep = Keep(
            logs_from_us=now_us - settings.log_retention_days * US_PER_DAY,
            records_from_us=now_us - records * US_PER_DAY if records else None,
            log_rows=settings.log_max_rows,
        )
        async with self._database.connection() as connection:
            await partitions.ensure_ahead(connection, now_us)
            days = await partitions.drop_before(connection, now_us - settings.retention_days * US_PER_DAY)
            self.counts["retention_days_dropped_total"] += len(days)
            for what, rows in (await drop_old(connection, keep)).items():
                table, reason = what.split(",")
                self.counts[f"retention_rows_total{{table={table},reason={reason}}}"] += rows
                if reason == "number":
                    log.warning("%s held more than %d rows: the oldest %d went", table, keep.log_rows, rows)

    def metrics(self) -> dict[str, float]:
        return {name: float(count) for name, count in self.counts.items()}

"""The live map stays fresh while the database is away (P3): what waits in the journal is shown before it is stored."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from fleet import Bus, PositionsSeen
from ingest.digest import Digester
from ingest.journal import SqliteJournalReader
from ingest.pipeline import MAX_RECORDS, PipelineStatus

log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0


class Preview:
    """Reads ahead of the pipeline while that waits for the database, and publishes the newest fix of each vehicle.

    Nothing is judged, stored or remembered: the pipeline reads it all again. ``await run()`` in a task beside the
    pipeline's, in the same event loop; cancel it to end.
    """

    def __init__(
        self,
        journal: SqliteJournalReader,
        digester: Digester,
        bus: Bus,
        status: PipelineStatus,
        *,
        period_s: float = PERIOD_S,
    ) -> None:
        self._journal = journal
        self._digester = digester
        self._bus = bus
        self._status = status
        self._period_s = period_s
        self._shown = 0  # journal offset

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            if self._status.running and not self._status.database_up:
                await self._show()

    async def _show(self) -> None:
        """All that came since the last time."""
        while not self._status.database_up:
            after = max(self._shown, self._status.offset)
            groups = await self._journal.read(after, MAX_RECORDS)
            if not groups:
                return
            self._shown = groups[-1].offset
            try:
                digest = self._digester.facts(groups)
                self._digester.positions(digest)
            except Exception:  # the pipeline will meet it, too, and find out which record it is
                self._status.counts["preview_failed"] += 1
                log.exception("groups %d..%d cannot be shown", groups[0].offset, groups[-1].offset)
                continue
            batch = digest.positions
            self._bus.publish(PositionsSeen(batch.take(batch.newest_per_vehicle())))

"""The live map stays fresh while the database is away or a backlog is drained (P3): what waits in the journal is shown
before it is stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fleet import Bus, PositionsSeen
from ingest.digest import Digester
from ingest.journal import SqliteJournalReader
from ingest.pipeline import MAX_RECORDS
from ingest.status import PipelineStatus, wall_clock_us

log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
BEHIND_S: Final = 3.0  # what waits longer than this to be stored is shown before
AHEAD_GROUPS: Final = 2_000
"""The newest groups of a backlog that are shown at once: a preview that begins when much waits already (a restart in
the middle of it) begins with these. At 5,000 reports/s they hold 20 s; the map has the rest when it is stored."""


class Preview:
    """Reads ahead of the pipeline while that is behind, and publishes the newest fix of each vehicle.

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
        clock_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        self._journal = journal
        self._digester = digester
        self._bus = bus
        self._status = status
        self._period_s = period_s
        self._clock_us = clock_us
        self._shown = 0  # journal offset

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            await self.show()

    def _is_behind(self) -> bool:
        status = self._status
        return status.running and (not status.database_up or status.lag_s(self._clock_us()) > BEHIND_S)

    async def show(self) -> None:
        """All that came since the last time, or the newest part of it; nothing while the pipeline keeps up."""
        if not self._is_behind():
            return
        begin = max(self._shown, await self._journal.last_offset() - AHEAD_GROUPS)
        while self._is_behind():
            after = max(self._shown, self._status.offset, begin)
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

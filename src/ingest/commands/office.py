"""What the parts of the desk work with, and how a command ends that no answer ends."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from fleet import Bus, CommandChanged
from ingest.commands.patience import Control, DeskLimits
from store import Database
from store.queries import command_queue

log = logging.getLogger(__name__)


class Office:
    """``counts``: for metrics: sent, retransmitted, and how commands ended here. ``woken``: look at the rows again."""

    def __init__(self, database: Database, control: Control, bus: Bus, limits: DeskLimits) -> None:
        self.database = database
        self.control = control
        self.limits = limits
        self.counts: Counter[str] = Counter()
        self.woken = asyncio.Event()
        self._bus = bus

    def wake(self) -> None:
        """There may be something to send."""
        self.woken.set()

    def tell(self, events: Iterable[CommandChanged]) -> None:
        """Of what is committed: whoever hears it reads the rows at once."""
        for event in events:
            self._bus.publish(event)

    async def close(self, state: str, reasons: Mapping[UUID, str]) -> None:
        """End what is queued or sent: id -> why."""
        if reasons:
            async with self.database.connection() as connection:
                closed = await command_queue.close(connection, state, reasons)
            self.closed(state, reasons, closed)

    def closed(self, state: str, reasons: Mapping[UUID, str], closed: Sequence[tuple[UUID, UUID | None]]) -> None:
        """What `command_queue.close` gave is committed: count it, log it, tell it."""
        self.counts[state] += len(closed)
        for command_id, group_id in closed:
            level = logging.INFO if group_id is None else logging.DEBUG
            log.log(level, "command %s: %s: %s", command_id, state, reasons[command_id])
        self.tell(command_queue.events_of(closed))

"""The desk: sends what is queued, sends again what is not answered, gives up in the end.

A command is a row first; who wants something of a terminal writes one and is told of its fate by `CommandChanged`. What
a terminal answers comes the long way, through journal and pipeline, and is written to the row there
(`store.queries.command_answers.apply_answers`).

**A look** goes through single commands, then what is due, then groups, each bounded, so that a single command waits for
part of a look at most. What is queued for terminals that are off-line is parked and costs nothing until they are back;
a group gets what its pace allows, and all groups their share of the look.

**Timers.** JT/T 808-2013 §6.1: after the n-th transmission the wait is T(n) = T(n-1) * n, so T, 2T, 6T. The same
message goes out with the same serial number.

**Crashes.** The serial numbers are taken from the gateway first, then the rows are claimed (state, attempts, serial
number), then the messages are sent: a row never knows less than its terminal. Between claim and sending a crash looks
like a lost message and is sent again when its time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import psycopg

from downlink import CommandError
from fleet import Bus, SessionsChanged
from ingest.commands.office import Office
from ingest.commands.pace import Paces
from ingest.commands.patience import Control, DeskLimits
from ingest.commands.sending import Sender
from ingest.commands.transfers import Transfers
from ingest.control import ControlUnavailable
from store import Database
from store.queries import command_queue, command_transfers
from store.queries.command_queue import QueuedCommand

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0  # database or gateway away
IDLE_S: Final = 30.0  # a look at the rows even when nothing was heard
BATCH: Final = 200  # of a look: single commands, and what is due
GROUP_BATCH: Final = 100  # of a look, of all groups together: so long a single command may have to wait
MOST_ASKED: Final = 100  # times that a terminal may ask for packages
MOST_RETRIEVED: Final = 20  # transmissions of a command whose recordings a lost link cut off


class CommandDesk:
    """Sends what is queued. One desk per database; `await run()` in a task, cancel it to end."""

    def __init__(
        self,
        database: Database,
        control: Control,
        bus: Bus,
        limits: DeskLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._office = Office(database, control, bus, limits or DeskLimits())
        self._clock = clock
        self._paces = Paces(clock)
        self._sessions = bus.subscribe("commands", SessionsChanged)
        self._online: set[str] = set()  # terminals that came on-line since the last look
        self._transfers = Transfers(self._office)
        self._sender = Sender(self._office, self._transfers)
        self._next_group: UUID | None = None  # that found no room in the last look
        self._swept_at = -IDLE_S
        self._was_told = False

    @property
    def counts(self) -> Counter[str]:
        """For metrics: sent, retransmitted, and how commands ended here."""
        return self._office.counts

    def wake(self) -> None:
        """There may be something to send."""
        self._office.wake()

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen(), name="commands: sessions")
        try:
            while True:
                self._office.woken.clear()
                pause_s = await self._look_patiently()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._office.woken.wait()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await self._transfers.stop()
            self._sessions.close()

    async def _listen(self) -> None:
        async for event in self._sessions:
            assert isinstance(event, SessionsChanged)
            if self._sessions.take_lost():
                self._swept_at = -IDLE_S  # who came on-line is asked of the database
                self.wake()
            online = [change.phone for change in event.changes if change.online]
            if online:
                self._online.update(online)
                self.wake()

    async def _look_patiently(self) -> float:
        """One look; how long to sleep after it."""
        try:
            pause_s = await self.look()
        except (psycopg.Error, ControlUnavailable) as error:  # others than OperationalError: read-only, a missing right
            if not self._was_told:
                log.warning("commands wait: %s", error)
                self._was_told = True
            return RETRY_S
        if self._was_told:
            log.info("commands are sent again")
            self._was_told = False
        return pause_s

    async def look(self) -> float:
        """Go through what is to be done once; returns the seconds until something is due.

        Raises:  psycopg.Error, ControlUnavailable: database or gateway is away or refuses; nothing is lost.
        """
        online, self._online = self._online, set()
        try:
            due, singles, groups = await self._read(online)
            await self._sender.send(singles)
            await self._repeat(due)
            pauses = [await self._attend_groups(groups)]
            async with self._office.database.connection() as connection:
                change_s = await command_queue.next_change_s(connection)
        except (psycopg.Error, ControlUnavailable):
            self._online |= online
            raise
        if len(due) == BATCH or len(singles) == BATCH:
            return 0.0
        if change_s is not None:
            pauses.append(max(change_s, 0.0) + 0.01)
        return min(pauses)

    async def _read(
        self, online: set[str]
    ) -> tuple[list[QueuedCommand], list[QueuedCommand], list[tuple[UUID, float]]]:
        """What is due, single commands, groups; after what time and returning terminals have changed."""
        is_sweep = self._clock() - self._swept_at >= IDLE_S
        phones = None if is_sweep else sorted(online)
        broken: dict[UUID, str] = {}
        async with self._office.database.connection() as connection:
            changed = await command_queue.expire(connection)
            await command_queue.unpark(connection, phones)
            if is_sweep or online:
                changed += await command_queue.retrieve_again(connection, phones, MOST_RETRIEVED)
            if is_sweep:
                await command_queue.unpark(connection, sorted(online))  # the presence may be behind the event
                broken = self._resume(await command_transfers.under_way(connection))
            due = await command_queue.due(connection, BATCH)
            singles = await command_queue.ready(connection, BATCH)
            groups = await command_queue.running_groups(connection)
        self._office.tell(changed)
        await self._office.close("failed", broken)
        if is_sweep:
            self._swept_at = self._clock()
        self._paces.keep(group_id for group_id, _ in groups)
        return due, singles, groups

    def _resume(self, commands: Sequence[QueuedCommand]) -> dict[UUID, str]:
        """Go on with transfers that were under way; those that cannot: id -> why."""
        broken: dict[UUID, str] = {}
        for command in commands:
            try:
                self._transfers.resume(command)
            except CommandError as error:
                broken[command.id] = str(error)
        return broken

    async def _repeat(self, due: Sequence[QueuedCommand]) -> None:
        """The answers did not come in their time: send again, or give up."""
        again: list[QueuedCommand] = []
        over: dict[UUID, str] = {}
        for command in due:
            if self._transfers.is_busy(command.id):
                continue  # asked for packages while others go out: they are among those
            if command.attempts >= self._office.limits.attempts and not await self._is_asked(command):
                over[command.id] = f"no answer after {command.attempts} transmissions"
            else:
                again.append(command)
        await self._office.close("timed_out", over)
        await self._sender.send(again)

    async def _is_asked(self, command: QueuedCommand) -> bool:
        """Whether the terminal wants packages of it: then it is there, and patience is not over."""
        if command.kind != "upgrade" or command.attempts >= self._office.limits.attempts + MOST_ASKED:
            return False
        async with self._office.database.connection() as connection:
            transfer = await command_transfers.get(connection, command.id)
        return transfer is not None and bool(transfer.asked)

    async def _attend_groups(self, groups: Sequence[tuple[UUID, float]]) -> float:
        """Send what the paces of the groups allow, as many of all together as a look has room for; returns the seconds
        until more is allowed. A group that found no room is the first of the next look."""
        commands: list[QueuedCommand] = []
        pauses = [IDLE_S]
        for group_id, rate_per_s in _from(groups, self._next_group):
            room = GROUP_BATCH - len(commands)
            if room <= 0:
                self._next_group = group_id
                pauses.append(0.0)
                break
            allowed = self._paces.allowed(group_id, rate_per_s)
            if allowed:
                share = min(allowed, room, max(GROUP_BATCH // len(groups), 1))
                async with self._office.database.connection() as connection:
                    found = await command_queue.ready_of_group(connection, group_id, share)
                self._paces.took(group_id, len(found))
                commands += found
                if len(found) == share < allowed:
                    pauses.append(0.0)  # it was the look that had no room for more
            pauses.append(self._paces.pause_s(group_id, rate_per_s))
        await self._sender.send(commands)
        return min(pauses)


def _from(groups: Sequence[tuple[UUID, float]], first: UUID | None) -> Sequence[tuple[UUID, float]]:
    """The same, beginning with that group when it is still there."""
    start = next((number for number, (group_id, _) in enumerate(groups) if group_id == first), 0)
    return [*groups[start:], *groups[:start]]

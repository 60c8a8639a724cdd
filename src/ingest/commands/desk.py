"""The desk: sends what is queued, sends again what is not answered, gives up in the end.

A command is a row first; who wants something of a terminal writes one and is told of its fate by `CommandChanged`. What
a terminal answers comes the long way, through journal and pipeline, and is written to the row there
(`store.queries.command_answers.apply_answers`).

**A look** goes through what is due, then single commands, then groups, each bounded: what is queued for terminals that
are off-line is parked and costs nothing until they are back, and a group gets what its pace allows.

**Timers.** JT/T 808-2013 §6.1: after the n-th transmission the wait is T(n) = T(n-1) * n, so T, 2T, 6T. The same
message goes out with the same serial number.

**Crashes.** The serial numbers are taken from the gateway first, then the row is claimed (state, attempts, serial
number), then the message is sent: the row never knows less than the terminal. Between claim and sending a crash looks
like a lost message and is sent again when its time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg

from downlink import KINDS, CommandError, Composed, compose
from fleet import Bus, CommandChanged, SessionsChanged
from ingest.commands.pace import Paces
from ingest.commands.patience import Control, DeskLimits, wait_s
from ingest.commands.transfers import Transfers
from ingest.control import ControlUnavailable
from jt808.header import MAX_BODY_BYTES, Edition
from store import Database
from store.queries import command_queue, command_transfers
from store.queries.command_queue import Expected, QueuedCommand

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0  # database or gateway away
IDLE_S: Final = 30.0  # a look at the rows even when nothing was heard
BATCH: Final = 200  # of a look: what is due, and single commands
GROUP_BATCH: Final = 50  # of a look and a group
MOST_ASKED: Final = 100  # times that a terminal may ask for packages
OFFLINE: Final = "the terminal is off-line"


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
        self.counts: Counter[str] = Counter()  # for metrics: sent, retransmitted, and how commands ended here
        self._limits = limits or DeskLimits()
        self._database = database
        self._control = control
        self._bus = bus
        self._clock = clock
        self._paces = Paces(clock)
        self._woken = asyncio.Event()
        self._sessions = bus.subscribe("commands", SessionsChanged)
        self._online: set[str] = set()  # terminals that came on-line since the last look
        self._transfers = Transfers(database, control, self._limits, self._tell, self.wake)
        self._swept_at = -IDLE_S
        self._was_told = False

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen(), name="commands: sessions")
        try:
            while True:
                self._woken.clear()
                pause_s = await self._look_patiently()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()
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
            online = [change.phone for change in event.changes if change.online]
            if online:
                self._online.update(online)
                self.wake()

    async def _look_patiently(self) -> float:
        """One look; how long to sleep after it."""
        try:
            pause_s = await self.look()
        except (psycopg.OperationalError, ControlUnavailable) as error:
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

        Raises:  psycopg.OperationalError, ControlUnavailable: database or gateway is away; nothing is lost.
        """
        online, self._online = self._online, set()
        try:
            due, singles, groups = await self._read(online)
            for command in due:
                await self._again(command)
            for command in singles:
                await self._transmit(command)
            pauses = [await self._attend_group(group_id, rate_per_s) for group_id, rate_per_s in groups]
            async with self._database.connection() as connection:
                change_s = await command_queue.next_change_s(connection)
        except (psycopg.OperationalError, ControlUnavailable):
            self._online |= online
            raise
        if len(due) == BATCH or len(singles) == BATCH:
            return 0.0
        pauses.append(IDLE_S)
        if change_s is not None:
            pauses.append(max(change_s, 0.0) + 0.01)
        return min(pauses)

    async def _read(self, online: set[str]) -> tuple[list[QueuedCommand], list[QueuedCommand], list[tuple[Any, float]]]:
        """What is due, single commands, groups; after what time and returning terminals have changed."""
        is_sweep = self._clock() - self._swept_at >= IDLE_S
        async with self._database.connection() as connection:
            self._tell(await command_queue.expire(connection))
            await command_queue.unpark(connection, None if is_sweep else sorted(online))
            if is_sweep:
                await command_queue.unpark(connection, sorted(online))  # the presence may be behind the event
                for command in await command_transfers.under_way(connection):
                    self._transfers.resume(command)
            due = await command_queue.due(connection, BATCH)
            singles = await command_queue.ready(connection, BATCH)
            groups = await command_queue.running_groups(connection)
        if is_sweep:
            self._swept_at = self._clock()
        self._paces.keep(group_id for group_id, _ in groups)
        return due, singles, groups

    async def _attend_group(self, group_id: Any, rate_per_s: float) -> float:
        """Send what the group's pace allows; returns the seconds until more is allowed."""
        allowed = min(self._paces.allowed(group_id, rate_per_s), GROUP_BATCH)
        if allowed:
            async with self._database.connection() as connection:
                commands = await command_queue.ready_of_group(connection, group_id, allowed)
            for command in commands:
                await self._transmit(command)
            self._paces.took(group_id, len(commands))
        return self._paces.pause_s(group_id, rate_per_s)

    async def _again(self, command: QueuedCommand) -> None:
        """The answer did not come in its time."""
        if self._transfers.is_busy(command.id):
            return  # asked for packages while others go out: they are among those
        if command.attempts >= self._limits.attempts and not await self._is_asked(command):
            await self._close(command, "timed_out", f"no answer after {command.attempts} transmissions")
        else:
            await self._transmit(command)

    async def _is_asked(self, command: QueuedCommand) -> bool:
        """Whether the terminal wants packages of it: then it is there, and patience is not over."""
        if command.kind != "upgrade" or command.attempts >= self._limits.attempts + MOST_ASKED:
            return False
        async with self._database.connection() as connection:
            transfer = await command_transfers.get(connection, command.id)
        return transfer is not None and bool(transfer.asked)

    async def _transmit(self, command: QueuedCommand) -> None:
        ready = await self._control.request("prepare", phone=command.phone)
        if ready["state"] != "ready":
            if command.state == "sent":
                await self._requeue(command, was_sent=True)
            else:
                await self._park(command, OFFLINE)  # it is sent when the terminal is back
            return
        try:
            if command.kind == "upgrade":
                await self._transfers.begin(command, Edition(ready["edition"]))
                return
            composed = compose(command.kind, command.payload, Edition(ready["edition"]))
        except CommandError as error:
            await self._close(command, "failed", str(error))
            return
        await self._send(command, composed, ready)

    async def _send(self, command: QueuedCommand, composed: Composed, ready: dict[str, Any]) -> None:
        message_id, body = composed.message_id, composed.body
        count = max(-(-len(body) // MAX_BODY_BYTES), 1)
        serial_no = command.serial_no
        if serial_no is None:
            if count > 1:  # they follow each other: taken together
                ready = await self._control.request("prepare", phone=command.phone, count=count)
            if ready["state"] != "ready":
                await self._park(command, OFFLINE)
                return
            serial_no = int(ready["serial_no"])
        expected = Expected(message_id, serial_no, count, composed.answers, composed.answer_within_s)
        retry_in_s = wait_s(self._limits.timeout_s, command.attempts + 1)
        async with self._database.connection() as connection:
            claimed = await command_queue.claim(
                connection, command, expected, retry_in_s=retry_in_s, progress=_progress(command)
            )
        if not claimed:
            self.wake()  # answered or changed meanwhile: look again
            return
        sent = await self._control.request(
            "send", phone=command.phone, message_id=message_id, body=body.hex(), serial_no=serial_no
        )
        if sent["state"] == "offline":
            await self._requeue(command, was_sent=False)
        elif sent["state"] == "refused":
            await self._close(command, "failed", str(sent.get("reason", "")))
        else:
            self.counts["retransmitted" if command.attempts else "sent"] += 1
            self._tell([CommandChanged(command.id, command.group_id)])

    async def _park(self, command: QueuedCommand, reason: str) -> None:
        async with self._database.connection() as connection:
            await command_queue.park(connection, command.id, reason)

    async def _requeue(self, command: QueuedCommand, *, was_sent: bool) -> None:
        async with self._database.connection() as connection:
            changed = await command_queue.requeue(connection, command.id, was_sent=was_sent)
        if changed:
            self._tell([CommandChanged(command.id, command.group_id)])

    async def _close(self, command: QueuedCommand, state: str, reason: str) -> None:
        async with self._database.connection() as connection:
            changed = await command_queue.close(connection, command.id, state, reason)
        if changed:
            self.counts[state] += 1
            log.info("command %s to %s: %s: %s", command.id, command.phone, state, reason)
            self._tell([CommandChanged(command.id, command.group_id)])

    def _tell(self, events: Iterable[CommandChanged]) -> None:
        for event in events:
            self._bus.publish(event)


def _progress(command: QueuedCommand) -> dict[str, Any] | None:
    """What is counted of a command whose outcome arrives as media; `total` where it is known."""
    payload = command.payload
    if not KINDS[command.kind].media or payload.get("store_only"):
        return None
    total = payload.get("count", 1) if command.kind == "photo" and payload.get("action", "photo") == "photo" else None
    if command.kind == "media_upload" and payload.get("media_id") is not None:
        total = 1
    return {"arrived": 0, "total": total}

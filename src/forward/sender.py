"""The positions of one platform, from the store to the link: live as 0x1202, what was missed as 0x1203.

JT/T 809 does not answer a position. So that nothing is skipped after a broken link, the sender asks with a link test
(0x1005) in between: the superior platform works its connection off in order, so when its answer (0x1006) comes,
everything sent before the test was received, and the cursor in the database moves up to there; the answer to a logout
says the same. After a break all that is stored behind the cursor is sent again: that repeats a little, skips nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection

from fleet import BatchStored, Bus, PositionBatch
from forward import translate
from forward.config import ForwarderConfig
from forward.facts import Facts
from forward.progress import Progress
from forward.translate import TerminalFacts, VehicleFacts
from store import Database
from store.queries import forwarding
from store.queries.forwarding import Platform

P = ParamSpec("P")
T = TypeVar("T")

CHUNK: Final = 128  # messages between two looks at the socket
MAX_MARKS: Final = 8  # link tests without an answer; the link's silence limit ends it long before this hurts
MAX_STEP: Final = 1 << 30
LAST_S: Final = 0.5  # to write the cursor down when the server stops


class Outlet(Protocol):
    """A link that is up: where messages go."""

    def send(self, message_id: int, body: bytes) -> None: ...

    async def drain(self) -> None: ...

    def test(self) -> int: ...


class Pacer:
    """Spreads work over time: how long to wait after ``n`` pieces so that ``rate`` a second is not exceeded."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = 0.0

    def delay_s(self, n: int, now: float) -> float:
        self._due = max(self._due, now) + n / self._rate
        return self._due - now


class Sender:
    """``run()`` in a task; ``use(outlet)`` whenever a link comes up or all are down (None)."""

    def __init__(self, platform: Platform, database: Database, bus: Bus, facts: Facts, config: ForwarderConfig) -> None:
        self.cursor: int | None = None  # journal offset confirmed by the superior platform; None: not read yet
        self.backlog = 0  # positions stored and not sent yet, as far as is known (below 0 while they are being counted)
        self.sent_live = 0
        self.sent_history = 0
        self.registrations = 0
        self.skipped: Counter[str] = Counter()  # positions that cannot be sent, by reason
        self.failures = 0  # sessions that ended by an error of ours
        self._platform = platform
        self._database = database
        self._facts = facts
        self._config = config
        self._log = logging.LoggerAdapter(logging.getLogger("roadwarden.forward"), {"platform": platform.name})
        self._subscription = bus.subscribe(f"forward {platform.id}", BatchStored, capacity=config.queue_batches)
        self._outlet: Outlet | None = None
        self._outlet_changed = asyncio.Event()
        self._history_wake = asyncio.Event()
        self._count_wake = asyncio.Event()
        self._save_wake = asyncio.Event()
        self._session_on: tuple[Outlet, Progress] | None = None
        self._registered: dict[int, tuple[VehicleFacts, int, TerminalFacts | None]] = {}

    def use(self, outlet: Outlet | None) -> None:
        """Send over this link from now on; what was not confirmed on the one before is sent again."""
        if outlet is not self._outlet:
            self._outlet = outlet
            self._outlet_changed.set()

    def test_answered(self, outlet: Outlet, token: int) -> None:
        """A link had a link test answered; what was sent before the test over this link was received."""
        if self._session_on is not None and self._session_on[0] is outlet and self._session_on[1].answered(token):
            self.cursor = self._session_on[1].confirmed
            self._save_wake.set()

    @property
    def lost_batches(self) -> int:
        """Stored batches that came too fast for the memory given to this sender; they are read from the database."""
        return self._subscription.lost

    def all_received(self, outlet: Outlet) -> None:
        """The logout was answered on this link: all that was sent over it was received."""
        if self._session_on is not None and self._session_on[0] is outlet:
            self._session_on[1].all_received()
            self.cursor = self._session_on[1].confirmed

    def close(self) -> None:
        self._subscription.close()

    async def finish(self) -> None:
        """After ``run`` was cancelled: write the cursor down, as far as ``LAST_S`` and the database allow."""
        if self.cursor is not None:
            with contextlib.suppress(psycopg.OperationalError, TimeoutError):
                async with asyncio.timeout(LAST_S), self._database.connection() as connection:
                    await forwarding.save_cursor(connection, self._platform.id, self.cursor)

    async def run(self) -> None:
        """Until cancelled."""
        platform_id = self._platform.id
        self.cursor = await self._patiently(forwarding.begin_cursor, platform_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_cursor())
            while True:
                self._outlet_changed.clear()
                outlet = self._outlet
                work = self._wait_for_outlet() if outlet is None else self._session(outlet)
                await self._until_outlet_changes(work)

    async def _until_outlet_changes(self, work: Awaitable[None]) -> None:
        working = asyncio.ensure_future(work)
        changed = asyncio.create_task(self._outlet_changed.wait())
        try:
            await asyncio.wait((working, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            working.cancel()
            results = await asyncio.gather(working, return_exceptions=True)
        error = results[0]
        if isinstance(error, Exception):
            pause_s = self._config.retry_s
            if not _is_only(error, ConnectionError):
                self.failures += 1
                self._log.error("forwarding to %s failed", self._platform.name, exc_info=error)
                pause_s = self._config.failed_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._outlet_changed.wait()

    async def _wait_for_outlet(self) -> None:
        """No link: only count what waits."""
        assert self.cursor is not None
        stored = await self._patiently(forwarding.stored_offset)
        self.backlog = await self._patiently(forwarding.count_positions, self.cursor, stored)
        while True:
            event = await self._subscription.next()
            if isinstance(event, BatchStored) and event.offset > stored:
                self.backlog += len(event.positions)

    async def _session(self, outlet: Outlet) -> None:
        """All that is done while one link is up."""
        assert self.cursor is not None
        stored = await self._patiently(forwarding.stored_offset)
        progress = Progress(self.cursor, stored)
        self._session_on = outlet, progress
        self.backlog = 0
        self._registered = {}
        self._history_wake.set()
        self._count_wake.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._live(outlet, progress))
            group.create_task(self._history(outlet, progress))
            group.create_task(self._count(progress))
            group.create_task(self._ask(outlet, progress))

    async def _live(self, outlet: Outlet, progress: Progress) -> None:
        """What is being stored, as the bus tells it."""
        while True:
            event = await self._subscription.next()
            lost = self._subscription.take_lost()
            if not isinstance(event, BatchStored) or event.offset <= progress.live:
                continue
            if lost:  # they were stored before this one
                progress.left_out(event.first_offset - 1)
                self._history_wake.set()
                self._count_wake.set()
            self.backlog += len(event.positions)
            await self._send_live(outlet, event.positions)
            progress.live_sent(event.offset)

    async def _send_live(self, outlet: Outlet, batch: PositionBatch) -> None:
        if not len(batch):
            return
        await self._learn(batch)
        blocks = translate.position_blocks(batch)
        vehicle_ids, terminal_ids = batch.vehicle_id.tolist(), batch.terminal_id.tolist()
        for done, row in enumerate(translate.live_order(batch).tolist(), 1):
            self.backlog -= 1
            if field := self._introduce(outlet, vehicle_ids[row], terminal_ids[row], 1):
                outlet.send(translate.DYNAMIC, translate.live_body(field, blocks[row]))
                self.sent_live += 1
            if done % CHUNK == 0:
                await outlet.drain()
        await self._send_history(outlet, batch, np.flatnonzero(batch.late), blocks, None)
        await outlet.drain()

    async def _history(self, outlet: Outlet, progress: Progress) -> None:
        """What was stored while nobody could send it, read from the database a window at a time."""
        step = 64
        pacer = Pacer(self._config.history_per_s)
        while True:
            await self._history_wake.wait()
            if progress.history is None:
                self._history_wake.clear()
                continue
            after, upto = progress.history
            end = min(after + step, upto)
            batch = await self._read_window(after, end)
            if batch is None:
                step = max(1, (end - after) // 4)
                continue
            if len(batch):
                await self._learn(batch)
                blocks = translate.position_blocks(batch)
                await self._send_history(outlet, batch, np.arange(len(batch)), blocks, pacer)
                await outlet.drain()
            progress.history_sent(end)
            if len(batch) < self._config.window_rows // 2:
                step = min(step * 2, MAX_STEP)

    async def _count(self, progress: Progress) -> None:
        """Add to the backlog what is left to the history: beside the sending, for a day's positions take minutes."""
        while True:
            await self._count_wake.wait()
            self._count_wake.clear()
            while (part := progress.take_uncounted()) is not None:
                counted = await self._patiently(forwarding.count_positions, *part)
                self.backlog += counted  # not in one line: what is sent while the database counts must not be lost

    async def _read_window(self, after: int, end: int) -> PositionBatch | None:
        """The positions of (after, end]; None when they are too many for one window. One offset is always taken whole:
        it is one transaction of the pipeline, which has a bound of its own."""
        limit = self._config.window_rows if end - after > 1 else None
        batch = await self._patiently(forwarding.read_positions, after, end, limit)
        return None if limit is not None and len(batch) >= limit else batch

    async def _send_history(
        self, outlet: Outlet, batch: PositionBatch, rows: NDArray[np.intp], blocks: list[bytes], pacer: Pacer | None
    ) -> None:
        vehicle_ids, terminal_ids = batch.vehicle_id.tolist(), batch.terminal_id.tolist()
        loop, since_drain = asyncio.get_running_loop(), 0
        for packet in translate.history_packets(batch, translate.history_order(batch, rows)):
            self.backlog -= len(packet)
            first = packet[0]
            if field := self._introduce(outlet, vehicle_ids[first], terminal_ids[first], len(packet)):
                outlet.send(translate.DYNAMIC, translate.history_body(field, [blocks[row] for row in packet]))
                self.sent_history += len(packet)
            since_drain += len(packet)
            if since_drain >= CHUNK:
                await outlet.drain()
                if pacer is not None:
                    await asyncio.sleep(pacer.delay_s(since_drain, loop.time()))
                since_drain = 0
        if pacer is not None and since_drain:
            await asyncio.sleep(pacer.delay_s(since_drain, loop.time()))

    def _introduce(self, outlet: Outlet, vehicle_id: int, terminal_id: int, positions: int) -> bytes | None:
        """The vehicle's part of the envelope; registers the vehicle (0x1201) when it is new on this link, its facts
        changed or another terminal took the place of its terminal. None, and counted, when the vehicle cannot be named
        on the wire."""
        vehicle = self._facts.vehicles.get(vehicle_id)
        if vehicle is None or vehicle.field is None:
            self.skipped[vehicle.unfit if vehicle is not None else "unknown_vehicle"] += positions
            return None
        known = self._registered.get(vehicle_id)
        if known is not None and not self._facts.is_replaced(vehicle_id, known[1], terminal_id):
            terminal_id = known[1]
        terminal = self._facts.terminals.get(terminal_id)
        now = (vehicle, terminal_id, terminal)
        if known != now:
            described = terminal or TerminalFacts(terminal_id, "", "", "", "")
            body = translate.registration(vehicle, described, self._platform.platform_id, self._platform.supplement)
            outlet.send(translate.DYNAMIC, body)
            self._registered[vehicle_id] = now
            self.registrations += 1
        return vehicle.field

    async def _ask(self, outlet: Outlet, progress: Progress) -> None:
        """While data flow: a link test every now and then, whose answer confirms what was sent before it.

        The first comes soon, so that links which all break young do not send the same again and again.
        """
        pause_s = min(self._config.first_barrier_s, self._config.barrier_s)
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._config.barrier_s)
            if progress.is_unmarked and progress.marks < MAX_MARKS:
                progress.mark(outlet.test())

    async def _keep_cursor(self) -> None:
        """Write the cursor down whenever it moved."""
        while True:
            await self._save_wake.wait()
            self._save_wake.clear()
            assert self.cursor is not None
            await self._patiently(forwarding.save_cursor, self._platform.id, self.cursor)

    async def _learn(self, batch: PositionBatch) -> None:
        vehicle_ids: Iterable[int] = np.unique(batch.vehicle_id).tolist()
        terminal_ids: Iterable[int] = np.unique(batch.terminal_id).tolist()
        while True:
            try:
                return await self._facts.learn(vehicle_ids, terminal_ids)
            except psycopg.OperationalError:
                await asyncio.sleep(self._config.retry_s)

    async def _patiently(
        self, query: Callable[Concatenate[AsyncConnection[Any], P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask the database until it is there. The pool tells the log when it goes and comes."""
        while True:
            try:
                async with self._database.connection() as connection:
                    return await query(connection, *args, **kwargs)
            except psycopg.OperationalError:
                await asyncio.sleep(self._config.retry_s)


def _is_only(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_only(one, kind) for one in error.exceptions)
    return isinstance(error, kind)

"""Group commit: many records, one fsync, then their answers.

Records gather while the previous group is being made durable; when its fsync returns the next group closes. So groups
are large exactly when load is high. A commit costs about 0.3 ms of CPU whatever it holds, so groups are also kept
`min_interval_s` apart: at 30,000 reports/s that is 150 records a group in place of 15, for at most 5 ms more until the
answer; a record that comes alone is written at once.

A failed write is retried until it works: nothing is answered meanwhile, what comes gathers up to the bound, then is
dropped unanswered and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol

from ingest.counters import Counters
from ingest.journal.base import RECORD_HEADER, JournalFull, StoredCallback
from ingest.journal.space import Space, SpaceWatch

log = logging.getLogger(__name__)

MAX_GROUP_RECORDS: Final = 20_000
MAX_GROUP_BYTES: Final = 4 << 20
HOUSEKEEPING_S: Final = 0.5
TRIM_PAUSE_S: Final = 0.02  # between two slices of one trim: several groups are written meanwhile
LOOK_EVERY: Final = 4  # times of housekeeping between two looks at the space that is left


class WritableFile(Protocol):
    """What the writer needs of its file: blocking calls, made from one thread at a time."""

    name: str
    last_offset: int

    def open(self) -> None: ...
    def write(self, records: int, parts: Sequence[bytes]) -> int: ...
    def space(self) -> Space: ...
    def wants_trim(self) -> bool: ...
    def trim(self) -> bool: ...
    def close(self) -> None: ...


class _Open:
    """A group that gathers records."""

    __slots__ = ("bodies", "body_bytes", "headers", "tokens")

    def __init__(self) -> None:
        self.headers: list[bytes] = []
        self.bodies: list[bytes] = []
        self.tokens: list[Any] = []
        self.body_bytes = 0

    @property
    def size(self) -> int:
        return self.body_bytes + len(self.headers) * RECORD_HEADER.size


class GroupCommitWriter:
    """Gathers records into groups and has one thread write them. All calls in the event loop's thread."""

    def __init__(
        self,
        file: WritableFile,
        *,
        on_stored: StoredCallback,
        on_pressure: Callable[[bool], None] | None = None,
        counters: Counters | None = None,
        max_pending_bytes: int = 64 << 20,
        min_interval_s: float = 0.005,
        retry_s: float = 1.0,
        disk_low_bytes: int = 1 << 30,
    ) -> None:
        """Args:
        on_pressure: called with True when half the bound is held because the disk is slow (stop reading), with False
            when it is over. While writing fails it is not called: links go on, what is too much is dropped.
        disk_low_bytes: with less free on its disk, that is said (see `watch`).
        max_pending_bytes: bound of what waits in memory; urgent records may use a quarter more.
        """
        self.counters = counters if counters is not None else Counters()
        self._file = file
        self._on_stored = on_stored
        self._on_pressure = on_pressure
        self._max_pending = max_pending_bytes
        self._max_urgent = max_pending_bytes + max_pending_bytes // 4
        self._min_interval_s = min_interval_s
        self._retry_s = retry_s
        self._executor = ThreadPoolExecutor(1, "journal")
        self._current = _Open()
        self._sealed: deque[_Open] = deque()
        self._held_bytes = 0  # all groups that are not on disk yet
        self._writing = False
        self._timer: asyncio.Handle | None = None
        self._earliest = 0.0  # loop time at which the next group may close
        self._failing_since: float | None = None
        self._paused = False
        self._appended = 0
        self._stored = 0
        self._flushes: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._trimming = False
        self._looking = False
        self._housekept = 0
        self.watch = SpaceWatch(disk_low_bytes)
        """How full it was when last looked at, some seconds ago."""
        self._closed = False
        self._tick: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Raises JournalError when the file cannot be used."""
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self._executor, self._file.open)
        self.watch.look(await self._loop.run_in_executor(self._executor, self._file.space))
        self._tick = self._loop.call_later(HOUSEKEEPING_S, self._housekeep)

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def last_offset(self) -> int:
        return self._file.last_offset

    @property
    def pending_bytes(self) -> int:
        """What waits in memory."""
        return self._held_bytes

    @property
    def is_failing(self) -> bool:
        return self._failing_since is not None

    def append(
        self,
        kind: int,
        received_us: int,
        phone10: bytes,
        edition: int,
        message_id: int,
        serial_no: int,
        body: bytes,
        token: Any = None,
        *,
        urgent: bool = False,
    ) -> bool:
        """See `JournalWriter.append`."""
        size = len(body)
        self._held_bytes += size + RECORD_HEADER.size
        if self._held_bytes > self._max_pending // 2 and not self._room(size + RECORD_HEADER.size, urgent):
            return False
        group = self._current
        group.headers.append(
            RECORD_HEADER.pack(received_us, group.body_bytes, size, message_id, serial_no, kind, edition, phone10)
        )
        group.bodies.append(body)
        if token is not None:
            group.tokens.append(token)
        group.body_bytes += size
        self._appended += 1
        if group.body_bytes > MAX_GROUP_BYTES or len(group.headers) >= MAX_GROUP_RECORDS:
            self._sealed.append(group)
            self._current = _Open()
        if self._timer is None and not self._writing:
            self._schedule()
        return True

    def _room(self, size: int, urgent: bool) -> bool:
        """More than half the bound is held: press, and drop what is above the bound."""
        if self._closed:
            return self._drop(size, urgent)
        if not self._paused and self._failing_since is None and self._on_pressure is not None:
            self._paused = True
            self.counters["journal_pauses"] += 1
            self._on_pressure(True)
        if self._held_bytes > (self._max_urgent if urgent else self._max_pending):
            return self._drop(size, urgent)
        return True

    def _drop(self, size: int, urgent: bool) -> bool:
        self._held_bytes -= size
        self.counters.count("journal_dropped", "urgent" if urgent else "full")
        return False

    def _schedule(self) -> None:
        delay = self._earliest - self._loop.time()
        if delay > 0 and not self._sealed and not self._flushes:
            self._timer = self._loop.call_later(delay, self._start)
        else:
            self._timer = self._loop.call_soon(self._start)

    def _start(self) -> None:
        """Close a group and hand it to the thread."""
        self._timer = None
        if self._writing:
            return
        if not self._sealed:
            if not self._current.headers:
                return
            self._sealed.append(self._current)
            self._current = _Open()
        group = self._sealed[0]  # stays there until it is on disk
        self._writing = True
        self._earliest = self._loop.time() + self._min_interval_s
        future = self._executor.submit(self._file.write, len(group.headers), [*group.headers, *group.bodies])
        future.add_done_callback(self._wrote)

    def _wrote(self, future: Future[int]) -> None:
        """In the writer's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to answer
            self._loop.call_soon_threadsafe(self._finish, future)

    def _finish(self, future: Future[int]) -> None:
        self._writing = False
        error = future.exception()
        if error is not None:
            self._failed(error)
            return
        group = self._sealed.popleft()
        self._held_bytes -= group.size
        self._stored += len(group.headers)
        self.counters["journal_groups"] += 1
        self.counters["journal_records"] += len(group.headers)
        if self._failing_since is not None:
            log.warning("journal works again after %.0f s", self._loop.time() - self._failing_since)
            self._failing_since = None
        if self._paused and self._held_bytes < self._max_pending // 4:
            self._release()
        if self._sealed or self._current.headers:
            self._schedule()
        while self._flushes and self._flushes[0][0] <= self._stored:
            waiter = self._flushes.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
        self._on_stored(future.result(), group.tokens)

    def _failed(self, error: BaseException) -> None:
        self.counters.count("journal_write_errors", "full" if isinstance(error, JournalFull) else "disk")
        if self._failing_since is None:
            self._failing_since = self._loop.time()
            log.error("journal cannot be written, nothing is answered until it can: %s", error)
        if self._paused:  # heartbeats have to be answered all the same
            self._release()
        if not self._closed:
            self._timer = self._loop.call_later(self._retry_s, self._start)

    def _release(self) -> None:
        self._paused = False
        if self._on_pressure is not None:
            self._on_pressure(False)

    async def flush(self) -> None:
        """Wait until all that was appended before is on disk."""
        if self._stored < self._appended:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._flushes.append((self._appended, waiter))
            if self._timer is not None and self._failing_since is None:
                self._timer.cancel()
                self._schedule()
            await waiter

    def _housekeep(self) -> None:
        """Twice a second: let the thread trim when the reader has said so; now and then see how full it is."""
        self._tick = self._loop.call_later(HOUSEKEEPING_S, self._housekeep)
        if self._housekept % LOOK_EVERY == LOOK_EVERY - 1 and not self._looking:
            self._looking = True  # behind what is written now, which may take its time: nobody waits for this
            self._executor.submit(self._file.space).add_done_callback(self._looked)
        self._housekept += 1
        if not self._trimming and self._file.wants_trim():
            self._trim_on()

    def _looked(self, future: Future[Space]) -> None:
        """In the writer's thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._look_done, future)

    def _look_done(self, future: Future[Space]) -> None:
        self._looking = False
        if (error := future.exception()) is None:
            self.watch.look(future.result())
        else:
            log.debug("cannot see how full the journal is: %s", error)

    def _trim_on(self) -> None:
        if self._closed:
            return
        self._trimming = True
        self._executor.submit(self._file.trim).add_done_callback(self._trimmed)

    def _trimmed(self, future: Future[bool]) -> None:
        """In the writer's thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._trim_done, future)

    def _trim_done(self, future: Future[bool]) -> None:
        error = future.exception()
        if error is not None:
            self.counters["journal_trim_errors"] += 1
            log.debug("trim failed, tried again later: %s", error)
        elif future.result() and not self._closed:
            self._loop.call_later(TRIM_PAUSE_S, self._trim_on)
            return
        self._trimming = False

    async def close(self) -> None:
        """Write what waits, if it can be written, and close the file; nothing when it is not open."""
        if self._tick is None:
            return
        self._tick.cancel()
        self._tick = None
        try:
            while not self.is_failing and (self._sealed or self._current.headers):
                await self.flush()
        finally:
            self._closed = True
            self._max_pending = -1  # nothing is taken any more
            if self._timer is not None:
                self._timer.cancel()
            if lost := self._appended - self._stored:
                log.error("journal closed with %d records not written and not answered", lost)
            self._executor.submit(self._file.close)
            self._executor.shutdown(wait=True)

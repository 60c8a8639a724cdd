"""What happens to a report after it is on disk: the written list of steps, one loop.

    read -> facts -> enrol -> positions -> forget repeats -> mark late -> judge -> commit -> publish -> trim

The journal offset commits with the data, so a replay after a crash repeats nothing. Whatever fails on our side costs
the terminals nothing: the journal holds their reports until the database takes them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from alarms import AlarmEngine
from fleet import BatchStored, Bus, Commit, FleetChanged, PositionBatch, SessionsChanged
from ingest.digest import Digest, Digester
from ingest.directory import Directory
from ingest.journal import Group, SqliteJournalReader
from store import Database, Deduplicator, Stored, Writer
from store.queries import engine as engine_queries
from store.queries import enrolment

log = logging.getLogger("roadwarden.pipeline")
T = TypeVar("T")

MAX_RECORDS: Final = 8_000  # of one transaction: ~0.2 s of work, so that the API in this process stays quick
RETRY_S: Final = 0.5
TICK_S: Final = 1.0
TRIM_S: Final = 2.0


def wall_clock_us() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class PipelineStatus:
    """For readiness, metrics and the status bar."""

    offset: int = 0
    running: bool = False
    database_up: bool = False
    newest_received_us: int = 0
    backlog: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def lag_s(self, now_us: int) -> float:
        """How old the newest record is that has been stored, while there are more waiting; else 0."""
        return max(0.0, (now_us - self.newest_received_us) / 1e6) if self.backlog and self.newest_received_us else 0.0


class Newest:
    """Device time of the newest fix of each vehicle, to tell late data from new. Vehicle ids are small and dense."""

    def __init__(self) -> None:
        self._time_s = np.zeros(1024, np.int64)

    def load(self, vehicle_id: int, time_us: int) -> None:
        self._reserve(vehicle_id)
        self._time_s[vehicle_id] = max(self._time_s[vehicle_id], time_us // 1_000_000)

    def _reserve(self, vehicle_id: int) -> None:
        if vehicle_id >= len(self._time_s):
            self._time_s = np.append(self._time_s, np.zeros(max(vehicle_id + 1, 2 * len(self._time_s)), np.int64))

    def mark_late(self, batch: PositionBatch, is_blind: NDArray[np.bool_]) -> None:
        """Set ``batch.late``: backfill, and whatever is older than a fix that came before it. Moves the memory on.

        The wire has whole seconds, so a running maximum over (vehicle, time) fits one int64: the vehicle's rank in
        the high half keeps one vehicle's times from reaching into the next.
        """
        if not len(batch):
            return
        self._reserve(int(batch.vehicle_id.max()))
        order = np.argsort(batch.vehicle_id, kind="stable")
        vehicle = batch.vehicle_id[order]
        time_s = batch.time_us[order] // 1_000_000
        is_first = np.append(True, vehicle[1:] != vehicle[:-1])
        rank = np.cumsum(is_first).astype(np.int64) << 33
        counted = np.where(is_blind[order], 0, time_s)
        # Shifted by one: a row is compared with those before it, the first of a vehicle with the stored newest.
        before = np.where(is_first, self._time_s[vehicle], np.append(0, counted[:-1])) + rank
        before = np.maximum.accumulate(before)
        batch.late[order] = is_blind[order] | (time_s + rank < before)
        np.maximum.at(self._time_s, vehicle, counted)


class Pipeline:
    """One per journal. ``run()`` until cancelled; a cancelled run leaves nothing half done."""

    def __init__(
        self,
        journal: SqliteJournalReader,
        database: Database,
        engine: AlarmEngine,
        bus: Bus,
        digester: Digester,
        *,
        clock_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        self.status = PipelineStatus()
        self._journal = journal
        self._database = database
        self._writer = Writer(database)
        self._engine = engine
        self._bus = bus
        self._digester = digester
        self._directory: Directory = digester.directory
        self._clock_us = clock_us
        self._repeats = Deduplicator()
        self._newest = Newest()
        self._fleet_changed = True
        self._fences_changed = True
        self._ticked_us = 0
        self._trimmed_us = 0

    async def run(self) -> None:
        await self._journal.open()
        await self._patiently(self._restore)
        self.status.running = True
        while True:
            groups = await self._journal.read(self.status.offset, MAX_RECORDS, timeout_s=TICK_S)
            if self._fleet_changed or self._fences_changed:
                await self._patiently(self._reload)
            if groups:
                await self._take(groups)
            self.status.backlog = bool(groups) and await self._journal.last_offset() > self.status.offset
            await self._tick()

    def rule_failures(self) -> Iterable[tuple[str, int]]:
        """Exceptions that rules have cost so far, by rule."""
        return self._engine.failures.items()

    def not_judged(self) -> Iterable[tuple[str, int]]:
        """Reports kept from the rules, by reason: repeated, older than what was judged."""
        return self._engine.ignored.items()

    def fleet_changed(self, what: str) -> None:
        """Vehicles, terminals, limits or fences changed in the database: read them again before the next group."""
        if what in ("vehicles", "terminals"):
            self._fleet_changed = True
        if what in ("vehicles", "geofences"):
            self._fences_changed = True

    async def _take(self, groups: list[Group]) -> None:
        """The road of a run of groups, from bytes to bus."""
        try:
            digest = self._digester.facts(groups)
            if digest.registrations or digest.refused or digest.unregistered:
                await self._patiently(lambda: self._enrol(digest))
            self._digester.positions(groups, digest)
            batch = self._fresh(digest)
            self._newest.mark_late(batch, digest.is_blind)
            evaluation = self._engine.evaluate(batch)
        except Exception:  # a bug of ours must not stop the road nor lose what is on it: kept whole, and said loudly
            log.exception(
                "groups %d..%d could not be read; all kept in quarantine", groups[0].offset, groups[-1].offset
            )
            self.status.counts["digest_failed"] += 1
            digest = self._bare(groups, "digest_failed")
            batch, evaluation = PositionBatch.empty(), self._engine.evaluate(PositionBatch.empty())
        commit = Commit(
            journal=self._journal.name,
            offset=digest.offset,
            positions=batch,
            alarm_changes=list(evaluation.changes),
            rule_states=list(evaluation.states),
            quarantined=digest.quarantined,
            sessions=digest.sessions,
            answers=digest.answers,
            messages=digest.messages,
        )
        stored = await self._commit(commit, groups)
        self._count(digest, stored)
        self._publish(digest, commit, stored)

    async def _commit(self, commit: Commit, groups: list[Group]) -> Stored:
        """Commit until the database takes it. What it refuses for its content goes to quarantine instead."""
        while True:
            try:
                stored = await self._writer.commit(commit)
            except psycopg.OperationalError as error:
                self._database_down(error)
                await asyncio.sleep(RETRY_S)
            except psycopg.Error:
                if not len(commit.positions) and not commit.alarm_changes:
                    raise  # not the data: a schema that does not fit; the supervisor restarts us, nothing is lost
                log.exception("the database refused groups up to %d; kept in quarantine", commit.offset)
                self.status.counts["storage_refused"] += 1
                bare = self._bare(groups, "storage_refused")
                commit.positions, commit.alarm_changes, commit.rule_states = PositionBatch.empty(), [], []
                commit.quarantined = bare.quarantined
            else:
                self._database_up()
                return stored

    def _bare(self, groups: list[Group], reason: str) -> Digest:
        """A digest that only keeps the bytes."""
        digest = Digest(
            groups[0].offset,
            groups[-1].offset,
            sum(len(group.headers) for group in groups),
            int(groups[-1].headers["received_us"].max(initial=0)),
        )
        digest.quarantined = self._digester.quarantine_all(groups, reason, "see the server's log of that time")
        return digest

    async def _enrol(self, digest: Digest) -> None:
        """Terminals that registered get their rows before their first fix is looked up; doing it twice is harmless."""
        async with self._database.connection() as connection:
            await enrolment.enrol(connection, digest.registrations)
            await enrolment.list_refused(connection, digest.refused)
            await enrolment.unregister(connection, digest.unregistered)
        await self._directory.reload(self._database)

    def _fresh(self, digest: Digest) -> PositionBatch:
        """The fixes without the repeats that memory knows; the database's unique key has the last word."""
        batch = digest.positions
        fresh = self._repeats.fresh(batch)
        if fresh.all():
            return batch
        self.status.counts["repeats"] += int(len(batch) - fresh.sum())
        digest.is_blind = digest.is_blind[fresh]
        return batch.take(fresh)

    def _count(self, digest: Digest, stored: Stored) -> None:
        counts = self.status.counts
        counts.update(digest.counts)
        counts["records"] += digest.records
        counts["orphan_alarms"] += stored.orphan_alarms
        counts["stored"] += int(stored.fresh.sum())
        counts["repeats"] += int(len(stored.fresh) - stored.fresh.sum())
        for row in digest.quarantined:
            counts[f"quarantined_{row.reason}"] += 1
        self.status.offset = digest.offset
        self.status.newest_received_us = max(self.status.newest_received_us, digest.newest_received_us)

    def _publish(self, digest: Digest, commit: Commit, stored: Stored) -> None:
        positions = commit.positions if stored.fresh.all() else commit.positions.take(stored.fresh)
        if len(positions) or commit.alarm_changes:
            self._bus.publish(
                BatchStored(commit.journal, digest.first_offset, digest.offset, positions, commit.alarm_changes)
            )
        if digest.sessions:
            self._bus.publish(SessionsChanged(digest.sessions))
        if digest.registrations or digest.refused:
            self._bus.publish(FleetChanged("terminals"))
        for event in stored.command_events():
            self._bus.publish(event)

    async def _tick(self) -> None:
        """What time alone brings: silence becomes an off-line alarm, stored groups leave the journal."""
        now_us = self._clock_us()
        if now_us - self._ticked_us >= TICK_S * 1e6:
            self._ticked_us = now_us
            # While catching up, silence is judged by the stream's own time: a backlog is not an off-line fleet.
            judged_us = self.status.newest_received_us if self.status.backlog else now_us
            evaluation = self._engine.tick(judged_us)
            if evaluation.changes or evaluation.states:
                commit = Commit(self._journal.name, self.status.offset)
                commit.alarm_changes, commit.rule_states = list(evaluation.changes), list(evaluation.states)
                await self._patiently(lambda: self._writer.apply(commit))
                empty = PositionBatch.empty()
                offset = self.status.offset
                self._bus.publish(BatchStored(commit.journal, offset + 1, offset, empty, commit.alarm_changes))
        if now_us - self._trimmed_us >= TRIM_S * 1e6:
            self._trimmed_us = now_us
            await self._journal.trim(self.status.offset)

    async def _restore(self) -> None:
        """Memory as the last committed transaction left it."""
        self.status.offset = await self._writer.offset(self._journal.name)
        await self._directory.reload(self._database)
        async with self._database.connection() as connection:
            for vehicle_id, time_us in await engine_queries.load_latest_times(connection):
                self._newest.load(vehicle_id, time_us)
            self._engine.load(
                await engine_queries.load_rule_states(connection),
                await engine_queries.load_running_alarms(connection),
                await engine_queries.load_latest(connection),
            )

    async def _reload(self) -> None:
        if self._fleet_changed:
            self._fleet_changed = False
            await self._directory.reload(self._database)
        if self._fences_changed:
            self._fences_changed = False
            async with self._database.connection() as connection:
                self._engine.set_limits(await engine_queries.load_limits(connection))
                self._engine.set_fences(await engine_queries.load_fences(connection))

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it again until the database is there."""
        while True:
            try:
                result = await work()
            except psycopg.OperationalError as error:
                self._database_down(error)
                await asyncio.sleep(RETRY_S)
            else:
                self._database_up()
                return result

    def _database_down(self, error: Exception) -> None:
        if self.status.database_up:
            log.error("the database is away; reports wait in the journal: %s", str(error).strip().splitlines()[0])
        self.status.database_up = False
        self.status.counts["database_retries"] += 1

    def _database_up(self) -> None:
        if not self.status.database_up:
            log.info("the database takes data")
        self.status.database_up = True

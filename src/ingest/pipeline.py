"""What happens to a report after it is on disk: the written list of steps, one loop.

    read -> facts -> enrol -> positions -> forget repeats -> mark late -> ask for old repeats -> judge -> commit
         -> publish -> trim

The journal offset commits with the data, so a replay after a crash repeats nothing. Whatever fails on our side costs
the terminals nothing: the journal holds their reports until the database takes them, and what cannot be read or stored
goes to quarantine with its bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from alarms import AlarmEngine, Evaluation
from fleet import (
    BatchStored,
    Bus,
    Commit,
    FleetChanged,
    Media,
    MediaStored,
    PositionBatch,
    SessionsChanged,
)
from ingest.digest import Digest, Digester
from ingest.journal import Group, Kind, SqliteJournalReader
from ingest.remembered import WHO, Remembered
from ingest.status import PipelineStatus, wall_clock_us
from store import Database, OffsetMoved, Stored, Writer, blame
from store.errors import in_short
from store.media_store import MediaStore
from store.queries import enrolment, fixes

log = logging.getLogger("roadwarden.pipeline")
T = TypeVar("T")

MAX_RECORDS: Final = 4_000
"""Of one transaction. Measured on 2 busy cores, PostgreSQL beside: with 1,000 it stores 42,000 reports/s and holds up
the event loop (the API's, too) for 7 ms at most in 99 of 100 cases; with 4,000 68,000/s and 15 ms; with 8,000
78,000/s and 25 ms; with 16,000 80,000/s and 65 ms."""
RETRY_S: Final = 0.5
TICK_S: Final = 1.0
TRIM_S: Final = 2.0
RELOAD_S: Final = 1.0
RELOAD_SHARE: Final = 0.1  # of the time at most, however often the fleet changes and however large it is
NEVER_US: Final = 1 << 62  # far enough, and something can be added to it
REFUSED: Final = (psycopg.DataError, psycopg.IntegrityError)  # for its content: trying again will not help


class Pipeline:
    """One per journal. ``run()`` until cancelled; a cancelled run leaves nothing half done.

    What it keeps in memory is what reports are judged by (``Remembered``) and one transaction's records.
    """

    def __init__(
        self,
        journal: SqliteJournalReader,
        database: Database,
        make_engine: Callable[[], AlarmEngine],
        bus: Bus,
        digester: Digester,
        *,
        media: MediaStore | None = None,
        clock_us: Callable[[], int] = wall_clock_us,
        retry_s: float = RETRY_S,
        reload_s: float = RELOAD_S,
    ) -> None:
        self.status = PipelineStatus()
        self._journal = journal
        self._database = database
        self._writer = Writer(database)
        self._memory = Remembered(digester.directory, make_engine)
        self._bus = bus
        self._digester = digester
        self._media = media
        self._clock_us = clock_us
        self._retry_s = retry_s
        self._reload_s = reload_s
        self._stale: set[str] = set()  # tables that changed since they were read
        self._reload_at = 0.0
        self._ticked_us = 0
        self._trimmed_us = 0

    async def run(self) -> None:
        await self._journal.open()
        await self._patiently(self._restore)
        self.status.running = True
        while True:
            groups = await self._journal.read(self.status.offset, MAX_RECORDS, timeout_s=TICK_S)
            await self._reload_when_due()
            if groups:
                await self._store(groups)
            self.status.backlog = bool(groups) and await self._journal.last_offset() > self.status.offset
            if not self.status.backlog:
                self.status.waiting_since_us = 0
            await self._tick()

    def rule_failures(self) -> Mapping[str, int]:
        """Exceptions that rules have cost so far, by rule."""
        return self._memory.rule_failures()

    def not_judged(self) -> Mapping[str, int]:
        """Reports kept from the rules, by reason: repeated, older than what was judged."""
        return self._memory.not_judged()

    def fleet_changed(self, what: str) -> None:
        """Vehicles, terminals, limits or fences changed in the database: to be read again before a next group."""
        self._stale.add(what)

    # -- the road --------------------------------------------------------------------------------------------------

    async def _store(self, groups: Sequence[Group]) -> None:
        """What was read, which may not be all that follows, and may not be what follows in the database by now."""
        self.status.counts["groups_missing"] += groups[-1].offset - self.status.offset - len(groups)
        try:
            await self._take(groups)
        except OffsetMoved as error:
            log.error("%s; what is in the journal from there on is stored again", error)
            self.status.counts["offset_moved"] += 1
            await self._patiently(self._restore)

    async def _take(self, groups: Sequence[Group], without: NDArray[np.intp] | None = None) -> None:
        """The road of a run of groups, from bytes to bus. ``without``: rows of their records that cannot be read.

        Raises:  OffsetMoved: the database is not where these groups begin.
        """
        begin = self.status.offset
        self.status.waiting_since_us = int(groups[0].headers["received_us"].min(initial=groups[0].closed_us))
        try:
            digest, evaluation = await self._judge(groups, without)
            async with self._files_of(digest) as media:  # the files first: a row has its file, always
                digest.media = media
                commit = self._commit_of(digest, evaluation)
                stored = await self._patiently(lambda: self._writer.commit(commit))
        except OffsetMoved:
            raise
        except Exception as error:  # a bug of ours, or the database refuses: neither stops the road, nor costs a byte
            log.exception("groups %d..%d cannot be read or stored", groups[0].offset, groups[-1].offset)
            reason = "storage_refused" if isinstance(error, REFUSED) else "digest_failed"
            self.status.counts[reason] += 1
            await self._patiently(self._restore)  # memory had moved on
            if self.status.offset != begin:
                raise OffsetMoved(f"the journal was stored up to {begin}, now up to {self.status.offset}") from error
            await self._take_apart(groups, without, reason)
        else:
            self._count(digest, stored)
            self._publish(digest, commit, stored)

    async def _judge(
        self, groups: Sequence[Group], without: NDArray[np.intp] | None = None
    ) -> tuple[Digest, Evaluation]:
        digest = self._digester.facts(groups, without)
        if digest.enrols:
            await self._enrol(digest)
        if self._stale & WHO:
            await self._learn_strangers(digest)
        self._digester.positions(digest)
        self._digester.media(digest)
        self._forget_repeats(digest)
        is_old = self._memory.newest.mark_late(digest.positions, digest.is_blind)
        await self._ask_for_repeats(digest, is_old)
        return digest, self._memory.engine.evaluate(digest.positions)

    async def _enrol(self, digest: Digest) -> None:
        """Terminals that registered get their rows before their first fix is looked up; doing it twice is harmless."""

        async def enrol() -> None:
            async with self._database.connection() as connection:
                await enrolment.enrol(connection, digest.registrations)
                digest.counts["refused_not_listed"] = await enrolment.list_refused(connection, digest.refused)
                await enrolment.unregister(connection, digest.unregistered)
                await self._memory.directory.load(connection, digest.enrolled_phones())

        await self._patiently(enrol)

    async def _learn_strangers(self, digest: Digest) -> None:
        """The fleet changed and was not read again yet: who was approved since must not end in quarantine."""
        phones = self._memory.directory.homeless(digest.records.headers["phone"])
        if not phones:
            return

        async def learn() -> None:
            async with self._database.connection() as connection:
                await self._memory.directory.load(connection, phones)

        await self._patiently(learn)

    def _forget_repeats(self, digest: Digest) -> None:
        """Leave out the repeats that memory knows; the database's unique key has the last word."""
        self._leave_out(digest, ~self._memory.repeats.fresh(digest.positions))

    async def _ask_for_repeats(self, digest: Digest, is_old: NDArray[np.bool_]) -> None:
        """Leave out what was stored before memory begins (a restart, a fleet that filled it): nothing is judged twice.

        Asked for is only what may have come before: a time that is believed is not much ahead of its receipt.
        """
        positions = digest.positions
        reach_us = min(self._memory.repeats.known_from_us, NEVER_US) + self._digester.plausible.ahead_us
        rows = np.flatnonzero(is_old & (positions.time_us <= reach_us))
        if not len(rows):
            return
        asked = positions.take(rows)

        async def ask() -> NDArray[np.bool_]:
            async with self._database.connection() as connection:
                return await fixes.stored(connection, asked)

        is_repeat = np.zeros(len(positions), bool)
        is_repeat[rows] = await self._patiently(ask)
        digest.counts["repeats_asked"] += len(rows)
        self._leave_out(digest, is_repeat)

    def _leave_out(self, digest: Digest, is_repeat: NDArray[np.bool_]) -> None:
        if is_repeat.any():
            digest.counts["repeats"] += int(is_repeat.sum())
            digest.positions, digest.is_blind = digest.positions.take(~is_repeat), digest.is_blind[~is_repeat]

    def _files_of(self, digest: Digest) -> AbstractAsyncContextManager[list[Media]]:
        """The uploads with their contents on disk; without a place for files the contents stay in the rows."""
        return nullcontext(digest.media) if self._media is None else self._media.kept(digest.media)

    def _commit_of(self, digest: Digest, evaluation: Evaluation) -> Commit:
        return Commit(
            journal=self._journal.name,
            offset=digest.offset,
            after=self.status.offset,
            positions=digest.positions,
            alarm_changes=evaluation.changes,
            rule_states=evaluation.states,
            quarantined=digest.quarantined,
            sessions=digest.sessions,
            answers=digest.answers,
            messages=digest.messages,
            media=digest.media,
            media_reports=digest.media_reports,
        )

    async def _take_apart(self, groups: Sequence[Group], without: NDArray[np.intp] | None, reason: str) -> None:
        """Something in the groups cannot be read or stored: find it, so that it alone goes to quarantine."""
        if len(groups) > 1:
            for group in groups:
                await self._take([group])
        elif without is None:  # also with no poison found: what failed may have been the moment's
            await self._take(groups, await asyncio.to_thread(self._digester.poison, groups))
        else:
            await self._keep(groups, reason)

    async def _keep(self, groups: Sequence[Group], reason: str) -> None:
        """Only keep the bytes."""
        digest = self._digester.kept(groups, reason)
        commit = self._commit_of(digest, Evaluation())
        try:
            stored = await self._patiently(lambda: self._writer.commit(commit))
        except REFUSED:  # for the sessions then; refused once more, it is the schema: the supervisor starts us again
            commit.sessions = []
            stored = await self._patiently(lambda: self._writer.commit(commit))
        self._count(digest, stored)
        self._publish(digest, commit, stored)

    def _count(self, digest: Digest, stored: Stored) -> None:
        counts = self.status.counts
        counts.update(digest.counts)
        counts["records"] += digest.read
        counts["facts"] += int((digest.records.headers["kind"] != Kind.MESSAGE).sum())
        counts["answers"] += len(digest.answers)
        for message_id, number in stored.unmatched.items():  # of those that `ingest.answers` reads
            counts[f"answers_unmatched_0x{message_id:04x}"] += number
        counts["messages_kept"] += len(digest.messages)
        counts["orphan_alarms"] += stored.orphan_alarms
        counts["stored"] += int(stored.fresh.sum())
        counts["media"] += len(stored.media)
        counts["media_repeats"] += len(digest.media) - len(stored.media)
        counts["repeats"] += int(len(stored.fresh) - stored.fresh.sum())
        for row in digest.quarantined:
            counts[f"quarantined_{row.reason}"] += 1
        self.status.offset = digest.offset
        self.status.newest_received_us = digest.newest_received_us or self.status.newest_received_us

    def _publish(self, digest: Digest, commit: Commit, stored: Stored) -> None:
        positions = commit.positions if stored.fresh.all() else commit.positions.take(stored.fresh)
        if len(positions) or commit.alarm_changes:
            first, last = (self._writer.begins_after + offset for offset in (digest.first_offset, digest.offset))
            self._bus.publish(BatchStored(commit.journal, first, last, positions, commit.alarm_changes))
        if commit.sessions:
            self._bus.publish(SessionsChanged(commit.sessions))
        if digest.enrols:
            self._bus.publish(FleetChanged("terminals"))
        if stored.media:
            self._bus.publish(MediaStored(tuple(stored.media)))
        for event in stored.command_events():
            self._bus.publish(event)

    # -- what time alone brings ------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Silence becomes an off-line alarm, stored groups leave the journal."""
        now_us = self._clock_us()
        if abs(now_us - self._ticked_us) >= TICK_S * 1e6:
            self._ticked_us = now_us
            # While catching up, silence is judged by the stream's own time: a backlog is not an off-line fleet.
            evaluation = self._memory.engine.tick(self.status.newest_received_us if self.status.backlog else now_us)
            if evaluation.changes or evaluation.states:
                await self._store_tick(evaluation)
        if abs(now_us - self._trimmed_us) >= TRIM_S * 1e6:
            self._trimmed_us = now_us
            try:
                await self._journal.trim(self.status.offset)
            except OSError as error:  # a full disk: what can free it must not die of it
                self.status.counts["trim_failed"] += 1
                log.warning("the journal cannot be told what is stored: %s", error)

    async def _store_tick(self, evaluation: Evaluation) -> None:
        offset = self.status.offset
        commit = Commit(self._journal.name, offset, alarm_changes=evaluation.changes, rule_states=evaluation.states)
        try:
            await self._patiently(lambda: self._writer.apply(commit))
        except REFUSED:
            log.exception("the database refuses %d changes of alarms", len(evaluation.changes))
            self.status.counts["storage_refused"] += 1
            await self._patiently(self._restore)
        else:
            last = self._writer.begins_after + offset
            empty = PositionBatch.empty()
            self._bus.publish(BatchStored(commit.journal, last + 1, last, empty, commit.alarm_changes))

    # -- memory ----------------------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """Memory as the last committed transaction left it."""
        self._stale.clear()
        self.status.offset = await self._writer.offset(self._journal.name)
        async with self._database.connection() as connection:
            await self._memory.restore(connection)

    async def _reload_when_due(self) -> None:
        """Read what changed; when it changes all the time, no more than a share of the time goes into it."""
        clock = asyncio.get_running_loop().time
        if not self._stale or (began := clock()) < self._reload_at:
            return
        await self._patiently(self._reload)
        self._reload_at = clock() + max(self._reload_s, (clock() - began) / RELOAD_SHARE)

    async def _reload(self) -> None:
        changed, self._stale = self._stale, set()
        try:
            async with self._database.connection() as connection:
                await self._memory.reload(connection, changed)
        except BaseException:
            self._stale |= changed
            raise

    # -- the database comes and goes -------------------------------------------------------------------------------

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it again until the database is there. What it refuses for its content is raised."""
        while True:
            try:
                with blame():
                    result = await work()
            except psycopg.OperationalError as error:
                self._database_down(error)
                await asyncio.sleep(self._retry_s)
            else:
                self._database_up()
                return result

    def _database_down(self, error: Exception) -> None:
        if self.status.database_up:
            log.error("the database is away; reports wait in the journal: %s", in_short(error))
        self.status.database_up = False
        self.status.counts["database_retries"] += 1

    def _database_up(self) -> None:
        if not self.status.database_up:
            log.info("the database takes data")
        self.status.database_up = True

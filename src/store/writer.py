"""The one transaction of the pipeline: positions, newest positions, alarms, rule states, sessions, answers, offset."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection

from fleet import CommandChanged, Commit, PositionBatch
from store import apply, partitions
from store.copy_binary import POSITION_COLUMNS, encode_positions
from store.errors import DatabaseTrouble, OffsetMoved, blame
from store.pool import Database
from store.queries import media as media_queries
from store.queries.command_answers import apply_answers

STAGED_AFTER_REPEAT: Final = 20
"""Commits that go through the staging table after one that met a repeat: repeats come in runs (a terminal that lost its
link sends its store again), and a COPY that fails has to be done twice."""

_DAYS_AT_ONCE: Final = 50  # made in a transaction: each takes some ten of the server's locks
_ATTEMPTS: Final = 5  # one for a repeat, the others for partitions that the retention dropped meanwhile

_COLUMNS: Final = ", ".join(POSITION_COLUMNS)
_COPY: Final = f"COPY positions ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_STAGE: Final = f"COPY positions_staging ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
# With the defaults: a column that a newer schema added, NOT NULL with a default, is not among ours.
_STAGING: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS positions_staging (LIKE positions INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
)
_MERGE: Final = (
    f"INSERT INTO positions ({_COLUMNS}) SELECT {_COLUMNS} FROM positions_staging "
    "ON CONFLICT (vehicle_id, time, terminal_id, fix_hash) DO NOTHING "
    "RETURNING vehicle_id, (extract(epoch FROM time) * 1000000)::bigint, terminal_id, fix_hash"
)
_BEGINS_AFTER: Final = '(SELECT coalesce(max(begins_after + "offset"), 0) FROM journal_offsets)'
_MOVE_OFFSET: Final = (
    'INSERT INTO journal_offsets AS old (journal, "offset", begins_after) '
    f"SELECT %(journal)s, %(offset)s, {_BEGINS_AFTER} "
    "WHERE coalesce(%(after)s::bigint, 0) = 0 OR EXISTS (SELECT FROM journal_offsets WHERE journal = %(journal)s) "
    'ON CONFLICT (journal) DO UPDATE SET "offset" = excluded."offset", updated_at = now() '
    'WHERE old."offset" < excluded."offset" AND (%(after)s::bigint IS NULL OR old."offset" = %(after)s) '
    "RETURNING begins_after"
)
_BEGIN_OFFSET: Final = (
    'INSERT INTO journal_offsets (journal, "offset", begins_after) '
    f"VALUES (%s, 0, {_BEGINS_AFTER}) ON CONFLICT DO NOTHING"
)
_OFFSET: Final = 'SELECT "offset", begins_after FROM journal_offsets WHERE journal = %s'


@dataclass(slots=True)
class Stored:
    """What a commit did.

    ``fresh`` has one bool a position of the commit: True where it was new, False where the database had it already.
    ``already_done``: an earlier run of the program stored this offset; nothing was written and nothing is fresh.
    """

    fresh: NDArray[np.bool_]
    commands: list[CommandChanged] = field(default_factory=list)  # of commands whose rows changed
    alarms: list[uuid.UUID] = field(default_factory=list)  # alarms whose rows changed
    media: list[int] = field(default_factory=list)  # ids of media that were new
    unmatched: Counter[int] = field(default_factory=Counter)  # answers that fitted no command, by their message id
    orphan_alarms: int = 0  # alarms not stored, their vehicle's row being gone: to be counted
    already_done: bool = False

    def command_events(self) -> list[CommandChanged]:
        """For the bus."""
        return self.commands


class _Repeat(Exception):
    """A position is in the database already: do it again through the staging table."""


class _NoPartition(Exception):
    """A day's partition went away under us."""


class Writer:
    """Stores what the pipeline made of the journal. One commit at a time; one Writer a journal."""

    def __init__(self, database: Database) -> None:
        self.repeated = 0  # positions that the database had already
        self.begins_after = 0
        """What the offsets of this journal are added to, so that those of all journals of a database follow each other:
        stored positions, the cursors of superior platforms and events count so. Known after ``offset`` or a commit."""
        self._database = database
        self._days: set[int] = set()  # whose partitions we have seen or made
        self._staged_left = 0
        self._unsure: tuple[str, int, Stored] | None = None  # sent to be committed, and no answer yet

    async def offset(self, journal: str) -> int:
        """How far this journal is stored; 0 when nothing is: its offsets begin at 1.

        Waits for a transaction under way: a process that was killed may have sent a commit that the server is still at,
        and whoever goes on from the offset before that would store what is no position a second time.

        Raises:  psycopg.OperationalError: the database is away.
        """
        async with self._database.connection() as connection:
            await connection.execute(_BEGIN_OFFSET, (journal,))  # waits for the one who inserts it
            cursor = await connection.execute(f"{_OFFSET} FOR UPDATE", (journal,))
            row = await cursor.fetchone()
        assert row is not None
        self.begins_after = int(row[1])
        return int(row[0])

    async def commit(self, commit: Commit) -> Stored:
        """Store it all in one transaction, or nothing.

        A commit whose offset is not beyond what is stored was done before and is skipped whole. So the same commit may
        be tried again after any error, also when the connection broke and nobody knows whether the server had
        committed: then the answer is the one that was lost.

        Raises:  psycopg.OperationalError: the database is away or in trouble: try the same commit again.
                 psycopg.DataError, psycopg.IntegrityError: the data cannot be stored; trying again will not help.
        """
        with blame():
            return await self._commit(commit)

    async def apply(self, commit: Commit) -> Stored:
        """Store alarm changes and rule states that came from time alone, no journal group: the offset stays.

        Everything else in the commit must be empty. Doing it twice does no harm. Raises as ``commit``.
        """
        stored = Stored(np.zeros(0, np.bool_))
        with blame():
            async with self._database.connection() as connection:
                stored.alarms, stored.orphan_alarms = await apply.alarm_changes(connection, commit.alarm_changes)
                await apply.rule_states(connection, commit.rule_states)
        return stored

    async def store_again(self, connection: AsyncConnection[Any], positions: PositionBatch) -> NDArray[np.bool_]:
        """Positions that were set aside once, in the caller's transaction; which of them were new.

        They come from no journal group: their journal offset is 0, so nobody who follows the journal's order forwards
        them. Raises as ``commit``.
        """
        with blame():
            await self._make_days(partitions.days_of(positions.time_us) - self._days)
            commit = Commit("", 0, positions)
            try:
                fresh = await self._store_positions(connection, commit, distinct_rows(positions), staged=True)
            except _NoPartition as error:
                self._days.clear()
                raise DatabaseTrouble("a day's partition was dropped at this moment") from error
            await apply.latest_positions(connection, positions.take(fresh))
        return fresh

    async def _commit(self, commit: Commit) -> Stored:
        new_days = partitions.days_of(commit.positions.time_us) - self._days
        if new_days:
            await self._make_days(new_days)
        distinct = distinct_rows(commit.positions)
        for _ in range(_ATTEMPTS):
            staged = self._staged_left > 0
            try:
                stored = await self._transaction(commit, distinct, staged)
                self._unsure = None
            except _Repeat:
                self._staged_left = STAGED_AFTER_REPEAT
                continue
            except _NoPartition:
                self._days.clear()
                await self._make_days(partitions.days_of(commit.positions.time_us))
                continue
            if staged:
                self._staged_left -= 1
            if not stored.already_done:
                self.repeated += len(commit.positions) - int(stored.fresh.sum())
            return stored
        raise DatabaseTrouble("the partitions of positions vanish as fast as they are made")

    async def _make_days(self, days: set[int]) -> None:
        # In transactions of their own: an empty partition does no harm, and rows wait for no lock of ours meanwhile.
        wanted = sorted(days)
        for begin in range(0, len(wanted), _DAYS_AT_ONCE):
            async with self._database.connection() as connection:
                await partitions.ensure_days(connection, wanted[begin : begin + _DAYS_AT_ONCE])
        self._days |= days

    async def _transaction(self, commit: Commit, distinct: NDArray[np.intp] | None, staged: bool) -> Stored:
        nothing = np.zeros(len(commit.positions), np.bool_)
        async with self._database.connection() as connection:
            place = {"journal": commit.journal, "offset": commit.offset, "after": commit.after}
            cursor = await connection.execute(_MOVE_OFFSET, place)
            moved = await cursor.fetchone()
            if moved is None:
                return await self._done_before(connection, commit)
            self.begins_after = int(moved[0])
            stored = Stored(nothing)
            if len(commit.positions):
                stored.fresh = await self._store_positions(connection, commit, distinct, staged)
                fresh = stored.fresh
                await apply.latest_positions(
                    connection, commit.positions if fresh.all() else commit.positions.take(fresh)
                )
            stored.alarms, stored.orphan_alarms = await apply.alarm_changes(connection, commit.alarm_changes)
            await apply.rule_states(connection, commit.rule_states)
            await apply.quarantined(connection, commit.quarantined)
            await apply.terminal_messages(connection, commit.messages)
            await apply.sessions(connection, commit.sessions)
            if commit.answers:
                stored.commands, stored.unmatched = await apply_answers(connection, commit.answers)
            if commit.media:
                stored.media, asking = await media_queries.insert(connection, commit.media)
                stored.commands += [event for event in asking if event not in stored.commands]
            await media_queries.insert_reports(connection, commit.media_reports)
            self._unsure = (commit.journal, commit.offset, stored)
        return stored

    async def _done_before(self, connection: AsyncConnection[Any], commit: Commit) -> Stored:
        """The offset would not move to the commit's: what the commit did when it was there."""
        row = await (await connection.execute(_OFFSET, (commit.journal,))).fetchone()
        there = int(row[0]) if row is not None else 0
        if there < commit.offset or (commit.after is not None and there > commit.offset):
            raise OffsetMoved(
                f"journal {commit.journal} is stored up to {there}, not up to {commit.after}: "
                f"groups up to {commit.offset} cannot be stored now"
            )
        if self._unsure is not None and self._unsure[:2] == (commit.journal, commit.offset):
            return self._unsure[2]
        return Stored(np.zeros(len(commit.positions), np.bool_), already_done=True)

    async def _store_positions(
        self, connection: AsyncConnection[Any], commit: Commit, distinct: NDArray[np.intp] | None, staged: bool
    ) -> NDArray[np.bool_]:
        batch = commit.positions if distinct is None else commit.positions.take(distinct)
        rows = np.arange(len(commit.positions)) if distinct is None else distinct
        data = encode_positions(batch, self.begins_after + commit.offset if commit.journal else 0)
        fresh = np.zeros(len(commit.positions), np.bool_)
        if not staged:
            await _copy(connection, _COPY, data)
            fresh[rows] = True
            return fresh
        await connection.execute(_STAGING)
        await _copy(connection, _STAGE, data)
        try:
            cursor = await connection.execute(_MERGE)
        except psycopg.errors.CheckViolation as error:
            raise _NoPartition from error
        keys = zip(*(column[rows].tolist() for column in _key_columns(commit.positions)), strict=True)
        row_of = dict(zip(keys, rows.tolist(), strict=True))
        async for key in cursor:
            fresh[row_of[key]] = True
        return fresh


async def _copy(connection: AsyncConnection[Any], statement: str, data: bytes) -> None:
    try:
        async with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            await copy.write(data)
    except psycopg.errors.UniqueViolation as error:
        raise _Repeat from error
    except psycopg.errors.CheckViolation as error:  # "no partition of relation "positions" found for row"
        raise _NoPartition from error


def _key_columns(batch: PositionBatch) -> tuple[NDArray[Any], ...]:
    return batch.vehicle_id, batch.time_us, batch.terminal_id, batch.fix_hash


def distinct_rows(batch: PositionBatch) -> NDArray[np.intp] | None:
    """Row indices without repeats inside the batch, the first of each kept, in order; None: there are no repeats."""
    count = len(batch)
    if count < 2:
        return None
    vehicle, time, terminal, fix = (column.astype(np.uint64) for column in _key_columns(batch))
    # A cheap mix first: where it tells all rows apart they are, and only where it does not the keys themselves decide.
    mixed = fix ^ (time * np.uint64(0x9E3779B97F4A7C15)) ^ (terminal << np.uint64(32)) ^ vehicle
    if len(np.unique(mixed)) == count:
        return None
    first: dict[tuple[int, ...], int] = {}
    keys = zip(*(column.tolist() for column in _key_columns(batch)), strict=True)
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    return None if len(first) == count else np.fromiter(first.values(), np.intp, len(first))

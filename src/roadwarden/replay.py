"""Put what lies in quarantine through the digest again, after a fix of ours: what can be a position now moves there."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from psycopg import AsyncConnection

from alarms import AlarmEngine, EngineDefaults, Evaluation
from fleet import ChangeKind, Commit, PositionBatch, Quarantined
from ingest.digest import Digest, Digester
from ingest.directory import phone_field
from ingest.journal import EDITION_CODES, HEADER_DTYPE, Group, Kind
from ingest.newest import Newest
from ingest.records import BULK, LOCATION, LOCATION_ANSWER
from store import Database, Writer
from store.apply import alarm_changes, quarantined
from store.queries import engine as engine_queries
from store.queries import quarantine
from store.queries.quarantine import Filter, Kept
from store.values import to_us

log = logging.getLogger("roadwarden.replay")

REPORTS: Final = (LOCATION, LOCATION_ANSWER, BULK)
AT_ONCE: Final = 500  # rows of one transaction
IDLE_STEP_US: Final = 60_000_000
IDLE_STEPS: Final = 1440  # a day of silence ends any episode of late data


@dataclass(slots=True)
class Replayed:
    """What a replay did, in rows of the quarantine and in positions."""

    tried: int = 0
    moved: int = 0  # rows that are gone
    positions: int = 0  # that are new
    repeats: int = 0  # that were stored already
    alarms: int = 0  # that rules found in them


async def replay(
    database: Database,
    digester: Digester,
    wanted: Filter,
    ids: Sequence[int] | None,
    defaults: EngineDefaults | None = None,
) -> Replayed:
    """Try the rows, oldest first, a transaction for some hundred: a row goes and its positions come together, so each
    moves exactly once, whatever is interrupted or runs beside it. Of a bulk report the items that are still bad stay,
    each as a row of its own.

    They take the road of late data: whatever is newer than all that is known of its vehicle becomes its newest
    position; all are judged at their own time by an engine of their own, whose alarms are marked late and ring no bell.
    They are not forwarded (docs/decisions/0018).
    """
    done, writer, after_id = Replayed(), Writer(database), 0
    engine = AlarmEngine(defaults)
    async with database.connection() as connection:
        upto_id = await quarantine.newest_id(connection)  # what we put back ourselves is not tried once more
        engine.set_limits(await engine_queries.load_limits(connection))
        engine.set_fences(await engine_queries.load_fences(connection))
    while True:
        async with database.connection() as connection:
            rows = await quarantine.lock(
                connection, wanted, ids=ids, message_ids=REPORTS, after_id=after_id, upto_id=upto_id, limit=AT_ONCE
            )
            if not rows:
                break
            after_id = rows[-1].id
            await digester.directory.load(connection, sorted({row.phone for row in rows}))
            await _move(connection, writer, digester, engine, rows, done)
    last = _closed(engine, time.time_ns() // 1000)
    await writer.apply(Commit("", 0, alarm_changes=last.changes))
    done.alarms += _begun(last)
    return done


async def _move(
    connection: AsyncConnection[Any],
    writer: Writer,
    digester: Digester,
    engine: AlarmEngine,
    rows: Sequence[Kept],
    done: Replayed,
) -> None:
    gone: list[int] = []
    again: list[Quarantined] = []
    batches: list[Digest] = []
    done.tried += len(rows)
    for row in rows:
        digest = _digest(digester, row)
        if digest is not None and len(digest.positions):
            gone.append(row.id)
            again += digest.quarantined
            batches.append(digest)
    if not gone:
        return
    new: list[PositionBatch] = []
    newest = Newest()
    for vehicle_id, time_us in await engine_queries.load_latest_times(connection):
        newest.load(vehicle_id, time_us)
    for digest in batches:
        newest.mark_late(digest.positions, digest.is_blind)
        fresh = await writer.store_again(connection, digest.positions)
        done.positions += int(fresh.sum())
        done.repeats += int(len(fresh) - fresh.sum())
        new.append(digest.positions.take(fresh))
    evaluation = _judged(engine, new)
    await alarm_changes(connection, evaluation.changes)
    done.alarms += _begun(evaluation)
    await quarantine.remove(connection, gone)
    await quarantined(connection, again)
    done.moved += len(gone)


def _judged(engine: AlarmEngine, batches: Sequence[PositionBatch]) -> Evaluation:
    """What rules say of these, in the order of their own time. What they remember of them ends with the replay, so
    nothing meets the memory of the running server's engine, which has lanes of its own."""
    found = Evaluation()
    rows = [batch.take(np.array([row])) for batch in batches for row in range(len(batch))]
    for row in sorted(rows, key=lambda row: (int(row.time_us[0]), int(row.vehicle_id[0]))):
        row.late[:] = True
        found.changes += engine.evaluate(row).changes
    return found


def _closed(engine: AlarmEngine, received_us: int) -> Evaluation:
    """The replay is over: what still runs ends at its last fix. The engine lets time pass in small steps only."""
    found = Evaluation()
    for step in range(IDLE_STEPS):
        found.changes += engine.tick(received_us + step * IDLE_STEP_US).changes
    return found


def _begun(evaluation: Evaluation) -> int:
    return sum(change.kind is ChangeKind.BEGIN for change in evaluation.changes)


def _digest(digester: Digester, row: Kept) -> Digest | None:
    """A row as if it had just been read from the journal; None: the bug that brought it here is still there."""
    headers = np.zeros(1, HEADER_DTYPE)
    headers["received_us"] = to_us(row.received_at)
    headers["body_length"] = len(row.body)
    headers["message_id"], headers["serial_no"] = row.message_id, row.serial_no
    headers["kind"], headers["edition"] = Kind.MESSAGE, EDITION_CODES.get(row.edition, 0)
    headers["phone"] = np.void(phone_field(row.phone))
    try:
        digest = digester.facts([Group(1, 0, headers, memoryview(row.body))])
        digester.positions(digest)
    except Exception:
        log.exception("row %d of the quarantine still cannot be read", row.id)
        return None
    return digest

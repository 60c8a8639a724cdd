"""Put what lies in quarantine through the digest again, after a fix of ours: what can be a position now moves there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from psycopg import AsyncConnection

from fleet import Quarantined
from ingest.digest import Digest, Digester
from ingest.directory import phone_field
from ingest.journal import EDITION_CODES, HEADER_DTYPE, Group, Kind
from ingest.newest import Newest
from ingest.records import BULK, LOCATION, LOCATION_ANSWER
from store import Database, Writer
from store.apply import quarantined
from store.queries import engine as engine_queries
from store.queries import quarantine
from store.queries.quarantine import Filter, Kept
from store.values import to_us

log = logging.getLogger("roadwarden.replay")

REPORTS: Final = (LOCATION, LOCATION_ANSWER, BULK)
AT_ONCE: Final = 500  # rows of one transaction


@dataclass(slots=True)
class Replayed:
    """What a replay did, in rows of the quarantine and in positions."""

    tried: int = 0
    moved: int = 0  # rows that are gone
    positions: int = 0  # that are new
    repeats: int = 0  # that were stored already


async def replay(database: Database, digester: Digester, wanted: Filter, ids: Sequence[int] | None) -> Replayed:
    """Try the rows, oldest first, a transaction for some hundred: a row goes and its positions come together, so each
    moves exactly once, whatever is interrupted or runs beside it. Of a bulk report the items that are still bad stay,
    each as a row of its own.

    The positions are stored as late data unless they are news of their vehicle; alarm rules do not see them, and they
    are not forwarded.
    """
    done, writer, after_id = Replayed(), Writer(database), 0
    async with database.connection() as connection:
        upto_id = await quarantine.newest_id(connection)  # what we put back ourselves is not tried once more
    while True:
        async with database.connection() as connection:
            rows = await quarantine.lock(
                connection, wanted, ids=ids, message_ids=REPORTS, after_id=after_id, upto_id=upto_id, limit=AT_ONCE
            )
            if not rows:
                return done
            after_id = rows[-1].id
            await digester.directory.load(connection, sorted({row.phone for row in rows}))
            await _move(connection, writer, digester, rows, done)


async def _move(
    connection: AsyncConnection[Any], writer: Writer, digester: Digester, rows: Sequence[Kept], done: Replayed
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
    newest = Newest()
    for vehicle_id, time_us in await engine_queries.load_latest_times(connection):
        newest.load(vehicle_id, time_us)
    for digest in batches:
        newest.mark_late(digest.positions, digest.is_blind)
        fresh = await writer.store_again(connection, digest.positions)
        done.positions += int(fresh.sum())
        done.repeats += int(len(fresh) - fresh.sum())
    await quarantine.remove(connection, gone)
    await quarantined(connection, again)
    done.moved += len(gone)


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

"""How positions are cut by time: one piece a day (UTC), on either back end.

``timescaledb``  a hypertable with chunks of one day, which the extension makes as rows come.
``postgresql``   native range partitions ``positions_YYYYMMDD``: some days ahead from ``ensure_ahead``, any other day
                 when its first row comes (``ensure_days``, called by the writer). There is no default partition: it
                 would have to be emptied before the day it swallowed could get its own.

The back end is chosen when the schema is made, from what the server offers, and found again from the catalogue.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql

from store.errors import Unstorable
from store.values import to_datetime

logger = logging.getLogger(__name__)

Backend = Literal["timescaledb", "postgresql"]

MARKER: Final = "/*PARTITION BY RANGE (time)*/"
DAYS_AHEAD: Final = 3
LOCK_TIMEOUT = "2s"  # for dropping a day
FIRST_DAY: Final = date(1999, 12, 31).toordinal() - date(1970, 1, 1).toordinal()  # 2000 begins there in China
LAST_DAY: Final = date(2100, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
US_PER_DAY: Final = 86_400_000_000
LOCK_KEY: Final = 0x726F6164_64617973  # "roaddays": one maker of partitions at a time

_BACKEND: Final = (
    "SELECT CASE relkind WHEN 'p' THEN 'postgresql' ELSE 'timescaledb' END FROM pg_class "
    "WHERE oid = to_regclass('positions')"
)
_DAYS: Final = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = 'positions'::regclass ORDER BY 1"
)


def day_of(time_us: int) -> int:
    """Days since 1970-01-01 UTC of a time in microseconds."""
    return time_us // US_PER_DAY


def days_of(time_us: NDArray[np.int64]) -> set[int]:
    """The distinct days of a column of times."""
    if not len(time_us):
        return set()
    first, last = int(time_us.min()) // US_PER_DAY, int(time_us.max()) // US_PER_DAY
    if first == last:  # nearly always
        return {first}
    return {int(day) for day in np.unique(time_us // US_PER_DAY)}


def partition_name(day: int) -> str:
    return f"positions_{_date(day):%Y%m%d}"


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


_CANNOT_CREATE: Final = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedFile,
    psycopg.errors.FeatureNotSupported,
)

# ---- when the schema is made (blocking, from store.migrate)


def adapt(connection: psycopg.Connection[Any], text: str) -> str:
    """A migration's text for this server: on plain PostgreSQL the marker becomes the clause."""
    if MARKER not in text or _offers_timescaledb(connection):
        return text
    return text.replace(MARKER, MARKER.strip("/*"))


def _offers_timescaledb(connection: psycopg.Connection[Any]) -> bool:
    """True when the extension is loaded by the server (its settings are known) and is in the database or can be made.

    CREATE EXTENSION without the preload ends the connection, so it is not simply tried.
    """
    loaded = connection.execute("SELECT current_setting('timescaledb.max_background_workers', true)").fetchone()
    if loaded is None or loaded[0] is None:
        return False
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except _CANNOT_CREATE as error:
        logger.warning("TimescaleDB is loaded but cannot be made in this database, native partitions serve: %s", error)
        return False
    return True


def prepare(connection: psycopg.Connection[Any]) -> None:
    """After the migrations: make the hypertable, or the partitions of yesterday, today and the days ahead."""
    found = connection.execute(_BACKEND).fetchone()
    if found is None:
        return  # a schema without positions: tests of the migration runner
    if found[0] == "timescaledb":
        made = connection.execute(
            "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = 'positions')"
        )
        if made.fetchone() == (True,):  # asking for it again would take a lock that stops the writer
            return
    with connection.transaction():
        if found[0] == "timescaledb":
            connection.execute(
                "SELECT create_hypertable('positions', by_range('time', INTERVAL '1 day'), "
                "create_default_indexes => false, if_not_exists => true)"
            )
            return
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
        present = {row[0] for row in connection.execute(_DAYS)}
        today = day_of(int(datetime.now(UTC).timestamp()) * 1_000_000)
        for day in range(today - 1, today + DAYS_AHEAD + 1):
            if partition_name(day) not in present:
                for statement in _make_partition(day):
                    connection.execute(statement)


# ---- while running


async def backend(connection: AsyncConnection[Any]) -> Backend:
    """What this database cuts positions with.

    Raises:  psycopg.errors.UndefinedTable: the schema was never made.
    """
    cursor = await connection.execute(_BACKEND)
    found = await cursor.fetchone()
    if found is None:
        raise psycopg.errors.UndefinedTable("there is no table positions: the database was not migrated")
    answer: Backend = found[0]
    return answer


async def ensure_days(connection: AsyncConnection[Any], days: Iterable[int]) -> list[int]:
    """Make the partitions of these days that are missing; returns the days made. Nothing to do on TimescaleDB.

    Attaching takes no lock that stops readers or writers of the other days (CREATE TABLE ... PARTITION OF would).

    Raises:  Unstorable: a day before 1999-12-31 or after 2099: such a time should have gone to quarantine.
    """
    wanted = sorted(set(days))
    for day in wanted:
        if not FIRST_DAY <= day < LAST_DAY:
            raise Unstorable(f"no partition for the day {day} (since 1970): implausible times belong in quarantine")
    if not wanted or await backend(connection) == "timescaledb":
        return []
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
    present = {row[0] for row in await (await connection.execute(_DAYS)).fetchall()}
    made = [day for day in wanted if partition_name(day) not in present]
    for day in made:
        for statement in _make_partition(day):
            await connection.execute(statement)
    if made:
        logger.info("made %d daily partitions of positions: %s", len(made), ", ".join(map(partition_name, made)))
    return made


async def ensure_ahead(connection: AsyncConnection[Any], now_us: int, days: int = DAYS_AHEAD) -> list[int]:
    """Make today's partition and those of the next days. Call daily; the writer makes what is missing anyway, in the
    middle of its work."""
    today = day_of(now_us)
    return await ensure_days(connection, range(today, today + days + 1))


def _make_partition(day: int) -> list[sql.Composed]:
    name = sql.Identifier(partition_name(day))
    begin, end = (sql.Literal(f"{_date(d)} 00:00:00+00") for d in (day, day + 1))
    return [
        sql.SQL("CREATE TABLE {} (LIKE positions INCLUDING ALL EXCLUDING INDEXES)").format(name),
        sql.SQL("ALTER TABLE positions ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(name, begin, end),
    ]


async def drop_before(connection: AsyncConnection[Any], time_us: int) -> list[str]:
    """Drop the days that end at or before ``time_us`` (microseconds since 1970): the retention. Returns what went.

    What the caller did before is committed: each piece is dropped in a transaction of its own, since dropping stops
    readers and writers for its moment. A piece that stays locked for two seconds is left for the next call.
    """
    dropped: list[str] = []
    if await backend(connection) == "timescaledb":
        time = to_datetime(time_us)
        query = "SELECT chunk::text FROM show_chunks('positions', older_than => %s) AS chunk ORDER BY 1"
        old = [row[0] for row in await (await connection.execute(query, (time,))).fetchall()]
        if old and await _drop(connection, sql.SQL("SELECT drop_chunks('positions', older_than => {})").format(time)):
            dropped = old
        return dropped
    last = partition_name(day_of(time_us))
    names = [row[0] for row in await (await connection.execute(_DAYS)).fetchall()]
    for name in names:
        if name < last and await _drop(connection, sql.SQL("DROP TABLE {}").format(sql.Identifier(name))):
            dropped.append(name)
    return dropped


async def _drop(connection: AsyncConnection[Any], statement: sql.Composed) -> bool:
    await connection.commit()
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
            await connection.execute(statement)
    except psycopg.errors.LockNotAvailable:
        logger.warning("retention: positions are busy, left for the next time: %s", statement.as_string(connection))
        return False
    return True

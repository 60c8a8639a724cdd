"""store.migrate: forward only, each file once, or nothing at all."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import store
from fleet import PositionBatch
from store.migrate import (
    CONTRACT,
    LOCK_KEY,
    Migration,
    _applied_of,
    load_migrations,
    migrate,
    parse_migrations,
    pending_migrations,
)
from store.queries import engine
from tests.postgres import Server
from tests.store.batches import SECOND, make_batch, make_commit

ONE = Migration(1, "one", "CREATE TABLE one (id integer);")
TWO = Migration(2, "two", "CREATE TABLE two (id integer); INSERT INTO two VALUES (7);")


@pytest.fixture
def empty_dsn(server: Server) -> Iterator[str]:
    with server.fresh(migrated=False) as dsn:
        yield dsn


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_a_server_that_is_too_old_is_named(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["store.migrate"], "OLDEST_SERVER", 99)
    with pytest.raises(store.MigrationError, match=r"PostgreSQL 99 or newer is needed; the server is \d\d$"):
        migrate(empty_dsn, [ONE])
    assert tables(empty_dsn) == set()


def test_the_files_we_carry_are_in_order() -> None:
    found = load_migrations()
    assert found[0].label == "0001_initial"
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))


TAKES_AWAY = re.compile(
    r"\bDROP\s+(?:TABLE|COLUMN)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bTRUNCATE\b"
    r"|\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b",
    re.IGNORECASE,
)
REPLACED = re.compile(r"\bDROP\s+(CONSTRAINT|TRIGGER|FUNCTION|INDEX)\s+(\w+)", re.IGNORECASE)


@pytest.mark.parametrize("migration", load_migrations()[1:], ids=lambda migration: migration.label)
def test_our_files_only_add(migration: Migration) -> None:
    """So that servers of before go on: what takes away says so in its name, and is not shipped with what adds."""
    if migration.name.startswith(CONTRACT):
        return
    text = re.sub(r"--.*", "", migration.text)
    assert not TAKES_AWAY.search(text)
    for kind, name in REPLACED.findall(text):  # may make room for its wider successor
        assert re.search(rf"\b(?:ADD|CREATE)\s+{kind}\s+{name}\b", text, re.IGNORECASE), name


def test_the_schema_is_made_once(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as connection:
        assert pending_migrations(connection)[0] == "0001_initial"
    assert migrate(empty_dsn)[0] == "0001_initial"
    assert {"positions", "alarms", "schema_migrations"} <= tables(empty_dsn)
    assert migrate(empty_dsn) == []
    with psycopg.connect(empty_dsn) as connection:
        assert pending_migrations(connection) == []


def test_only_what_is_new_is_applied(empty_dsn: str) -> None:
    assert migrate(empty_dsn, [ONE]) == ["0001_one"]
    assert migrate(empty_dsn, [ONE, TWO]) == ["0002_two"]
    assert tables(empty_dsn) == {"one", "two", "schema_migrations"}


def test_several_at_once_apply_each_once(empty_dsn: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(empty_dsn, [ONE, TWO]), range(4)))
    assert sorted(applied) == [[], [], [], ["0001_one", "0002_two"]]


def test_a_failing_file_leaves_nothing_of_itself(empty_dsn: str) -> None:
    broken = Migration(2, "broken", "CREATE TABLE half (id integer); SELECT 1 / 0;")
    with pytest.raises(store.MigrationError, match="migration 0002_broken failed: division by zero"):
        migrate(empty_dsn, [ONE, broken])
    assert tables(empty_dsn) == {"one", "schema_migrations"}
    assert migrate(empty_dsn, [ONE, TWO]) == ["0002_two"]


def test_an_edited_file_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE])
    with pytest.raises(store.MigrationError, match="0001_one was changed after it was applied"):
        migrate(empty_dsn, [Migration(1, "one", ONE.text + " "), TWO])
    assert "two" not in tables(empty_dsn)


def test_another_history_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE])
    with pytest.raises(store.MigrationError, match="has 0001_one where this program has 0001_two"):
        migrate(empty_dsn, [Migration(1, "two", TWO.text)])


def test_a_newer_database_that_only_added_is_gone_on_with(empty_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    migrate(empty_dsn, [ONE, TWO])
    with caplog.at_level("WARNING", "store.migrate"):
        assert migrate(empty_dsn, [ONE]) == []
    assert "newer than this program (0002_two was applied)" in caplog.text


def test_a_newer_database_that_takes_away_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE, Migration(2, "contract_one", "DROP TABLE one;")])
    with pytest.raises(store.MigrationError, match=r"has migration 0002_contract_one, .* written by a newer version"):
        migrate(empty_dsn, [ONE])


# -- beside others


def add_column(table: str) -> Migration:
    return Migration(2, "wider", f"ALTER TABLE {table} ADD COLUMN more integer NOT NULL DEFAULT 7;")


def test_nobody_waits_long_behind_a_migration_that_waits(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE])
    pauses = []
    with psycopg.connect(empty_dsn) as reader, psycopg.connect(empty_dsn, autocommit=True) as writer:
        reader.execute("SELECT id FROM one")  # an open transaction that has read the table: a backup, say

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            writer.execute("SET lock_timeout = '10s'")
            writer.execute("INSERT INTO one VALUES (%s)", (len(pauses),))  # would hang behind an ALTER that waits
            if len(pauses) == 2:
                reader.rollback()

        assert migrate(empty_dsn, [ONE, add_column("one")], sleep=pause) == ["0002_wider"]
        assert writer.execute("SELECT id, more FROM one ORDER BY id").fetchall() == [(1, 7), (2, 7)]
    assert pauses == [0.5, 1.0]


def test_locks_that_are_never_to_be_had_are_given_up(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["store.migrate"], "PATIENCE_S", 0.5)  # the function has the module's name
    migrate(empty_dsn, [ONE])
    with psycopg.connect(empty_dsn, application_name="a long report") as reader:
        reader.execute("SELECT id FROM one")
        with pytest.raises(store.MigrationError, match=r"0002_wider could not have its locks .* a long report \(pid"):
            migrate(empty_dsn, [ONE, add_column("one")], sleep=lambda _: None)
    assert migrate(empty_dsn, [ONE, add_column("one")]) == ["0002_wider"]


def test_a_second_one_waits_without_a_transaction(empty_dsn: str) -> None:
    """CREATE INDEX CONCURRENTLY waits for all transactions that are open, so for one that waits for its lock."""
    with psycopg.connect(empty_dsn, autocommit=True) as first, psycopg.connect(empty_dsn, autocommit=True) as watcher:
        first.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        pauses = 0

        def pause(_: float) -> None:
            nonlocal pauses
            pauses += 1
            open_ones = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' AND state <> 'idle'"
            ).fetchone()
            assert open_ones == (0,)
            if pauses == 2:
                first.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))

        assert migrate(empty_dsn, [ONE], sleep=pause) == ["0001_one"]
    assert pauses == 2


def test_an_index_is_made_beside_writers_and_again_after_half_of_it(empty_dsn: str) -> None:
    index = Migration(
        2,
        "index",
        "-- outside a transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS one_id ON one (id);\n-- done\n",
    )
    migrate(empty_dsn, [ONE])
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO one VALUES (1), (1)")
        with pytest.raises(store.MigrationError, match="0002_index failed"):
            migrate(empty_dsn, [ONE, index])
        state = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass"
        assert connection.execute(state).fetchone() == (False,)  # left behind by PostgreSQL
        connection.execute("DELETE FROM one")
        assert migrate(empty_dsn, [ONE, index]) == ["0002_index"]
        assert connection.execute(state).fetchone() == (True,)


def test_who_may_not_change_the_schema_needs_not_when_it_is_up_to_date(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE])
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        assert _applied_of(connection, [ONE]) == 1


async def test_a_writer_of_before_goes_on_in_a_wider_schema(dsn: str, database: store.Database) -> None:
    """Its statements are prepared on the server by then, and it names its columns everywhere."""
    writer = store.Writer(database)
    batch = make_batch(3)

    def later(seconds: int) -> PositionBatch:
        return make_batch(3, time_us=batch.time_us + seconds * SECOND)

    for offset in range(1, 9):  # psycopg prepares what it has sent five times
        await writer.commit(make_commit(offset, later(offset)))
    await writer.commit(make_commit(9, later(8)))  # repeats: the staging table is made
    wider = Migration(
        len(load_migrations()) + 1,
        "wider",
        "".join(
            f"ALTER TABLE {table} ADD COLUMN extra integer NOT NULL DEFAULT 7, ADD COLUMN remark text;"
            for table in ("positions", "latest_positions", "journal_offsets", "vehicles", "terminals", "rule_states")
        ),
    )
    assert await asyncio.to_thread(migrate, dsn, [*load_migrations(), wider]) == [wider.label]
    assert await asyncio.to_thread(migrate, dsn) == []
    fresh = [await writer.commit(make_commit(offset, later(offset - 1))) for offset in range(10, 13)]
    assert [int(stored.fresh.sum()) for stored in fresh] == [3, 3, 3]
    other = store.Writer(database)
    assert not (await other.commit(make_commit(13, later(11)))).fresh.any()  # through a staging table made now
    async with database.connection() as connection:
        assert await engine.load_latest_times(connection)
        assert [piece async for piece in engine.each_terminal(connection)] == []
        rows = await (await connection.execute("SELECT count(*), min(extra), max(extra) FROM positions")).fetchall()
    assert rows == [(33, 7, 7)]


def test_a_database_that_is_away_is_not_our_fault() -> None:
    with pytest.raises(psycopg.OperationalError):
        migrate("postgresql://nobody@/none?host=/nowhere")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0001_one.sql", "0003_three.sql"], "0003_three.sql stands where number 0002 is due"),
        (["0001_one.sql", "0001_two.sql"], "0001_two.sql stands where number 0002 is due"),
        (["0001_one.sql", "notes.txt"], "notes.txt is not named like 0001_what.sql"),
        (["1_one.sql"], "1_one.sql is not named like"),
    ],
)
def test_names_and_gaps_are_checked(names: list[str], message: str) -> None:
    with pytest.raises(store.MigrationError, match=message):
        parse_migrations([(name, "SELECT 1") for name in names])

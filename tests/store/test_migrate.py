"""store.migrate: forward only, each file once, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import store
from store.migrate import Migration, load_migrations, migrate, parse_migrations, pending_migrations
from tests.postgres import Server

ONE = Migration(1, "one", "CREATE TABLE one (id integer);")
TWO = Migration(2, "two", "CREATE TABLE two (id integer); INSERT INTO two VALUES (7);")


@pytest.fixture
def empty_dsn(server: Server) -> Iterator[str]:
    with server.fresh(migrated=False) as dsn:
        yield dsn


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_the_files_we_carry_are_in_order() -> None:
    found = load_migrations()
    assert found[0].label == "0001_initial"
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))


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


def test_a_newer_database_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE, TWO])
    with pytest.raises(store.MigrationError, match=r"has migration 0002_two, .* written by a newer version"):
        migrate(empty_dsn, [ONE])


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

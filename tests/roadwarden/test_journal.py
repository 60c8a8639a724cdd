"""`roadwarden journal`: what is in it and how far it is stored, beside a running server."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.journal import journal_path
from roadwarden.cli import app
from store import Database
from tests.ingest.world import PHONE, Rec, World, registered, report, session


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands must not send the test's own log lines to a stream that is closed soon."""
    monkeypatch.setattr("roadwarden.cli.configure_logging", lambda *_: None)


@pytest.fixture
async def world(tmp_path: Path, postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ROADWARDEN_DATABASE_URL", postgresql_database.dsn)
    monkeypatch.setenv("ROADWARDEN_DATA_DIR", str(tmp_path))
    world = World(tmp_path, postgresql_database)
    yield world
    world.close()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["journal", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


async def test_info(world: World) -> None:
    world.write(registered(), report(1))
    await world.drain()
    code, output = run("info")
    assert code == 0
    assert world.file.name in output
    assert "2 records in 1 groups" in output
    assert "waiting   nothing: the database has it all" in output
    world.write(report(2), report(3), report(4))
    _, output = run("info")
    assert "waiting   3 records in 1 groups, the oldest from 2" in output
    assert "stored    up to group 1" in output
    told = json.loads(run("info", "--json")[1])
    assert (told["stored"], told["waiting"]["records"], told["groups"], told["newest"]["offset"]) == (1, 3, 2, 2)
    assert told["path"] == str(journal_path(world.file.path.parent))


async def test_info_without_a_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(report(1))
    monkeypatch.delenv("ROADWARDEN_DATABASE_URL")
    code, output = run("info")
    assert code == 0
    assert "1 records in 1 groups" in output
    assert "stored    unknown: the embedded PostgreSQL of" in output
    told = json.loads(run("info", "--json")[1])
    assert (told["stored"], told["waiting"]) == (None, None)


async def test_dump(world: World) -> None:
    world.write(registered(), session(True, 0))
    world.write(report(1), report(2, "13900000002"), Rec(b"\x01", 0x0900, received=3, edition="2019"))
    world.write(Rec(b"\xff{", 0, kind=99, received=4))
    code, output = run("dump")
    assert code == 0
    rows = [json.loads(line) for line in output.splitlines()]
    assert [(row["offset"], row["kind"], row["phone"]) for row in rows] == [
        (1, "registered", PHONE), (1, "session_begin", PHONE), (2, "message", PHONE), (2, "message", "13900000002"),
        (2, "message", PHONE), (3, 99, PHONE),
    ]  # fmt: skip
    assert rows[0]["body"]["plate"] == "辽A10001"
    assert rows[2]["message_id"] == "0x0200"
    assert rows[2]["body"]["latitude_deg"] == 41.8
    assert rows[2]["body"]["time"] == "2026-11-01T04:00:01Z"
    assert rows[2]["received_at"] == "2026-11-01T04:00:02.000Z"
    assert rows[5]["body"] == {"raw": "ff7b"}
    assert len(run("dump", "--limit", "2")[1].splitlines()) == 2
    assert len(run("dump", "--after", "2")[1].splitlines()) == 1
    assert len(run("dump", "--phone", "013900000002")[1].splitlines()) == 1


def test_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_DATA_DIR", str(tmp_path))
    for command in ("info", "dump"):
        code, output = run(command)
        assert code == 1
        assert "there is no journal" in output
    file = journal_path(tmp_path)
    file.write_bytes(b"no database at all" * 10)
    assert run("info") == (1, f"roadwarden: {file}: no journal: file is not a database\n")
    file.write_bytes(b"")
    assert run("info") == (1, f"roadwarden: {file}: the gateway has not made this journal yet\n")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    assert run("dump") == (
        1, f"roadwarden: {file}: no journal that this version reads: its format is 7, not 1\n"
    )  # fmt: skip
    file.unlink()
    monkeypatch.setenv("ROADWARDEN_DATA_DIR", f"{tmp_path}/{'x' * 300}")
    assert run("info")[0] == 1


async def test_a_dump_begins_with_the_oldest_that_is_left(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What was trimmed is stored: no hole, and no error in the log, to somebody who only looks."""
    for number in range(4):
        world.write(report(number))
    with contextlib.closing(sqlite3.connect(world.file.path)) as connection, connection:
        connection.execute("DELETE FROM groups WHERE id <= 2")
    code, output = run("dump")
    assert (code, [json.loads(line)["offset"] for line in output.splitlines()]) == (0, [3, 4])
    assert run("dump", "--after", "3")[1].count("\n") == 1
    assert run("dump", "--after", "999") == (0, "")
    assert caplog.records == []

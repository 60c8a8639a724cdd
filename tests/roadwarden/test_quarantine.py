"""`roadwarden quarantine`: find, explain, and try again exactly once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.digest import Digester
from ingest.directory import Directory
from roadwarden.cli import app
from roadwarden.replay import Replayed, replay
from store import Database
from store.queries.quarantine import Filter
from tests.ingest.world import PHONE, Rec, World, bulk, fix, registered, report, session

STRANGER = "13977777777"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands must not send the test's own log lines to a stream that is closed soon."""
    monkeypatch.setattr("roadwarden.cli.configure_logging", lambda *_: None)


@pytest.fixture
async def world(tmp_path: Path, database: Database) -> Any:
    world = World(tmp_path, database)
    yield world
    world.close()


async def again(world: World, wanted: Filter | None = None, ids: list[int] | None = None) -> Replayed:
    return await replay(world.database, Digester(Directory()), wanted or Filter(), ids)


# -- replay


async def test_a_report_whose_terminal_is_known_now_moves_once(world: World) -> None:
    world.write(registered(), report(5), report(1, STRANGER), report(2, STRANGER), Rec(fix(3)[:9], received=4))
    await world.drain()
    assert await again(world) == Replayed(tried=3)  # nobody knows it yet
    world.write(registered(STRANGER, "辽A70007"), report(9, STRANGER))
    await world.drain()
    assert await again(world) == Replayed(tried=3, moved=2, positions=2)
    assert await again(world) == Replayed(tried=1)
    assert [row[0] for row in await world.quarantine()] == ["undecodable"]
    rows = await world.rows(
        "SELECT extract(epoch FROM p.time)::bigint - 1793505600, p.late, p.journal_offset FROM positions p "
        "JOIN terminals t ON t.id = p.terminal_id WHERE t.phone = %s ORDER BY 1", STRANGER,
    )  # fmt: skip
    assert rows == [(1, True, 0), (2, True, 0), (9, False, 2)]
    latest = await world.rows("SELECT extract(epoch FROM time)::bigint - 1793505600 FROM latest_positions ORDER BY 1")
    assert latest == [(5,), (9,)]


async def test_a_position_that_is_news_of_its_vehicle_becomes_its_newest(world: World) -> None:
    world.write(report(3, STRANGER), Rec(bulk(1, fix(8)), 0x0704, STRANGER, 9), registered())
    await world.drain()
    world.write(registered(STRANGER, "辽A70007"))
    await world.drain()
    assert await again(world) == Replayed(tried=2, moved=2, positions=2)
    rows = await world.rows("SELECT extract(epoch FROM time)::bigint - 1793505600 FROM latest_positions")
    assert rows == [(3,)]  # backfill moves nothing


async def test_what_was_stored_meanwhile_is_no_second_position(world: World) -> None:
    world.write(report(1, STRANGER))
    await world.drain()
    world.write(registered(STRANGER, "辽A70007"), report(1, STRANGER, received=30))
    await world.drain()
    assert await again(world) == Replayed(tried=1, moved=1, repeats=1)
    assert await world.positions() == [1]
    assert await world.quarantine() == []


async def test_of_a_bulk_report_only_what_is_still_bad_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    body = bulk(1, fix(1), fix(2)[:9], fix(3))
    monkeypatch.setattr(world.digester, "_judge", fails)
    world.write(registered())
    world.write(Rec(body, 0x0704, received=4), session(True, 4))
    await world.drain()
    assert [(row[0], row[3]) for row in await world.quarantine()] == [("digest_failed", body)]
    assert await again(world) == Replayed(tried=1, moved=1, positions=2)
    assert await world.positions() == [1, 3]
    assert [(row[0], row[3]) for row in await world.quarantine()] == [("undecodable", bulk(1, fix(2)[:9]))]


async def test_what_comes_out_is_judged_as_late_data_in_the_order_of_its_own_time(world: World) -> None:
    emergency, tampered = 1, 1 << 1
    world.write(
        report(3, STRANGER), report(1, STRANGER, received=4), report(2, STRANGER, alarm=emergency, received=5),
        report(4, STRANGER, alarm=tampered),
    )  # fmt: skip
    await world.drain()
    world.write(registered(STRANGER, "辽A70007"), report(50, STRANGER))
    pipeline = await world.drain()
    assert await again(world) == Replayed(tried=4, moved=4, positions=4, alarms=2)
    rows = await world.rows(
        "SELECT rule, late, extract(epoch FROM begin_time)::bigint - 1793505600, "
        "extract(epoch FROM end_time)::bigint - 1793505600 FROM alarms ORDER BY begin_time"
    )
    assert rows == [("terminal.emergency", True, 2, 3), ("terminal.overspeed", True, 4, 4)]
    assert await world.rows("SELECT FROM rule_states") == []  # the running engine's memory is its own
    assert pipeline.status.counts["stored"] == 1


async def test_filters_choose_what_is_tried(world: World) -> None:
    world.write(report(1, STRANGER), report(2, STRANGER), Rec(fix(3)[:9], phone=STRANGER, received=4), report(4))
    await world.drain()
    ids = [row[0] for row in await world.rows("SELECT id FROM quarantine ORDER BY id")]
    world.write(registered(STRANGER, "辽A70007"), registered())
    await world.drain()
    assert (await again(world, Filter(reason="undecodable"))).moved == 0
    assert (await again(world, Filter(phone="13900009999"))).tried == 0
    assert await again(world, ids=ids[:1]) == Replayed(tried=1, moved=1, positions=1)
    assert (await again(world, Filter(phone=PHONE))).moved == 1
    assert await again(world, Filter(reason="unknown_terminal")) == Replayed(tried=1, moved=1, positions=1)


async def test_two_replays_at_once_move_each_report_once(world: World) -> None:
    world.write(*(report(at, STRANGER) for at in range(1, 60)))
    await world.drain()
    world.write(registered(STRANGER, "辽A70007"))
    await world.drain()
    done = await asyncio.gather(again(world), again(world), again(world))
    assert sum(one.positions for one in done) == 59
    assert sum(one.moved for one in done) == 59
    assert sum(one.repeats for one in done) == 0
    assert len(await world.positions()) == 59


async def test_a_bug_that_is_still_there_leaves_its_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(report(1, STRANGER))
    await world.drain()
    world.write(registered(STRANGER, "辽A70007"))
    await world.drain()
    with monkeypatch.context() as broken:
        broken.setattr(Digester, "_judge", lambda *_: 1 / 0)
        assert await again(world) == Replayed(tried=1)
    assert (await again(world)).positions == 1


# -- the commands


@pytest.fixture
def run(tmp_path: Path, postgresql_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line; gives (exit code, output)."""
    monkeypatch.setenv("ROADWARDEN_DATABASE_URL", postgresql_dsn)
    monkeypatch.setenv("ROADWARDEN_DATA_DIR", str(tmp_path))

    async def call(*arguments: str) -> tuple[int, str]:
        # In a thread: the commands bring their own event loop, as in a process of their own.
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return call


@pytest.fixture
async def filled(tmp_path: Path, postgresql_database: Database) -> Any:
    world = World(tmp_path, postgresql_database)
    world.write(registered(), Rec(fix(1)[:9], received=2), report(9_000, received=3), report(4, STRANGER))
    await world.drain()
    yield world
    world.close()


async def test_listing_pages_and_counts(run: Any, filled: World) -> None:
    code, output = await run("quarantine", "list", "--limit", "2")
    assert code == 0
    lines = output.splitlines()
    assert "unknown_terminal" in lines[0]
    assert "implausible_time: ahead of our clock" in lines[1]
    assert lines[2] == "3 in quarantine; 1 implausible_time; 1 undecodable; 1 unknown_terminal"
    before = lines[3].removeprefix("older ones: --before ")
    _, output = await run("quarantine", "list", "--limit", "2", "--before", before)
    assert "undecodable: short" in output
    assert "older" not in output
    _, output = await run("quarantine", "list", "--reason", "undecodable", "--json")
    (row,) = [json.loads(line) for line in output.splitlines()]
    assert (row["reason"], row["message_id"], row["phone"], row["raw"]) == (
        "undecodable",
        "0x0200",
        PHONE,
        fix(1)[:9].hex(),
    )
    assert row["errors"]
    _, output = await run("quarantine", "list", "--phone", STRANGER)
    assert output.count("unknown_terminal:") == 1


async def test_one_is_explained(run: Any, filled: World) -> None:
    ((row_id,),) = await filled.rows("SELECT id FROM quarantine WHERE reason = 'implausible_time'")
    code, output = await run("quarantine", "show", str(row_id))
    assert code == 0
    assert "kept because: implausible_time: ahead of our clock" in output
    assert "0x0200 " in output
    assert "latitude" in output
    _, output = await run("quarantine", "show", str(row_id), "--json")
    assert json.loads(output)["body"]["latitude_deg"] == 41.8
    code, output = await run("quarantine", "show", "987654")
    assert code == 1
    assert "no row 987654" in output


async def test_a_replay_tells_what_it_did(run: Any, filled: World) -> None:
    code, output = await run("quarantine", "replay")
    assert (code, "--all" in output) == (2, True)
    filled.write(registered(STRANGER, "辽A70007"))
    await filled.drain()
    code, output = await run("quarantine", "replay", "--all")
    assert code == 0
    assert "3 reports (0x0200, 0x0201, 0x0704) tried: 1 left the quarantine with 1 new positions" in output
    assert "2 stay" in output


async def test_a_named_row_that_is_not_there_is_said(run: Any, filled: World) -> None:
    code, output = await run("quarantine", "replay", "987654", "987654", "987655")
    assert code == 1
    assert "2 of the rows that were named are no such reports" in output


async def test_a_fact_that_could_not_be_read_is_shown_as_it_is(run: Any, filled: World) -> None:
    filled.write(Rec(b'{"phone": 1}', 0, kind=3, received=5))
    await filled.drain()
    ((row_id,),) = await filled.rows("SELECT id FROM quarantine WHERE message_id = 0")
    _, output = await run("quarantine", "show", str(row_id))
    assert '{"phone": 1}' in output


def test_a_database_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_DATABASE_URL", f"postgresql:///nothing?host={tmp_path}")
    result = CliRunner().invoke(app, ["quarantine", "list"])
    assert result.exit_code == 1
    assert "roadwarden: " in result.output
    assert "Traceback" not in result.output

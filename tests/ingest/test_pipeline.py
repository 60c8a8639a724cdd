"""The pipeline between a real journal and real databases: what it stores and judges, once."""

from __future__ import annotations

from typing import Any

import pytest

from fleet import BatchStored, FleetChanged, RefusedRegistration, SessionsChanged
from ingest import pipeline as pipeline_module
from ingest.journal import GatewayStarted, Kind, Unregistered
from ingest.journal import sqlite as journal_file
from store.queries import fixes
from tests.ingest.waiting import until
from tests.ingest.world import PHONE, Rec, World, bulk, events, fact, fix, registered, report, session, us

OTHER = "13900000002"


# -- what is stored


async def test_reports_become_rows_of_their_vehicle(world: World) -> None:
    mileage = bytes.fromhex("0104000004d2")
    world.write(registered(plate="辽A10001"), report(1, speed=655, items=mileage), report(2))
    await world.drain()
    rows = await world.rows(
        "SELECT v.plate, t.phone, extract(epoch FROM p.time)::bigint, extract(epoch FROM p.received_at)::bigint, "
        "p.latitude_deg, p.longitude_deg, p.speed_kmh, p.mileage_km, p.late, p.message_id, p.journal_offset "
        "FROM positions p JOIN vehicles v ON v.id = p.vehicle_id JOIN terminals t ON t.id = p.terminal_id ORDER BY time"
    )
    second = us(0) // 1_000_000
    assert rows == [
        ("辽A10001", PHONE, second + 1, second + 2, 41.8, 123.4, 65.5, 123.4, False, 0x0200, 1),
        ("辽A10001", PHONE, second + 2, second + 3, 41.8, 123.4, 60.0, None, False, 0x0200, 1),
    ]
    assert await world.rows("SELECT extract(epoch FROM time)::bigint FROM latest_positions") == [(second + 2,)]


async def test_registration_and_reports_in_one_group_in_any_order(world: World) -> None:
    world.write(report(1), registered(), report(2))
    world.write(report(3), report(1, OTHER), registered(OTHER, "辽A10002"))
    pipeline = await world.drain()
    assert await world.positions() == [1, 1, 2, 3]
    assert len(await world.rows("SELECT DISTINCT vehicle_id FROM positions")) == 2
    assert not await world.quarantine()
    assert pipeline.status.counts["stored"] == 4
    assert any(event.what == "terminals" for event in events(world, FleetChanged))


async def test_backfill_is_late_and_leaves_the_newest_where_it_is(world: World) -> None:
    world.write(registered(), report(100), Rec(bulk(1, fix(50), fix(60)), 0x0704, received=101))
    world.write(Rec(bulk(1, fix(200)), 0x0704, received=201), Rec(bulk(0, fix(120), fix(110)), 0x0704, received=202))
    world.write(report(105, received=203))
    await world.drain()
    rows = await world.positions("(extract(epoch FROM time)::bigint - 1793505600), late, message_id")
    assert rows == [
        (50, True, 0x0704), (60, True, 0x0704), (100, False, 0x0200), (105, True, 0x0200), (110, False, 0x0704),
        (120, False, 0x0704), (200, True, 0x0704),
    ]  # fmt: skip
    assert await world.rows("SELECT extract(epoch FROM time)::bigint - 1793505600 FROM latest_positions") == [(120,)]


async def test_the_answer_to_a_location_query_is_stored_as_a_fix(one: World) -> None:
    one.write(registered(), Rec(b"\x00\x05" + fix(7), 0x0201, received=8))
    await one.drain()
    assert await one.positions("message_id, late") == [(0x0201, False)]


async def test_sessions_and_a_gateway_that_begins_anew(world: World) -> None:
    world.write(registered(), registered(OTHER, "辽A10002"), session(True, 1), session(True, 2, OTHER))
    await world.drain()
    assert await world.rows("SELECT phone, online FROM terminal_presence ORDER BY phone") == [
        (PHONE, True), (OTHER, True),
    ]  # fmt: skip
    world.write(session(False, 3, reason="cut"), fact(GatewayStarted(us(4)), Kind.GATEWAY_STARTED), session(True, 5))
    await world.drain()
    assert await world.rows("SELECT phone, online FROM terminal_presence ORDER BY phone") == [
        (PHONE, True), (OTHER, False),
    ]  # fmt: skip
    told = [(change.phone, change.online) for event in events(world, SessionsChanged) for change in event.changes]
    assert told == [(PHONE, True), (OTHER, True), (PHONE, False), ("", False), (PHONE, True)]


async def test_who_asked_in_vain_is_listed_and_who_left_has_no_code(one: World) -> None:
    refused = RefusedRegistration(
        us(1), OTHER, "2013", "70111", "SIM", "T9", 2, "辽A9", "10.0.0.9:1", "unknown_terminal"
    )
    one.write(registered(), fact(refused, Kind.REFUSED), fact(Unregistered(us(2), PHONE), Kind.UNREGISTERED))
    await one.drain()
    rows = await one.rows("SELECT phone, standing, auth_code_hash IS NULL FROM terminals ORDER BY phone")
    assert rows == [(PHONE, "approved", True), (OTHER, "pending", True)]


async def test_other_messages_are_kept_verbatim(one: World) -> None:
    one.write(registered(), Rec(b"\xf0\x01abc", 0x0900, received=1, edition="2019"))
    await one.drain()
    assert await one.rows("SELECT phone, message_id, edition, body FROM terminal_messages") == [
        (PHONE, 0x0900, "2019", b"\xf0\x01abc")
    ]


async def test_quarantine_holds_what_is_no_position(world: World) -> None:
    bad = fix(1)[:20]
    world.write(registered(), Rec(bad, received=1), report(9_000, received=1), report(1, "13977777777"), report(2))
    world.write(report(3, latitude=95_000_000))
    pipeline = await world.drain()
    assert await world.quarantine() == [
        ("undecodable", PHONE, 0x0200, bad), ("implausible_time", PHONE, 0x0200, fix(9_000)),
        ("unknown_terminal", "13977777777", 0x0200, fix(1)),
    ]  # fmt: skip
    assert await world.positions() == [2, 3]
    counts = pipeline.status.counts
    assert [counts[f"quarantined_{why}"] for why in ("undecodable", "implausible_time", "unknown_terminal")] == [
        1,
        1,
        1,
    ]
    assert (counts["out_of_range"], counts["stored"], counts["records"]) == (1, 2, 6)


async def test_a_terminal_that_moves_takes_only_its_future_along(world: World) -> None:
    world.write(registered(plate="辽A10001", at=0), report(10))
    world.write(registered(plate="辽A10002", at=100), report(110), report(50, received=111))
    await world.drain()
    world.begin()
    world.write(report(120), report(60, received=121))
    await world.drain()
    rows = await world.rows(
        "SELECT plate, array_agg(extract(epoch FROM time)::bigint - 1793505600 ORDER BY time) FROM positions p "
        "JOIN vehicles v ON v.id = p.vehicle_id GROUP BY plate ORDER BY plate"
    )
    assert rows == [("辽A10001", [10, 50, 60]), ("辽A10002", [110, 120])]


async def test_a_terminal_without_a_vehicle(one: World) -> None:
    await one.rows("INSERT INTO terminals (phone, standing) VALUES (%s, 'approved') RETURNING id", PHONE)
    one.write(report(1))
    await one.drain()
    assert [row[0] for row in await one.quarantine()] == ["no_vehicle"]


# -- repeats


async def test_a_repeat_is_stored_once_wherever_it_comes(world: World) -> None:
    world.write(registered(), report(1), report(1, received=2.5), report(2))
    world.write(report(1, received=3))
    pipeline = await world.drain()
    assert pipeline.status.counts["repeats"] == 2
    world.begin()  # a memory that knows nothing
    world.write(report(2, received=4), report(3), report(1, received=5))
    pipeline = await world.drain()
    assert await world.positions() == [1, 2, 3]
    assert (pipeline.status.counts["repeats"], pipeline.status.counts["stored"]) == (2, 1)
    told = [time for event in events(world, BatchStored) for time in event.positions.time_us.tolist()]
    assert told == [us(1), us(2), us(3)]


async def test_a_repeat_of_what_was_stored_before_a_restart_is_not_judged_again(world: World) -> None:
    emergency = 1
    first = [report(1), report(2, alarm=emergency), report(3, alarm=emergency), report(4)]
    world.write(registered(), *first)
    await world.drain()
    assert len(await world.rows("SELECT FROM alarms")) == 1
    world.begin()
    world.heard._queue.clear()
    backfill = Rec(bulk(1, fix(3, alarm=emergency), fix(2)), 0x0704, received=20)
    world.write(report(3, alarm=emergency, received=12), report(4, received=13), backfill, report(5))
    pipeline = await world.drain()
    assert pipeline.status.counts["repeats"] == 3
    assert pipeline.status.counts["stored"] == 2
    assert await world.positions() == [1, 2, 2, 3, 4, 5]
    assert await world.rows("SELECT late FROM alarms") == [(False,)]
    assert [event.alarm_changes for event in events(world, BatchStored)] == [[]]
    assert sum(pipeline.not_judged().values()) == 0


async def test_only_what_memory_cannot_know_is_asked_for(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    in_the_database = fixes.stored

    async def stored(connection: Any, batch: Any) -> Any:
        asked.extend((batch.time_us - us(0)) // 1_000_000)
        return await in_the_database(connection, batch)

    monkeypatch.setattr(fixes, "stored", stored)
    one.write(registered(), report(2000), report(2001))
    one.write(report(1999, received=2002), Rec(bulk(1, fix(5), fix(2700)), 0x0704, received=2750), report(2701))
    one.write(report(2701, received=2703), report(2650, received=2704))
    pipeline = await one.drain()
    assert sorted(asked) == [5, 1999]
    assert pipeline.status.counts["repeats_asked"] == 2
    assert pipeline.status.counts["repeats"] == 1


async def test_two_reports_of_one_second_are_two(world: World) -> None:
    world.write(registered(), report(1, speed=600), report(1, speed=610))
    await world.drain()
    assert sorted(await world.positions("speed_kmh, late")) == [(60.0, False), (61.0, False)]


async def counts_of(world: World) -> list[int]:
    tables = ("positions", "alarms", "quarantine", "terminal_messages", "session_log", "vehicles", "terminals")
    return [(await world.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables]


async def test_a_replay_of_the_journal_repeats_nothing(world: World) -> None:
    """The transaction was committed and the process died before it knew: it reads the same groups again."""
    world.write(registered(), report(1, alarm=1), session(True, 1))
    world.write(report(2), Rec(b"x", 0x0900, received=3), Rec(fix(1)[:9], received=3))
    await world.drain()
    before = await counts_of(world)
    pipeline = world.begin()
    original = pipeline._writer.offset

    async def forgetful(journal: str) -> int:
        return min(await original(journal), 0)

    pipeline._writer.offset = forgetful  # type: ignore[method-assign]
    await world.drain()
    assert await counts_of(world) == before


async def test_a_database_that_was_put_back_gets_what_it_lost_again(world: World) -> None:
    """A fail-over to a server that had not got the newest transactions yet; the journal still has them."""
    world.write(registered(), report(1))
    async with world.running() as pipeline:
        await until(lambda: pipeline.status.offset == 1)
        world.write(report(2, alarm=1), Rec(fix(2)[:9], received=3))
        await until(lambda: pipeline.status.offset == 2)
        async with world.database.connection() as connection:
            for statement in (
                "DELETE FROM positions WHERE journal_offset = 2", "DELETE FROM alarms", "DELETE FROM rule_states",
                "DELETE FROM quarantine", "UPDATE latest_positions SET time = time - interval '1 s'",
                'UPDATE journal_offsets SET "offset" = 1',
            ):  # fmt: skip
                await connection.execute(statement)
        world.write(report(3))
        await until(lambda: pipeline.status.offset == 3)
    assert await world.positions() == [1, 2, 3]
    assert len(await world.quarantine()) == 1
    assert await world.rows("SELECT end_time IS NULL FROM alarms") == [(False,)]
    assert pipeline.status.counts["offset_moved"] == 1


async def test_what_is_read_at_once_is_bounded_in_bytes_too(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bulk report is one record and may hold hundreds of fixes."""
    monkeypatch.setattr(journal_file, "MAX_READ_BYTES", 1000)
    one.write(registered())
    for at in range(0, 60, 10):
        one.write(Rec(bulk(0, *(fix(at + i) for i in range(10))), 0x0704, received=at + 10))
    await one.drain()
    assert len(await one.positions()) == 60
    assert max(len(event.positions) for event in events(one, BatchStored)) <= 20


async def test_groups_that_the_journal_has_lost_are_counted(one: World) -> None:
    one.write(registered(), report(1))
    one.file.last_offset = 4
    one.write(report(2))
    pipeline = await one.drain()
    assert await one.positions() == [1, 2]
    assert pipeline.status.counts["groups_missing"] == 3


# -- alarms


async def test_an_alarm_begins_and_ends(world: World) -> None:
    world.write(registered(), report(1), report(2, alarm=1))
    await world.drain()
    query = (
        "SELECT rule, late, extract(epoch FROM begin_time)::bigint - 1793505600, "
        "extract(epoch FROM end_time)::bigint - 1793505600 FROM alarms"
    )
    assert await world.rows(query) == [("terminal.emergency", False, 2, None)]
    world.begin()  # the episode outlives a restart
    world.write(report(3, alarm=1), report(4))
    await world.drain()
    assert await world.rows(query) == [("terminal.emergency", False, 2, 4)]
    kinds = [change.kind for event in events(world, BatchStored) for change in event.alarm_changes]
    assert kinds == ["begin", "end"]


async def test_late_data_ring_no_bell(world: World) -> None:
    world.write(registered(), report(100), Rec(bulk(1, fix(50, alarm=1), fix(60)), 0x0704, received=101))
    await world.drain()
    assert await world.rows("SELECT rule, late FROM alarms") == [("terminal.emergency", True)]


async def test_two_terminals_of_one_vehicle_are_one_voice(one: World) -> None:
    """docs/decisions/0021: what they say is judged together, in the order of its time; the one behind is late."""
    emergency = 1
    one.write(registered(plate="辽A10001"), registered(OTHER, plate="辽A10001", terminal_id="T2"))
    one.write(report(1), report(2, OTHER, alarm=emergency), report(3), report(4, OTHER))
    one.write(report(10), report(8, OTHER, alarm=emergency, received=11), report(9, OTHER, received=12))
    await one.drain()
    second = us(0) // 1_000_000
    assert await one.positions() == [1, 2, 3, 4, 8, 9, 10]
    assert len(await one.rows("SELECT DISTINCT vehicle_id FROM positions")) == 1
    rows = await one.rows(
        "SELECT late, extract(epoch FROM begin_time)::bigint - %s, extract(epoch FROM end_time)::bigint - %s "
        "FROM alarms ORDER BY begin_time", second, second,
    )  # fmt: skip
    assert rows == [(False, 2, 3), (True, 8, 9)]
    assert await one.rows("SELECT extract(epoch FROM time)::bigint - %s FROM latest_positions", second) == [(10,)]


async def test_silence_becomes_an_alarm_by_the_clock_alone(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK_S", 0.01)
    one.write(registered(), report(1, status=3))
    await one.drain()
    async with one.running():
        for at in range(60, 900, 60):
            one.now_us = us(at)
            await until(lambda at=at: one.pipeline._ticked_us == us(at))
        await until(lambda: any(event.alarm_changes for event in events(one, BatchStored)))
    (alarm,) = await one.rows("SELECT rule, late FROM alarms")
    assert alarm == ("offline", False)
    assert await one.rows('SELECT "offset" FROM journal_offsets') == [(1,)]


async def test_a_backlog_is_no_silence(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it catches up the engine lives in the stream's own time."""
    monkeypatch.setattr(pipeline_module, "MAX_RECORDS", 1)
    one.write(registered())
    for at in range(0, 1200, 60):
        one.write(report(at))
    one.now_us = us(100_000)
    await one.drain()
    assert await one.rows("SELECT rule FROM alarms") == []


async def test_limits_and_fences_are_read_when_they_change(world: World) -> None:
    world.write(registered(), report(0, speed=900))
    async with world.running() as pipeline:
        await until(lambda: pipeline.status.offset == 1)
        await world.rows("UPDATE vehicles SET speed_limit_kmh = 50, overspeed_duration_s = 10 RETURNING id")
        await world.rows(
            "INSERT INTO geofences (name, shape, center, radius_m) VALUES ('仓库', 'circle', '[41.8, 123.4]', 500) "
            "RETURNING id"
        )
        pipeline.fleet_changed("vehicles")
        pipeline.fleet_changed("geofences")
        world.write(report(1, latitude=41_000_000, speed=900))
        world.write(report(20, latitude=41_000_000, speed=900), report(30, speed=100), report(31, speed=100))
        await until(lambda: pipeline.status.offset == 3)
    assert await world.rows("SELECT rule FROM alarms ORDER BY rule") == [("fence.enter",), ("overspeed",)]

"""The pipeline, when something of ours or of the database's fails, or changes under it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from ingest import pipeline as pipeline_module
from store.queries import engine as engine_queries
from tests.ingest.waiting import until
from tests.ingest.world import PHONE, World, fix, registered, report, session, us

# -- what fails


async def test_a_record_that_a_bug_of_ours_fails_on_costs_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = world.digester._judge

    def fails(columns: Any, *rest: Any) -> Any:
        if us(5) in columns.time_us.tolist():
            raise ZeroDivisionError
        return read(columns, *rest)

    monkeypatch.setattr(world.digester, "_judge", fails)
    world.write(registered(), report(1), report(2, alarm=1))
    world.write(report(4), report(5), session(True, 5), report(6))
    world.write(report(7), report(1, received=8))
    pipeline = await world.drain()
    assert await world.positions() == [1, 2, 4, 6, 7]
    assert await world.quarantine() == [("digest_failed", PHONE, 0x0200, fix(5))]
    assert await world.rows("SELECT online FROM terminal_presence") == [(True,)]
    assert await world.rows("SELECT end_time IS NOT NULL FROM alarms") == [(True,)]
    assert pipeline.status.counts["stored"] == 5


async def test_what_cannot_be_read_at_all_is_kept_and_the_road_goes_on(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = one.pipeline._forget_repeats

    def fails(digest: Any) -> None:
        forget(digest)
        if us(5) in digest.positions.time_us.tolist():
            raise ZeroDivisionError

    monkeypatch.setattr(one.pipeline, "_forget_repeats", fails)
    one.write(registered(), report(1))
    one.write(report(4), report(5), session(True, 5))
    one.write(report(6))
    await one.drain()
    assert await one.positions() == [1, 6]
    kept = await one.quarantine()
    assert [row[0] for row in kept] == ["digest_failed"] * 3
    assert [row[3] for row in kept][:2] == [fix(4), fix(5)]
    assert await one.rows("SELECT online FROM terminal_presence") == [(True,)]
    monkeypatch.undo()
    one.write(report(4, received=9))  # the terminal sends it again: it was not stored, so it is no repeat
    await one.drain()
    assert await one.positions() == [1, 4, 6]


async def test_what_fails_for_a_moment_only_is_tried_once_more(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory, no thread to be had, a vehicle retired between two statements: nothing is wrong with the records."""
    commit = one.pipeline._writer.commit
    fails = iter([MemoryError()])

    async def breaks(what: Any) -> Any:
        if (error := next(fails, None)) is not None:
            raise error
        return await commit(what)

    monkeypatch.setattr(one.pipeline._writer, "commit", breaks)
    one.write(registered(), report(1), report(2))
    pipeline = await one.drain()
    assert await one.positions() == [1, 2]
    assert not await one.quarantine()
    assert pipeline.status.counts["digest_failed"] == 1


@pytest.mark.parametrize("refusals", [1, 2])
async def test_what_the_database_refuses_is_kept_and_the_road_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """Refused with its positions, or (twice) also without: then it is the sessions."""
    commit = world.pipeline._writer.commit

    async def refuses(what: Any) -> Any:
        refused_times = us(5) in what.positions.time_us.tolist()
        refused_session = refusals == 2 and any(change.reason == "bad" for change in what.sessions)
        if refused_times or refused_session:
            raise psycopg.DataError("no")
        return await commit(what)

    monkeypatch.setattr(world.pipeline._writer, "commit", refuses)
    world.write(registered(), report(1))
    world.write(report(4, alarm=1), report(5, alarm=1), session(False, 5, reason="bad"))
    world.write(report(6, alarm=1), report(7))
    pipeline = await world.drain()
    assert await world.positions() == [1, 6, 7]
    assert [(row[0], row[3]) for row in await world.quarantine()][:2] == [
        ("storage_refused", fix(4, alarm=1)), ("storage_refused", fix(5, alarm=1)),
    ]  # fmt: skip
    assert len(await world.rows("SELECT FROM session_log")) == 2 - refusals
    # The engine went on from what is stored: the alarm began with the first fix that is.
    rows = await world.rows("SELECT extract(epoch FROM begin_time)::bigint - 1793505600, end_time IS NULL FROM alarms")
    assert rows == [(6, False)]
    assert pipeline.status.counts["storage_refused"] >= 1


async def test_a_database_that_refuses_for_other_reasons_is_waited_for(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read-only after a fail-over, missing rights: nothing goes to quarantine for it, registrations least of all."""
    fails = iter([psycopg.errors.ReadOnlySqlTransaction("read only"), psycopg.errors.InsufficientPrivilege("no")])
    enrol = pipeline_module.enrolment.enrol

    async def refuses(*arguments: Any) -> None:
        if (error := next(fails, None)) is not None:
            raise error
        await enrol(*arguments)

    monkeypatch.setattr(pipeline_module.enrolment, "enrol", refuses)
    one.write(registered(), report(1))
    pipeline = await one.drain()
    assert await one.positions() == [1]
    assert not await one.quarantine()
    assert pipeline.status.counts["database_retries"] == 2


async def test_a_reload_that_fails_is_done_again(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load = engine_queries.load_fences
    fails = iter([psycopg.OperationalError("away")])

    async def breaks(connection: Any) -> Any:
        if (error := next(fails, None)) is not None:
            raise error
        return await load(connection)

    one.write(registered(), report(0))
    await one.drain()
    async with one.running() as pipeline:
        await until(lambda: pipeline.status.running)
        await one.rows(
            "INSERT INTO geofences (name, shape, center, radius_m) VALUES ('仓库', 'circle', '[41.8, 123.4]', 500) "
            "RETURNING id"
        )
        monkeypatch.setattr(engine_queries, "load_fences", breaks)
        pipeline.fleet_changed("geofences")
        one.write(report(1, latitude=41_000_000))
        one.write(report(2), report(3))
        await until(lambda: pipeline.status.offset == 3)
    assert await one.rows("SELECT rule FROM alarms") == [("fence.enter",)]


async def test_the_fleet_is_read_again_at_most_so_often(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm of registrations reads the terminals concerned; all of them once, however often it is told."""
    loads: list[Any] = []
    each_terminal = engine_queries.each_terminal

    def counted(connection: Any, phones: Any = None) -> Any:
        loads.append(phones)
        return each_terminal(connection, phones)

    monkeypatch.setattr(engine_queries, "each_terminal", counted)
    pipeline = one.begin(reload_s=3600.0)
    async with one.running():
        await until(lambda: pipeline.status.running)
        for number in range(20):
            phone = f"139000001{number:02}"
            one.write(registered(phone, f"辽B{number:05}"), report(number, phone))
            await until(lambda: pipeline.status.offset == one.file.last_offset)
            pipeline.fleet_changed("terminals")  # as the database tells us of our own registrations
    assert len(await one.positions()) == 20
    assert loads[0] is None  # at the start
    assert loads[1:].count(None) == 1
    assert [phones for phones in loads if phones is not None] == [[f"139000001{number:02}"] for number in range(20)]


async def test_a_terminal_approved_since_the_fleet_was_read_is_known(one: World) -> None:
    """When the fleet changes all the time it is read now and then only."""
    pipeline = one.begin(reload_s=3600.0)
    async with one.running():
        await until(lambda: pipeline.status.running)
        pipeline.fleet_changed("terminals")
        one.write(report(1))
        await until(lambda: pipeline.status.offset == 1)
        await one.rows(
            "WITH v AS (INSERT INTO vehicles (plate) VALUES ('') RETURNING id), t AS (INSERT INTO terminals (phone) "
            "VALUES (%s) RETURNING id) INSERT INTO terminal_bindings SELECT t.id, to_timestamp(0), v.id FROM t, v "
            "RETURNING vehicle_id", PHONE,
        )  # fmt: skip
        pipeline.fleet_changed("terminals")
        one.write(report(2))
        await until(lambda: pipeline.status.offset == 2)
    assert await one.positions() == [2]
    assert [row[0] for row in await one.quarantine()] == ["unknown_terminal"]


# -- the journal


async def test_the_journal_is_trimmed_behind_what_is_stored(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[int] = []

    async def trim(offset: int) -> None:
        rows = await one.rows('SELECT coalesce(max("offset"), 0) FROM journal_offsets')
        assert offset <= rows[0][0]
        said.append(offset)

    monkeypatch.setattr(one.reader, "trim", trim)
    for at in range(10):
        one.write(registered(), report(at))
        one.now_us += 3_000_000
        await one.drain()
    one.now_us += 60_000_000
    async with one.running():
        await until(lambda: said[-1:] == [one.file.last_offset])
    assert said == sorted(said)


async def test_a_full_disk_does_not_stop_the_road(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(offset: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(one.reader, "trim", full)
    one.write(registered(), report(1))
    pipeline = await one.drain()
    async with one.running():
        await until(lambda: pipeline.status.counts["trim_failed"])
    assert await one.positions() == [1]

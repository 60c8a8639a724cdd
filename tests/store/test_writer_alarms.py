"""store.writer: alarms and what the rules remember."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import store
from fleet import AlarmChange, ChangeKind, Commit, RuleState
from store.queries import engine
from store.values import to_datetime
from tests.store.batches import NOON_US, SECOND, make_batch, make_commit
from tests.store.rows import BEGIN, END, UPDATE, add_vehicles, change, count, fetch


async def alarms(database: store.Database) -> list[Any]:
    return await fetch(
        database,
        "SELECT state, latitude_deg, begin_time, updated_time, end_time, facts FROM alarms "
        "ORDER BY vehicle_id, begin_time",
    )


WHOLE = (
    "open",
    41.8,
    to_datetime(NOON_US),
    to_datetime(NOON_US + 9 * SECOND),
    to_datetime(NOON_US + 8 * SECOND),
    {"max_speed_kmh": 104, "duration_s": 8},
)


@pytest.mark.parametrize(
    "commits", [[[BEGIN, UPDATE, END]], [[BEGIN], [UPDATE], [END]], [[BEGIN, UPDATE], [END]], [[BEGIN], [UPDATE, END]]]
)
async def test_an_episode_is_the_same_however_it_is_cut(
    database: store.Database, writer: store.Writer, commits: list[list[AlarmChange]]
) -> None:
    await add_vehicles(database, 1)
    for offset, changes in enumerate(commits, 1):
        stored = await writer.commit(make_commit(offset, alarm_changes=changes))
        assert stored.alarms == [BEGIN.id]
    assert await alarms(database) == [WHOLE]


async def test_severity_rises_with_the_facts_and_never_falls(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    await writer.commit(make_commit(1, alarm_changes=[BEGIN]))
    await writer.commit(make_commit(2, alarm_changes=[replace(UPDATE, severity=2), END]))
    assert await fetch(database, "SELECT severity FROM alarms") == [(2,)]


@pytest.mark.parametrize("together", [True, False])
async def test_a_late_repeat_does_not_touch_the_live_episode(
    database: store.Database, writer: store.Writer, together: bool
) -> None:
    await add_vehicles(database, 1)
    late = [replace(one, late=True, end_us=one.end_us and one.end_us - SECOND) for one in (BEGIN, END)]
    commits = [[BEGIN, UPDATE, END, *late]] if together else [[BEGIN, UPDATE, END], late]
    for offset, changes in enumerate(commits, 1):
        await writer.commit(make_commit(offset, alarm_changes=changes))
    assert await alarms(database) == [WHOLE]


@pytest.mark.parametrize("together", [True, False])
async def test_a_live_episode_that_late_data_told_before_is_live(
    database: store.Database, writer: store.Writer, together: bool
) -> None:
    """A terminal that sends its store first, and then the newest of it as a plain report."""
    await add_vehicles(database, 1)
    late = [replace(one, late=True, latitude_deg=1.0, facts={"late": 1}) for one in (BEGIN, END)]
    last = replace(END, late=True, end_us=NOON_US + 3600 * SECOND)
    commits = [[*late, BEGIN, UPDATE, last]] if together else [late, [BEGIN], [UPDATE], [last], [BEGIN]]
    for offset, changes in enumerate(commits, 1):
        await writer.commit(make_commit(offset, alarm_changes=changes))
    query = "SELECT late, end_time, latitude_deg, facts->'max_speed_kmh' FROM alarms"
    assert await fetch(database, query) == [(False, None, 41.8, 104)]
    await writer.commit(make_commit(9, alarm_changes=[END]))
    assert await fetch(database, query) == [(False, to_datetime(NOON_US + 8 * SECOND), 41.8, 104)]


async def test_doing_it_again_changes_nothing(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    for offset in (1, 2):
        await writer.commit(make_commit(offset, alarm_changes=[BEGIN, UPDATE, END]))
    assert await alarms(database) == [WHOLE]
    await writer.commit(make_commit(3, alarm_changes=[BEGIN]))  # a begin again does not undo the peak
    assert await alarms(database) == [WHOLE]


async def test_changes_from_time_alone_leave_the_offset(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    state = RuleState(1, "offline", False, {"since_us": 5})
    stored = await writer.apply(Commit("main", 0, alarm_changes=[BEGIN, END], rule_states=[state]))
    assert stored.alarms == [BEGIN.id]
    assert await writer.offset("main") == 0
    assert await count(database, "alarms") == 1
    async with database.connection() as connection:
        assert await engine.load_rule_states(connection) == [state]


async def test_a_handled_alarm_is_not_reopened(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    await writer.commit(make_commit(1, alarm_changes=[BEGIN]))
    async with database.connection() as connection:
        await connection.execute("UPDATE alarms SET state = 'handled', handled_by = 4, handle_code = 'called'")
    await writer.commit(make_commit(2, alarm_changes=[BEGIN, UPDATE, END]))
    assert await fetch(database, "SELECT state, handled_by, handle_code, end_time IS NULL FROM alarms") == [
        ("handled", 4, "called", False)
    ]


async def test_a_change_of_an_alarm_that_is_not_there_makes_none(
    database: store.Database, writer: store.Writer
) -> None:
    await add_vehicles(database, 1)
    stored = await writer.commit(make_commit(1, alarm_changes=[UPDATE, END]))
    assert stored.alarms == []
    assert await count(database, "alarms") == 0


async def test_an_alarm_of_a_vehicle_that_is_gone_stops_nobody(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    other = change(ChangeKind.BEGIN, 0, vehicle_id=999)
    stored = await writer.commit(make_commit(1, make_batch(2), alarm_changes=[other, BEGIN]))
    assert (stored.alarms, stored.orphan_alarms) == ([BEGIN.id], 1)
    assert await count(database, "positions") == 2


async def test_facts_that_json_cannot_hold_stop_nobody(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 1)
    facts = {"limit": float("nan"), "name": "a\0b\ud800", "speed": np.float32(1.5)}
    await writer.commit(make_commit(1, alarm_changes=[replace(BEGIN, facts=facts)]))
    (row,) = await alarms(database)
    assert row[-1] == {"limit": None, "name": "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}", "speed": 1.5}


async def test_running_alarms_are_read_back(database: store.Database, writer: store.Writer) -> None:
    await add_vehicles(database, 2)
    ended = [change(kind, 1, begin_s=1, vehicle_id=2) for kind in (ChangeKind.BEGIN, ChangeKind.END)]
    await writer.commit(make_commit(1, alarm_changes=[BEGIN, UPDATE, *ended]))
    async with database.connection() as connection:
        (running,) = await engine.load_running_alarms(connection)
    assert running == replace(BEGIN, kind=ChangeKind.UPDATE, time_us=UPDATE.time_us, facts=UPDATE.facts)


async def test_rule_states_are_kept_changed_and_forgotten(database: store.Database, writer: store.Writer) -> None:
    live, late = RuleState(1, "overspeed", False, {"since": 1}), RuleState(1, "overspeed", True, {"since": 2})
    await writer.commit(make_commit(1, rule_states=[live, late]))
    newer = replace(live, state={"since": 3})
    await writer.commit(make_commit(2, rule_states=[replace(live, state=None), newer, replace(late, state=None)]))
    async with database.connection() as connection:
        assert await engine.load_rule_states(connection) == [newer]

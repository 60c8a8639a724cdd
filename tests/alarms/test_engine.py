from __future__ import annotations

import logging
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms import AlarmEngine
from fleet import Fence, FenceShape, FenceTrigger, PositionBatch, RuleState, VehicleLimits, alarm_id
from tests.alarms.stories import Report, Story, batch_of, by_alarm, us, words

IN, OUT = (41.805, 123.405), (41.7, 123.4)
SQUARE = ((41.80, 123.40), (41.80, 123.41), (41.81, 123.41), (41.81, 123.40))
FENCES = [
    Fence(7, "场站", FenceShape.POLYGON, FenceTrigger.BOTH, points=SQUARE),
    Fence(8, "油站", FenceShape.CIRCLE, FenceTrigger.ENTER, center=IN, radius_m=300, vehicle_ids=frozenset({1, 3})),
]
LIMITS = [VehicleLimits(1, 80), VehicleLimits(2, 80, overspeed_duration_s=0)]
SOS = 1


def story() -> Story:
    return Story(fences=list(FENCES), limits=LIMITS)


@st.composite
def streams(draw: st.DrawFn, backwards: bool = True) -> list[list[Report]]:
    """Messages in order of receipt, each with the reports it carried; every few reports something happens."""
    now = 0.0
    clock = {(vehicle, late): 0.0 for vehicle in (1, 2, 3) for late in (False, True)}
    messages = []
    for _ in range(draw(st.integers(1, 25))):
        now += 1
        vehicle, late = draw(st.integers(1, 3)), draw(st.booleans())
        message = []
        for _ in range(draw(st.integers(1, 4)) if late else 1):
            clock[vehicle, late] += draw(st.sampled_from([10, 10, 20, 40, 100, 400, *([0, -10] * backwards)]))
            message.append(
                Report(
                    clock[vehicle, late],
                    speed=draw(st.sampled_from([40, 79.9, 85, 95, 130, 251])),
                    alarm=draw(st.sampled_from([0, 0, 1, 2, 3])),
                    where=draw(st.sampled_from([IN, OUT])),
                    vehicle=vehicle,
                    fix=draw(st.sampled_from([True, True, True, False])),
                    late=late,
                    received=now,
                )
            )
        messages.append(message)
        if backwards and draw(st.integers(0, 4)) == 0:  # the terminal sends it again
            now += 1
            messages.append([replace(report, received=now) for report in message])
    return messages


def flat(messages: list[list[Report]]) -> list[Report]:
    return [report for message in messages for report in message]


@settings(max_examples=150, deadline=None)
@given(streams(), st.data())
def test_how_the_stream_is_cut_into_batches_does_not_matter(messages: list[list[Report]], data: st.DataObject) -> None:
    whole, cut = story(), story()
    whole.report(*flat(messages))
    while messages:
        size = data.draw(st.integers(1, len(messages)))
        cut.report(*flat(messages[:size]))
        messages = messages[size:]
    assert by_alarm(cut.changes) == by_alarm(whole.changes)
    assert cut.states == whole.states
    assert cut.engine.ignored == whole.engine.ignored
    assert whole.engine.failures == cut.engine.failures == {}


@settings(max_examples=100, deadline=None)
@given(streams(), st.randoms(use_true_random=False))
def test_how_vehicles_are_mixed_does_not_matter(messages: list[list[Report]], random) -> None:
    mixed, order = [], [message[0].vehicle for message in messages]
    random.shuffle(order)
    queues = {vehicle: iter([m for m in messages if m[0].vehicle == vehicle]) for vehicle in (1, 2, 3)}
    mixed = [next(queues[vehicle]) for vehicle in order]
    one, other = story(), story()
    one.report(*flat(messages))
    other.report(*flat(mixed))
    assert by_alarm(other.changes) == by_alarm(one.changes)


@settings(max_examples=100, deadline=None)
@given(streams(), st.data())
def test_what_is_sent_again_changes_nothing(messages: list[list[Report]], data: st.DataObject) -> None:
    repeated = list(messages)
    for _ in range(data.draw(st.integers(1, 5))):
        first = data.draw(st.integers(0, len(repeated) - 1))
        again = data.draw(st.integers(first, len(repeated) - 1))
        repeated.insert(again + 1, [replace(report, received=report.received_at + 0.5) for report in repeated[first]])
    once, often = story(), story()
    once.report(*flat(messages))
    often.report(*flat(repeated))
    assert by_alarm(often.changes) == by_alarm(once.changes)
    assert often.states == once.states


@settings(max_examples=150, deadline=None)
@given(streams(backwards=False), st.data())
def test_a_restart_goes_on_where_the_store_stands(messages: list[list[Report]], data: st.DataObject) -> None:
    whole, restarted = story(), story()
    cut = data.draw(st.integers(0, len(messages)))
    for n, message in enumerate(messages):
        if n == cut:
            restarted.restart(with_latest=data.draw(st.booleans()))
        whole.report(*message)
        restarted.report(*message)
    assert by_alarm(restarted.changes) == by_alarm(whole.changes)
    assert restarted.states == whole.states


@settings(max_examples=100, deadline=None)
@given(streams())
def test_late_data_does_not_disturb_what_is_live(messages: list[list[Report]]) -> None:
    mixed, live = story(), story()
    mixed.report(*flat(messages))
    live.report(*(report for report in flat(messages) if not report.late))
    assert by_alarm(change for change in mixed.changes if not change.late) == by_alarm(live.changes)


@settings(max_examples=100, deadline=None)
@given(streams())
def test_an_alarm_begins_once_then_changes_then_ends_once(messages: list[list[Report]]) -> None:
    told = story()
    told.report(*flat(messages))
    told.watch(1000, 2000)
    for (late, _), changes in by_alarm(told.changes).items():
        kinds = [change.kind.value for change in changes]
        assert kinds[0] == "begin"
        assert kinds.count("begin") == 1
        assert "end" not in kinds[:-1]
        assert len({(change.vehicle_id, change.rule, change.begin_us) for change in changes}) == 1
        assert changes[-1].end_us is None or changes[-1].end_us >= changes[-1].begin_us
        assert not late or kinds[-1] == "end", "no late episode outlives its lane"


def test_a_late_episode_ends_when_its_lane_is_idle() -> None:
    told = story()
    told.tick(0)
    assert told.report(Report(50), Report(10, late=True, alarm=SOS), Report(20, late=True, alarm=SOS, received=51)) == [
        "late begin terminal.emergency 10"
    ]
    assert [word for word in told.watch(60, 651) if "late" in word] == []
    assert told.tick(652) == ["begin offline 51", "late end terminal.emergency 10-20"]
    assert all(not is_late for _, _, is_late in told.states), "the lane is forgotten"


def test_a_lane_that_was_closed_takes_older_data_again() -> None:
    told = story()
    told.tick(0)
    told.report(Report(1000, acc=False), Report(500, late=True, received=2))
    told.watch(60, 660)
    assert told.report(Report(100, late=True, alarm=SOS, received=700)) == ["late begin terminal.emergency 100"]


def test_late_lanes_survive_a_restart() -> None:
    told = story()
    told.report(Report(50, acc=False), Report(10, late=True, alarm=SOS), Report(20, late=True, alarm=SOS))
    told.restart()
    assert told.report(Report(20, late=True, alarm=SOS), Report(15, late=True)) == [], "a repeat and an older one"
    assert told.watch(1000, 1600) == []
    assert told.tick(1601) == ["late end terminal.emergency 10-20"]


def test_ids_are_made_of_what_the_alarm_is() -> None:
    told = story()
    told.report(Report(10, alarm=SOS))
    assert told.changes[0].id == alarm_id(1, "terminal.emergency", us(10))


def test_the_same_fact_live_and_late_is_the_same_alarm() -> None:
    told = story()
    told.report(Report(10, alarm=SOS), Report(20, alarm=SOS), Report(10, alarm=SOS, late=True))
    assert len({change.id for change in told.changes}) == 1


def test_running_alarms_that_nobody_remembers_end() -> None:
    told = story()
    told.report(Report(10, alarm=SOS), Report(20, alarm=SOS))
    running = told.running()
    foreign = [
        replace(running[0], id=uuid4(), source="superior"),
        replace(running[0], id=uuid4(), rule="rule.of.tomorrow"),
    ]
    engine = AlarmEngine()
    engine.load([], [*running, *foreign])
    changes = engine.evaluate(PositionBatch.empty()).changes
    assert [words(change) for change in changes] == ["end terminal.emergency 10-10"]
    assert changes[0].id == running[0].id


def test_a_failing_rule_costs_its_own_findings_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = story()

    def fail(rows, out) -> None:
        raise ZeroDivisionError("as it happens")

    monkeypatch.setattr(told.engine._rules[1], "evaluate", fail)
    with caplog.at_level(logging.ERROR):
        found = told.each(*(Report(at, speed=90, vehicle=2, alarm=SOS) for at in (0, 10, 20)))
    assert found == ["begin terminal.emergency 0"]
    assert told.engine.failures == {"overspeed": 3}
    assert caplog.text.count("Traceback") == 1


def test_a_stored_state_of_another_shape_is_counted() -> None:
    engine = AlarmEngine()
    engine.load([RuleState(1, "overspeed", False, {"what": "ever"}), RuleState(1, "gone", False, {})])
    assert engine.failures == {"overspeed": 1}
    assert engine.evaluate(batch_of([Report(0, alarm=SOS)])).changes


def test_quiet_vehicles_cause_no_rows() -> None:
    told = Story()
    told.each(*(Report(at, vehicle=vehicle) for at in range(0, 100, 10) for vehicle in range(1, 200)))
    assert told.state_rows == 0
    assert told.changes == []

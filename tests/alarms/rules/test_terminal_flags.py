from __future__ import annotations

import pytest

from alarms import ALARM_BITS, VIDEO_ALARM_BITS
from tests.alarms.stories import Report, Story

EMERGENCY, OVERSPEED, AREA, ROUTE, SEGMENT = 1 << 0, 1 << 1, 1 << 20, 1 << 21, 1 << 22


def test_a_bit_that_rises_begins_and_one_that_falls_ends() -> None:
    story = Story()
    assert story.each(Report(0), Report(10, alarm=EMERGENCY), Report(20, alarm=EMERGENCY), Report(30)) == [
        "begin terminal.emergency 10",
        "end terminal.emergency 10-30",
    ]
    begin, end = story.changes
    assert (begin.severity, begin.source, begin.terminal_id, begin.late) == (1, "terminal", 10, False)
    assert (begin.latitude_deg, begin.longitude_deg, begin.speed_kmh) == (41.8, 123.4, 60.0)
    assert begin.id == end.id


def test_a_bit_set_at_first_sight_begins() -> None:
    assert Story().report(Report(0, alarm=EMERGENCY | OVERSPEED)) == [
        "begin terminal.emergency 0",
        "begin terminal.overspeed 0",
    ]


def test_bits_run_side_by_side() -> None:
    story = Story()
    assert story.report(
        Report(0, alarm=EMERGENCY), Report(10, alarm=EMERGENCY | OVERSPEED), Report(20, alarm=OVERSPEED), Report(30)
    ) == [
        "begin terminal.emergency 0",
        "begin terminal.overspeed 10",
        "end terminal.emergency 0-20",
        "end terminal.overspeed 10-30",
    ]
    assert story.states == {}, "nothing runs, nothing is remembered"


@pytest.mark.parametrize("bit", ALARM_BITS, ids=lambda bit: bit.rule)
def test_every_bit_of_the_alarm_word(bit) -> None:
    story = Story()
    assert story.each(Report(0, alarm=1 << bit.bit), Report(10)) == [f"begin {bit.rule} 0", f"end {bit.rule} 0-10"]
    assert story.changes[0].severity == bit.severity


@pytest.mark.parametrize("bit", VIDEO_ALARM_BITS, ids=lambda bit: bit.rule)
def test_every_bit_of_the_video_word_ends_when_the_item_is_gone(bit) -> None:
    story = Story()
    video = Report(0, items=(("video_alarm_flags", 1 << bit.bit),))
    assert story.each(video, Report(10)) == [f"begin {bit.rule} 0", f"end {bit.rule} 0-10"]


def test_unknown_bits_are_no_alarm() -> None:
    assert Story().report(Report(0, items=(("video_alarm_flags", 1 << 31),))) == []


@pytest.mark.parametrize(
    ("alarm", "items", "facts"),
    [
        (OVERSPEED, (("overspeed_area_type", 2), ("overspeed_area_id", 77)), {"area_type": 2, "area_id": 77}),
        (
            AREA,
            (("area_alarm_type", 1), ("area_alarm_area_id", 5), ("area_alarm_is_exit", 1), ("alarm_event_id", 9)),
            {"alarm_event_id": 9, "area_type": 1, "area_id": 5, "direction": "out"},
        ),
        (ROUTE, (("area_alarm_type", 4), ("area_alarm_is_exit", 0)), {"area_type": 4, "direction": "in"}),
        (
            SEGMENT,
            (("segment_id", 3), ("segment_time_s", 600), ("segment_is_too_long", 0)),
            {"segment_id": 3, "segment_time_s": 600, "result": "too_short"},
        ),
        (EMERGENCY, (("area_alarm_area_id", 5),), {}),
        (0, (("video_alarm_flags", 1), ("video_lost_channels", 6)), {"channels": 6}),
        (
            0,
            (("video_alarm_flags", 1 << 5), ("abnormal_driving_flags", 2), ("fatigue_degree", 40)),
            {"kinds": 2, "fatigue_degree": 40},
        ),
    ],
)
def test_facts_come_from_the_additional_items(alarm, items, facts) -> None:
    story = Story()
    story.report(Report(0), Report(10, alarm=alarm, items=items))
    assert [change.facts for change in story.changes] == [facts]


def test_episodes_survive_a_restart() -> None:
    story = Story()
    story.report(Report(0, alarm=EMERGENCY | OVERSPEED))
    story.restart()
    assert story.each(Report(10, alarm=EMERGENCY | OVERSPEED), Report(20, alarm=OVERSPEED)) == [
        "end terminal.emergency 0-20"
    ]


def test_a_bit_that_stays_causes_no_rows() -> None:
    story = Story()
    story.report(Report(0, alarm=EMERGENCY))
    rows = story.state_rows
    story.each(*(Report(at, alarm=EMERGENCY) for at in range(10, 100, 10)))
    assert story.state_rows == rows


def test_reports_of_one_second_count_together() -> None:
    story = Story()
    reports = Report(10, alarm=EMERGENCY), Report(10), Report(10, alarm=EMERGENCY | OVERSPEED), Report(11)
    found = story.report(*reports)
    assert found == [
        "begin terminal.emergency 10",
        "begin terminal.overspeed 10",
        "end terminal.emergency 10-11",
        "end terminal.overspeed 10-11",
    ]
    assert Story().each(*reports) == found


@pytest.mark.parametrize("where", [(116.3, 39.9), (0.0, 0.0), (41.8, 223.4)])
def test_without_a_place_an_alarm_is_an_alarm(where) -> None:
    story = Story()
    assert story.report(Report(0, alarm=EMERGENCY, where=where)) == ["begin terminal.emergency 0"]
    assert (story.changes[0].latitude_deg, story.changes[0].longitude_deg) == (None, None)

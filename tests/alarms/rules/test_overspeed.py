from __future__ import annotations

import pytest

from alarms import EngineDefaults
from fleet import VehicleLimits
from tests.alarms.stories import Report, Story

LIMIT_80 = [VehicleLimits(1, speed_limit_kmh=80)]


def drive(*speeds: float, begin: float = 0, every: float = 10, **more) -> list[Report]:
    return [Report(begin + n * every, speed=speed, **more) for n, speed in enumerate(speeds)]


def test_faster_than_the_limit_for_longer_than_the_duration() -> None:
    story = Story(limits=LIMIT_80)
    assert story.each(*drive(70, 85, 90, 88, 86)) == [], "30 s are not longer than 30 s"
    assert story.each(*drive(84, begin=50)) == ["begin overspeed 10"]
    begin = story.changes[-1]
    assert begin.time_us - begin.begin_us == 40_000_000
    assert (begin.speed_kmh, begin.severity) == (85.0, 3)
    assert begin.facts == {
        "limit_kmh": 80.0, "max_speed_kmh": 90.0, "excess_percent": 12.5, "excess_grade": "10_to_20",
    }  # fmt: skip


def test_it_ends_at_the_first_fix_at_the_limit_when_it_stays_there() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(85, 85, 85, 85, 85))
    assert story.each(*drive(80, 70, 70, 70, 70, 70, 70, begin=50)) == [], "until 110 it may come back"
    assert story.each(Report(111, speed=70)) == ["end overspeed 0-50"]
    assert story.changes[-1].speed_kmh == 80.0
    assert story.states == {}


def test_several_within_a_minute_are_one() -> None:
    story = Story(limits=LIMIT_80)
    found = story.each(*drive(85, 85, 85, 85, 85, 70, 70, 70, 70, 70, 70, 120, 70, begin=0))
    assert found == ["begin overspeed 0", "update overspeed 0"]
    assert story.each(Report(200, speed=85)) == ["end overspeed 0-120"]
    assert story.changes[-1].facts["max_speed_kmh"] == 120.0


def test_a_short_burst_is_nothing() -> None:
    story = Story(limits=LIMIT_80)
    assert story.each(*drive(85, 99, 99, 70, 85, 99, 99, 70, 85)) == []


@pytest.mark.parametrize(("limit", "speed"), [(80.3, 80.3), (99.9, 99.9), (80.0, 79.9)])
def test_at_the_limit_is_not_over_it(limit: float, speed: float) -> None:
    story = Story(limits=[VehicleLimits(1, speed_limit_kmh=limit, overspeed_duration_s=0)])
    assert story.each(*drive(speed, speed, speed)) == []
    assert story.each(*drive(round(limit + 0.1, 1), begin=30)) == ["begin overspeed 30"]


def test_the_vehicles_own_duration() -> None:
    story = Story(limits=[VehicleLimits(1, speed_limit_kmh=80, overspeed_duration_s=5), VehicleLimits(2, 80)])
    assert story.each(*drive(85, 85), *drive(85, 85, vehicle=2)) == ["begin overspeed 0"]


def test_duration_zero_takes_one_fix() -> None:
    story = Story(EngineDefaults(overspeed_duration_s=0, overspeed_merge_s=0), limits=LIMIT_80)
    assert story.each(*drive(85, 70, 85)) == ["begin overspeed 0", "end overspeed 0-10", "begin overspeed 20"]


def test_without_a_limit_there_is_no_overspeed() -> None:
    assert Story(EngineDefaults(speed_limit_kmh=None)).each(*drive(*[240] * 9)) == []
    assert Story().each(*drive(*[100] * 9)) == []
    assert Story().each(*drive(*[100.1] * 9)) == ["begin overspeed 0"]


def test_limits_hold_from_the_next_report_and_go_when_not_named() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(85, 85, 85, 85, 85))
    story.engine.set_limits([])
    assert story.each(*drive(85, 85, begin=50, every=70)) == ["end overspeed 0-50"]


def test_severity_rises_with_gross_excess() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(118, 118, 118, 118, 118))
    assert story.each(*drive(120, 120.5, begin=50)) == ["update overspeed 0"]
    begin, update = story.changes
    assert (begin.severity, begin.facts["excess_grade"]) == (3, "20_to_50")
    assert (update.severity, update.facts["excess_grade"]) == (2, "over_50")


@pytest.mark.parametrize(
    ("speed", "grade"),
    [(88, "under_10"), (88.1, "10_to_20"), (96, "10_to_20"), (96.1, "20_to_50"), (120, "20_to_50"), (120.1, "over_50")],
)
def test_grades(speed: float, grade: str) -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(*[speed] * 5))
    assert [change.facts["excess_grade"] for change in story.changes] == [grade]


def test_updates_are_few() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(*[81] * 5))
    assert story.each(*drive(82, 83, 84, 85, begin=50)) == [], "a small rise waits"
    assert story.each(Report(99, speed=85.5)) == []
    assert story.each(Report(100, speed=85.5)) == ["update overspeed 0"], "for a minute"
    assert story.each(*drive(*[85.5] * 20, begin=110)) == [], "and nothing new is not told"
    assert story.each(Report(310, speed=90.5)) == ["update overspeed 0"], "a rise of 5 km/h is told at once"


def test_a_gap_ends_it_at_the_last_fix() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(*[85] * 6))
    assert story.each(Report(350, speed=85)) == [], "300 s is no gap yet"
    assert story.each(Report(651, speed=85)) == ["end overspeed 0-350"]
    assert story.each(Report(661, speed=85), Report(682, speed=85)) == ["begin overspeed 651"]


def test_a_gap_forgets_what_was_pending() -> None:
    story = Story(limits=LIMIT_80)
    assert story.each(Report(0, speed=85), Report(301, speed=85), Report(331, speed=85)) == []
    assert story.each(Report(332, speed=85)) == ["begin overspeed 301"]


def test_silence_ends_it_without_another_report() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(*[85] * 6))
    assert story.watch(51, 351) == []
    assert story.tick(352) == ["end overspeed 0-50"]


def test_slow_and_silent_ends_after_the_merge_time() -> None:
    story = Story(limits=LIMIT_80)
    story.each(*drive(*[85] * 5, 0))
    assert story.watch(51, 111) == []
    assert story.tick(112) == ["end overspeed 0-50"]


def test_fixes_without_a_position_and_implausible_speeds_are_not_looked_at() -> None:
    story = Story(limits=LIMIT_80)
    assert story.each(*drive(*[85] * 9, fix=False)) == []
    assert story.each(*drive(*[251] * 9, begin=100)) == []
    assert story.each(*drive(*[85] * 9, begin=190, where=(116.3, 39.9))) == [], "latitude and longitude exchanged"
    found = story.each(*drive(85, 255, 85, begin=300), Report(330, speed=0, fix=False), Report(340, speed=85))
    assert found == ["begin overspeed 300"]
    assert story.changes[-1].facts["max_speed_kmh"] == 85.0


@pytest.mark.parametrize("cut", range(1, 11))
def test_it_survives_a_restart_anywhere(cut: int) -> None:
    speeds = drive(85, 90, 85, 85, 88, 95, 70, 70, 86, 70), *drive(70, begin=200)
    reports = [*speeds[0], speeds[1]]
    whole, cut_story = Story(limits=LIMIT_80), Story(limits=LIMIT_80)
    expected = whole.each(*reports)
    assert expected == ["begin overspeed 0", "update overspeed 0", "end overspeed 0-90"]
    before = cut_story.each(*reports[:cut])
    cut_story.restart(with_latest=False)
    assert before + cut_story.each(*reports[cut:]) == expected
    assert cut_story.changes == whole.changes

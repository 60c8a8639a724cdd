from __future__ import annotations

from fleet import VehicleLimits
from tests.alarms.stories import Report, Story


def test_silent_with_ignition_on() -> None:
    story = Story()
    story.tick(0)
    story.report(Report(9))  # received at 10
    assert story.watch(60, 600) == []
    assert story.tick(610) == [], "600 s are not longer than 600 s"
    assert story.tick(611) == ["begin offline 10"]
    begin = story.changes[-1]
    assert (begin.latitude_deg, begin.longitude_deg, begin.severity) == (41.8, 123.4, 3)
    assert begin.facts == {"offline_after_s": 600.0}
    assert story.watch(660, 900) == [], "told once"
    assert story.report(Report(950)) == ["end offline 10-951"]
    assert story.states == {}


def test_with_ignition_off_it_may_be_silent() -> None:
    story = Story()
    story.tick(0)
    story.each(Report(5, acc=True), Report(9, acc=False))
    assert story.watch(60, 6000) == []


def test_late_data_is_a_sign_of_life_but_says_nothing_of_the_ignition() -> None:
    story = Story()
    story.tick(0)
    story.each(Report(9), Report(2, late=True, acc=False, received=300))
    assert story.watch(60, 900) == []
    assert "begin offline 300" in story.tick(901)
    assert story.report(Report(5, late=True, received=950)) == ["end offline 300-950"]


def test_the_vehicles_own_time() -> None:
    story = Story(limits=[VehicleLimits(1, offline_after_s=120)])
    story.tick(0)
    story.report(Report(9), Report(9, vehicle=2))
    story.watch(60, 120)
    assert story.tick(131) == ["begin offline 10"]


def test_the_engines_start_is_no_silence() -> None:
    story = Story()
    story.report(Report(9))
    story.restart()
    assert story.watch(10_000, 10_600) == []
    assert story.tick(10_601) == ["begin offline 10"], "the begin is the last report all the same"


def test_a_pause_of_the_watch_is_no_silence() -> None:
    story = Story()
    story.tick(0)
    story.report(Report(9))
    story.watch(60, 300)
    assert story.tick(2000) == [], "nobody ticked since 300: the database was away, say"
    assert story.watch(2060, 2600) == []
    assert story.tick(2601) == ["begin offline 10"]


def test_a_clock_that_was_far_ahead_for_a_while_blinds_nobody() -> None:
    year = 365 * 86_400
    story = Story()
    story.tick(0)
    story.report(Report(9), Report(9, vehicle=2))
    assert story.tick(year) == []
    story.report(Report(10, received=year + 1))
    story.watch(year + 60, year + 120)
    assert story.watch(20, 620) == [], "it is set right again: the watch begins anew"
    assert story.tick(621) == ["begin offline 20", "begin offline 10"], "both have been silent since"
    assert story.report(Report(630)) == ["end offline 20-631"]


def test_it_goes_on_after_a_restart() -> None:
    story = Story()
    story.tick(0)
    story.report(Report(9))
    story.watch(60, 660)
    assert len(story.running()) == 1
    story.restart()
    assert story.watch(700, 2000) == [], "it is known already"
    assert story.report(Report(2100)) == ["end offline 10-2101"]


def test_a_vehicle_never_heard_of_is_not_off_line() -> None:
    story = Story(limits=[VehicleLimits(7, offline_after_s=1)])
    assert story.watch(0, 600) == []

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet import Fence, FenceShape, FenceTrigger
from tests.alarms.stories import Report, Story

IN, OUT = (41.805, 123.405), (41.7, 123.4)
SQUARE = ((41.80, 123.40), (41.80, 123.41), (41.81, 123.41), (41.81, 123.40))
DEPOT = Fence(7, "场站", FenceShape.POLYGON, FenceTrigger.BOTH, points=SQUARE)


def drive(*places: tuple[float, float], begin: float = 0, **more) -> list[Report]:
    return [Report(begin + 10 * n, where=where, **more) for n, where in enumerate(places)]


def test_in_and_out_again() -> None:
    story = Story(fences=[DEPOT])
    assert story.each(*drive(OUT, OUT, IN)) == [], "one fix may be a stray"
    assert story.each(*drive(IN, begin=30)) == ["begin fence.enter 20"]
    assert story.each(*drive(IN, OUT, OUT, OUT, begin=40)) == ["end fence.enter 20-50", "begin fence.leave 50"]
    assert story.each(*drive(IN, IN, begin=80)) == ["end fence.leave 50-80", "begin fence.enter 80"]
    enter = story.changes[0]
    assert enter.facts == {"fence_id": 7, "fence_name": "场站"}
    assert (enter.latitude_deg, enter.longitude_deg) == IN
    assert (enter.severity, enter.source) == (3, "platform")


@pytest.mark.parametrize(
    ("trigger", "found"),
    [
        (FenceTrigger.ENTER, ["begin fence.enter 20", "end fence.enter 20-40"]),
        (FenceTrigger.LEAVE, ["begin fence.leave 40", "end fence.leave 40-60"]),
    ],
)
def test_one_trigger(trigger: FenceTrigger, found: list[str]) -> None:
    story = Story(fences=[replace(DEPOT, trigger=trigger)])
    assert [
        word for word in story.each(*drive(OUT, OUT, IN, IN, OUT, OUT, IN, IN)) if not word.endswith(" 60")
    ] == found


@pytest.mark.parametrize("first", [IN, OUT])
def test_where_it_is_first_seen_is_only_noted(first: tuple[float, float]) -> None:
    story = Story(fences=[DEPOT])
    assert story.each(*drive(first, first, first)) == []


def test_a_stray_fix_is_nothing() -> None:
    story = Story(fences=[DEPOT])
    assert story.each(*drive(OUT, IN, OUT, IN, OUT, IN, OUT)) == []


def test_fixes_without_a_position_are_not_looked_at() -> None:
    story = Story(fences=[DEPOT])
    assert story.each(*drive(OUT, OUT), *drive(IN, IN, IN, begin=20, fix=False)) == []
    found = story.each(*drive(IN, begin=50), *drive(OUT, begin=60, fix=False), *drive(IN, begin=70))
    assert found == ["begin fence.enter 50"]


def test_a_circle_and_a_polygon_side_by_side() -> None:
    circle = Fence(3, "加油站", FenceShape.CIRCLE, FenceTrigger.BOTH, center=IN, radius_m=200)
    story = Story(fences=[DEPOT, circle])
    edge = (41.8095, 123.405)  # in the square, 500 m from the circle's centre
    assert story.each(*drive(OUT, OUT, edge, edge)) == ["begin fence.enter 20"]
    assert story.each(*drive(IN, IN, begin=40)) == ["begin fence.enter 40"]
    assert story.changes[-1].facts["fence_id"] == 3
    assert story.each(*drive(OUT, OUT, begin=60)) == [
        "end fence.enter 40-60", "begin fence.leave 60", "end fence.enter 20-60", "begin fence.leave 60",
    ]  # fmt: skip
    assert len({change.id for change in story.changes}) == 4


def test_only_the_chosen_vehicles() -> None:
    story = Story(fences=[replace(DEPOT, vehicle_ids=frozenset({2}))])
    for vehicle in (1, 2, 3):
        story.each(*drive(OUT, OUT, IN, IN, vehicle=vehicle))
    assert [change.vehicle_id for change in story.changes] == [2]
    assert {key[0] for key in story.states} == {2}, "nothing is remembered of the others"


def test_a_fence_that_is_gone_ends_its_episodes_at_the_last_fix() -> None:
    story = Story(fences=[DEPOT])
    story.each(*drive(OUT, OUT, IN, IN, IN))
    assert story.set_fences() == ["end fence.enter 20-40"]
    assert story.each(*drive(OUT, OUT, begin=60)) == []


@pytest.mark.parametrize(
    "changed",
    [
        replace(DEPOT, points=(*SQUARE[:3], (41.82, 123.40))),
        replace(DEPOT, trigger=FenceTrigger.ENTER),
        replace(DEPOT, vehicle_ids=frozenset({1})),
    ],
)
def test_a_fence_that_changes_begins_afresh(changed: Fence) -> None:
    story = Story(fences=[DEPOT])
    story.each(*drive(OUT, OUT, IN, IN, IN))
    assert story.set_fences(changed) == ["end fence.enter 20-40"]
    assert story.each(*drive(IN, IN, begin=60)) == [], "inside at first sight"
    assert story.each(*drive(OUT, OUT, IN, IN, begin=80))[-1] == "begin fence.enter 100"


def test_a_new_name_or_another_fence_disturbs_nothing() -> None:
    story = Story(fences=[DEPOT])
    story.each(*drive(OUT, OUT, IN, IN, OUT))
    other = Fence(1, "别处", FenceShape.CIRCLE, FenceTrigger.BOTH, center=(30.0, 110.0), radius_m=50)
    assert story.set_fences(other, replace(DEPOT, name="新场站")) == []
    assert story.each(*drive(OUT, IN, IN, begin=50)) == [
        "end fence.enter 20-40", "begin fence.leave 40", "end fence.leave 40-60", "begin fence.enter 60",
    ]  # fmt: skip
    assert story.changes[-1].facts["fence_name"] == "新场站"


def test_a_fence_that_cannot_be_one_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    story = Story(fences=[Fence(9, "坏", FenceShape.POLYGON, FenceTrigger.BOTH, points=SQUARE[:2]), DEPOT])
    assert story.engine.failures == {"fence": 1}
    assert "fence 9" in caplog.text
    assert story.each(*drive(OUT, OUT, IN, IN)) == ["begin fence.enter 20"]


@pytest.mark.parametrize("cut", range(1, 9))
@pytest.mark.parametrize("fences_first", [True, False])
def test_it_survives_a_restart_anywhere(cut: int, fences_first: bool) -> None:
    reports = drive(OUT, OUT, IN, IN, OUT, IN, OUT, OUT, IN)
    whole, story = Story(fences=[DEPOT]), Story(fences=[DEPOT])
    expected = whole.each(*reports)
    before = story.each(*reports[:cut])
    if not fences_first:
        fences, story.fences = story.fences, []
        story._begin = lambda: type(story.engine)(story.defaults)
    story.restart()
    if not fences_first:
        assert story.set_fences(*fences) == []
    assert before + story.each(*reports[cut:]) == expected
    assert story.states == whole.states


def test_a_fence_that_went_while_we_were_away() -> None:
    story = Story(fences=[DEPOT])
    story.each(*drive(OUT, OUT, IN, IN, IN))
    story.fences = []
    story.restart()
    assert story.report(*drive(IN, begin=60)) == ["end fence.enter 20-40"]
    assert story.engine.failures == {}


def test_an_ordinary_vehicle_is_noted_once() -> None:
    story = Story(fences=[DEPOT])
    story.each(*drive(OUT, OUT, OUT, OUT))
    assert story.state_rows == 1

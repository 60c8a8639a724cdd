from __future__ import annotations

import numpy as np
import pytest

from alarms import EngineDefaults
from alarms.lanes import MAX_FIXES_PER_SECOND, Lanes
from fleet import PositionBatch
from tests.alarms.stories import Report, batch_of, seconds

SOS = 1


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(EngineDefaults())


def arrange(lanes: Lanes, *reports: Report) -> list[tuple[int, bool, float]]:
    """(vehicle, late, time) of the rows that the rules may see, in their order."""
    rows = lanes.arrange(batch_of(reports))
    lanes.advance(rows)
    assert rows.starts.tolist() == [n for n in range(len(rows)) if not n or rows.lane[n] != rows.lane[n - 1]]
    assert rows.ends.tolist() == [n for n in range(len(rows)) if n + 1 == len(rows) or rows.lane[n] != rows.lane[n + 1]]
    return [
        (int(lanes.vehicle_id[lane >> 1]), bool(lane & 1), seconds(int(time)))
        for lane, time in zip(rows.lane, rows.time_us, strict=True)
    ]


def test_rows_are_grouped_by_vehicle_and_lane_in_order_of_receipt(lanes: Lanes) -> None:
    assert arrange(
        lanes, Report(0), Report(0, vehicle=2), Report(1), Report(-50, late=True), Report(2), Report(1, vehicle=2)
    ) == [(1, False, 0), (1, False, 1), (1, False, 2), (1, True, -50), (2, False, 0), (2, False, 1)]


def test_repeats_and_older_fixes_are_kept_from_the_rules(lanes: Lanes) -> None:
    assert arrange(lanes, Report(0), Report(10), Report(10), Report(5), Report(20)) == [
        (1, False, 0), (1, False, 10), (1, False, 20),
    ]  # fmt: skip
    assert lanes.ignored == {"repeated": 1, "older": 1}
    assert arrange(lanes, Report(20), Report(20, vehicle=2)) == [(2, False, 20)]
    assert lanes.ignored == {"repeated": 2, "older": 1}


def test_two_different_reports_of_one_second_both_count(lanes: Lanes) -> None:
    both = Report(0), Report(0, alarm=SOS)
    assert len(arrange(lanes, *both)) == 2
    assert arrange(lanes, *both) == []
    assert len(arrange(lanes, Report(0, alarm=2))) == 1
    assert arrange(lanes, Report(0, alarm=2), *both) == []
    assert len(arrange(lanes, Report(1), Report(0))) == 1


def test_reports_of_one_second_are_bounded(lanes: Lanes) -> None:
    arrange(lanes, *(Report(0, alarm=n) for n in range(2 * MAX_FIXES_PER_SECOND)))
    assert lanes.ignored["repeated"] == MAX_FIXES_PER_SECOND


def test_the_items_of_one_message_are_put_in_order(lanes: Lanes) -> None:
    bulk = [Report(at, late=True, received=100) for at in (30, 10, 20)]
    assert arrange(lanes, *bulk, Report(5, late=True, received=101)) == [(1, True, 10), (1, True, 20), (1, True, 30)]
    assert lanes.ignored == {"repeated": 0, "older": 1}


def test_an_empty_batch(lanes: Lanes) -> None:
    rows = lanes.arrange(PositionBatch.empty())
    lanes.advance(rows)
    assert len(rows) == 0


def test_any_number_of_vehicles_and_any_ids(lanes: Lanes) -> None:
    ids = np.random.default_rng(1).choice(2**31 - 1, 5000, replace=False).astype(np.int32)
    slots = [lanes.slots(part) for part in np.array_split(ids, 7)]
    assert len(np.unique(np.concatenate(slots))) == 5000
    for part, slot in zip(np.array_split(ids, 7), slots, strict=True):
        assert lanes.slots(part).tolist() == slot.tolist()
        assert lanes.vehicle_id[slot].tolist() == part.tolist()


def test_a_fleet_too_large_for_the_short_sort_key(lanes: Lanes) -> None:
    lanes.slots(np.arange(40_000))
    assert arrange(lanes, Report(0, vehicle=39_999), Report(0, vehicle=3), Report(1, vehicle=39_999)) == [
        (3, False, 0), (39_999, False, 0), (39_999, False, 1),
    ]  # fmt: skip

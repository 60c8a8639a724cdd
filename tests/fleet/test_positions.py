"""The batch: rows taken out of it, and the newest of every vehicle."""

from __future__ import annotations

import dataclasses

import numpy as np

from fleet import PositionBatch


def batch(*rows: tuple[int, int, int, bool]) -> PositionBatch:
    """Rows of (vehicle_id, time_us, received_us, late); all else is 0."""
    made = PositionBatch.empty()
    for field in dataclasses.fields(made):
        column = getattr(made, field.name)
        if isinstance(column, np.ndarray):
            setattr(made, field.name, np.zeros(len(rows), column.dtype))
    for number, row in enumerate(rows):
        made.vehicle_id[number], made.time_us[number], made.received_us[number], made.late[number] = row
    return made


def test_the_newest_by_its_own_time_then_by_its_receipt_never_a_late_one() -> None:
    found = batch(
        (9, 50, 1, False), (3, 20, 5, False), (3, 20, 6, False), (3, 10, 9, False), (3, 99, 9, True), (5, 1, 1, True)
    ).newest_per_vehicle()
    assert found.tolist() == [2, 0]  # vehicle 3, vehicle 9; nothing that is live of vehicle 5


def test_the_newest_among_some() -> None:
    rows = batch((3, 20, 5, False), (3, 30, 6, False), (9, 1, 1, False))
    assert rows.newest_per_vehicle(np.array([True, False, False])).tolist() == [0]
    assert rows.newest_per_vehicle(np.array([False, False, False])).tolist() == []
    assert PositionBatch.empty().newest_per_vehicle().tolist() == []


def test_rows_are_taken_with_all_they_have() -> None:
    rows = batch((1, 1, 1, False), (2, 2, 2, True), (3, 3, 3, False))
    rows.items["mileage_km"] = np.array([1.5, 0.0, 3.5])
    rows.present["mileage_km"] = np.array([True, False, True])
    rows.other_items = [None, b"\x01", b"\x02"]
    for which in (np.array([2, 1]), np.array([False, True, True])):
        taken = rows.take(which)
        order = [2, 1] if which.dtype != np.bool_ else [1, 2]
        assert taken.vehicle_id.tolist() == [number + 1 for number in order]
        assert taken.items["mileage_km"].tolist() == [rows.items["mileage_km"][number] for number in order]
        assert taken.present["mileage_km"].tolist() == [rows.present["mileage_km"][number] for number in order]
        assert taken.other_items == [rows.other_items[number] for number in order]
    assert len(rows.take(np.array([], np.intp))) == 0


def test_what_can_be_a_place() -> None:
    rows = batch(*[(1, 1, 1, False)] * 6)
    rows.latitude_deg[:] = [41.8, 0.0, 0.0, 90.1, -90.0, 41.8]
    rows.longitude_deg[:] = [123.4, 0.0, 123.4, 123.4, 180.0, 180.1]
    assert rows.has_place().tolist() == [True, False, True, False, True, False]

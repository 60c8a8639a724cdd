from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from forward.translate import (
    DYNAMIC,
    TerminalFacts,
    VehicleFacts,
    history_body,
    history_order,
    history_packets,
    live_body,
    live_order,
    position_blocks,
    registration,
)
from jt809 import Edition, decode_body
from jt809.messages import HistoryLocation, RealLocation, VehicleRegister, VehicleRegisterBase
from tests.forward.world import after, batch_of

CAR = VehicleFacts.of(1, "辽A12345", 2)
BOX = TerminalFacts(7, "13912345678", "70111", "RW-200", "ab12cd3")


def test_a_position_in_the_wires_units() -> None:
    batch = batch_of(
        [(1, 5), (1, 6)],
        latitude_deg=np.array([-41.8, 41.8]),
        longitude_deg=np.array([-123.4, 123.4]),
        altitude_m=np.array([-20, 8848], np.int32),
        speed_kmh=np.array([60.5, 60.4], np.float32),
        heading_deg=np.array([360, 359], np.int32),
        status_flags=np.array([0x0F, 3], np.int64),
        alarm_flags=np.array([1, 0xFFFFFFFF], np.int64),
        items={"mileage_km": np.array([1234.5, 9.0]), "recorder_speed_kmh": np.array([58.0, 99.0], np.float32)},
        present={"mileage_km": np.array([True, False]), "recorder_speed_kmh": np.array([True, False])},
    )
    first, second = position_blocks(batch)
    assert CAR.field is not None
    message = decode_body(DYNAMIC, Edition.V2011, live_body(CAR.field, first))
    assert isinstance(message, RealLocation)
    assert (message.plate, message.plate_color) == ("辽A12345", 2)
    p = message.position
    assert p.time == after(5)
    assert (p.longitude_deg, p.latitude_deg) == (-123.4, -41.8)
    assert (p.speed_kmh, p.recorder_speed_kmh, p.mileage_km) == (61, 58, 1235)
    assert (p.heading_deg, p.altitude_m, p.state, p.alarm, p.is_encrypted) == (0, 0, 15, 1, False)
    message = decode_body(DYNAMIC, Edition.V2011, history_body(CAR.field, [first, second]))
    assert isinstance(message, HistoryLocation)
    q = message.positions[1]
    assert (q.speed_kmh, q.recorder_speed_kmh, q.mileage_km, q.altitude_m) == (60, 0, 0, 8848)
    assert (q.heading_deg, q.alarm, q.time - p.time) == (359, 0xFFFFFFFF, timedelta(seconds=1))


def test_a_height_that_a_terminal_wrote_with_a_sign_is_below_the_sea() -> None:
    blocks = position_blocks(batch_of([(1, 5)] * 3, altitude_m=np.array([0xFFFF, 0x8000, 0x7FFF], np.int32)))
    assert [int.from_bytes(block[26:28], "big") for block in blocks] == [0, 0, 0x7FFF]


def test_items_nobody_sent_are_zero() -> None:
    (block,) = position_blocks(batch_of([(1, 50)], items={}, present={}))
    assert block[18:24] == bytes(6)


@pytest.mark.parametrize(
    ("plate", "color", "unfit"),
    [
        ("", 2, "no_plate"),
        ("LVIN0000000000001", 0, "no_plate"),
        ("😀1", 2, "bad_plate"),
        ("京" * 11, 2, "bad_plate"),
        ("辽A1", 300, "bad_plate"),
    ],
)
def test_vehicles_that_cannot_be_named(plate: str, color: int, unfit: str) -> None:
    facts = VehicleFacts.of(1, plate, color)
    assert (facts.field, facts.unfit) == (None, unfit)


def test_registration_in_both_lengths() -> None:
    new = decode_body(DYNAMIC, Edition.V2011, registration(CAR, BOX, "21010000001", True))
    assert new == VehicleRegister("辽A12345", 2, "21010000001", "70111", "RW-200", "AB12CD3", "013912345678")
    old = decode_body(DYNAMIC, Edition.V2011, registration(CAR, BOX, "21010000001", False))
    assert old == VehicleRegisterBase("辽A12345", 2, "21010000001", "70111", "RW-200", "AB12CD3", "013912345678")


def test_registration_cuts_what_is_too_long() -> None:
    box = TerminalFacts(7, "123456789012345", "厂" * 9, "型号" * 9, "abcdefghij")
    message = decode_body(DYNAMIC, Edition.V2011, registration(CAR, box, "x" * 20, True))
    assert message == VehicleRegister(
        "辽A12345", 2, "x" * 11, "厂" * 5, "型号" * 5, "ABCDEFG", "123456789012"
    )  # fmt: skip
    (odd,) = [decode_body(DYNAMIC, Edition.V2011, registration(CAR, TerminalFacts(7, "", "", "😀", ""), "", True))]
    assert isinstance(odd, VehicleRegister)
    assert (odd.terminal_model, odd.sim) == ("?", "0" * 12)


def test_order_and_packets() -> None:
    rows = [(2, 9), (1, 8), (1, 1), (2, 3), *((1, s) for s in (7, 6, 5, 4)), (1, 2)]
    batch = batch_of(rows, late=[False, False, True, True, *[False] * 4, True])
    assert [rows[row] for row in live_order(batch)] == [(1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (2, 9)]
    order = history_order(batch, np.arange(len(rows)))
    packets = [[rows[row] for row in packet] for packet in history_packets(batch, order)]
    assert packets == [[(1, 1), (1, 2), (1, 4), (1, 5), (1, 6)], [(1, 7), (1, 8)], [(2, 3), (2, 9)]]

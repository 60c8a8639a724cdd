"""The fast writing of position blocks equals the construct."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jt809.columns import BLOCK, encode_positions
from jt809.messages import Position
from jt809.messages.vehicle import POSITION
from tests.jt809.test_messages import VALID, check_position, open_vector, positions

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def columns_of(rows: list[Position]) -> list[bytes]:
    return encode_positions(
        np.array([(row.time - EPOCH) // timedelta(microseconds=1) for row in rows], np.int64),
        *(
            [getattr(row, name) for row in rows]
            for name in (
                "longitude_deg", "latitude_deg", "speed_kmh", "recorder_speed_kmh", "mileage_km", "heading_deg",
                "altitude_m", "state", "alarm",
            )
        ),
    )  # fmt: skip


@given(st.lists(positions(), max_size=5))
def test_equal_to_the_construct(rows: list[Position]) -> None:
    wanted = [
        Position(r.time, r.longitude_deg, r.latitude_deg, r.speed_kmh, r.recorder_speed_kmh, r.mileage_km,
                 r.heading_deg % 360, r.altitude_m, r.state, r.alarm)
        for r in rows
    ]  # fmt: skip
    assert columns_of(rows) == [POSITION.build(row) for row in wanted]


def test_equal_to_captured_blocks() -> None:
    found = 0
    for vector in VALID:
        if (vector["version"], vector["sub_id"]) == ("2011", "1202"):
            block = open_vector(vector)[1][28:]
            position = POSITION.parse(block)
            check_position(position, vector["expected"]["body"]["gnss"])
            assert columns_of([position]) == [block]
            found += 1
    assert found >= 7


def test_what_does_not_fit_is_clamped() -> None:
    (raw,) = encode_positions(
        np.array([-1], np.int64), [-123.4567894], [89.9999996], [60.5], [np.nan], [5e9], [725], [-12], [-1], [1 << 32]
    )  # fmt: skip
    block = np.frombuffer(raw, BLOCK)[0]
    assert (block["year"], block["month"], block["day"]) == (1970, 1, 1)
    assert (block["hour"], block["minute"], block["second"]) == (7, 59, 59)
    assert (block["longitude"], block["latitude"]) == (123456789, 90000000)
    assert (block["speed_kmh"], block["recorder_speed_kmh"], block["mileage_km"]) == (61, 0, 0xFFFFFFFF)
    assert (block["heading_deg"], block["altitude_m"]) == (5, 0)
    assert (block["state"], block["alarm"]) == (0xFFFFFFFF, 0)

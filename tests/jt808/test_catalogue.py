"""Every message of the editions is in the registry, with its direction, editions and answer."""

from __future__ import annotations

import pytest

from jt808 import Direction, Edition
from jt808.messages import message_type, message_types

ALL, SINCE_2013, ONLY_2019 = tuple(Edition), (Edition.V2013, Edition.V2019), (Edition.V2019,)

# Id: (editions, what answers it); those of appendix B. OTHERS: JT/T 1078-2016 and T/JSATL 12-2017.
CATALOGUE: dict[int, tuple[tuple[Edition, ...], int | None]] = {
    0x0001: (ALL, None), 0x8001: (ALL, None), 0x0002: (ALL, 0x8001), 0x0003: (ALL, 0x8001),
    0x0004: (ONLY_2019, 0x8004), 0x8004: (ONLY_2019, None), 0x8003: (SINCE_2013, None), 0x0005: (ONLY_2019, None),
    0x0100: (ALL, 0x8100), 0x8100: (ALL, None), 0x0102: (ALL, 0x8001), 0x8103: (ALL, 0x0001),
    0x8104: (ALL, 0x0104), 0x8106: (SINCE_2013, 0x0104), 0x0104: (ALL, None), 0x8105: (ALL, 0x0001),
    0x8107: (SINCE_2013, 0x0107), 0x0107: (SINCE_2013, None), 0x8108: (SINCE_2013, 0x0001),
    0x0108: (SINCE_2013, 0x8001), 0x0200: (ALL, 0x8001), 0x8201: (ALL, 0x0201), 0x0201: (ALL, None),
    0x8202: (ALL, 0x0001), 0x8203: (SINCE_2013, 0x0001), 0x8204: (ONLY_2019, 0x0001), 0x8300: (ALL, 0x0001),
    0x8301: (ALL, 0x0001), 0x0301: (ALL, 0x8001), 0x8302: (ALL, 0x0302), 0x0302: (ALL, 0x8001),
    0x8303: (ALL, 0x0001), 0x0303: (ALL, 0x8001), 0x8304: (ALL, 0x0001), 0x8400: (ALL, 0x0001),
    0x8401: (ALL, 0x0001), 0x8500: (ALL, 0x0500), 0x0500: (ALL, 0x8001), 0x8600: (ALL, 0x0001),
    0x8601: (ALL, 0x0001), 0x8602: (ALL, 0x0001), 0x8603: (ALL, 0x0001), 0x8604: (ALL, 0x0001),
    0x8605: (ALL, 0x0001), 0x8606: (ALL, 0x0001), 0x8607: (ALL, 0x0001), 0x8608: (ONLY_2019, 0x0608),
    0x0608: (ONLY_2019, None), 0x8700: (ALL, 0x0700), 0x0700: (ALL, None), 0x8701: (ALL, 0x0001),
    0x0701: (ALL, 0x8001), 0x0702: (ALL, 0x8001), 0x8702: (SINCE_2013, 0x0702), 0x0704: (SINCE_2013, 0x8001),
    0x0705: (SINCE_2013, 0x8001), 0x0800: (ALL, 0x8001), 0x0801: (ALL, 0x8800), 0x8800: (ALL, None),
    0x8801: (ALL, 0x0805), 0x0805: (SINCE_2013, None), 0x8802: (ALL, 0x0802), 0x0802: (ALL, None),
    0x8803: (ALL, 0x0001), 0x8804: (ALL, 0x0001), 0x8805: (SINCE_2013, 0x0001), 0x8900: (ALL, 0x0001),
    0x0900: (ALL, 0x8001), 0x0901: (ALL, 0x8001), 0x8A00: (ALL, 0x0A00), 0x0A00: (ALL, 0x8A00),
}  # fmt: skip
OTHERS = (
    0x1003, 0x9003, 0x1005, 0x1205, 0x9205, 0x1206, 0x9206, 0x9207, 0x9101, 0x9102, 0x9105, 0x9201, 0x9202, 0x9301,
    0x9302, 0x9303, 0x9304, 0x9305, 0x9306, 0x9208, 0x1210, 0x1211, 0x1212, 0x9212,
)  # fmt: skip


@pytest.mark.parametrize("message_id", CATALOGUE, ids=hex)
def test_a_message_of_the_standard(message_id: int) -> None:
    row = message_type(message_id)
    assert row is not None
    assert (row.editions, row.answer_id) == CATALOGUE[message_id]


def test_nothing_is_left_out_or_made_up() -> None:
    assert sorted(row.message_id for row in message_types()) == sorted([*CATALOGUE, *OTHERS])


def test_each_is_named_in_both_languages_and_cited() -> None:
    for row in message_types():
        assert row.name.isascii()
        assert any("\u4e00" <= char <= "\u9fff" for char in row.chinese)
        assert row.clause
        assert row.direction == (Direction.DOWNLINK if row.message_id & 0x8000 else Direction.UPLINK)
        assert row.body.__doc__

"""jt808.messages.additional_items: the table, both directions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808 import AdditionalItem, UsageError
from jt808.messages.additional_items import BY_ID, ITEM_TYPES, join_items, split_items, temperature
from tests.jt808.strategies import items


@pytest.mark.parametrize(
    ("item_id", "raw", "value"),
    [
        (0x01, "0000026f", 62.3),
        (0x01, "ffffffff", 429496729.5),
        (0x02, "0037", 5.5),
        (0x03, "026f", 62.3),
        (0x04, "0102", 258),
        (0x05, "01fe" + "ff" * 28, (1, 254, *[None] * 28)),
        (0x06, "0019", 25),
        (0x06, "8019", -25),
        (0x06, "ffe7", -25),
        (0x11, "00", {"area_type": 0}),
        (0x11, "0100000007", {"area_type": 1, "area_id": 7}),
        (0x12, "040000000701", {"area_type": 4, "area_id": 7, "is_exit": 1}),
        (0x13, "000000070e1001", {"segment_id": 7, "time_s": 3600, "is_too_long": 1}),
        (0x14, "00000041", 0x41),
        (0x15, "80000001", 0x80000001),
        (0x16, "00000003", 3),
        (0x17, "f001", 0xF001),
        (0x18, "0005", {"flags": 5}),
        (0x18, "000550", {"flags": 5, "fatigue_degree": 80}),
        (0x25, "00004010", 0x4010),
        (0x2A, "0003", 3),
        (0x2B, "00010002", {"ad0": 2, "ad1": 1}),
        (0x30, "1f", 31),
        (0x31, "0c", 12),
    ],
)
def test_values(item_id: int, raw: str, value: Any) -> None:
    item = AdditionalItem(item_id, bytes.fromhex(raw))
    assert item.is_readable
    assert item.value == value
    if (item_id, raw) != (0x06, "ffe7"):  # two's complement is read, sign and magnitude is written
        assert AdditionalItem.of(item_id, value) == item


@pytest.mark.parametrize(("item_id", "raw"), [(0x01, "000001"), (0x11, ""), (0x18, "00"), (0x99, "00"), (0x64, "00")])
def test_wrong_lengths_and_unknown_ids_stay_bytes(item_id: int, raw: str) -> None:
    item = AdditionalItem(item_id, bytes.fromhex(raw))
    assert not item.is_readable
    assert item.value is None
    assert item.flags is None


def test_flags_have_names() -> None:
    assert AdditionalItem(0x14, bytes.fromhex("00000041")).flags == ["signal_lost", "special_recording_full"]
    assert AdditionalItem(0x18, bytes.fromhex("880250")).flags == ["phone", "bit_11", "bit_15"]
    assert AdditionalItem(0x01, bytes(4)).flags is None
    assert AdditionalItem(0x99, b"").name == "unknown"


@pytest.mark.parametrize(
    ("item_id", "value"),
    [
        (0x01, -1),
        (0x01, 2**33),
        (0x01, "x"),
        (0x05, [300]),
        (0x05, [1] * 31),
        (0x06, -20000),
        (0x11, {}),
        (0x11, {"area_id": 1.5, "area_type": 300}),
        (0x12, {"area_type": 1}),
        (0x64, 1),
        (0x99, 1),
    ],
)
def test_what_cannot_be_written(item_id: int, value: Any) -> None:
    with pytest.raises(UsageError):
        AdditionalItem.of(item_id, value)


def test_temperature_takes_the_smaller_magnitude() -> None:
    assert [temperature(n) for n in (0, 1, 0x7FFF, 0x8001, 0xBFFF, 0xC000, 0xFFFF)] == [
        0, 1, 0x7FFF, -1, -0x3FFF, -0x4000, -1,
    ]  # fmt: skip


@given(st.lists(items, max_size=8).map(tuple))
def test_join_and_split(several: tuple[AdditionalItem, ...]) -> None:
    assert split_items(join_items(several)) == (several, b"")


@given(st.binary(max_size=60))
def test_splitting_loses_nothing(raw: bytes) -> None:
    found, remainder = split_items(raw)
    assert join_items(found, remainder) == raw
    assert len(remainder) < 2 or len(remainder) < 2 + remainder[1]


def test_items_that_do_not_fit() -> None:
    with pytest.raises(UsageError):
        join_items((AdditionalItem(1, bytes(256)),))
    with pytest.raises(UsageError):
        join_items((AdditionalItem(256, b""),))


def test_the_table_is_whole() -> None:
    assert len(BY_ID) == len(ITEM_TYPES)
    columns = [field.column for row in ITEM_TYPES for field in row.fields]
    assert len(columns) == len(set(columns))
    for row in ITEM_TYPES:
        assert row.name
        assert row.chinese
        if row.fields:
            assert max(field.offset + field.size for field in row.fields) == max(row.lengths)

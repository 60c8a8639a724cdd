"""jt808.columns reads what jt808.messages.location declares, for any bytes at all."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fleet
from jt808 import BodyError, BulkLocationReport, Edition, LocationReport, UnreadItem, UsageError, columns
from jt808 import decode_body as decode
from jt808 import encode_body as encode
from jt808.columns import ITEM_COLUMNS, LocationColumns, decode_locations, split_bulk
from jt808.fix_hash import fix_hash
from jt808.messages.additional_items import ITEM_TYPES, join_items
from tests.jt808 import strategies
from tests.jt808.vectors import location_bodies, whole_messages

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

item_tails = st.lists(strategies.items, max_size=10).map(lambda items: join_items(tuple(items)))
random_bodies = st.one_of(
    st.binary(max_size=60),
    strategies.locations().map(lambda report: encode(report, Edition.V2013)),
    st.tuples(st.sampled_from(location_bodies()), st.integers(0, 200)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(strategies.locations(), item_tails, st.binary(max_size=4)).map(
        lambda parts: encode(parts[0], Edition.V2013)[:28] + parts[1] + parts[2]
    ),
)
_EDGES = [0, 1, 4, 8, 12, 0x8000, 0xFFFF, 90_000_000, 90_000_001, 180_000_000, 180_000_001, 1 << 31, 0xFFFFFFFF]
_TIMES = [
    "260230000000", "260431120000", "260228235959", "280229235959", "270229000000", "260701240000", "260701236000",
    "260701235960", "2607012359a0", "26070a000000", "260a01000000", "a60701000000", "261301000000", "260700000000",
    "260001000000", "000101000000", "000101075959", "991231235959", "000000000000", "ffffffffffff",
]  # fmt: skip
_LENGTHS = {item.id: item.lengths or (3, 47) for item in ITEM_TYPES}
odd_basic = st.just(bytes(28)) | st.just(b"\xff" * 28) | st.binary(min_size=28, max_size=28) | st.builds(
    lambda four, two, time: b"".join(number.to_bytes(4, "big") for number in four)
    + b"".join((number & 0xFFFF).to_bytes(2, "big") for number in two)
    + bytes.fromhex(time),
    st.tuples(*[st.sampled_from(_EDGES)] * 4),
    st.tuples(*[st.sampled_from(_EDGES)] * 3),
    st.sampled_from(_TIMES),
)  # fmt: skip


@st.composite
def _odd_items(draw: st.DrawFn) -> bytes:
    """Items of lengths that are theirs, nearly theirs, 0 and 255, of few ids, so that these repeat; the last may end
    anywhere."""
    raw = b""
    ids = draw(st.lists(st.sampled_from([*_LENGTHS, 0, 0x99, 0xFF]), min_size=1, max_size=3))
    for item_id in draw(st.lists(st.sampled_from(ids), max_size=6)):
        right = draw(st.sampled_from(_LENGTHS.get(item_id, (3,))))
        length = draw(st.sampled_from([right, right, right, right - 1, right + 1, 0, 255]))
        raw += bytes((item_id, length)) + draw(st.sampled_from([b"\0", b"\xff", b"\x81"])) * length
    return raw[: len(raw) - draw(st.sampled_from([0, 0, 0, 1, 2, 3, 40]))] if raw else raw


odd_bodies = st.tuples(odd_basic, _odd_items()).map(b"".join)
walks = pytest.mark.parametrize("few_rows", [1, 12, 10_000], ids=["by columns", "both", "by rows"])


def placed(bodies: list[bytes]) -> tuple[bytes, Any, Any]:
    """The bodies in one buffer, in reverse order, with gaps."""
    buffer = b"gap"
    offsets = []
    for body in reversed(bodies):
        offsets.append(len(buffer))
        buffer += body + b"\x01\x04"
    return buffer, np.array(offsets[::-1], np.int64), np.array([len(body) for body in bodies], np.int64)


def check(bodies: list[bytes], found: LocationColumns) -> None:
    """Row by row against the declaration."""
    assert len(found) == len(bodies)
    for row, body in enumerate(bodies):
        assert int(found.fix_hash[row]) == fix_hash(body)
        try:
            report = decode(0x0200, Edition.V2013, body)
        except BodyError:
            assert found.errors[row] == "short"
            assert not found.ok[row]
            assert not any(present[row] for present in found.present.values())
            assert not found.other_items or found.other_items[row] is None
            continue
        assert isinstance(report, LocationReport)
        check_row(report, found, row)


def check_row(report: LocationReport, found: LocationColumns, row: int) -> None:
    assert found.errors.get(row) == report.fault
    assert bool(found.ok[row]) == (report.fault is None)
    expected_us = 0 if report.time is None else int((report.time - EPOCH).total_seconds()) * 1_000_000
    assert found.time_us[row] == expected_us
    assert found.latitude_deg[row] == report.latitude_deg
    assert found.longitude_deg[row] == report.longitude_deg
    assert found.altitude_m[row] == report.altitude_m
    assert found.speed_kmh[row] == np.float32(report.speed_kmh)
    assert found.heading_deg[row] == report.heading_deg
    assert found.alarm_flags[row] == report.alarm_flags
    assert found.status_flags[row] == report.status_flags
    in_columns: dict[str, Any] = {}
    others = b""
    seen = set()
    for item in report.items:
        if item.type is None or not item.type.fields or not item.is_readable or item.id in seen:
            others += join_items((item,))
            continue
        seen.add(item.id)
        values = {field.column: field.read(item.raw) for field in item.type.fields}
        in_columns |= {column: value for column, value in values.items() if value is not None}
    others += report.remainder
    assert {column for column, present in found.present.items() if present[row]} == in_columns.keys()
    for column, value in in_columns.items():
        assert found.items[column][row] == found.items[column].dtype.type(value)
    assert (found.other_items[row] if found.other_items else None) == (others or None)


def test_columns_are_those_of_the_fleet() -> None:
    assert list(ITEM_COLUMNS.items()) == list(fleet.ITEM_COLUMNS.items())
    batch = fleet.PositionBatch.empty()
    nothing = np.empty(0, np.int64)
    found = decode_locations(b"", nothing, nothing)
    for name in ("time_us", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg", "alarm_flags",
                 "status_flags", "fix_hash"):  # fmt: skip
        assert getattr(found, name).dtype == getattr(batch, name).dtype, name


@walks
def test_vectors(few_rows: int) -> None:
    bodies = location_bodies()
    with mock.patch.object(columns, "_FEW_ROWS", few_rows):
        found = decode_locations(*placed(bodies))
    check(bodies, found)
    assert found.ok.sum() > 80
    assert {column for column, present in found.present.items() if present.any()} == set(ITEM_COLUMNS)


@walks
@settings(deadline=None)
@given(bodies=st.lists(random_bodies, max_size=20))
def test_any_bodies_read_as_declared(few_rows: int, bodies: list[bytes]) -> None:
    with mock.patch.object(columns, "_FEW_ROWS", few_rows):
        found = decode_locations(*placed(bodies))
    check(bodies, found)
    for column, values in found.items.items():
        assert values.dtype == ITEM_COLUMNS[column]
        assert len(values) == len(found.present[column]) == len(bodies)


@walks
@settings(deadline=None)
@given(bodies=st.lists(odd_bodies, max_size=16))
def test_odd_bodies_read_as_declared(few_rows: int, bodies: list[bytes]) -> None:
    """Times and degrees at and beyond their edges, all zeros, all FF, items of wrong lengths, repeated and cut."""
    with mock.patch.object(columns, "_FEW_ROWS", few_rows):
        found = decode_locations(*placed(bodies))
    check(bodies, found)


@settings(deadline=None)
@given(st.binary(max_size=300), st.data())
def test_bodies_may_overlap_and_come_as_memoryview(buffer: bytes, data: st.DataObject) -> None:
    spans = data.draw(st.lists(st.tuples(st.integers(0, len(buffer)), st.integers(0, len(buffer))).map(sorted)))
    begins = np.array([begin for begin, _ in spans], np.int64)
    lengths = np.array([end - begin for begin, end in spans], np.int64)
    check([buffer[begin:end] for begin, end in spans], decode_locations(memoryview(buffer), begins, lengths))


@pytest.mark.parametrize(
    "time",
    ["220229103957", "240229103957", "000229000000", "000101000000", "991231235959", "220431000000", "220000000000",
     "22072a103957", "000000000000", "220720240000"],
)  # fmt: skip
def test_times_at_the_edges(time: str) -> None:
    body = bytes(22) + bytes.fromhex(time)
    check([body], decode_locations(body, np.array([0]), np.array([28])))


def test_a_repeated_item_is_kept() -> None:
    body = bytes(22) + bytes.fromhex("220720103957" + "30011f" + "300120" + "e10101" + "3001")
    found = decode_locations(body, np.array([0]), np.array([len(body)]))
    assert found.items["signal_strength"].tolist() == [0x1F]
    assert found.other_items == [bytes.fromhex("300120" + "e10101" + "3001")]


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, 29), (28, 1), (3, -1)])
def test_bodies_outside_the_buffer_are_the_callers_fault(offset: int, length: int) -> None:
    with pytest.raises(UsageError):
        decode_locations(bytes(28), np.array([offset]), np.array([length]))


@pytest.mark.parametrize("found", whole_messages("0x0704"), ids=lambda found: found[0]["frame"][:40])
def test_bulk_vectors_split(found: Any) -> None:
    row, _, body = found
    kind, pieces = split_bulk(body)
    assert kind == row["derived"]["kind"]
    bodies = [body[offset : offset + length] for offset, length in pieces]
    assert len(bodies) == row["derived"]["count_declared"]
    offsets, lengths = (np.array(column) for column in zip(*pieces, strict=True))
    check(bodies, decode_locations(body, offsets, lengths))


@settings(deadline=None)
@given(st.binary(max_size=120) | st.lists(random_bodies).map(
    lambda bodies: b"\0\1\1" + b"".join(len(body).to_bytes(2, "big") + body for body in bodies)
))  # fmt: skip
def test_split_bulk_agrees_with_the_message(body: bytes) -> None:
    try:
        kind, pieces = split_bulk(body)
    except BodyError:
        with pytest.raises(BodyError):
            decode(0x0704, Edition.V2013, body)
        return
    message = decode(0x0704, Edition.V2013, body)
    assert isinstance(message, BulkLocationReport)
    assert message.kind == kind
    assert len(pieces) == len(message.items)
    for (offset, length), item in zip(pieces, message.items, strict=True):
        raw = body[offset : offset + length]
        assert len(raw) == length > 0
        if isinstance(item, UnreadItem):
            assert item.raw == raw
        else:
            with suppress(UsageError):
                assert decode(0x0200, Edition.V2013, raw) == item

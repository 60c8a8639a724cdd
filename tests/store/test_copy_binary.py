"""store.copy_binary: what is copied reads back equal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import ITEM_COLUMNS, PositionBatch
from store.copy_binary import POSITION_COLUMNS, Column, encode_array, encode_positions, encode_rows
from store.values import to_datetime
from tests.postgres import Servers
from tests.store.batches import make_batch, typical_batch

pytestmark = pytest.mark.postgres

OFFSET = 2**40
PLAIN = {
    "vehicle_id": "vehicle_id", "time": "time_us", "terminal_id": "terminal_id", "fix_hash": "fix_hash",
    "received_at": "received_us", "latitude_deg": "latitude_deg", "longitude_deg": "longitude_deg",
    "altitude_m": "altitude_m", "speed_kmh": "speed_kmh", "heading_deg": "heading_deg", "alarm_flags": "alarm_flags",
    "status_flags": "status_flags", "late": "late", "message_id": "message_id",
}  # fmt: skip
FIRST_US, LAST_US = 946_684_800_000_000, 4_102_444_800_000_000  # the years 2000 and 2100


@pytest.fixture(scope="module")
def connection(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a table like positions, not partitioned: the property test fills it with any time."""
    with servers.get("postgresql").fresh() as dsn, psycopg.connect(dsn) as connection:
        connection.execute("CREATE TEMP TABLE copied (LIKE positions)")
        yield connection
        connection.rollback()


def values_of(dtype: str) -> st.SearchStrategy[Any]:
    if dtype[0] == "f":
        return st.floats(width=32 if dtype == "f4" else 64)
    info = np.iinfo(dtype)
    return st.integers(int(info.min), int(info.max))


@st.composite
def batches(draw: st.DrawFn) -> PositionBatch:
    count = draw(st.integers(0, 6))

    def column(values: st.SearchStrategy[Any], dtype: str) -> Any:
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), dtype)

    empty = PositionBatch.empty()
    columns: dict[str, Any] = {}
    for name in PLAIN.values():
        dtype = getattr(empty, name).dtype.str[1:]
        if name in ("time_us", "received_us"):
            columns[name] = column(st.integers(FIRST_US, LAST_US), "i8")
        else:
            columns[name] = column(st.booleans(), "?") if name == "late" else column(values_of(dtype), dtype)
    items, present = {}, {}
    for name, dtype in ITEM_COLUMNS.items():
        if draw(st.booleans()):
            items[name] = column(values_of(dtype), dtype)
            if draw(st.booleans()):
                present[name] = column(st.booleans(), "?")
    other_items = draw(st.lists(st.none() | st.binary(max_size=40), min_size=count, max_size=count))
    return make_batch(
        count, items=items, present=present, other_items=other_items if draw(st.booleans()) else [], **columns
    )


def expected_rows(batch: PositionBatch) -> list[dict[str, Any]]:
    rows = []
    for i in range(len(batch)):
        row: dict[str, Any] = {name: getattr(batch, column)[i].item() for name, column in PLAIN.items()}
        row["time"], row["received_at"] = to_datetime(row["time"]), to_datetime(row["received_at"])
        row["journal_offset"] = OFFSET
        for name in ITEM_COLUMNS:
            is_there = name in batch.items and (name not in batch.present or batch.present[name][i])
            row[name] = batch.items[name][i].item() if is_there else None
        row["other_items"] = batch.other_items[i] if batch.other_items else None
        rows.append(row)
    return rows


def is_same(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


def copy(connection: psycopg.Connection[Any], batch: PositionBatch) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE copied")
        with cursor.copy(f"COPY copied ({', '.join(POSITION_COLUMNS)}) FROM STDIN (FORMAT BINARY)".encode()) as sink:
            sink.write(encode_positions(batch, OFFSET))
    with connection.cursor(binary=True) as cursor:  # text would round a real
        cursor.execute(f"SELECT {', '.join(POSITION_COLUMNS)} FROM copied ORDER BY ctid".encode())
        return [dict(zip(POSITION_COLUMNS, row, strict=True)) for row in cursor]


@settings(max_examples=60, deadline=None)
@given(batch=batches())
def test_what_is_copied_reads_back_equal(connection: psycopg.Connection[Any], batch: PositionBatch) -> None:
    found = copy(connection, batch)
    expected = expected_rows(batch)
    assert len(found) == len(expected)
    for found_row, expected_row in zip(found, expected, strict=True):
        assert found_row.keys() == expected_row.keys()
        different = [name for name in found_row if not is_same(found_row[name], expected_row[name])]
        assert different == []


def test_a_typical_batch_reads_back_equal(connection: psycopg.Connection[Any]) -> None:
    batch = typical_batch(500)
    assert copy(connection, batch) == expected_rows(batch)


def test_the_columns_are_the_tables_in_its_order(connection: psycopg.Connection[Any]) -> None:
    cursor = connection.execute("SELECT * FROM positions LIMIT 0")
    assert tuple(column.name for column in cursor.description or ()) == POSITION_COLUMNS


def test_values_that_would_be_cut_are_refused() -> None:
    with pytest.raises(TypeError, match="column 0: int64 does not fit"):
        encode_rows([Column(">i4", np.array([1], np.int64))], 1)


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="column 0 has 2 values for 1 rows"):
        encode_rows([Column(">i4", np.array([1, 2], np.int32))], 1)
    with pytest.raises(ValueError, match="other_items has 1 entries for 2 rows"):
        encode_positions(make_batch(2, other_items=[None]), 1)


def test_a_row_is_laid_out_as_the_documentation_says() -> None:
    columns = [Column(">i2", np.array([258], np.int16)), Column(">i4", None)]
    assert encode_rows(columns, 1, [b"ab"]) == bytes.fromhex("0003 00000002 0102 ffffffff 00000002 6162")


@pytest.mark.parametrize("present", [None, [True, False, True], [False, False, False]])
def test_an_array_parameter_reads_back_equal(connection: psycopg.Connection[Any], present: list[bool] | None) -> None:
    from store.arrays import Float8

    values = np.array([1.5, math.inf, -0.0])
    mask = None if present is None else np.array(present)
    row = connection.execute("SELECT %s", (Float8(values, mask),)).fetchone()
    expected = [value if present is None or present[i] else None for i, value in enumerate(values.tolist())]
    assert row == (expected,)


def test_an_empty_array_parameter(connection: psycopg.Connection[Any]) -> None:
    from store.arrays import Int4

    assert connection.execute("SELECT %s", (Int4(np.empty(0, np.int32)),)).fetchone() == ([],)
    assert encode_array(Column(">i4", np.empty(0, np.int32)), 23) == bytes.fromhex("00000000 00000000 00000017")

"""Columns of numpy to PostgreSQL's binary formats, without a Python step per row.

A row of COPY ... (FORMAT BINARY) is an int16 count and, for each field, an int32 length (-1 for NULL) and the value,
big end first. All rows are laid out at once as one numpy record array whose fields are exactly these; the bytes of a
NULL's value are then cut out by a mask. (PostgreSQL 17 documentation, COPY, "Binary Format".)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fleet import ITEM_COLUMNS, PositionBatch

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # flags 0, header extension of length 0
TRAILER: Final = b"\xff\xff"
NULL: Final = -1
EPOCH_2000_US: Final = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01 UTC; this is that moment counted from 1970."""

ROWS_AT_ONCE: Final = 2048
"""Rows laid out at once: 0.4-1.0 us a row; 8,000 at once leave the processor's cache and cost twice that."""

POSITION_COLUMNS: Final = (
    "vehicle_id", "time", "terminal_id", "fix_hash", "journal_offset", "received_at", "latitude_deg", "longitude_deg",
    "altitude_m", "speed_kmh", "heading_deg", "alarm_flags", "status_flags", "late", "message_id",
    *ITEM_COLUMNS, "other_items",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of N values.

    ``dtype`` is the wire's: ``>i2 >i4 >i8 >f4 >f8 ?``. ``values`` None: NULL in every row. ``present`` False: NULL in
    that row; None: no row is NULL.
    """

    dtype: str
    values: NDArray[Any] | None
    present: NDArray[np.bool_] | None = None


def encode_rows(columns: Sequence[Column], count: int, tail: Sequence[bytes | None] | None = None) -> bytes:
    """The rows, without signature and trailer.

    Args:    columns: in the order of the table's.
             count: N.
             tail: the values of one more column, a bytea; None when the table has no such column.
    Raises:  TypeError: values that do not fit ``dtype`` without loss.
             ValueError: a column of another length.
    """
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for number, column in enumerate(columns):
        fields.append((f"length{number}", ">i4"))
        if column.values is not None:
            fields.append((f"value{number}", column.dtype))
    has_tail = tail is not None and any(item is not None for item in tail)
    if tail is not None and not has_tail:
        fields.append(("tail", ">i4"))
    rows = np.empty(count, np.dtype(fields))
    rows["count"] = len(columns) + (tail is not None)
    if tail is not None and not has_tail:
        rows["tail"] = NULL

    keep: NDArray[np.bool_] | None = None
    for number, column in enumerate(columns):
        length = rows[f"length{number}"]
        if column.values is None:
            length[:] = NULL
            continue
        _check(column, count, number)
        rows[f"value{number}"] = column.values
        size = rows.dtype[f"value{number}"].itemsize
        if column.present is None or column.present.all():
            length[:] = size
            continue
        length[:] = np.where(column.present, size, NULL)
        if keep is None:
            keep = np.ones((count, rows.dtype.itemsize), np.bool_)
        offset = rows.dtype.fields[f"value{number}"][1]  # type: ignore[index]
        keep[:, offset : offset + size] = column.present[:, None]

    if keep is None:
        content = rows.tobytes()
        ends: NDArray[Any] = np.arange(1, count + 1) * rows.dtype.itemsize
    else:
        content = rows.view(np.uint8).reshape(count, -1)[keep].tobytes()
        ends = keep.sum(axis=1).cumsum()
    return _with_tail(content, ends.tolist(), tail) if tail is not None and has_tail else content


def encode_array(column: Column, element_oid: int) -> bytes:
    """A one-dimensional array as a binary parameter, NULLs included. Raises as ``encode_rows``."""
    assert column.values is not None
    count = len(column.values)
    if count == 0:
        return np.array([0, 0, element_oid], ">i4").tobytes()
    _check(column, count, 0)
    items = np.empty(count, np.dtype([("length", ">i4"), ("value", column.dtype)]))
    size = items.dtype["value"].itemsize
    items["length"], items["value"] = size, column.values
    head = np.array([1, column.present is not None, element_oid, count, 1], ">i4").tobytes()
    if column.present is None:
        return head + items.tobytes()
    items["length"][~column.present] = NULL
    keep = np.ones((count, 4 + size), np.bool_)
    keep[:, 4:] = column.present[:, None]
    return head + items.view(np.uint8).reshape(count, -1)[keep].tobytes()


def encode_positions(batch: PositionBatch, journal_offset: int) -> bytes:
    """A whole COPY of POSITION_COLUMNS: signature, a row per fix, trailer. Raises as ``encode_rows``."""
    if batch.other_items and len(batch.other_items) != len(batch):
        raise ValueError(f"other_items has {len(batch.other_items)} entries for {len(batch)} rows")
    pieces = [
        _encode_slice(batch, journal_offset, slice(begin, min(begin + ROWS_AT_ONCE, len(batch))))
        for begin in range(0, len(batch), ROWS_AT_ONCE)
    ]
    return b"".join((SIGNATURE, *pieces, TRAILER))


def _encode_slice(batch: PositionBatch, journal_offset: int, rows: slice) -> bytes:
    count = rows.stop - rows.start
    columns = [
        Column(">i4", batch.vehicle_id[rows]),
        Column(">i8", batch.time_us[rows] - EPOCH_2000_US),
        Column(">i4", batch.terminal_id[rows]),
        Column(">i8", batch.fix_hash[rows]),
        Column(">i8", np.full(count, journal_offset, np.int64)),
        Column(">i8", batch.received_us[rows] - EPOCH_2000_US),
        Column(">f8", batch.latitude_deg[rows]),
        Column(">f8", batch.longitude_deg[rows]),
        Column(">i4", batch.altitude_m[rows]),
        Column(">f4", batch.speed_kmh[rows]),
        Column(">i4", batch.heading_deg[rows]),
        Column(">i8", batch.alarm_flags[rows]),
        Column(">i8", batch.status_flags[rows]),
        Column("?", batch.late[rows]),
        Column(">i4", batch.message_id[rows]),
    ]
    for name, dtype in ITEM_COLUMNS.items():
        values, present = batch.items.get(name), batch.present.get(name)
        if values is None:
            columns.append(Column(f">{dtype}", None))
        else:
            columns.append(Column(f">{dtype}", values[rows], None if present is None else present[rows]))
    return encode_rows(columns, count, batch.other_items[rows] if batch.other_items else [None] * count)


def _check(column: Column, count: int, number: int) -> None:
    assert column.values is not None
    for values in (column.values, column.present):
        if values is not None and len(values) != count:
            raise ValueError(f"column {number} has {len(values)} values for {count} rows")
    if not np.can_cast(column.values.dtype, column.dtype, "safe"):
        raise TypeError(f"column {number}: {column.values.dtype} does not fit {column.dtype}")


def _with_tail(content: bytes, ends: list[int], tail: Sequence[bytes | None]) -> bytes:
    """The rows with the field of variable length behind each."""
    pieces: list[bytes] = []
    begin = 0
    for end, item in zip(ends, tail, strict=True):
        pieces.append(content[begin:end])
        if item is None:
            pieces.append(b"\xff\xff\xff\xff")
        else:
            pieces += (len(item).to_bytes(4, "big"), item)
        begin = end
    return b"".join(pieces)

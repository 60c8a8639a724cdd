"""Many location reports at once, as columns: the fast reading of :data:`jt808.messages.location.REPORT_LAYOUT`.

A property test holds the two equal on the shared vectors and on random bodies. ``bench/jt808.py`` measures both, and a
reading by struct and loop.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jt808.fix_hash import fix_hashes
from jt808.messages.additional_items import ITEM_TYPES, ItemField
from jt808.messages.location import BASIC_BYTES, split_bulk
from jt808.messages.location_flags import SOUTH_BIT, WEST_BIT

ITEM_COLUMNS: Final[dict[str, str]] = {row.column: row.dtype for item in ITEM_TYPES for row in item.fields}
"""Column of an additional item (附加信息项) -> numpy dtype, in the order of the item ids."""

REASONS: Final = ("short", "time", "latitude", "longitude")
"""Why a body is no fix: fewer than 28 bytes, BCD that is no time, degrees beyond 90 or 180."""


@dataclass(slots=True)
class LocationColumns:
    """N location reports; every array has length N.

    Where ``ok`` is False the report is no fix, ``errors[row]`` is one of :data:`REASONS`, and the row's other columns
    hold what could be read (0 where nothing could). Item columns are absent when no row has that item; the first item
    of an id counts. All that has no column (unknown ids, wrong lengths, repeated ids, a last item that runs past the
    end) stands verbatim in ``other_items``, in the order of the wire.
    """

    ok: NDArray[np.bool_]
    errors: dict[int, str]
    time_us: NDArray[np.int64]  # microseconds since 1970 UTC
    latitude_deg: NDArray[np.float64]  # signed WGS-84
    longitude_deg: NDArray[np.float64]
    altitude_m: NDArray[np.int32]
    speed_kmh: NDArray[np.float32]
    heading_deg: NDArray[np.int32]  # clockwise from north
    alarm_flags: NDArray[np.int64]  # 0..2**32-1
    status_flags: NDArray[np.int64]  # 0..2**32-1
    fix_hash: NDArray[np.int64]  # of the body: jt808.fix_hash
    items: dict[str, NDArray[Any]] = field(default_factory=dict)
    present: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    other_items: list[bytes | None] = field(default_factory=list)  # one entry a row, or empty when no row has any

    def __len__(self) -> int:
        return len(self.ok)


_BASIC: Final = np.dtype(
    [
        ("alarm", ">u4"),
        ("status", ">u4"),
        ("latitude", ">u4"),
        ("longitude", ">u4"),
        ("altitude", ">u2"),
        ("speed", ">u2"),
        ("heading", ">u2"),
        ("year_month", ">u2"),
        ("day_hour", ">u2"),
        ("minute_second", ">u2"),
    ]
)
"""The basic part (位置基本信息) as one numpy record; the time's BCD two digits pairs at a time."""

_BASIC_BLOCK: Final[np.dtype[Any]] = np.dtype((np.void, BASIC_BYTES))
"""The same without fields: gathered ten times as fast."""

_WIRE_TYPES: Final[dict[int, np.dtype[Any]]] = {1: np.dtype("u1"), 2: np.dtype(">u2"), 4: np.dtype(">u4")}

# Seconds by two bytes of BCD; far below any time where they are none. Day and hour count from the month's day 0.
_NO_TIME: Final = -(1 << 40)
_BCD: Final = np.array([hi * 10 + lo if hi < 10 and lo < 10 else 255 for hi in range(16) for lo in range(16)], np.int64)
_HIGH: Final = np.repeat(_BCD, 256)
_LOW: Final = np.tile(_BCD, 256)
_GMT8_S: Final = 8 * 3600
_MONTH_S: Final = np.full(65536, _NO_TIME, np.int64)
_LAST_DAY: Final = np.zeros(65536, np.uint8)  # in BCD, which is in the order of the days
for _year in range(100):
    for _month in range(1, 13):
        _index = int(f"{_year:02}{_month:02}", 16)
        _MONTH_S[_index] = (date(2000 + _year, _month, 1) - date(1970, 1, 2)).days * 86400 - _GMT8_S
        _LAST_DAY[_index] = int(str(monthrange(2000 + _year, _month)[1]), 16)
_DAY_S: Final = np.where((_HIGH >= 1) & (_HIGH <= 31) & (_LOW < 24), _HIGH * 86400 + _LOW * 3600, _NO_TIME)
_MINUTE_S: Final = np.where((_HIGH < 60) & (_LOW < 60), _HIGH * 60 + _LOW, _NO_TIME)

_TYPES: Final = [item for item in ITEM_TYPES if item.fields]
_TYPE_OF: Final = np.zeros(65536, np.uint8)  # by id << 8 | length: 1 + place in _TYPES; 0: no column
for _place, _item in enumerate(_TYPES, 1):
    for _length in _item.lengths:
        _TYPE_OF[_item.id << 8 | _length] = _place

_FEW_ROWS: Final = 12
"""Below this a loop over bytes is faster than a step of some ten numpy calls; and one body of 500 tiny items costs 500
turns of that loop, not 500 steps."""

Index = NDArray[np.int64]


def decode_locations(buffer: bytes | memoryview, offsets: Index, lengths: Index) -> LocationColumns:
    """Read N bodies of 0x0200.

    Args:    buffer: the bytes that hold the bodies; offsets, lengths: where each is in it. They may overlap.
    Raises:  UsageError: a body lies outside the buffer. What is wrong within a body is in ``errors``.
    """
    fix_hash = fix_hashes(buffer, offsets, lengths)
    columns = _basic(buffer, offsets, lengths, fix_hash)
    items = _walk(buffer, offsets + BASIC_BYTES, offsets + lengths)
    if len(items.rows):
        columns.other_items = _store(buffer, items, columns)
    return columns


def _basic(buffer: bytes | memoryview, offsets: Index, lengths: Index, fix_hash: NDArray[np.int64]) -> LocationColumns:
    is_whole = lengths >= BASIC_BYTES
    if is_whole.all():
        record = _gathered(buffer, _BASIC_BLOCK, offsets).view(_BASIC)
    else:
        record = np.zeros(len(offsets), _BASIC)
        record[is_whole] = _gathered(buffer, _BASIC_BLOCK, offsets[is_whole]).view(_BASIC)
    status = record["status"].astype(np.int64)
    latitude, longitude = record["latitude"].astype(np.int64), record["longitude"].astype(np.int64)
    time_us, is_time = _times(record)
    on_earth = (latitude <= 90_000_000) & (longitude <= 180_000_000)
    ok = is_whole & is_time & on_earth
    errors = {}
    for row in np.flatnonzero(~ok).tolist():
        faults = (not is_whole[row], not is_time[row], latitude[row] > 90_000_000)
        errors[row] = REASONS[faults.index(True) if True in faults else 3]
    return LocationColumns(
        ok=ok,
        errors=errors,
        time_us=time_us,
        latitude_deg=latitude * (1 - (status >> (SOUTH_BIT - 1) & 2)) / 1_000_000,
        longitude_deg=longitude * (1 - (status >> (WEST_BIT - 1) & 2)) / 1_000_000,
        altitude_m=record["altitude"].astype(np.int32),
        speed_kmh=(record["speed"] / 10).astype(np.float32),
        heading_deg=record["heading"].astype(np.int32),
        alarm_flags=record["alarm"].astype(np.int64),
        status_flags=status,
        fix_hash=fix_hash,
    )


def _gathered(buffer: bytes | memoryview, dtype: np.dtype[Any], at: Index) -> NDArray[Any]:
    """The values of ``dtype`` that begin at those bytes of the buffer."""
    if not len(at):
        return np.empty(0, dtype)
    return np.ndarray((len(buffer) - dtype.itemsize + 1,), dtype, buffer, strides=(1,))[at]


def _times(record: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """BCD[6] in GMT+8 -> (microseconds UTC or 0, whether it is a time)."""
    month, day = record["year_month"].astype(np.intp), record["day_hour"].astype(np.intp)
    seconds = _MONTH_S[month] + _DAY_S[day] + _MINUTE_S[record["minute_second"].astype(np.intp)]
    good = (seconds > _NO_TIME // 2) & (day >> 8 <= _LAST_DAY[month])
    return np.where(good, seconds * 1_000_000, 0), good


@dataclass(frozen=True, slots=True)
class _Items:
    """The additional items of all rows; those of one row in the order of the wire. Bytes behind a row's last whole item
    are one more, of length 0 and id 0, which no column has."""

    rows: Index
    begins: Index
    ends: Index
    heads: Index  # id << 8 | length


def _walk(buffer: bytes | memoryview, at: Index, end: Index) -> _Items:
    """Where the items are: one of each row in a step."""
    found: list[tuple[Index, Index, Index, Index]] = []
    rows = np.flatnonzero(at < end)
    if len(rows) < len(at):
        at, end = at[rows], end[rows]
    while len(rows) >= _FEW_ROWS:
        # Of the buffer's last byte the head before it is read; it goes beyond the end, as it should.
        head = _gathered(buffer, _WIRE_TYPES[2], np.minimum(at, len(buffer) - 2)).astype(np.int64)
        after = at + 2 + (head & 0xFF)
        is_cut = after > end
        if is_cut.any():
            head[is_cut] = 0
            after = np.minimum(after, end)
        found.append((rows, at, after, head))
        more = after < end
        if more.all():
            at = after
        else:
            rows, at, end = rows[more], after[more], end[more]
    if len(rows):
        found.append(_walk_rows(buffer, rows, at, end))
    if not found:
        return _Items(rows, rows, rows, rows)
    return _Items(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _walk_rows(buffer: bytes | memoryview, rows: Index, at: Index, end: Index) -> tuple[Index, Index, Index, Index]:
    """The same, one row after the other."""
    found: list[tuple[int, int, int, int]] = []
    for row, begin, stop in zip(rows.tolist(), at.tolist(), end.tolist(), strict=True):
        while begin < stop:
            after = begin + 2 + buffer[begin + 1] if begin + 2 <= stop else stop + 1
            if after > stop:
                found.append((row, begin, stop, 0))
                break
            found.append((row, begin, after, buffer[begin] << 8 | buffer[begin + 1]))
            begin = after
    columns = np.array(found, np.int64).T
    return columns[0], columns[1], columns[2], columns[3]


def _store(buffer: bytes | memoryview, items: _Items, columns: LocationColumns) -> list[bytes | None]:
    """Items to columns, a type at a time; gives what has none."""
    types = _TYPE_OF[items.heads]
    order = np.argsort(types, kind="stable")
    ends = np.cumsum(np.bincount(types, minlength=len(_TYPES) + 1)).tolist()
    others = [order[: ends[0]]]
    for item, begin, end in zip(_TYPES, ends[:-1], ends[1:], strict=True):
        if begin == end:
            continue
        chosen = order[begin:end]
        present = np.zeros(len(columns), np.bool_)
        present[items.rows[chosen]] = True
        if np.count_nonzero(present) < len(chosen):  # some row has it more than once
            _, firsts = np.unique(items.rows[chosen], return_index=True)
            others.append(np.delete(chosen, firsts))
            chosen = chosen[firsts]
        for part in item.fields:
            long = chosen
            if part.offset + part.size > min(item.lengths):
                long = chosen[items.heads[chosen] & 0xFF >= part.offset + part.size]
                present = np.zeros(len(columns), np.bool_)
                present[items.rows[long]] = True
                if not len(long):
                    continue
            number = _gathered(buffer, _WIRE_TYPES[part.size], items.begins[long] + (2 + part.offset))
            columns.present[part.column] = present
            columns.items[part.column] = np.zeros(len(columns), part.dtype)
            columns.items[part.column][items.rows[long]] = _values(part, number)
    return _kept(buffer, items, np.concatenate(others), len(columns))


def _values(part: ItemField, number: NDArray[Any]) -> NDArray[Any]:
    if part.is_temperature:
        wide = number.astype(np.int64)
        return np.where(wide < 0x8000, wide, np.where(wide >= 0xC000, wide - 0x10000, 0x8000 - wide))
    return number if part.divisor == 1 else number / part.divisor


def _kept(buffer: bytes | memoryview, items: _Items, others: Index, count: int) -> list[bytes | None]:
    """The bytes of items that have no column, by row. Neighbours are taken together, so that a row has few pieces."""
    if not len(others):
        return []
    others = others[np.lexsort((items.begins[others], items.rows[others]))]
    rows, begins, ends = items.rows[others], items.begins[others], items.ends[others]
    is_new = np.ones(len(others) + 1, np.bool_)
    is_new[1:-1] = (rows[1:] != rows[:-1]) | (begins[1:] != ends[:-1])
    spans = zip(rows[is_new[:-1]].tolist(), begins[is_new[:-1]].tolist(), ends[is_new[1:]].tolist(), strict=True)
    kept: list[bytes | None] = [None] * count
    for row, begin, end in spans:
        kept[row] = (kept[row] or b"") + buffer[begin:end]
    return kept


__all__ = ["ITEM_COLUMNS", "REASONS", "LocationColumns", "decode_locations", "split_bulk"]

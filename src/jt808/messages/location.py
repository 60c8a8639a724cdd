"""Location reports (位置信息汇报): alone, as an answer, and many at once (定位数据批量上传)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import SEEK_END
from typing import Annotated, Any, Final

from construct import (
    Byte,
    Check,
    Computed,
    Construct,
    ConstructError,
    GreedyBytes,
    Int16ub,
    Int32ub,
    Rebuild,
    Struct,
    ValidationError,
)

from jt808.errors import BodyError
from jt808.fields import BcdTime, Bits, Label, Tenths16, coordinate, decode_bcd_time
from jt808.header import Edition
from jt808.layouts import Record, note_part, read_within
from jt808.messages.additional_items import AdditionalItem, join_items, split_items
from jt808.messages.location_flags import SOUTH_BIT, WEST_BIT, alarm_names, status_names
from jt808.messages.registry import SINCE_2013, Direction, Message, register

BASIC_BYTES: Final = 28
"""Length of the basic part (位置基本信息); the additional items follow."""


@dataclass(frozen=True, slots=True)
class LocationReport(Message):
    """One location report (位置信息汇报).

    Signed WGS-84 degrees, metres above sea level (the wire has no sign), km/h, degrees clockwise from north, aware
    UTC. What the wire says is given as it is, also where it cannot be: ``time`` is None when the six bytes are no
    time, and ``fault`` says whether the report is a fix at all. The sign of the coordinates rules when encoding: the
    hemisphere bits of ``status_flags`` follow it.
    """

    alarm_flags: Annotated[int, Label("报警标志", bits=Bits("alarms", alarm_names))]
    status_flags: Annotated[int, Label("状态", bits=Bits("status", status_names))]
    latitude_deg: Annotated[float, Label("纬度", "°")]
    longitude_deg: Annotated[float, Label("经度", "°")]
    altitude_m: Annotated[int, Label("高程", "m")]
    speed_kmh: Annotated[float, Label("速度", "km/h")]
    heading_deg: Annotated[int, Label("方向", "°")]
    time: Annotated[datetime | None, Label("时间")]
    items: Annotated[tuple[AdditionalItem, ...], Label("附加信息项")] = ()
    remainder: Annotated[bytes, Label("剩余数据")] = b""  # behind the last whole item

    @property
    def fault(self) -> str | None:
        """Why this is no fix: "time", "latitude" (beyond 90), "longitude" (beyond 180); None when it is one."""
        if self.time is None:
            return "time"
        if abs(self.latitude_deg) > 90:
            return "latitude"
        if abs(self.longitude_deg) > 180:
            return "longitude"
        return None

    @property
    def oddities(self) -> list[str]:
        """What an explanation warns of."""
        odd = [f"{len(self.remainder)} bytes behind the items are no whole item"] if self.remainder else []
        odd += ["the time is none"] if self.time is None else []
        if self.altitude_m > 0x7FFF:
            odd.append(
                f"altitude_m is {self.altitude_m}; units that write it with a sign mean {self.altitude_m - 0x10000}"
            )
        odd += ["heading_deg is beyond 359"] if self.heading_deg > 359 else []
        odd += ["latitude_deg is beyond 90"] if abs(self.latitude_deg) > 90 else []
        return odd + (["longitude_deg is beyond 180"] if abs(self.longitude_deg) > 180 else [])

    def item(self, item_id: int) -> AdditionalItem | None:
        """The first additional item of that id."""
        return next((item for item in self.items if item.id == item_id), None)


@dataclass(frozen=True, slots=True)
class LocationQuery(Message):
    """Ask for the position now (位置信息查询); an empty body."""


@dataclass(frozen=True, slots=True)
class LocationQueryResponse(Message):
    """Answer to a position query (位置信息查询应答). 2011 names no serial number: None."""

    answered_serial_no: Annotated[int | None, Label("应答流水号")]
    location: Annotated[LocationReport, Label("位置信息汇报", is_inline=True)]


@dataclass(frozen=True, slots=True)
class UnreadItem(Message):
    """An item of a 0x0704 that is no location report: its bytes and why."""

    raw: Annotated[bytes, Label("数据")]
    reason: Annotated[str, Label("原因")]

    @property
    def faults(self) -> list[str]:
        """What an explanation calls an error."""
        return [f"{self.reason}: {len(self.raw)} bytes are no location report"]


@dataclass(frozen=True, slots=True)
class BulkLocationReport(Message):
    """Many location reports at once (定位数据批量上传).

    ``kind`` (位置数据类型): 0 a normal batch, 1 blind-area backfill (盲区补报).
    An item that cannot be read costs that item.
    """

    kind: Annotated[int, Label("位置数据类型", values={0: "normal batch", 1: "blind-area backfill"})]
    items: Annotated[tuple[LocationReport | UnreadItem, ...], Label("位置汇报数据项")]

    @property
    def is_backfill(self) -> bool:
        return self.kind == 1


def split_bulk(body: bytes | memoryview) -> tuple[int, list[tuple[int, int]]]:
    """Find the reports in a 0x0704.

    Returns: (kind, [(offset, length) of each 0x0200 body, from the first byte of ``body``]). The body is walked to its
             end whatever the count before it says. A last item that runs past the end is given as far as it goes, be
             it no further than its length, or half of that; empty items are left out.
    Raises:  BodyError: there is no item at all.
    """
    if len(body) < 3:
        raise BodyError(0x0704, len(body), "count and kind are missing")
    pieces = _bulk_pieces(body, 3)
    if not pieces:
        raise BodyError(0x0704, 3, "no items")
    return body[2], pieces


def _bulk_pieces(raw: bytes | memoryview, position: int) -> list[tuple[int, int]]:
    pieces = []
    end = len(raw)
    while position < end:
        if position + 2 > end:
            pieces.append((position, 1))
            break
        length = raw[position] << 8 | raw[position + 1]
        position += 2
        if present := min(length, end - position):
            pieces.append((position, present))
        elif length:
            pieces.append((position - 2, 2))
        position += length
    return pieces


def _with_hemispheres(context: Any) -> int:
    """The status word with the hemisphere bits that the coordinates' signs ask for; a coordinate of 0 keeps its bit."""
    flags: int = context.status_flags
    for degrees, bit in ((context.latitude_deg, SOUTH_BIT), (context.longitude_deg, WEST_BIT)):
        if degrees:
            flags = flags | 1 << bit if degrees < 0 else flags & ~(1 << bit)
    return flags


class _Items(Construct):  # type: ignore[misc]
    """Whole additional items to the end of the body; what is left over stays in the stream."""

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[AdditionalItem, ...]:
        at = stream.tell()
        items, remainder = split_items(stream.read())
        stream.seek(-len(remainder), SEEK_END)
        for item in items:
            length = 2 + len(item.raw)
            note_part(context, at, length, item)
            at += length
        return items

    def _build(self, obj: tuple[AdditionalItem, ...], stream: Any, context: Any, path: str) -> Any:
        stream.write(join_items(obj))
        return obj


_BASIC: Final = (
    "alarm_flags" / Int32ub,
    "status_flags" / Rebuild(Int32ub, _with_hemispheres),
    "latitude_deg" / coordinate(SOUTH_BIT),
    "longitude_deg" / coordinate(WEST_BIT),
    "altitude_m" / Int16ub,
    "speed_kmh" / Tenths16,
    "heading_deg" / Int16ub,
    "time" / BcdTime,
)

REPORT_LAYOUT: Final = Struct(*_BASIC, "items" / _Items(), "remainder" / GreedyBytes)
"""The definition of a location report's body; :mod:`jt808.columns` is the fast reading of it."""


REPORT: Final = Record(LocationReport, REPORT_LAYOUT)
"""A location report inside another body, to its end."""

BASIC_REPORT: Final = Record(
    LocationReport,
    Struct(Check(lambda context: not (context.get("items") or context.get("remainder"))), *_BASIC),
)
"""The basic part alone, 28 bytes; a report with items cannot be written here."""


class _BulkItems(Construct):  # type: ignore[misc]
    """WORD length and a report, repeated to the end of the body."""

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[LocationReport | UnreadItem, ...]:
        begin = stream.tell()
        raw = stream.read()
        pieces = _bulk_pieces(raw, 0)
        if not pieces:
            raise ValidationError("no items", path=path)
        return tuple(self._read(raw[at : at + length], context, begin + at) for at, length in pieces)

    @staticmethod
    def _read(raw: bytes, context: Any, begin: int) -> LocationReport | UnreadItem:
        try:
            report: LocationReport = read_within(REPORT, raw, context, begin)
        except ConstructError:
            unread = UnreadItem(raw, "short")
            note_part(context, begin, len(raw), unread)
            return unread
        return report

    def _build(self, obj: tuple[LocationReport | UnreadItem, ...], stream: Any, context: Any, path: str) -> Any:
        for item in obj:
            raw = item.raw if isinstance(item, UnreadItem) else REPORT.build(item)
            stream.write(Int16ub.build(len(raw)) + raw)
        return obj


def _query_response_edition(edition: Edition, body: bytes) -> Edition:
    """2011 prints no serial number in a 0x0201, and no header tells a unit that follows it: then the time shows where
    the report begins."""
    begins = {Edition.V2011: 22, edition if edition != Edition.V2011 else Edition.V2013: 24}
    order = sorted(begins, key=lambda candidate: candidate != edition)
    for candidate in order:
        if decode_bcd_time(body[begins[candidate] : begins[candidate] + 6]) is not None:
            return candidate
    return edition


_RESPONSE = Struct("answered_serial_no" / Int16ub, "location" / REPORT)

register(
    0x0200,
    LocationReport,
    REPORT_LAYOUT,
    name="location report",
    chinese="位置信息汇报",
    clause="JT/T 808-2013 §8.18, -2019 §8.21",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x8201,
    LocationQuery,
    Struct(),
    name="location query",
    chinese="位置信息查询",
    clause="JT/T 808-2013 §8.19, -2019 §8.22",
    direction=Direction.DOWNLINK,
    answer_id=0x0201,
)
register(
    0x0201,
    LocationQueryResponse,
    {
        Edition.V2011: Struct("answered_serial_no" / Computed(None), "location" / REPORT),
        Edition.V2013: _RESPONSE,
        Edition.V2019: _RESPONSE,
    },
    name="location query response",
    chinese="位置信息查询应答",
    clause="JT/T 808-2013 §8.20, -2019 §8.23",
    direction=Direction.UPLINK,
    answer_id=None,
    choose=_query_response_edition,
)
register(
    0x0704,
    BulkLocationReport,
    Struct("count" / Rebuild(Int16ub, lambda context: len(context["items"])), "kind" / Byte, "items" / _BulkItems()),
    name="bulk location report",
    chinese="定位数据批量上传",
    clause="JT/T 808-2013 §8.49, -2019 §8.48",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    editions=SINCE_2013,
)

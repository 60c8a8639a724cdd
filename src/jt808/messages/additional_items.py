"""The additional items (附加信息项) of a location report: one table for reading, writing, columns and explanations.

Source: JT/T 808-2011, -2013 and -2019, 0x0200, tables of additional items; 0x14 to 0x18 JT/T 1078-2016, tables 13 and
15; 0x64 to 0x67 T/JSATL 12-2017 §4.4. Items that the table does not read (makers' own, those of a wrong length) stay
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from construct import ConstructError

from jt808.errors import UsageError
from jt808.fields import Description
from jt808.layouts import Record
from jt808.messages.active_safety import ITEM_LAYOUTS, Alarm


@dataclass(frozen=True, slots=True)
class ItemField:
    """A number within an item's value.

    ``column`` is its name in :class:`jt808.columns.LocationColumns`, ``dtype`` the numpy type there; ``key`` its name
    in the decoded value where the item has several fields. The wire has an unsigned big-endian integer of ``size``
    bytes at ``offset``; ours is that divided by ``divisor``. An item may be too short to have the field.
    """

    key: str
    column: str
    dtype: str
    offset: int
    size: int
    divisor: int = 1
    is_temperature: bool = False
    values: Mapping[int, str] | None = None  # what the numbers mean

    def read(self, raw: bytes) -> int | float | None:
        """The field's value; None when the item ends before it."""
        if len(raw) < self.offset + self.size:
            return None
        number = int.from_bytes(raw[self.offset : self.offset + self.size], "big")
        if self.is_temperature:
            return temperature(number)
        return number if self.divisor == 1 else number / self.divisor

    def write(self, value: float) -> bytes:
        if self.is_temperature:
            if not -0x3FFF <= value <= 0x7FFF:
                raise OverflowError
            return (round(value) if value >= 0 else 0x8000 | round(-value)).to_bytes(2, "big")
        return round(value * self.divisor).to_bytes(self.size, "big")


def temperature(number: int) -> int:
    """Compartment temperature (车厢温度), °C, from the 16 bits of item 0x06.

    The standard prints sign and magnitude; units are seen that send two's complement. The smaller magnitude is meant:
    C000-FFFF would be beyond -16383 degrees in the first reading, 8000-BFFF beyond -16384 in the second.
    """
    if number < 0x8000:
        return number
    return number - 0x10000 if number >= 0xC000 else 0x8000 - number


@dataclass(frozen=True, slots=True)
class ItemType:
    """One row of the table. ``lengths`` are those that can be read; an empty tuple: any, and the value stays bytes."""

    id: int
    name: str
    chinese: str
    lengths: tuple[int, ...]
    fields: tuple[ItemField, ...] = ()
    unit: str = ""
    bits: Mapping[int, str] | None = None  # what the bits of the (first) field mean
    layouts: tuple[Record, ...] = ()  # forms of an item that is a record; the first that fits to the last byte is read


TYRES: Final = 30
"""What item 0x05 holds, a byte each; 0xFF where there is none. The standard prints Pa, which one byte cannot be, and
makers differ: the bytes are given without a unit."""

_VIDEO_BITS = {
    0: "signal_lost", 1: "signal_covered", 2: "storage_fault", 3: "other_fault", 4: "passenger_overload",
    5: "abnormal_driving", 6: "special_recording_full",
}  # fmt: skip
_DRIVING_BITS = {0: "fatigue", 1: "phone", 2: "smoking"}
_SIGNAL_BITS = {
    0: "low_beam", 1: "high_beam", 2: "right_turn", 3: "left_turn", 4: "brake", 5: "reverse", 6: "fog_lamp",
    7: "position_lamp", 8: "horn", 9: "air_conditioning", 10: "neutral", 11: "retarder", 12: "abs", 13: "heater",
    14: "clutch",
}  # fmt: skip


_PLACES = {1: "circle", 2: "rectangle", 3: "polygon"}
_CHANNEL_BITS = {bit: f"channel_{bit + 1}" for bit in range(32)}
_STORAGE_BITS = {bit: f"main_{bit + 1}" for bit in range(12)} | {bit: f"disaster_{bit - 11}" for bit in range(12, 16)}


def _one(column: str, dtype: str, size: int, divisor: int = 1) -> tuple[ItemField, ...]:
    return (ItemField("", column, dtype, 0, size, divisor),)


ITEM_TYPES: Final[tuple[ItemType, ...]] = (
    ItemType(0x01, "mileage", "里程", (4,), _one("mileage_km", "f8", 4, 10), "km"),
    ItemType(0x02, "fuel", "油量", (2,), _one("fuel_l", "f4", 2, 10), "L"),
    ItemType(
        0x03, "recorder speed", "行驶记录功能获取的速度", (2,), _one("recorder_speed_kmh", "f4", 2, 10), "km/h"
    ),
    ItemType(0x04, "alarm event to confirm", "需要人工确认报警事件的ID", (2,), _one("alarm_event_id", "i4", 2)),
    ItemType(0x05, "tyre pressures", "胎压", (TYRES,)),
    ItemType(
        0x06,
        "compartment temperature",
        "车厢温度",
        (2,),
        (ItemField("", "temperature_c", "i4", 0, 2, is_temperature=True),),
        "°C",
    ),
    ItemType(
        0x11,
        "overspeed alarm",
        "超速报警附加信息",
        (1, 5),
        (
            ItemField("area_type", "overspeed_area_type", "i2", 0, 1, values=_PLACES | {0: "none", 4: "segment"}),
            ItemField("area_id", "overspeed_area_id", "i8", 1, 4),
        ),
    ),
    ItemType(
        0x12,
        "area or route alarm",
        "进出区域/路线报警附加信息",
        (6,),
        (
            ItemField("area_type", "area_alarm_type", "i2", 0, 1, values=_PLACES | {4: "route"}),
            ItemField("area_id", "area_alarm_area_id", "i8", 1, 4),
            ItemField("is_exit", "area_alarm_is_exit", "i2", 5, 1, values={0: "in", 1: "out"}),
        ),
    ),
    ItemType(
        0x13,
        "segment time alarm",
        "路段行驶时间不足/过长报警附加信息",
        (7,),
        (
            ItemField("segment_id", "segment_id", "i8", 0, 4),
            ItemField("time_s", "segment_time_s", "i4", 4, 2),
            ItemField("is_too_long", "segment_is_too_long", "i2", 6, 1, values={0: "too short", 1: "too long"}),
        ),
    ),
    ItemType(0x14, "video alarms", "视频相关报警", (4,), _one("video_alarm_flags", "i8", 4), bits=_VIDEO_BITS),
    ItemType(
        0x15,
        "video signal lost",
        "视频信号丢失报警状态",
        (4,),
        _one("video_lost_channels", "i8", 4),
        bits=_CHANNEL_BITS,
    ),
    ItemType(
        0x16,
        "video signal covered",
        "视频信号遮挡报警状态",
        (4,),
        _one("video_covered_channels", "i8", 4),
        bits=_CHANNEL_BITS,
    ),
    ItemType(
        0x17, "storage fault", "存储器故障报警状态", (2,), _one("video_storage_faults", "i4", 2), bits=_STORAGE_BITS
    ),
    ItemType(
        0x18,
        "abnormal driving",
        "异常驾驶行为报警详细描述",
        (2, 3),  # table 13 says 2, table 15 defines 3; both are seen
        (
            ItemField("flags", "abnormal_driving_flags", "i4", 0, 2),
            ItemField("fatigue_degree", "fatigue_degree", "i2", 2, 1),  # 0 to 100
        ),
        bits=_DRIVING_BITS,
    ),
    ItemType(0x25, "vehicle signals", "扩展车辆信号状态位", (4,), _one("vehicle_signals", "i8", 4), bits=_SIGNAL_BITS),
    ItemType(
        0x2A, "io status", "IO状态位", (2,), _one("io_status", "i4", 2), bits={0: "deep_sleep", 1: "sleep"}
    ),
    ItemType(
        0x2B,
        "analog",
        "模拟量",
        (4,),
        (ItemField("ad0", "analog_0", "i4", 2, 2), ItemField("ad1", "analog_1", "i4", 0, 2)),
    ),
    ItemType(0x30, "signal strength", "无线通信网络信号强度", (1,), _one("signal_strength", "i2", 1)),
    ItemType(0x31, "satellites", "GNSS定位卫星数", (1,), _one("satellites", "i2", 1)),
    ItemType(0x64, "adas alarm", "高级驾驶辅助系统报警信息", (), layouts=ITEM_LAYOUTS[0x64]),
    ItemType(0x65, "dsm alarm", "驾驶员状态监测系统报警信息", (), layouts=ITEM_LAYOUTS[0x65]),
    ItemType(0x66, "tpms alarm", "胎压监测系统报警信息", (), layouts=ITEM_LAYOUTS[0x66]),
    ItemType(0x67, "bsd alarm", "盲区监测系统报警信息", (), layouts=ITEM_LAYOUTS[0x67]),
    ItemType(0xE0, "own information length", "后续自定义信息长度", ()),
)  # fmt: skip
"""Every standard item, by id."""

BY_ID: Final[dict[int, ItemType]] = {row.id: row for row in ITEM_TYPES}

Decoded = int | float | dict[str, int | float] | tuple[int | None, ...] | Alarm | None


@dataclass(frozen=True, slots=True)
class AdditionalItem:
    """One item as it was on the wire; what it means is computed from the table.

    ``value`` is a number (units in the table), a dict for an item of several fields, a tuple for the tyres (None: no
    such wheel), and None when the item is not in the table or its length is not the standard's.
    """

    id: int
    raw: bytes

    @property
    def type(self) -> ItemType | None:
        return BY_ID.get(self.id)

    @property
    def name(self) -> str:
        row = BY_ID.get(self.id)
        return row.name if row else "unknown"

    @property
    def is_readable(self) -> bool:
        """Whether ``value`` is more than None."""
        row = BY_ID.get(self.id)
        return row is not None and (len(self.raw) in row.lengths or (bool(row.layouts) and self.value is not None))

    @property
    def value(self) -> Decoded:
        row = BY_ID.get(self.id)
        if row is None or len(self.raw) not in row.lengths:
            return None if row is None else _read_record(row.layouts, self.raw)
        if self.id == 0x05:
            return tuple(None if wheel == 0xFF else wheel for wheel in self.raw)
        if len(row.fields) == 1:
            return row.fields[0].read(self.raw)
        pairs = ((field.key, field.read(self.raw)) for field in row.fields)
        return {key: value for key, value in pairs if value is not None}

    @property
    def flags(self) -> list[str] | None:
        """Names of the bits that are set, for items that are flags."""
        row = BY_ID.get(self.id)
        if row is None or row.bits is None or not self.is_readable:
            return None
        number = int(row.fields[0].read(self.raw) or 0)
        return [row.bits.get(bit, f"bit_{bit}") for bit in range(32) if number >> bit & 1]

    @property
    def described(self) -> Description:
        """For explanations."""
        row = BY_ID.get(self.id)
        warning = ""
        if row and row.lengths and not self.is_readable:
            expected = " or ".join(map(str, row.lengths))
            warning = f"item 0x{self.id:02X} has {len(self.raw)} bytes instead of {expected}"
        elif row and row.layouts and not self.is_readable:
            warning = f"item 0x{self.id:02X} of {len(self.raw)} bytes has none of the known forms"
        elif self.id == 0x02 and self.raw[:1] >= b"\x80" and self.is_readable:
            warning = "fuel: bit 15 is set; units that do so mean something else by the 15 bits below"
        return Description(
            id=f"0x{self.id:02X}",
            name=self.name,
            chinese=row.chinese if row else "未知",
            value=self.value,
            unit=row.unit if row else "",
            raw=self.raw,
            flags=self.flags,
            warning=warning,
            layouts=row.layouts if row else (),
            shown=self._shown,
        )

    @property
    def _shown(self) -> str:
        """The values of several fields with their meanings; "" for other items."""
        row, value = BY_ID.get(self.id), self.value
        if row is None or not isinstance(value, dict):
            return ""
        words = []
        for field in row.fields:
            if field.key in value:
                number = value[field.key]
                meaning = (field.values or {}).get(int(number), "")
                words.append(f"{field.key}={number} {meaning}".rstrip())
        return "  ".join(words)

    @classmethod
    def of(cls, item_id: int, value: Any) -> AdditionalItem:
        """An item to send, from its value in our units (a dict for items of several fields).

        Raises:  UsageError: the table cannot write this item, or the value does not fit.
        """
        row = BY_ID.get(item_id)
        try:
            if row is not None and row.layouts:
                return cls(item_id, _write_record(row.layouts, value))
            if row is None or not row.lengths:
                raise KeyError
            if item_id == 0x05:
                wheels = bytes(0xFF if wheel is None else wheel for wheel in value)
                if len(wheels) > TYRES:
                    raise ValueError
                return cls(item_id, wheels.ljust(TYRES, b"\xff"))
            if len(row.fields) == 1:
                return cls(item_id, row.fields[0].write(value))
            raw = bytearray(max(row.lengths))
            end = 0
            for field in row.fields:
                if field.key in value:
                    end = max(end, field.offset + field.size)
                    raw[field.offset : field.offset + field.size] = field.write(value[field.key])
            if end not in row.lengths:
                raise KeyError
            return cls(item_id, bytes(raw[:end]))
        except (KeyError, TypeError, ValueError, OverflowError, ConstructError) as error:
            raise UsageError(f"item 0x{item_id:02X} cannot hold {value!r}") from error


def _read_record(layouts: tuple[Record, ...], raw: bytes) -> Alarm | None:
    for layout in layouts:
        stream = BytesIO(raw)
        try:
            record: Alarm = layout.parse_stream(stream)
        except ConstructError:
            continue
        if stream.tell() == len(raw):
            return record
    return None


def _write_record(layouts: tuple[Record, ...], record: Any) -> bytes:
    """Raises:  ConstructError: no form holds it; the error is that of the first."""
    first: ConstructError | None = None
    for layout in layouts:
        try:
            raw: bytes = layout.build(record)
        except ConstructError as error:
            first = first or error
        else:
            return raw
    raise first or KeyError


def split_items(raw: bytes) -> tuple[tuple[AdditionalItem, ...], bytes]:
    """Walk the items: (whole items in order, what is left when one runs past the end)."""
    items = []
    position, end = 0, len(raw)
    while position + 2 <= end:
        following = position + 2 + raw[position + 1]
        if following > end:
            break
        items.append(AdditionalItem(raw[position], raw[position + 2 : following]))
        position = following
    return tuple(items), raw[position:]


def join_items(items: tuple[AdditionalItem, ...], remainder: bytes = b"") -> bytes:
    """Undo :func:`split_items`. Raises:  UsageError: an item longer than 255 bytes."""
    parts = []
    for item in items:
        if not 0 <= item.id <= 0xFF or len(item.raw) > 0xFF:
            raise UsageError(f"item 0x{item.id:02X} of {len(item.raw)} bytes")
        parts.append(bytes((item.id, len(item.raw))) + item.raw)
    return b"".join(parts) + remainder

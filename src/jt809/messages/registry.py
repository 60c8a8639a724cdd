"""The table of messages: one row per body, read by decoding, encoding, logs, the simulator and the docs alike.

A body is a frozen dataclass; its layout is a construct whose field names are the dataclass's. Business messages stand
in an envelope that names the sub-type (子业务类型, DATA_TYPE) and, for most, the vehicle; the envelope's plate and
colour are the first two fields of such a dataclass.

Source: JT/T 809-2011 and 809-2019, envelopes and business types; the supplement of 2013 for 0x1201.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Any, Final

from construct import ConstructError, SizeofError, Struct, Terminated

from jt809.errors import BodyError, UsageError
from jt809.fields import gbk_string
from jt809.header import Edition


class Direction(StrEnum):
    UP = "up"  # subordinate (下级平台) -> superior
    DOWN = "down"  # superior (上级平台) -> subordinate


class Envelope(Enum):
    """What stands between header and data; the value is its length in bytes."""

    NONE = 0
    SHORT = 6  # DATA_TYPE u16, DATA_LENGTH u32
    VEHICLE = 28  # VEHICLE_NO s21, VEHICLE_COLOR u8, DATA_TYPE u16, DATA_LENGTH u32


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded body. Subclasses are registered; what has no row becomes an UnknownMessage."""


@dataclass(frozen=True, slots=True)
class VehicleMessage(Message):
    """A body about one vehicle. ``plate`` (车牌号) at most 21 bytes of GBK, ``plate_color`` (车牌颜色) 0..255."""

    plate: str
    plate_color: int


@dataclass(frozen=True, slots=True)
class UnknownMessage(Message):
    """A message without a row, verbatim. ``sub_id`` is None where the message has none or is too short for one."""

    message_id: int
    sub_id: int | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One row.

    ``size`` is the data's length in bytes where it is fixed, else None. ``reply`` is the message id that answers it,
    None when nothing does.
    """

    message_id: int
    sub_id: int | None
    editions: tuple[Edition, ...]
    direction: Direction
    body: type[Message]
    layout: Any
    size: int | None
    name: str
    chinese: str
    source: str
    reply: int | None


_VEHICLE_ENVELOPE: Final = struct.Struct(">21sBHI")
_SHORT_ENVELOPE: Final = struct.Struct(">HI")
_PLATE: Final = gbk_string(21)

_VEHICLE_FAMILIES: Final = frozenset(
    base | family << 8 for base in (0x1000, 0x9000) for family in (0x2, 0x5, 0x6, 0x7, 0x8, 0x9, 0xA, 0xB)
)

entries: Final[list[Entry]] = []
_by_id: Final[dict[tuple[int, int | None, Edition], list[Entry]]] = {}
_by_body: Final[dict[type[Message], list[Entry]]] = {}

BOTH: Final = (Edition.V2011, Edition.V2019)


def register(
    message_id: int,
    sub_id: int | None,
    direction: Direction,
    body: type[Message],
    layout: dict[str, Any],
    *,
    name: str,
    chinese: str,
    editions: tuple[Edition, ...] = BOTH,
    source: str = "JT/T 809-2011",
    reply: int | None = None,
) -> None:
    """Add a row. Two rows may share ids and edition when their layouts have fixed, different lengths (dialects)."""
    pieces = [field_name / piece for field_name, piece in layout.items()]
    try:
        size = Struct(*pieces).sizeof()
    except SizeofError:
        size = None
    entry = Entry(
        message_id,
        sub_id,
        editions,
        direction,
        body,
        Struct(*pieces, Terminated),
        size,
        name,
        chinese,
        source,
        reply,
    )
    entries.append(entry)
    _by_body.setdefault(body, []).append(entry)
    for edition in editions:
        _by_id.setdefault((message_id, sub_id, edition), []).append(entry)


def envelope_of(message_id: int, edition: Edition) -> Envelope:
    """Which envelope the bodies of a business type (业务类型) have."""
    if message_id in _VEHICLE_FAMILIES:
        return Envelope.VEHICLE
    if message_id in (0x1400, 0x9400):
        return Envelope.VEHICLE if edition is Edition.V2011 else Envelope.SHORT
    if message_id in (0x1300, 0x9300):
        return Envelope.SHORT
    return Envelope.NONE


def sub_id_of(message_id: int, edition: Edition, body: bytes) -> int | None:
    """DATA_TYPE of a plain body, without reading the rest; None where there is none or the body is too short."""
    envelope = envelope_of(message_id, edition)
    if envelope is Envelope.NONE or len(body) < envelope.value:
        return None
    return int.from_bytes(body[envelope.value - 6 : envelope.value - 4], "big")


def decode_body(message_id: int, edition: Edition, body: bytes) -> Message:
    """Read a plain body.

    Returns: the registered dataclass, or an UnknownMessage with the body verbatim.
    Raises: BodyError: the body does not fit the layout of its id.
    """
    sub_id = sub_id_of(message_id, edition, body)
    rows = _by_id.get((message_id, sub_id, edition))
    if rows is None:
        return UnknownMessage(message_id, sub_id, bytes(body))
    facts: dict[str, Any] = {}
    if issubclass(rows[0].body, VehicleMessage):
        plate, facts["plate_color"], _, length = _VEHICLE_ENVELOPE.unpack_from(body)
        data = body[_VEHICLE_ENVELOPE.size :]
        if length != len(data):
            raise BodyError(message_id, sub_id, f"DATA_LENGTH says {length}, {len(data)} bytes follow")
        facts["plate"] = _run(message_id, sub_id, _PLATE.parse, plate)
    else:
        data = body
    entry = rows[0]
    if len(rows) > 1:
        entry = next((row for row in rows if row.size == len(data)), rows[0])
    parsed = _run(message_id, sub_id, entry.layout.parse, data)
    facts.update((f.name, getattr(parsed, f.name)) for f in fields(entry.body) if f.name not in facts)
    return entry.body(**{name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()})


def encode_body(message: Message, edition: Edition) -> tuple[int, bytes]:
    """Write a body.

    Returns: the message id for the header, and the plain body with its envelope.
    Raises: UsageError: no layout of that edition, or a value that does not fit its field.
    """
    if isinstance(message, UnknownMessage):
        return message.message_id, message.body
    entry = next((row for row in _by_body.get(type(message), ()) if edition in row.editions), None)
    if entry is None:
        raise UsageError(f"{type(message).__name__} has no layout in JT/T 809-{edition}")
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    try:
        data: bytes = entry.layout.build(values)
        if isinstance(message, VehicleMessage):
            assert entry.sub_id is not None
            plate = _PLATE.build(message.plate)
            data = _VEHICLE_ENVELOPE.pack(plate, message.plate_color, entry.sub_id, len(data)) + data
    except (ConstructError, struct.error) as error:
        raise UsageError(f"{entry.name}: {error}") from error
    return entry.message_id, data


def vehicle_field(plate: str, plate_color: int) -> bytes:
    """VEHICLE_NO and VEHICLE_COLOR, 22 bytes: the part of an envelope that stays the same for a vehicle.

    Raises: UsageError: the plate is not GBK or longer than 21 bytes, or the colour is outside 0..255.
    """
    try:
        return bytes((*_PLATE.build(plate), plate_color))
    except (ConstructError, ValueError) as error:
        raise UsageError(f"plate {plate!r}, colour {plate_color}: {error}") from error


def vehicle_envelope(field: bytes, sub_id: int, data: bytes) -> bytes:
    """A body from ``vehicle_field``, DATA_TYPE and data that is bytes already: the fast road beside ``encode_body``."""
    return field + _SHORT_ENVELOPE.pack(sub_id, len(data)) + data


def _run(message_id: int, sub_id: int | None, parse: Any, data: bytes) -> Any:
    try:
        return parse(data)
    except ConstructError as error:
        detail = str(error).replace("\n", " ")
        raise BodyError(message_id, sub_id, f"{detail} ({len(data)} bytes)") from error

"""Pieces that message layouts share: times, texts, scaled numbers, and the labels of the bodies' fields.

Source: JT/T 808-2013 and -2019, data types (clause not checked): BCD, STRING in GBK; times are GMT+8. 2011 ends each
STRING with 00 (its table 1): that is read, and texts are written as the later editions have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any, Final, get_type_hints

from construct import (
    Adapter,
    Byte,
    Bytes,
    Construct,
    ConstructError,
    GreedyBytes,
    Int16ub,
    Int32ub,
    ValidationError,
    stream_read,
)

from jt808.header import Edition

_GMT8: Final = timedelta(hours=8)
CHINA_TIME: Final = timezone(_GMT8, "GMT+8")
"""The clock of the wire: every time field is GMT+8."""

_FROM_BCD: Final = [high * 10 + low if high < 10 and low < 10 else 255 for high in range(16) for low in range(16)]

NOT_A_CHARACTER: Final = "\ufffd"
"""Stands in decoded text where the wire had bytes that are no GBK, or a 00 in the middle."""


Meanings = Mapping[int, str] | type[IntEnum]
"""What the values of a field mean: an IntEnum, or a dict of words where numbers are left free for makers."""


@dataclass(frozen=True, slots=True)
class Bits:
    """What the bits of a field mean. ``names`` gives (English, Chinese) of each that is set, by edition; ``key`` is
    the name of their list beside the field in an explanation as JSON."""

    key: str
    names: Callable[[int, Edition], list[tuple[str, str]]]


def bits(key: str, table: Mapping[int, tuple[str, str]], width: int = 32) -> Bits:
    """Bits that mean the same in each edition; one that is not in the table reads ``bit_N``."""

    def names(flags: int, edition: Edition) -> list[tuple[str, str]]:
        return [table.get(bit, (f"bit_{bit}", "保留")) for bit in range(width) if flags >> bit & 1]

    return Bits(key, names)


@dataclass(frozen=True, slots=True)
class Label:
    """How a field of a body is shown: ``Annotated[int, Label("纬度", "°")]``. ``is_inline``: the fields of the record
    in it are shown as the body's own. ``within``: a record that reads the field's bytes where they have its form; its
    fields are shown under them, in JSON as ``<name>_fields``."""

    chinese: str
    unit: str = ""
    values: Meanings | None = None
    bits: Bits | None = None
    is_inline: bool = False
    within: Construct | None = None

    def meaning(self, value: Any) -> str:
        """The name of a value; "" when it has none."""
        if self.values is None or not isinstance(value, int):
            return ""
        if isinstance(self.values, Mapping):
            return self.values.get(value, "")
        return self.values(value).name if value in set(self.values) else ""


@dataclass(frozen=True, slots=True)
class Description:
    """What an entry of a table (an additional item, a parameter) says of itself in an explanation.

    ``value`` is a number, text, dict, tuple or dataclass; None: it could not be read. ``flags``: names of set bits, or
    ``bits``, which give them for an edition. ``layouts``: those of which one reads ``raw``, the entry's last bytes,
    where the value is a dataclass. ``shown``: the value for people, where that is more than the value.
    """

    id: str
    name: str
    chinese: str
    value: Any
    unit: str
    raw: bytes
    flags: list[str] | None = None
    warning: str = ""
    layouts: tuple[Construct, ...] = ()
    bits: Bits | None = None
    shown: str = ""


def labels(body: type) -> dict[str, Label]:
    """The labels of a dataclass's fields, in their order."""
    found = _labels.get(body)
    if found is None:
        hints = get_type_hints(body, include_extras=True)
        found = _labels[body] = {field.name: hints[field.name].__metadata__[0] for field in fields(body)}
    return found


_labels: Final[dict[type, dict[str, Label]]] = {}


def decode_bcd_time(raw: bytes) -> datetime | None:
    """BCD[6] YYMMDDhhmmss in GMT+8 -> aware UTC; None when the six bytes are no time (terminals without a fix send
    zeros). The years are 2000 to 2099."""
    try:
        year, month, day, hour, minute, second = [_FROM_BCD[byte] for byte in raw]
        if year > 99:
            return None
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC) - _GMT8
    except ValueError:
        return None


def encode_bcd_time(time: datetime | None) -> bytes:
    """Aware datetime -> BCD[6] in GMT+8, whole seconds; None gives six zeros.

    Raises:  ValueError: the time is naive, or not within the years 2000 to 2099 of GMT+8.
    """
    if time is None:
        return bytes(6)
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    try:
        local = time.astimezone(CHINA_TIME)
    except OverflowError as error:
        raise ValueError(f"{time} is out of range") from error
    if not 2000 <= local.year <= 2099:
        raise ValueError(f"{time} is not within the years 2000 to 2099")
    parts = (local.year - 2000, local.month, local.day, local.hour, local.minute, local.second)
    return bytes([part // 10 << 4 | part % 10 for part in parts])


def decode_text(raw: bytes) -> str:
    """GBK text (read as gb18030, its superset), without the 00s behind it (2011 ends a STRING with one; terminals pad
    plates with them). What is no text reads U+FFFD, never an error: a bad character costs that character.

    Terminals are seen that send UTF-8 instead; :func:`is_utf8` tells.
    """
    raw = raw.rstrip(b"\0")
    encoding = "utf-8" if is_utf8(raw) else "gb18030"
    return raw.decode(encoding, "replace").replace("\0", NOT_A_CHARACTER)


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are Chinese text in UTF-8, which deviates from the standard's GBK.

    Most bytes that are UTF-8 are GBK as well. They are taken for UTF-8 when all of them read as Chinese. Of random
    pairs of GBK's 21,000 characters one in 260 does so, of the 6,763 of GB 2312 none; three in a row, one in 20,000.
    """
    if raw.isascii():
        return False
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return _CHINESE.fullmatch(text) is not None and _IDEOGRAPH.search(text) is not None


_CHINESE: Final = re.compile(
    r"[\x00-\x7f\u00b7\u2010-\u203b\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffee]*"
)
_IDEOGRAPH: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def encode_text(text: str) -> bytes:
    """Text -> GBK (gb18030). Raises:  ValueError: a lone surrogate, which is no character."""
    return text.encode("gb18030")


class _Text(Adapter):  # type: ignore[misc]
    """GBK text over bytes."""

    def _decode(self, obj: bytes, context: Any, path: str) -> str:
        return decode_text(obj)

    def _encode(self, obj: str, context: Any, path: str) -> bytes:
        try:
            return encode_text(obj)
        except ValueError as error:
            raise ValidationError(str(error), path=path) from error


class SizedText(Construct):  # type: ignore[misc]
    """A length of so many bytes, then that much text. Written out, not put together of construct's parts: lists of
    texts are what takes longest to read."""

    def __init__(self, length_bytes: int) -> None:
        super().__init__()
        self.length_bytes = length_bytes

    def _parse(self, stream: Any, context: Any, path: str) -> str:
        length = int.from_bytes(stream_read(stream, self.length_bytes, path), "big")
        return decode_text(stream_read(stream, length, path))

    def _build(self, obj: str, stream: Any, context: Any, path: str) -> Any:
        try:
            raw = encode_text(obj)
            stream.write(len(raw).to_bytes(self.length_bytes, "big") + raw)
        except (ValueError, OverflowError, AttributeError) as error:
            raise ValidationError(f"{obj!r}: {error}", path=path) from error
        return obj


class _Padded(_Text):
    """Text in a field of fixed length. 2011 pads with spaces, 2013 with 00 behind, 2019 prints 00 in front while
    units pad behind: both are taken off on both sides; written padded behind with 00."""

    def __init__(self, length: int) -> None:
        super().__init__(Bytes(length))
        self.length = length

    def _decode(self, obj: bytes, context: Any, path: str) -> str:
        return decode_text(obj.strip(b"\0 "))

    def _encode(self, obj: str, context: Any, path: str) -> bytes:
        raw: bytes = super()._encode(obj, context, path)
        if len(raw) > self.length:
            raise ValidationError(f"{obj!r} is longer than {self.length} bytes", path=path)
        return raw.ljust(self.length, b"\0")


class _BcdTime(Adapter):  # type: ignore[misc]
    def _decode(self, obj: bytes, context: Any, path: str) -> datetime | None:
        return decode_bcd_time(obj)

    def _encode(self, obj: datetime | None, context: Any, path: str) -> bytes:
        try:
            return encode_bcd_time(obj)
        except ValueError as error:
            raise ValidationError(str(error), path=path) from error


class _BcdTimeUtc(Adapter):  # type: ignore[misc]
    """The same digits, meant as UTC."""

    def _decode(self, obj: bytes, context: Any, path: str) -> datetime | None:
        time = decode_bcd_time(obj)
        return time and time.astimezone(CHINA_TIME).replace(tzinfo=UTC)

    def _encode(self, obj: datetime | None, context: Any, path: str) -> bytes:
        try:
            if obj is not None and obj.tzinfo is not None:
                obj = obj.astimezone(UTC).replace(tzinfo=CHINA_TIME)
            return encode_bcd_time(obj)
        except ValueError as error:
            raise ValidationError(str(error), path=path) from error


class _Digits(Adapter):  # type: ignore[misc]
    """BCD digits as text; hex digits that are none are kept, in lower case."""

    def _decode(self, obj: bytes, context: Any, path: str) -> str:
        return obj.hex()

    def _encode(self, obj: str, context: Any, path: str) -> bytes:
        try:
            return bytes.fromhex(obj)
        except ValueError as error:
            raise ValidationError(f"{obj!r} is no digits", path=path) from error


class _Tenths(Adapter):  # type: ignore[misc]
    """Integer of 0.1 units <-> float; 623 reads 62.3 exactly."""

    def _decode(self, obj: int, context: Any, path: str) -> float:
        return obj / 10

    def _encode(self, obj: float, context: Any, path: str) -> int:
        return round(obj * 10)


class _Coordinate(Adapter):  # type: ignore[misc]
    """Absolute degrees x 10^6 whose sign is a bit of ``status_flags``, a field before it <-> signed degrees."""

    def __init__(self, negative_bit: int) -> None:
        super().__init__(Int32ub)
        self.mask = 1 << negative_bit

    def _decode(self, obj: int, context: Any, path: str) -> float:
        return (-obj if context.status_flags & self.mask else obj) / 1_000_000

    def _encode(self, obj: float, context: Any, path: str) -> int:
        return round(abs(obj) * 1_000_000)


Text: Final[Construct] = _Text(GreedyBytes)
"""Text to the end of the body."""

TextByteLength: Final[Construct] = SizedText(1)
"""A length byte, then that much text."""

TextWordLength: Final[Construct] = SizedText(2)
"""A length of two bytes, then that much text."""

BcdTime: Final[Construct] = _BcdTime(Bytes(6))
"""Aware UTC datetime, or None for six bytes that are no time."""

BcdTimeUtc: Final[Construct] = _BcdTimeUtc(Bytes(6))
"""The one time on the wire that is UTC, in 0x8004."""

Tenths8: Final[Construct] = _Tenths(Byte)
"""BYTE in units of 0.1."""

Tenths16: Final[Construct] = _Tenths(Int16ub)
"""WORD in units of 0.1."""


Tenths32: Final[Construct] = _Tenths(Int32ub)
"""DWORD in units of 0.1."""


def digits(length: int) -> Construct:
    """BCD[length] as a text of twice as many digits."""
    return _Digits(Bytes(length))


def padded_text(length: int) -> Construct:
    """Text in a field of ``length`` bytes."""
    return _Padded(length)


def coordinate(negative_bit: int) -> Construct:
    """Signed degrees; ``negative_bit`` is the bit of ``status_flags`` that says south or west."""
    return _Coordinate(negative_bit)


__all__ = [
    "CHINA_TIME",
    "NOT_A_CHARACTER",
    "BcdTime",
    "BcdTimeUtc",
    "Bits",
    "ConstructError",
    "Description",
    "Label",
    "Meanings",
    "Tenths8",
    "Tenths16",
    "Tenths32",
    "Text",
    "TextByteLength",
    "TextWordLength",
    "bits",
    "coordinate",
    "decode_bcd_time",
    "decode_text",
    "digits",
    "encode_bcd_time",
    "encode_text",
    "is_utf8",
    "labels",
    "padded_text",
]

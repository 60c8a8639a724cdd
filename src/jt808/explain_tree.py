"""Draws the rows of an explanation as an aligned table."""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

MAX_HEX_BYTES: Final = 16
"""Longer values show their beginning and their length."""


class Row(NamedTuple):
    """One line: where, which bytes, what it is called, what it says."""

    offset: int | None
    raw: bytes
    name: str
    chinese: str
    value: str
    unit: str = ""
    depth: int = 0


def draw(title: str, rows: list[Row], errors: list[str], warnings: list[str]) -> str:
    """The table under its title, errors and warnings behind it."""
    table = [("offset", "bytes", "field", "value")]
    for row in rows:
        where = "" if row.offset is None else str(row.offset)
        label = "  " * row.depth + f"{row.name} {row.chinese}".rstrip()
        table.append((where, _hex(row.raw), label, f"{_printable(row.value)} {row.unit}".strip()))
    lines = [title]
    if rows:
        widths = [max(_width(line[column]) for line in table) for column in range(3)]
        for where, raw, label, value in table:
            line = f"{where:>{widths[0]}}  {_pad(raw, widths[1])}  {_pad(label, widths[2])}  {value}"
            lines.append(line.rstrip())
    lines += [f"error: {_printable(error)}" for error in errors]
    lines += [f"warning: {_printable(warning)}" for warning in warnings]
    return "\n".join(lines)


def _hex(raw: bytes) -> str:
    if len(raw) <= MAX_HEX_BYTES:
        return raw.hex()
    return f"{raw[:MAX_HEX_BYTES].hex()}… ({len(raw)} bytes)"


def _printable(text: str) -> str:
    """A terminal's text may hold anything; control characters would act on the reader's screen."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _width(text: str) -> int:
    """Columns on a screen: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))

"""What a layout is in the words of the standard: BYTE, WORD, DWORD, BCD[n], STRING; for the reference pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from construct import (
    Adapter,
    Bytes,
    Computed,
    Const,
    Construct,
    Default,
    FormatField,
    GreedyBytes,
    IfThenElse,
    Prefixed,
    Rebuild,
    Renamed,
    Subconstruct,
)

from jt808 import fields
from jt808.layouts import Counted, IfMore, Nothing, Record, Repeated, Window
from jt808.messages.shapes import When

_INTEGERS: Final = {1: "BYTE", 2: "WORD", 4: "DWORD", 8: "8 bytes"}


def bare(layout: Construct) -> Construct:
    """Without the name that stands around it."""
    while isinstance(layout, Renamed):
        layout = layout.subcon
    return layout


def wire_type(layout: Construct) -> str:
    """The type of a field; "" for what takes no bytes. A record is named, its own fields stand elsewhere."""
    layout = bare(layout)
    for kind, words in _WORDS:
        if isinstance(layout, kind):
            return words(layout)
    if layout is GreedyBytes:
        return "bytes to the end"
    if isinstance(layout, Adapter):
        return f"{wire_type(layout.subcon)}: {_first_sentence(layout)}"
    return _first_sentence(layout)


def records_of(layout: Construct) -> list[Record]:
    """The records that a layout has, however deep, outermost first."""
    layout = bare(layout)
    found = [layout] if isinstance(layout, Record) else []
    inner = [getattr(layout, name, None) for name in ("layout", "item", "subcon", "thensubcon", "elsesubcon")]
    for part in [*inner, *getattr(layout, "subcons", ()), *getattr(layout, "layouts", {}).values()]:
        if isinstance(part, Construct):
            found += records_of(part)
    return found


def _text(layout: Any) -> str:
    inner = layout.subcon
    return "STRING to the end" if inner is GreedyBytes else f"STRING in {wire_type(inner)}"


def _either(layout: Any) -> str:
    words = [word for word in (wire_type(layout.thensubcon), wire_type(layout.elsesubcon)) if word]
    return " or ".join(words) + (", or nothing" if len(words) == 1 else "")


def _integer(layout: Any) -> str:
    return ("signed " if layout.fmtstr[1:].islower() else "") + _INTEGERS[layout.length]


_WORDS: Final[list[tuple[type, Callable[[Any], str]]]] = [
    (FormatField, _integer),
    (fields._Padded, lambda layout: f"STRING[{layout.length}]"),
    (fields.SizedText, lambda layout: f"{_INTEGERS[layout.length_bytes]} length, STRING"),
    (fields._Text, _text),
    (fields._BcdTime, lambda layout: "BCD[6]"),
    (fields._Tenths, lambda layout: f"{wire_type(layout.subcon)}, × 0.1"),
    (fields._Coordinate, lambda layout: "DWORD, × 10⁻⁶"),
    (Record, lambda layout: f"[{layout.body.__name__}](#{layout.body.__name__})"),
    (Counted, lambda layout: f"{wire_type(layout.count)} count, then each: {wire_type(layout.item)}"),
    (Repeated, lambda layout: f"to the end, each: {wire_type(layout.item)}"),
    (IfMore, lambda layout: f"{wire_type(layout.subcon)}; may be left out"),
    (Window, lambda layout: f"{wire_type(layout.length)} length, {wire_type(layout.subcon)}"),
    (Bytes, lambda layout: f"BYTE[{layout.length}]" if isinstance(layout.length, int) else "bytes"),
    (Prefixed, lambda layout: f"{wire_type(layout.lengthfield)} length, bytes"),
    (Computed, lambda layout: ""),
    (Nothing, lambda layout: ""),
    (When, lambda layout: f"{wire_type(layout.subcon)}, where the fields before ask for it"),
    (Const, lambda layout: f"constant {layout.value!r}"),
    (IfThenElse, _either),
    (Default, lambda layout: wire_type(layout.subcon)),
    (Rebuild, lambda layout: wire_type(layout.subcon)),
]


def _first_sentence(layout: Construct) -> str:
    """Layouts of a message's own say in their docstring what they read."""
    if isinstance(layout, Subconstruct) and not isinstance(layout, Adapter):
        return wire_type(layout.subcon)
    text = " ".join((type(layout).__doc__ or type(layout).__name__).split())
    return text.partition(". ")[0].partition("; ")[0].rstrip(".")

"""The table of parameters, as forms need it: what kind of value, in which unit and range, what numbers mean.

Ranges and meanings are the standard's (JT/T 808-2013 and 2019, 0x8103, table of parameters); where it gives none, the
width on the wire bounds the value.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, get_type_hints

from construct import Byte, Int16ub, Int32ub
from fastapi import APIRouter

from api.deps import Viewer
from api.paging import Page
from api.parameters.schemas import ParameterType
from fleet import PLATE_COLORS
from jt808.fields import Label, Tenths16, Tenths32, Text
from jt808.header import Edition
from jt808.layouts import Record
from jt808.messages import parameter_values
from jt808.messages.parameter_table import ParameterType as Row
from jt808.messages.parameter_table import parameter_types

router = APIRouter(prefix="/parameter-types", tags=["commands"])

_RANGES: Final[dict[int, tuple[float, float]]] = {
    0x0022: (1, 0xFFFFFFFF), 0x0027: (1, 0xFFFFFFFF), 0x0028: (1, 0xFFFFFFFF), 0x0029: (1, 0xFFFFFFFF),
    0x002C: (1, 0xFFFFFFFF), 0x002D: (1, 0xFFFFFFFF), 0x002E: (1, 0xFFFFFFFF), 0x002F: (1, 0xFFFFFFFF),
    0x0030: (0, 179), 0x005C: (1, 0xFFFF), 0x0070: (1, 10), 0x0071: (0, 255), 0x0072: (0, 127), 0x0073: (0, 127),
    0x0074: (0, 255),
}  # fmt: skip
_CHOICES: Final[dict[int, dict[int, tuple[str, str]]]] = {
    0x0020: {0: ("定时汇报", "by time"), 1: ("定距汇报", "by distance"), 2: ("定时和定距汇报", "both")},
    0x0021: {0: ("根据ACC状态", "by ACC"), 1: ("根据登录状态和ACC状态", "by login, then ACC")},
    0x0045: {0: ("自动接听", "automatic"), 1: ("ACC ON时自动接听，OFF时手动接听", "automatic when ACC is on")},
    0x0084: {code: (chinese, english) for code, (english, chinese) in PLATE_COLORS.items()},
    0x0091: {0: ("4800", "4800"), 1: ("9600", "9600"), 2: ("19200", "19200"), 3: ("38400", "38400"),
             4: ("57600", "57600"), 5: ("115200", "115200")},
    0x0092: {0: ("500 ms", "500 ms"), 1: ("1000 ms", "1000 ms"), 2: ("2000 ms", "2000 ms"), 3: ("3000 ms", "3000 ms"),
             4: ("4000 ms", "4000 ms")},
    0x0094: {0: ("本地存储，不上传", "kept, not sent"), 1: ("按时间间隔上传", "by time"),
             2: ("按距离间隔上传", "by distance"), 0x0B: ("按累计时间上传", "by accumulated time"),
             0x0C: ("按累计距离上传", "by accumulated distance"), 0x0D: ("按累计条数上传", "by count")},
}  # fmt: skip
_WIDTHS: Final[tuple[tuple[Any, float], ...]] = (
    (Byte, 0xFF), (Int16ub, 0xFFFF), (Int32ub, 0xFFFFFFFF), (Tenths16, 0xFFFF / 10), (Tenths32, 0xFFFFFFFF / 10),
)  # fmt: skip
_SCALARS: Final = {int: "integer", float: "decimal", bool: "boolean"}
_BITS: Final = 32


@router.get("", response_model=Page[ParameterType])
async def list_parameter_types(actor: Viewer) -> Any:
    """All rows of the table, by id."""
    return {"items": _catalogue(), "next": None}


@cache
def _catalogue() -> list[dict[str, Any]]:
    return [_described(row) for row in parameter_types()]


def _described(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": row.id, "chinese": row.chinese, "english": row.name, "unit": row.unit}
    width = next((most for layout, most in _WIDTHS if row.layout is layout), None)
    if row.layout is Text:
        return shown | {"type": "text"}
    if width is not None and row.bits is not None:
        return shown | {"type": "flags", "minimum": 0, "maximum": width, "flags": _flags(row)}
    if width is not None:
        is_decimal = row.layout in (Tenths16, Tenths32)
        least, most = _RANGES.get(row.id, (0, width))
        choices = [_choice(value, *names) for value, names in _CHOICES.get(row.id, {}).items()]
        return shown | {"type": "decimal" if is_decimal else "integer", "minimum": least, "maximum": most,
                        "choices": choices or None}  # fmt: skip
    parts = _parts(row)
    return shown | ({"type": "record", "fields": parts} if parts else {"type": "opaque"})


def _flags(row: Row) -> list[dict[str, Any]]:
    """The bits that mean something, by the latest edition."""
    assert row.bits is not None
    named = ((bit, row.bits.names(1 << bit, Edition.V2019)) for bit in range(_BITS))
    return [_choice(bit, names[0][1], names[0][0]) for bit, names in named if names and names[0][1] != "保留"]


def _choice(value: int, chinese: str, english: str) -> dict[str, Any]:
    return {"value": value, "chinese": chinese, "english": english.replace("_", " ")}


def _parts(row: Row) -> list[dict[str, Any]]:
    """The fields of a flat record; none for one that has records or lists in it."""
    body = row.layout.body if isinstance(row.layout, Record) else None
    if row.layout is parameter_values.PHOTO_CONTROL:
        body = parameter_values.PhotoControl
    if body is None or not is_dataclass(body):
        return []
    hints = get_type_hints(body, include_extras=True)
    parts = []
    for field in fields(body):
        hint = hints[field.name]
        kind = _SCALARS.get(hint.__origin__)
        if kind is None:
            return []
        label: Label = hint.__metadata__[0]
        parts.append({"name": field.name, "chinese": label.chinese, "unit": label.unit, "type": kind})
    return parts

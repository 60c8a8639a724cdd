"""A vehicle list as CSV: bytes to checked rows, with every fault named by line and column. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from api.fields import Name, Phone, Plate
from api.vehicles.schemas import SpeedLimit, VehicleType, Vin
from fleet import PLATE_COLORS

MAX_ROWS: Final = 50_000
MAX_ERRORS: Final = 1000

HEADERS: Final = {
    "plate": "plate", "车牌号": "plate", "车牌号码": "plate", "车牌": "plate",
    "plate_color": "plate_color", "车牌颜色": "plate_color",
    "phone": "phone", "终端手机号": "phone", "sim卡号": "phone", "终端号": "phone",
    "organization": "organization", "所属企业": "organization", "企业名称": "organization",
    "vehicle_type": "vehicle_type", "车辆类型": "vehicle_type",
    "vin": "vin", "车架号": "vin",
    "speed_limit_kmh": "speed_limit_kmh", "限速": "speed_limit_kmh",
}  # fmt: skip
"""Column heading, lower case without blanks -> field."""

KNOWN_COLUMNS: Final = (
    "plate 车牌号, plate_color 车牌颜色 (code or name), phone 终端手机号, organization 所属企业,"
    " vehicle_type 车辆类型, vin, speed_limit_kmh 限速"
)

_COLORS: Final = (
    {str(code): code for code in PLATE_COLORS}
    | {english: code for code, (english, _) in PLATE_COLORS.items()}
    | {chinese: code for code, (_, chinese) in PLATE_COLORS.items()}
    | {chinese.removesuffix("色"): code for code, (_, chinese) in PLATE_COLORS.items()}
    | {chinese.removesuffix("色") + "牌": code for code, (_, chinese) in PLATE_COLORS.items()}
)


def _color(text: str) -> int:
    if text.lower() not in _COLORS:
        known = ", ".join(f"{code} {chinese}" for code, (_, chinese) in PLATE_COLORS.items())
        raise ValueError(f"is no plate colour; there are {known}")
    return _COLORS[text.lower()]


def _validator(kind: Any) -> Callable[[str], Any]:
    return TypeAdapter(kind).validate_python


_READ: Final[dict[str, Callable[[str], Any]]] = {
    "plate": _validator(Plate),
    "plate_color": _color,
    "phone": _validator(Phone),
    "organization": _validator(Name),
    "vehicle_type": _validator(VehicleType),
    "vin": _validator(Vin),
    "speed_limit_kmh": _validator(SpeedLimit),
}


@dataclass(frozen=True, slots=True)
class SheetError:
    """One fault. ``line`` is 1-based, the heading being line 1; ``column`` is the heading as it stands in the file."""

    line: int
    column: str
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row; ``values`` holds the fields that are filled in."""

    line: int
    values: dict[str, Any]


@dataclass(slots=True)
class Sheet:
    """What the file says; when ``errors`` is not empty, ``rows`` is not to be used."""

    rows: list[Row] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)  # field -> heading in the file
    errors: list[SheetError] = field(default_factory=list)

    def fault(self, line: int, name: str, value: object, message: str) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(SheetError(line, self.columns.get(name, name), str(value)[:100], message))


def parse(content: bytes) -> Sheet:
    """Read a vehicle list: UTF-8 or GB18030; comma, semicolon or tab; English or Chinese headings."""
    sheet = Sheet()
    text = _decode(content, sheet)
    if text is None:
        return sheet
    if "\0" in text:
        sheet.fault(text[: text.index("\0")].count("\n") + 1, "", "", "holds a zero byte: is this a text file?")
        return sheet
    lines = _rows(text, sheet)
    heading = next(lines, None)
    if heading is None:
        if not sheet.errors:
            sheet.fault(1, "", "", "the file is empty")
        return sheet
    fields = _read_heading(heading[1], heading[0], sheet)
    if sheet.errors:
        return sheet
    _read_rows(lines, fields, sheet)
    if not sheet.rows and not sheet.errors:
        sheet.fault(heading[0] + 1, "", "", "the file has a heading but no vehicle")
    _check_twins(sheet)
    sheet.errors.sort(key=lambda error: error.line)
    return sheet


def _decode(content: bytes, sheet: Sheet) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        sheet.fault(1, "", "", "is UTF-16; save it as CSV UTF-8")
        return None
    if content.startswith(b"PK\x03\x04"):
        sheet.fault(1, "", "", "is a spreadsheet (xlsx), not CSV; save it as CSV UTF-8")
        return None
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            place = error.start
    line = content[:place].count(b"\n") + 1
    sheet.fault(line, "", content[place : place + 4].hex(), f"byte {place + 1} is neither UTF-8 nor GB18030")
    return None


def _rows(text: str, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every line that is not blank."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        sheet.fault(line, "", "", f"is not CSV: {error}")


def _read_heading(cells: list[str], line: int, sheet: Sheet) -> list[str]:
    fields = []
    for cell in cells:
        name = HEADERS.get("".join(cell.lower().split()), "")
        if not cell:
            sheet.fault(line, cell, cell, "a column without a heading")
        elif not name:
            sheet.fault(line, cell, cell, f"is no column of a vehicle list; there are {KNOWN_COLUMNS}")
        elif name in sheet.columns:
            sheet.fault(line, cell, cell, f"the column stands twice: {sheet.columns[name]} and {cell}")
        else:
            sheet.columns[name] = cell
        fields.append(name)
    for name, chinese in (("plate", "车牌号"), ("plate_color", "车牌颜色")):
        if name not in sheet.columns:
            sheet.fault(line, name, "", f"the column {name} ({chinese}) is missing")
    return fields


def _read_rows(lines: Iterator[tuple[int, list[str]]], fields: list[str], sheet: Sheet) -> None:
    for line, cells in lines:
        if len(sheet.rows) >= MAX_ROWS:
            sheet.fault(line, "", "", f"more than {MAX_ROWS} vehicles; cut the file in parts")
            return
        if len(cells) > len(fields) and any(cells[len(fields) :]):
            sheet.fault(line, "", cells[len(fields)], f"{len(cells)} cells under {len(fields)} headings")
        values = {}
        for name, cell in zip(fields, cells, strict=False):
            if not cell:
                continue
            try:
                values[name] = _READ[name](cell)
            except ValidationError as error:
                sheet.fault(line, name, cell, error.errors()[0]["msg"].removeprefix("Value error, "))
            except ValueError as error:
                sheet.fault(line, name, cell, str(error))
        filled = {name for name, cell in zip(fields, cells, strict=False) if cell}
        for name in ("plate", "plate_color"):
            if name not in filled:
                sheet.fault(line, name, "", "must not be empty")
        sheet.rows.append(Row(line, values))


def _check_twins(sheet: Sheet) -> None:
    """A vehicle or a terminal that stands twice in one file is a mistake, whichever row was meant."""
    plates: dict[tuple[str, int], int] = {}
    phones: dict[str, int] = {}
    for row in sheet.rows:
        values = row.values
        if "plate" in values and "plate_color" in values:
            first = plates.setdefault((values["plate"], values["plate_color"]), row.line)
            if first != row.line:
                sheet.fault(row.line, "plate", values["plate"], f"stands in line {first} already")
        if "phone" in values:
            first = phones.setdefault(values["phone"], row.line)
            if first != row.line:
                sheet.fault(row.line, "phone", values["phone"], f"stands in line {first} already")

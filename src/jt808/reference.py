"""Reference pages of every message, from the registry: ``python -m jt808.reference docs/protocol``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from construct import Struct

from jt808.fields import Bits, Label, labels
from jt808.header import Edition
from jt808.layouts import Record
from jt808.messages.additional_items import ITEM_TYPES, ItemType
from jt808.messages.deviations import KINDS
from jt808.messages.parameter_table import parameter_types
from jt808.messages.registry import UNCHECKED, MessageType, dialects, message_type, message_types
from jt808.messages.without_layout import WITHOUT_LAYOUT
from jt808.wire_types import records_of, wire_type

_MADE: Final = "<!-- made by `make protocol-docs`; a test compares -->"
_ITEMS_PAGE: Final = "additional-items.md"
_PARAMETERS_PAGE: Final = "parameter-table.md"


def pages() -> dict[str, str]:
    """File name -> its text, the whole folder."""
    rows = sorted(message_types(), key=_page)
    families = {name: sorted(family, key=lambda row: row.message_id) for name, family in groupby(rows, _page)}
    made = {name: _family_page(family) for name, family in families.items()}
    made["README.md"] = _index()
    made[_ITEMS_PAGE] = _items_page()
    made[_PARAMETERS_PAGE] = _parameters_page()
    return {name: _clean(text) for name, text in made.items()}


def _page(row: MessageType) -> str:
    return row.body.__module__.rpartition(".")[2].replace("_", "-") + ".md"


def _clean(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


# ---- the index


def _index() -> str:
    lines = [
        "# Messages of JT/T 808 (2011, 2013, 2019), JT/T 1078-2016 and T/JSATL 12-2017",
        _MADE,
        "Everything `jt808` reads and writes. Fields and types stand on the pages of the families; the items of a "
        f"location report in [additional-items.md]({_ITEMS_PAGE}), the parameters in "
        f"[parameter-table.md]({_PARAMETERS_PAGE}). ↑ terminal to platform, ↓ platform to terminal.",
        "Layouts come from a reference of the standards that rarely names clauses: a clause with ? was not checked "
        "against the standard's text.",
    ]
    table = _table(
        ["id", "", "message", "消息", "editions", "answer", "clause"],
        [
            [f"[0x{row.message_id:04X}]({_link(row)})", _arrow(row), row.name, row.chinese, _editions(row.editions),
             _answer(row), row.clause.replace(f" ({UNCHECKED})", " ?")]
            for row in message_types()
        ],
    )  # fmt: skip
    return "\n\n".join([*lines, table, *_stay_bytes(), *_deviations()])


def _stay_bytes() -> Iterator[str]:
    yield "## What stays bytes"
    yield (
        "These ids have no layout here; `decode_body` gives an `UnknownMessage` with the bytes, as of any other id. "
        "So do, within messages, makers' own items and parameters, the data in the blocks of a "
        "[tachograph](tachograph.md) (GB/T 19056), an [electronic waybill](waybill.md), media, and a body that is "
        "encrypted while there is no key (`jt808.encryption`)."
    )
    yield _table(
        ["id", "", "message", "消息", "why"],
        [
            [
                f"0x{row.first:04X}" + (f"–0x{row.last:04X}" if row.last > row.first else ""),
                {"uplink": "↑", "downlink": "↓", None: ""}[row.direction],
                row.name,
                row.chinese,
                row.why,
            ]
            for row in WITHOUT_LAYOUT
        ],
    )


def _deviations() -> Iterator[str]:
    yield "## What is read though no edition says it"
    yield (
        "The standard's layout comes first, each of these when it does not fit. `jt808.messages.deviations_of` names "
        "what a body has: " + "; ".join(f"`{kind}`, {words}" for kind, words in KINDS.items()) + "."
    )
    rows = [
        [f"[0x{row.message_id:04X}]({_link(row)})", dialect.deviation]
        for row in message_types()
        for dialect in dialects(row.message_id)
    ]
    yield _table(["message", "form"], rows)


def _link(row: MessageType) -> str:
    return f"{_page(row)}#0x{row.message_id:04x}"


def _arrow(row: MessageType) -> str:
    return "↑" if row.direction == "uplink" else "↓"


def _editions(editions: tuple[Edition, ...]) -> str:
    return "all" if len(editions) == len(Edition) else ", ".join(editions)


def _answer(row: MessageType) -> str:
    return "none" if row.answer_id is None else f"0x{row.answer_id:04X}"


# ---- a family


def _family_page(rows: list[MessageType]) -> str:
    module = sys.modules[rows[0].body.__module__]
    title, _, rest = _prose(module.__doc__).partition("\n\n")
    parts = [f"# {title.rstrip('.')}", _MADE, rest]
    for row in rows:
        parts += _message(row)
    forms: list[tuple[str, Record]] = []
    for row in rows:
        for edition in row.editions:
            forms += [(str(edition), record) for record in records_of(row.layouts[edition])]
        for dialect in dialects(row.message_id):
            forms += [("other forms", record) for record in records_of(dialect.layout)]
        forms += [("", label.within) for label in labels(row.body).values() if isinstance(label.within, Record)]
    parts += _records(forms)
    return "\n\n".join(parts)


def _message(row: MessageType) -> Iterator[str]:
    yield f'<a id="0x{row.message_id:04x}"></a>\n\n## 0x{row.message_id:04X} {row.name} {row.chinese}'
    answered = message_type(row.answer_id) if row.answer_id is not None else None
    answer = "answered by nothing of its own" if answered is None else f"answered by {_named(answered)}"
    direction = "Terminal to platform" if row.direction == "uplink" else "Platform to terminal"
    yield f"{direction}; editions: {_editions(row.editions)}; {answer}. {row.clause}."
    yield _prose(row.body.__doc__)
    by_layout = groupby(row.editions, key=lambda edition: id(row.layouts[edition]))
    forms = [tuple(editions) for _, editions in by_layout]
    for editions in forms:
        if len(forms) > 1:
            yield f"In {', '.join(editions)}:"
        yield _fields(row.body, row.layouts[editions[0]])
    for dialect in dialects(row.message_id):
        yield f"Read as well: {dialect.deviation}."


def _named(row: MessageType) -> str:
    return f"[0x{row.message_id:04X}]({_link(row)}) {row.name}"


def _records(forms: list[tuple[str, Record]]) -> Iterator[str]:
    """Every dataclass inside bodies once, with each of its forms; ``forms`` says where each is found."""
    bodies = dict.fromkeys(record.body for _, record in forms)
    for body in bodies:
        tables: dict[str, list[str]] = {}
        for where, record in forms:
            if record.body is body:
                tables.setdefault(_fields(body, record.layout), []).append(where)
        yield f'<a id="{body.__name__}"></a>\n\n### {body.__name__}'
        yield _prose(body.__doc__)
        for table, found_in in tables.items():
            if len(tables) > 1:
                yield f"In {', '.join(dict.fromkeys(found_in))}:"
            yield table


def _fields(body: type, layout: Struct) -> str:
    shown = labels(body)
    rows = []
    for part in layout.subcons:
        kind = _prose(wire_type(part))
        if part.name is None or not kind:
            continue
        label = shown.get(part.name)
        if label is None:
            rows.append([f"({part.name.replace('_', ' ')})", "", kind, "", "not kept"])
        else:
            rows.append([f"`{part.name}`", label.chinese, kind, label.unit, _meaning(label)])
    if not rows:
        return "The body is empty."
    return _table(["field", "字段", "on the wire", "unit", "values"], rows)


def _meaning(label: Label) -> str:
    if isinstance(label.within, Record):
        return f"where it has this form: [{label.within.body.__name__}](#{label.within.body.__name__})"
    if label.bits is not None:
        return "bits: " + _bits(label.bits)
    if label.values is None:
        return ""
    if isinstance(label.values, type):
        return ", ".join(f"{value.value} {value.name}" for value in label.values)
    return _words(label.values)


def _words(values: Mapping[int, str]) -> str:
    return ", ".join(f"{_number(value)} {word}" for value, word in values.items())


def _number(value: int) -> str:
    return f"0x{value:02X}" if value > 9 else str(value)


def _bits(bits: Bits) -> str:
    found = []
    for bit in range(64):
        names: dict[str, list[str]] = {}
        for edition in Edition:
            for english, chinese in bits.names(1 << bit, edition):
                if not english.startswith("bit_"):
                    names.setdefault(f"{english} {chinese}", []).append(edition)
        for name, editions in names.items():
            when = "" if len(editions) == len(Edition) else f" ({', '.join(editions)})"
            found.append(f"{bit} {name}{when}")
    return "; ".join(found)


# ---- tables that messages have inside


def _items_page() -> str:
    title = "# Additional items of a location report 附加信息项"
    text = (
        "An item is a BYTE id, a BYTE length, and its value. One of a length that is not here stays bytes, as all of "
        "those do that are not in the table. Offsets count within the value."
    )
    rows = [
        [f"0x{item.id:02X}", item.name, item.chinese, _lengths(item), _item_value(item), item.unit]
        for item in ITEM_TYPES
    ]
    parts = [title, _MADE, text, _table(["id", "item", "附加信息", "length", "value", "unit"], rows)]
    forms = [
        (f"0x{item.id:02X}", record) for item in ITEM_TYPES for layout in item.layouts for record in records_of(layout)
    ]
    return "\n\n".join([*parts, *_records(forms)])


def _lengths(item: ItemType) -> str:
    return "by its form" if item.layouts else " or ".join(map(str, item.lengths)) or "any"


def _item_value(item: ItemType) -> str:
    if item.layouts:
        return f"[{item.layouts[0].body.__name__}](#{item.layouts[0].body.__name__})"
    words = []
    for field in item.fields:
        kind = {1: "BYTE", 2: "WORD", 4: "DWORD"}[field.size] + (f", × 1/{field.divisor}" if field.divisor > 1 else "")
        meaning = f" ({_words(field.values)})" if field.values else ""
        words.append(f"{field.offset} {field.key or field.column}: {kind}{meaning}")
    if item.bits:
        words.append("bits: " + ", ".join(f"{bit} {name}" for bit, name in item.bits.items()))
    return "; ".join(words) or "bytes"


def _parameters_page() -> str:
    rows = []
    forms: list[tuple[str, Record]] = []
    for row in parameter_types():
        bits = "bits: " + _bits(row.bits) if row.bits else _words(row.values or {})
        old = f"2011: {wire_type(row.old_layout)}" if row.old_layout is not None else ""
        seen = f"seen too: {wire_type(row.seen_layout)}" if row.seen_layout is not None else ""
        notes = "; ".join(part for part in (bits, old, seen) if part)
        rows.append([f"0x{row.id:04X}", row.name, row.chinese, wire_type(row.layout), row.unit, notes])
        forms += [(f"0x{row.id:04X}", record) for record in records_of(row.layout)]
    parts = [
        "# Parameters of a terminal 终端参数",
        _MADE,
        "Set by 0x8103, told by 0x0104: a DWORD id, a BYTE length, and the value. Others stay bytes.",
        _table(["id", "parameter", "参数", "on the wire", "unit", "values"], rows),
    ]
    return "\n\n".join([*parts, *_records(forms)])


# ---- text


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown."""
    text = inspect.cleandoc(docstring or "")
    text = re.sub(r":\w+:`~?([^`]+)`", lambda found: f"`{found.group(1).rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def main(folder: str) -> None:
    """Write the pages; those of before that are none of them any more go."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in target.glob("*.md"):
        if old.name not in made and _MADE in old.read_text(encoding="utf-8"):
            old.unlink()
    for name, text in made.items():
        (target / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

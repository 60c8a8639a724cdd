"""Any body -> rows for people and JSON values for scripts, by its dataclass, its labels and the trace of its layout.

Nothing here knows a message. What a dataclass adds of its own: ``described`` says what an entry of a table (an
additional item, a parameter) is; ``oddities`` and ``faults`` are lists of warnings and errors.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from typing import Any, Final, Protocol

from construct import Construct

from jt808.explain_tree import MAX_HEX_BYTES, Row
from jt808.fields import CHINA_TIME, Description, Label, labels
from jt808.header import Edition
from jt808.layouts import Record, Span, trace_record
from jt808.messages.registry import MessageType, message_type, walk_body

_COUNTS: Final = {"count": Label("数据项个数"), "declared_total": Label("总数"), "length": Label("长度", "bytes")}
_TEXT_BYTES: Final = 4  # bytes of which as many or more are all printable are shown as text too
_UNITS: Final = ("_deg", "_kmh", "_km", "_mm", "_ms", "_m", "_s", "_c", "_l")


class Notes(Protocol):
    """Where rows, errors and warnings go."""

    rows: list[Row]
    errors: list[str]
    warnings: list[str]


class BodyReader:
    """Reads a body field by field, so that what can be read of a broken one is shown. ``body`` holds the JSON."""

    def __init__(self, edition: Edition, notes: Notes) -> None:
        self.edition = edition
        self.notes = notes
        self.body: dict[str, Any] = {}
        self._begin = 0

    def read(self, row: MessageType, body: bytes, begin: int) -> dict[str, Any]:
        """Args:  begin: where the body begins in the frame. Raises:  BodyError: after the fields that could be read."""
        self._begin = begin
        self._raw = body
        shown = labels(row.body)
        values: dict[str, Any] = {}
        for span in walk_body(row, self.edition, body):
            values[span.name] = span.value
            self._field(self.body, span, shown.get(span.name), 0, "")
        self._check_count(values)
        self._complain(row.body(**{name: values[name] for name in row.field_names if name in values}), "")
        return self.body

    def _check_count(self, values: dict[str, Any]) -> None:
        """A count that stands alone says how many items the list has."""
        lists = [value for value in values.values() if isinstance(value, tuple)]
        count = values.get("count")
        if count is not None and len(lists) == 1 and count != len(lists[0]):
            self.notes.warnings.insert(0, f"count says {count} items, {len(lists[0])} are there")

    def _complain(self, value: Any, where: str) -> None:
        self.notes.warnings += [where + oddity for oddity in getattr(value, "oddities", ())]
        self.notes.errors += [where + fault for fault in getattr(value, "faults", ())]

    def _field(self, into: dict[str, Any], span: Span, label: Label | None, depth: int, where: str) -> None:
        """One field: its row, the rows of what is in it, its JSON."""
        value = span.value
        if span.begin == span.end and value in (None, b""):
            return
        is_ours = label is not None
        label = label or _COUNTS.get(span.name, Label(""))
        if is_dataclass(value) and len(span.parts) == 1:
            self._record_field(into, span, label, depth, where)
            return
        is_list = isinstance(value, tuple) and len(span.parts) == len(value) and bool(value)
        shown = f"{len(value)} items" if is_list else _shown(span.name, value, label, span.end - span.begin)
        self._row(span, _english(span.name), label.chinese, shown, label.unit, depth)
        if is_list:
            into[span.name] = self._entries(span, label, depth + 1, where)
        elif is_ours or span.name not in _COUNTS:
            into[span.name] = _json(span.name, value)
        if label.within is not None and isinstance(value, bytes):
            self._within(into, span, label.within, depth, where)
        if label.bits is not None and isinstance(value, int):
            names = label.bits.names(value, self.edition)
            into[label.bits.key] = [english for english, _ in names]
            self.notes.rows += [Row(None, b"", english, chinese, "1", "", depth + 1) for english, chinese in names]

    def _entries(self, span: Span, label: Label, depth: int, where: str) -> list[Any]:
        found = []
        end = span.parts[0].begin
        for number, part in enumerate(span.parts, 1):
            if between := self._raw[end : part.begin]:
                length = str(int.from_bytes(between, "big"))
                self.notes.rows.append(Row(self._begin + end, between, "length", "长度", length, "bytes", depth))
            found.append(self._entry(part, label, depth, number, where))
            end = part.end
        return found

    def _within(self, into: dict[str, Any], span: Span, form: Construct, depth: int, where: str) -> None:
        """The fields of bytes that have a record's form."""
        parts = trace_record((form,), span.value, span.begin)
        if parts and isinstance(form, Record):
            shown = labels(form.body)
            inner: dict[str, Any] = {}
            for part in parts:
                self._field(inner, part, shown.get(part.name), depth + 1, where)
            into[f"{span.name}_fields"] = inner

    def _record_field(self, into: dict[str, Any], span: Span, label: Label, depth: int, where: str) -> None:
        self._row(span, _english(span.name), label.chinese, "", "", depth)
        if label.is_inline:
            self._record(into, span.parts[0], depth + 1, where)
        else:
            inner: dict[str, Any] = {}
            into[span.name] = inner
            self._record(inner, span.parts[0], depth + 1, where)

    def _entry(self, span: Span, label: Label, depth: int, number: int, where: str) -> Any:
        value = span.value
        described = getattr(value, "described", None)
        if isinstance(described, Description):
            return self._described(span, described, depth, where)
        if not is_dataclass(value):
            self._row(
                span,
                f"item {number}",
                label.chinese,
                _shown("", value, label, span.end - span.begin),
                label.unit,
                depth,
            )
            return _json("", value)
        self._row(span, f"item {number}", label.chinese, "", "", depth)
        inner: dict[str, Any] = {}
        self._record(inner, span, depth + 1, f"{where}item {number}: ")
        return inner

    def _record(self, into: dict[str, Any], span: Span, depth: int, where: str) -> None:
        """The fields of a dataclass; without a trace of them (it was not read by a layout) its values."""
        shown = labels(type(span.value))
        for part in span.parts:
            self._field(into, part, shown.get(part.name), depth, where)
        if not span.parts:
            into |= _plain(span.value)
        self._complain(span.value, where)

    def _described(self, span: Span, what: Description, depth: int, where: str) -> dict[str, Any]:
        parts = trace_record(what.layouts, what.raw, span.end - len(what.raw))
        flags = what.flags
        if what.bits is not None and isinstance(what.value, int):
            flags = [english for english, _ in what.bits.names(what.value, self.edition)]
        shown = "" if what.value is None or parts else what.shown or _spaced(_plain(what.value))
        if flags:
            shown += f" ({', '.join(flags)})"
        self._row(
            span._replace(parts=parts), f"{what.id} {what.name}", what.chinese, shown, what.unit if shown else "", depth
        )
        if parts:
            named = labels(type(what.value))
            for part in parts:
                self._field({}, part, named.get(part.name), depth + 1, where)
        if what.warning:
            self.notes.warnings.append(where + what.warning)
        found = {
            "id": what.id,
            "name": what.name,
            "chinese": what.chinese,
            "value": _plain(what.value),
            "unit": what.unit,
            "raw": what.raw.hex(),
        }
        if flags is not None:
            found["flags"] = flags
        return found

    def _row(self, span: Span, name: str, chinese: str, shown: str, unit: str, depth: int) -> None:
        end = span.parts[0].begin if span.parts else span.end  # the parts show theirs; here is a count, or a length
        raw = self._raw[span.begin : end]
        self.notes.rows.append(Row(self._begin + span.begin, raw, name, chinese, shown, unit, depth))


def _english(name: str) -> str:
    for unit in _UNITS:
        if name.endswith(unit):
            name = name.removesuffix(unit)
            break
    return name.replace("serial_no", "serial number").replace("_", " ")


def _plain(value: Any) -> Any:
    """Any value as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def _json(name: str, value: Any) -> Any:
    return f"0x{value:04X}" if name.endswith("message_id") else _plain(value)


def _shown(name: str, value: Any, label: Label, width: int) -> str:
    """The value for people; it took ``width`` bytes."""
    if name.endswith("message_id"):
        row = message_type(value)
        return f"0x{value:04X}{' ' + row.name if row else ''}"
    if value is None or value == ():
        return "none"
    if isinstance(value, datetime):
        return f"{_plain(value)} ({value.astimezone(CHINA_TIME):%Y-%m-%d %H:%M:%S} GMT+8)"
    if isinstance(value, bytes) and len(value) >= _TEXT_BYTES and all(0x20 <= byte < 0x7F for byte in value):
        return f'{value.hex()} "{value.decode()}"'
    if isinstance(value, bytes) and len(value) > MAX_HEX_BYTES:
        return f"{value[:MAX_HEX_BYTES].hex()}… ({len(value)} bytes)"
    if label.bits is not None:
        return f"0x{value:0{2 * width}X}"
    return f"{_plain(value)} {label.meaning(value)}".rstrip() if label.values else str(_plain(value))


def _spaced(value: Any) -> str:
    return "  ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else str(value)

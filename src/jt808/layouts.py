"""Layouts inside layouts: a dataclass in a body, lists of them, windows of a stated length; and the trace of all this.

Reading a body gives its value; with a trace it also gives every field's place, however deep, which is what
:mod:`jt808.explain` shows and what an error's offset is taken from.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from io import BytesIO
from typing import Any, Final, NamedTuple

from construct import (
    Construct,
    ConstructError,
    Container,
    Struct,
    ValidationError,
    stream_read,
    stream_write,
)

_NOT_WRITTEN: Final = re.compile(r"struct '(>\w)' error during building, given value (.*)")


class Span(NamedTuple):
    """One field that was read: offsets from the first byte of the body; ``parts`` are the fields within it.

    The parts of a list are its entries, each with the name "" and the entry's own fields as parts.
    """

    name: str
    begin: int
    end: int
    value: Any
    parts: tuple[Span, ...] = ()


class Unreadable(ConstructError):  # type: ignore[misc]
    """A field could not be read. ``offset`` is that of the innermost field, ``detail`` says why."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset
        self.detail = detail


def read_values(layout: Struct, stream: Any, outer: Any = None) -> Any:
    """Read a Struct's fields: the container that holds them. Raises:  ConstructError."""
    context = Container(_=outer, _params=None, _root=None, _parsing=True, _building=False, _sizing=False, _index=None)
    for part in layout.subcons:
        value = part._parsereport(stream, context, "")
        if part.name:
            context[part.name] = value
    return context


def trace_parts(layout: Struct, stream: Any, base: int = 0, outer: Any = None) -> Iterator[Span]:
    """The same, slower, one field at a time and each with its place. ``base``: where the stream begins in the body.

    Raises:  Unreadable: after the fields that could be read.
    """
    context = Container(_=outer, _params=None, _root=None, _parsing=True, _building=False, _sizing=False, _index=None)
    trace: list[Span] = []
    context.update({_TRACE: trace, _BASE: base})
    for part in layout.subcons:
        begin = base + stream.tell()
        try:
            value = part._parsereport(stream, context, "")
        except Unreadable as error:
            raise Unreadable(error.offset, f"{part.name}: {error.detail}") from error
        except ConstructError as error:
            raise Unreadable(begin, f"{part.name}: {reason(error)}") from error
        if part.name:
            context[part.name] = value
            yield Span(part.name, begin, base + stream.tell(), value, tuple(trace))
        trace.clear()


_TRACE: Final = "_trace"  # in a context: the list that takes the parts of the field that is being read
_BASE: Final = "_base"  # in a context: where its stream begins in the body


def reason(error: Exception) -> str:
    """construct puts the path on a line of its own before the reason, and of a number it says which struct it uses."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Error in path")]
    if not lines:
        return type(error).__name__
    if found := _NOT_WRITTEN.fullmatch(lines[0]):
        size = struct.calcsize(found[1])
        return f"{found[2]} does not fit {size} {'byte' if size == 1 else 'bytes'}"
    return lines[0]


class Record(Construct):  # type: ignore[misc]
    """A dataclass inside a body; the parts' names are its fields, other names are counts and the like."""

    def __init__(self, body: type, layout: Struct) -> None:
        super().__init__()
        self.body = body
        self.layout = layout
        self.field_names = [field.name for field in fields(body)]

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        trace = context.get(_TRACE)
        if trace is None:
            return self._made(read_values(self.layout, stream, context))
        base = context[_BASE]
        begin = base + stream.tell()
        spans = tuple(trace_parts(self.layout, stream, base, context))
        value = self._made({span.name: span.value for span in spans})
        trace.append(Span("", begin, base + stream.tell(), value, spans))
        return value

    def _made(self, values: Mapping[str, Any]) -> Any:
        return self.body(**{name: values[name] for name in self.field_names if name in values})

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if not isinstance(obj, self.body):
            raise ValidationError(f"{self.body.__name__} is wanted, not {type(obj).__name__}", path=path)
        self.layout._build({name: getattr(obj, name) for name in self.field_names}, stream, context, path)
        return obj


class Counted(Construct):  # type: ignore[misc]
    """A count, then that many items: a tuple."""

    def __init__(self, count: Construct, item: Construct) -> None:
        super().__init__()
        self.count = count
        self.item = item

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[Any, ...]:
        count = self.count._parsereport(stream, context, path)
        return tuple(self.item._parsereport(stream, context, path) for _ in range(count))

    def _build(self, obj: tuple[Any, ...], stream: Any, context: Any, path: str) -> Any:
        self.count._build(len(obj), stream, context, path)
        for entry in obj:
            self.item._build(entry, stream, context, path)
        return obj


class Repeated(Construct):  # type: ignore[misc]
    """Items to the end of the body, or of the window: a tuple."""

    def __init__(self, item: Construct) -> None:
        super().__init__()
        self.item = item

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[Any, ...]:
        found = []
        end = end_of(stream)
        while stream.tell() < end:
            found.append(self.item._parsereport(stream, context, path))
        return tuple(found)

    def _build(self, obj: tuple[Any, ...], stream: Any, context: Any, path: str) -> Any:
        for entry in obj:
            self.item._build(entry, stream, context, path)
        return obj


class IfMore(Construct):  # type: ignore[misc]
    """A field that is left out at the end of some bodies: then ``absent``, and ``absent`` is not written."""

    def __init__(self, subcon: Construct, absent: Any = None) -> None:
        super().__init__()
        self.subcon = subcon
        self.absent = absent
        self.flagbuildnone = True

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        if stream.tell() >= end_of(stream):
            return self.absent
        return self.subcon._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return obj if obj == self.absent else self.subcon._build(obj, stream, context, path)


class Nothing(Construct):  # type: ignore[misc]
    """No bytes at all: a field that this form of a body does not have. It is None, and must be."""

    flagbuildnone = True

    def _parse(self, stream: Any, context: Any, path: str) -> None:
        return None

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if obj is not None:
            raise ValidationError(f"{obj!r} has no place in this form of the body", path=path)
        return obj


class Window(Construct):  # type: ignore[misc]
    """A length, then that many bytes, which ``subcon`` reads to their end."""

    def __init__(self, length: Construct, subcon: Construct) -> None:
        super().__init__()
        self.length = length
        self.subcon = subcon

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        length = self.length._parsereport(stream, context, path)
        begin = stream.tell()
        return read_within(self.subcon, stream_read(stream, length, path), context, begin)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        window = BytesIO()
        self.subcon._build(obj, window, context, path)
        raw = window.getvalue()
        self.length._build(len(raw), stream, context, path)
        stream_write(stream, raw, len(raw), path)
        return obj


def trace_record(forms: Iterable[Construct], raw: bytes, base: int) -> tuple[Span, ...]:
    """The fields of the first of these records that reads ``raw`` to its end; none where there is no such record."""
    for form in forms:
        stream = BytesIO(raw)
        if isinstance(form, Record):
            try:
                spans = tuple(trace_parts(form.layout, stream, base))
            except ConstructError:
                continue
            if stream.tell() == len(raw):
                return spans
    return ()


def read_within(subcon: Construct, raw: bytes, context: Any, begin: int) -> Any:
    """Read bytes of a stream's that ``subcon`` has to read to their end; they stand at ``begin`` of it."""
    outer = context.get(_BASE, 0)
    window = BytesIO(raw)
    context[_BASE] = outer + begin
    try:
        value = subcon._parsereport(window, context, "")
    finally:
        context[_BASE] = outer
    if left := len(raw) - window.tell():
        raise Unreadable(outer + begin + window.tell(), f"{left} bytes more than there should be")
    return value


def note_part(context: Any, begin: int, length: int, value: Any) -> None:
    """Put an entry without fields of its own into the trace, where there is one. ``begin`` counts from the stream."""
    trace = context.get(_TRACE)
    if trace is not None:
        begin += context[_BASE]
        trace.append(Span("", begin, begin + length, value))


def forget_parts(context: Any) -> None:
    """Take back what is in the trace of the field that is being read: it was read in a form that it has not."""
    trace = context.get(_TRACE)
    if trace is not None:
        trace.clear()


def end_of(stream: Any) -> int:
    """Where a stream ends; its position stays."""
    here = stream.tell()
    end: int = stream.seek(0, 2)
    stream.seek(here)
    return end

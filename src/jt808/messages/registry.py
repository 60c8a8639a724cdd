"""The table of messages, and the reading and writing of any body by it.

A message is three things in one place: a frozen dataclass for the body, the construct layout that packs it, and one
``register(...)`` line. Decoding, encoding, logs, explanations, the simulators and the message list read this table.

Layouts were checked against our reference of the standards. It rarely names clauses: a number that it does not name is
marked "clause not checked", here and wherever the library cites one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from io import BytesIO
from typing import Any, Final

from construct import Construct, ConstructError, Struct

from jt808.errors import BodyError, UsageError
from jt808.header import Edition
from jt808.layouts import Span, Unreadable, read_values, reason, trace_parts

UNCHECKED: Final = "clause not checked"
ALL_EDITIONS: Final = (Edition.V2011, Edition.V2013, Edition.V2019)
SINCE_2013: Final = (Edition.V2013, Edition.V2019)


class Direction(StrEnum):
    """Who sends it."""

    UPLINK = "uplink"  # 终端 -> 平台
    DOWNLINK = "downlink"  # 平台 -> 终端


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all message bodies (消息体)."""


@dataclass(frozen=True, slots=True)
class UnknownMessage(Message):
    """A message that this library does not know: its bytes, untouched."""

    message_id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class MessageType:
    """One row of the table."""

    message_id: int
    name: str
    chinese: str
    clause: str
    direction: Direction
    editions: tuple[Edition, ...]
    body: type[Message]
    layouts: Mapping[Edition, Construct]
    answer_id: int | None  # what the other side answers with; None: never answered
    choose: Callable[[Edition, bytes], Edition] | None  # the edition whose layout a body really has
    field_names: tuple[str, ...]  # of the body


@dataclass(frozen=True, slots=True)
class Dialect:
    """Another form that some units give a body; read when the standard's layout does not fit."""

    deviation: str
    layout: Struct


_by_id: dict[int, MessageType] = {}
_by_body: dict[type[Message], MessageType] = {}
_dialects: dict[int, tuple[Dialect, ...]] = {}


def register(
    message_id: int,
    body: type[Message],
    layout: Construct | Mapping[Edition, Construct],
    *,
    name: str,
    chinese: str,
    clause: str,
    direction: Direction,
    answer_id: int | None,
    editions: tuple[Edition, ...] = ALL_EDITIONS,
    choose: Callable[[Edition, bytes], Edition] | None = None,
    is_clause_checked: bool = False,
) -> None:
    """Add a row.

    Args:    layout: one Struct whose names are the dataclass's fields, or one by edition.
             choose: (edition of the header, body) -> edition of the body, where the two may differ.
             is_clause_checked: whether the number in ``clause`` stands in our reference; if not, it is marked.
    """
    if message_id in _by_id or body in _by_body:
        raise ValueError(f"0x{message_id:04X} {body.__name__} is registered already")
    layouts = dict(layout) if isinstance(layout, Mapping) else dict.fromkeys(ALL_EDITIONS, layout)
    names = tuple(field.name for field in fields(body))
    if "§" in clause and not is_clause_checked:
        clause = f"{clause} ({UNCHECKED})"
    row = MessageType(message_id, name, chinese, clause, direction, editions, body, layouts, answer_id, choose, names)
    _by_id[message_id] = row
    _by_body[body] = row


def register_dialect(message_id: int, deviation: str, layout: Struct) -> None:
    """Add another form of a registered message; its names are the same dataclass's fields.

    Reading tries the standard's layout first and then the dialects in order, each must fit to the last byte; so does
    writing, where a dialect is taken for values that the standard's layout cannot hold.
    """
    _dialects[message_id] = (*_dialects.get(message_id, ()), Dialect(deviation, layout))


def message_types() -> Iterator[MessageType]:
    """All rows, by message id."""
    return iter(sorted(_by_id.values(), key=lambda row: row.message_id))


def message_type(message_id: int) -> MessageType | None:
    """The row of a message id; None when the library does not know it."""
    return _by_id.get(message_id)


def type_of(message: Message) -> MessageType:
    """The row of a body. Raises:  UsageError: no such body is registered (UnknownMessage has no row)."""
    try:
        return _by_body[type(message)]
    except KeyError:
        raise UsageError(f"{type(message).__name__} is no registered message") from None


def message_id_of(message: Message) -> int:
    """The id a body is sent under."""
    return message.message_id if isinstance(message, UnknownMessage) else type_of(message).message_id


def body_edition(message_id: int, edition: Edition, body: bytes) -> Edition:
    """The edition whose layout a body has: the header's, or what the body's length shows.

    A header without the version bit reads as 2013 whatever the terminal is, and some terminals set the bit and send
    bodies of 2013. The answer for a 0x0100 is worth keeping for the session.
    """
    row = _by_id.get(message_id)
    return edition if row is None or row.choose is None else row.choose(edition, body)


def decode_body(message_id: int, edition: Edition, body: bytes) -> Message:
    """Read one message body.

    Args:    edition: as in the header; see :func:`body_edition`.
    Returns: the body's dataclass, UnknownMessage for an id that is not registered.
    Raises:  BodyError: too short, too long, or a value that cannot be.
    """
    row = _by_id.get(message_id)
    if row is None:
        return UnknownMessage(message_id, bytes(body))
    standard = row.layouts[edition if row.choose is None else row.choose(edition, body)]
    for layout in (standard, *(dialect.layout for dialect in _dialects.get(message_id, ()))):
        values = _values(layout, body)
        if values is not None:
            return row.body(**{name: values[name] for name in row.field_names if name in values})
    for _ in read_body(row, standard, body):  # once more, to say where it fails
        pass
    raise AssertionError("unreachable")


def dialects(message_id: int) -> tuple[Dialect, ...]:
    """The dialects of a message."""
    return _dialects.get(message_id, ())


def dialect_of(row: MessageType, edition: Edition, body: bytes) -> Dialect | None:
    """The dialect a body is in; None when it has the standard's layout, or none that is known."""
    if row.message_id not in _dialects:
        return None
    for candidate in (None, *_dialects[row.message_id]):
        layout = row.layouts[body_edition(row.message_id, edition, body)] if candidate is None else candidate.layout
        if _values(layout, body) is not None:
            return candidate
    return None


def _values(layout: Struct, body: bytes) -> Mapping[str, Any] | None:
    """What a layout reads; None when it does not fit to the last byte."""
    stream = BytesIO(body)
    try:
        values: Mapping[str, Any] = read_values(layout, stream)
    except ConstructError:
        return None
    return values if stream.tell() == len(body) else None


def encode_body(message: Message, edition: Edition) -> bytes:
    """Write one message body.

    Raises:  UsageError: a value does not fit its field, or the message is not registered.
    """
    if isinstance(message, UnknownMessage):
        return message.body
    row = type_of(message)
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    first_error: Exception | None = None
    for layout in (row.layouts[edition], *(dialect.layout for dialect in _dialects.get(row.message_id, ()))):
        try:
            raw: bytes = layout.build(values)
        except (ConstructError, struct.error, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            first_error = first_error or error
        else:
            return raw
    assert first_error is not None
    raise UsageError(f"0x{row.message_id:04X} {row.name}: {_where(first_error)}{reason(first_error)}") from first_error


def _where(error: Exception) -> str:
    """The field that cannot be written; construct says ``(building) -> identifier -> reserved``."""
    path = str(getattr(error, "path", None) or "").split(" -> ")[1:]
    return f"{'.'.join(path)}: " if path else ""


def walk_body(row: MessageType, edition: Edition, body: bytes) -> Iterator[Span]:
    """Read a body field by field, in the form it has.

    Raises:  BodyError: after the fields that could be read.
    """
    dialect = dialect_of(row, edition, body)
    return read_body(row, dialect.layout if dialect else row.layouts[body_edition(row.message_id, edition, body)], body)


def read_body(row: MessageType, layout: Struct, body: bytes) -> Iterator[Span]:
    """The same by a given layout. Bytes behind its last field are a BodyError too."""
    stream = BytesIO(body)
    try:
        yield from trace_parts(layout, stream)
    except Unreadable as error:
        raise BodyError(row.message_id, error.offset, error.detail) from error
    if stream.tell() < len(body):
        left = len(body) - stream.tell()
        raise BodyError(row.message_id, stream.tell(), f"{left} bytes more than {row.name} has")

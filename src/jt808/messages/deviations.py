"""What units do that no edition says, read all the same; here, so that the messages' own layouts stay the standard's.

A body in another form is read when the standard's layout does not fit to the last byte (`register_dialect`); a body of
another edition than its header's is told by the messages' ``choose``; a text in UTF-8 by `jt808.fields.is_utf8`.
:func:`deviations_of` names what a body has of these, for logs, counters and explanations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from construct import Byte, Bytes, Check, Computed, GreedyBytes, Int16ub, Struct

from jt808.errors import BodyError
from jt808.fields import Description
from jt808.header import Edition
from jt808.layouts import Counted, Nothing, Record, Repeated, Span
from jt808.messages.active_safety import YUE_IDENTIFIER
from jt808.messages.attachments import list_layout, request_layout
from jt808.messages.attributes import TerminalAttributes
from jt808.messages.registry import body_edition, decode_body, dialect_of, message_type, register_dialect, walk_body
from jt808.messages.stored_media import WITHOUT_ID
from jt808.messages.vehicle_control import ControlItem

# ---- other forms of bodies

YUE_BIAO: Final = "terminal id of 30 bytes and alarm identifier of 40, as in Yue-biao (T/GDRTA 002-2020)"

register_dialect(0x9208, YUE_BIAO, request_layout(YUE_IDENTIFIER))
register_dialect(0x1210, YUE_BIAO, list_layout(30, YUE_IDENTIFIER))
register_dialect(
    0x0802,
    "items without media id, and no count of those in this message",
    Struct("answered_serial_no" / Int16ub, "total" / Int16ub, "found" / Repeated(WITHOUT_ID)),
)
register_dialect(
    0x0002,
    "a heartbeat that tells of battery, signal and status (three bytes, a maker's own)",
    Struct("battery_percent" / Byte, "signal" / Byte, "status" / Byte),
)
for _message_id in (0x0002, 0x0003, 0x0004, 0x8104, 0x8107, 0x8201, 0x8204, 0x8702, 0x9003):
    register_dialect(_message_id, "bytes in a body that should be empty", Struct("ignored" / GreedyBytes))
register_dialect(
    0x8500,
    "one control id of 2019 and its byte, without the WORD that counts; then 0 unlocks and 1 locks, as in 2013",
    Struct(
        Check(lambda context: not context._building or len(context["items"]) == 1),
        "flags" / Nothing(),
        "items" / Counted(Computed(1), Record(ControlItem, Struct("control_id" / Int16ub, "value" / Bytes(1)))),
    ),
)

# ---- naming what a body has


class Deviation(NamedTuple):
    """One thing that is not as the standard and the header say. ``kind`` is one of :data:`KINDS`."""

    kind: str
    detail: str


KINDS: Final = {
    "other_edition": "the layout of another edition than the header's (2011 for 2013: no header tells these apart)",
    "other_form": "a form that no edition has",
    "wide_manufacturer_id": "a 0x0107 whose manufacturer id has the 11 bytes of the registration, not the 5 printed",
    "utf8_text": "a text in UTF-8 instead of GBK",
}
"""What can be counted."""


def deviations_of(message_id: int, edition: Edition, body: bytes) -> list[Deviation]:
    """How a body deviates. Of a body that cannot be read: as far as it can.

    Args:    edition: the header's, or what is known of the terminal.
    """
    row = message_type(message_id)
    if row is None:
        return []
    found = []
    read_as = body_edition(message_id, edition, body)
    if read_as != edition:
        found.append(Deviation("other_edition", f"the body has the layout of {read_as}"))
    if dialect := dialect_of(row, edition, body):
        found.append(Deviation("other_form", f"not the standard's layout: {dialect.deviation}"))
    try:
        spans = list(walk_body(row, edition, body))
    except BodyError:
        return found
    if message_id == 0x0107 and _has_wide_id(edition, body):
        found.append(Deviation("wide_manufacturer_id", "the manufacturer id has 11 bytes; the standard prints 5"))
    names = dict.fromkeys(name for span in spans for name in _in_utf8(span, body))
    return found + [Deviation("utf8_text", f"{name}: a text in UTF-8; the standard has GBK") for name in names]


def _has_wide_id(edition: Edition, body: bytes) -> bool:
    message = decode_body(0x0107, edition, body)
    return isinstance(message, TerminalAttributes) and message.has_wide_manufacturer_id


def _in_utf8(span: Span, body: bytes) -> Iterator[str]:
    """The fields whose texts are in UTF-8, by name."""
    if span.parts:
        for part in span.parts:
            yield from _in_utf8(part if part.name else part._replace(name=span.name), body)
    value = span.value
    described = getattr(value, "described", None)
    if isinstance(described, Description):
        span, value = span._replace(name=described.id), described.value
    if isinstance(value, str) and not value.isascii() and value.encode() in body[span.begin : span.end]:
        yield span.name


def imei_of(phone: str) -> str | None:
    """The IMEI, with its check digit, that some units put into the phone field of 2013 as a binary number.

    Args:    phone: the field's twelve digits, of which one at least is none of ten. Returns: None for other fields.
    """
    if len(phone) != 12 or phone.isdecimal():
        return None
    number = f"{int(phone, 16):014}"
    if len(number) != 14:
        return None
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(number))
    return f"{number}{-sum(digit // 10 + digit % 10 for digit in doubled) % 10}"

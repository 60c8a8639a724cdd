"""What is read is written again to the byte, but for what reading is known to forget, which is listed here.

tests/jt808/test_vectors.py holds it for the vectors; here they are changed first.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jt808 import BodyError, Edition, body_edition, decode_body, encode_body
from jt808.fields import NOT_A_CHARACTER, encode_text
from jt808.layouts import Span
from jt808.messages import message_type
from jt808.messages.registry import dialect_of, walk_body
from tests.jt808.vectors import Vector, vectors

COUNTS = {"count", "declared_total"}
"""Of lists that are read to the end of their bytes, whatever is counted."""

known = [vector for vector in vectors() if message_type(vector.message_id) is not None]
changes = st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 255)), max_size=3)


def innermost(spans: tuple[Span, ...], at: int) -> Iterator[Span]:
    """The fields that a byte stands in, from the outermost on."""
    for span in spans:
        if span.begin <= at < span.end:
            yield span
            yield from innermost(span.parts, at)
            return


def is_forgotten(fields: list[Span], body: bytes) -> bool:
    """Whether reading is known to forget a byte that stands in these fields."""
    last = fields[-1]
    raw = body[last.begin : last.end]
    if last.name in COUNTS or last.value is None:  # a time or a date that is none
        return True
    if isinstance(last.value, str):  # padding of another kind, 2011's 00 behind a text, UTF-8
        return encode_text(last.value) in raw or last.value.encode() in raw
    return last.name == "items" and [field.name for field in fields] == ["items"]  # lengths in a 0x0704


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(known), changes, st.integers(0, 3))
@example(next(vector for vector in known if vector.message_id == 0x0705), [(0, 1)], 0)
def test_what_is_read_is_written_again(vector: Vector, changed: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(vector.body)
    for at, change in changed:
        if at < len(body):
            body[at] ^= change
    check(vector.message_id, vector.edition, bytes(body[: len(body) - cut]))


@settings(deadline=None, max_examples=200)
@given(st.binary(min_size=28, max_size=90), st.sampled_from(["260131235959", "000101000000", "000000000000"]))
def test_a_location_report_is_kept_whole(body: bytes, time: str) -> None:
    """Whatever the numbers and items are, cut ones included; only a time that is none comes back as zeros."""
    raw = body[:22] + bytes.fromhex(time) + body[28:]
    assert encode_body(decode_body(0x0200, Edition.V2013, raw), Edition.V2013) == raw


def check(message_id: int, edition: Edition, body: bytes) -> None:
    row = message_type(message_id)
    assert row is not None
    try:
        message = decode_body(message_id, edition, body)
    except BodyError:
        return
    if NOT_A_CHARACTER in repr(message):
        return  # bytes that were no text are not written again
    again = encode_body(message, body_edition(message_id, edition, body))
    if again == body or dialect_of(row, edition, body):
        return
    at = next((at for at, (one, other) in enumerate(zip(body, again, strict=False)) if one != other), len(again))
    fields = list(innermost(tuple(walk_body(row, edition, body)), at))
    assert fields, f"byte {at}, which is in no field"
    assert is_forgotten(fields, body), (at, [field.name for field in fields], body.hex(), again.hex())

"""Messages about the terminal, its driver, regions and routes: there and back in each edition, and explained."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import BodyError, Edition, body_edition, decode_body, encode_body
from jt808 import messages as m
from jt808.explain import explain_body
from jt808.messages.registry import MessageType
from tests.jt808 import names_terminal
from tests.jt808.strategies_terminal import instances

EMPTY = (
    m.AttributesQuery, m.DriverIdentityQuery, m.LinkDetection, m.ParametersQuery, m.ServerTimeQuery,
    m.EventReport,
)  # fmt: skip
ROWS = [row for row in m.message_types() if row.body in (*names_terminal.NAMES, *EMPTY)]


def cases() -> list[Any]:
    return [pytest.param(row, edition, id=f"{row.body.__name__}-{edition}") for row in ROWS for edition in row.editions]


def test_they_are_all_here() -> None:
    assert len(ROWS) == 44


@pytest.mark.parametrize(("row", "edition"), cases())
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_there_and_back(row: MessageType, edition: Edition, data: st.DataObject) -> None:
    message = data.draw(instances(row, edition))
    raw = encode_body(message, edition)
    assert body_edition(row.message_id, edition, raw) == edition
    assert decode_body(row.message_id, edition, raw) == message
    explained = explain_body(row.message_id, edition, raw)
    assert explained.errors == []
    named = {field.name for field in dataclasses.fields(row.body) if getattr(message, field.name)}
    assert set(explained.body) >= named - {"location"}  # which is shown as the body's own fields


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.body.__name__)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_damaged_body_is_read_or_refused(row: MessageType, data: st.DataObject) -> None:
    edition = data.draw(st.sampled_from(row.editions))
    raw = bytearray(encode_body(data.draw(instances(row, edition)), edition))
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))] + data.draw(st.binary(max_size=3))
    for other in Edition:
        error = refusal(row.message_id, other, bytes(raw))
        if error is not None:
            assert error.message_id == row.message_id
            assert error.offset is None or 0 <= error.offset <= len(raw)
        assert bool(explain_body(row.message_id, other, bytes(raw)).errors) == (error is not None)


def refusal(message_id: int, edition: Edition, raw: bytes) -> BodyError | None:
    try:
        decode_body(message_id, edition, raw)
    except BodyError as error:
        return error
    return None

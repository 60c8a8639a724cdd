"""store.values: what PostgreSQL can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.values import clean_text, json_text, to_datetime, to_us

ODD = "\N{REPLACEMENT CHARACTER}"


@given(st.integers(-(10**15), 10**16))
def test_times_there_and_back(time_us: int) -> None:
    assert to_us(to_datetime(time_us)) == time_us


def test_a_time() -> None:
    assert to_datetime(1_500_000) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("text", "clean"), [("辽A", "辽A"), ("a\0b", f"a{ODD}b"), ("辽\0", f"辽{ODD}"), ("\ud800!", f"{ODD}!"), ("", "")]
)
def test_text(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_can_be_stored_afterwards(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)


def test_json_of_what_json_cannot_say() -> None:
    value = {"nan": float("nan"), "bytes": b"\x01\xff", "set": {1}, "nul": ["a\0"], "lone": ("\ud800",), 5: "key"}
    expected = {"nan": None, "bytes": "01ff", "set": [1], "nul": [f"a{ODD}"], "lone": [ODD], "5": "key"}
    assert json.loads(json_text(value)) == expected


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert json.loads(json_text({"path": "\\u0000"})) == {"path": "\\u0000"}


def test_what_nobody_can_store_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        json_text({"x": object()})

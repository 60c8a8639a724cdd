"""One link for each terminal; the newest wins."""

from __future__ import annotations

import pytest

from ingest.counters import Counters
from ingest.sessions import CONTESTED_S, Sessions


def test_the_newest_link_wins_and_the_old_one_ends_nothing() -> None:
    sessions: Sessions[str] = Sessions(Counters())
    assert sessions.begin("1", "old", 0.0) is None
    assert sessions.begin("1", "new", 1.0) == "old"
    assert not sessions.end("1", "old")
    assert sessions.get("1") == "new"
    assert sessions.end("1", "new")
    assert len(sessions) == 0


def test_the_same_link_displaces_nobody() -> None:
    sessions: Sessions[str] = Sessions(Counters())
    sessions.begin("1", "link", 0.0)
    assert sessions.begin("1", "link", 1.0) is None


def test_two_units_with_one_identity_are_flagged(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    sessions: Sessions[int] = Sessions(counters, max_displacements=6)
    for number in range(7):
        sessions.begin("1", number, float(number))
    assert counters["duplicate_identities"] == 0
    sessions.begin("1", 7, 7.0)
    assert counters["duplicate_identities"] == 1
    assert "two units share this identity" in caplog.text
    assert counters["sessions_displaced"] == 7
    assert sessions.is_contested("1", 8.0)
    assert not sessions.is_contested("2", 8.0)
    assert sessions.contested(8.0) == 1
    assert not sessions.is_contested("1", 7.0 + CONTESTED_S)
    assert sessions.contested(7.0 + CONTESTED_S) == 0


def test_now_and_then_is_nothing_to_flag() -> None:
    counters = Counters()
    sessions: Sessions[int] = Sessions(counters, max_displacements=6)
    for number in range(50):
        sessions.begin("1", number, number * 20.0)
    assert counters["duplicate_identities"] == 0
    assert len(sessions._displaced) == 1


def test_who_displaced_somebody_once_is_forgotten_after_a_while() -> None:
    sessions: Sessions[int] = Sessions(Counters())
    for phone in range(100):
        sessions.begin(str(phone), 1, 0.0)
        sessions.begin(str(phone), 2, 0.0)
    assert len(sessions._displaced) == 100
    sessions.begin("0", 3, 200.0)
    assert list(sessions._displaced) == ["0"]

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.ledger import FixKey, Ledger

A: FixKey = ("13900000000", 1_000_000, 11)
B: FixKey = ("13900000000", 2_000_000, -22)
C: FixKey = ("13900000001", 1_000_000, 33)


def account() -> Ledger:
    ledger = Ledger()
    for key in (A, B, C):
        ledger.sent(key, 1, 10.0)
    ledger.answered(A, 11.0)
    ledger.answered(B, 11.5)
    return ledger


def test_right_when_everything_answered_is_stored_once() -> None:
    assert account().compare([A, B]).is_right
    verdict = account().compare([A, B, C])  # stored, and the answer got lost on its way: also right
    assert verdict.is_right
    assert (verdict.sent, verdict.answered, verdict.stored) == (3, 2, 3)


def test_lost_twice_and_unknown_are_told_apart() -> None:
    stranger: FixKey = ("13900000009", 1, 1)
    verdict = account().compare([A, A, stranger])
    assert verdict.lost_answered == [B]
    assert verdict.twice == [A]
    assert verdict.unknown == [stranger]
    assert not verdict.is_right
    assert "lost_answered 1" in str(verdict)


def test_only_the_first_answer_counts() -> None:
    ledger = account()
    ledger.answered(A, 99.0)
    entry = ledger.entries[A]
    assert (entry.answered_at, ledger.counts["answered"]) == (11.0, 2)
    ledger.sent(A, 7, 12.0)
    assert (entry.times_sent, entry.serial_no, entry.sent_at) == (2, 7, 10.0)
    assert ledger.unanswered == [C]


def test_a_file_tells_the_same_account(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.sent(A, 1, 10.0)
        ledger.sent(B, 2, 10.5)
        ledger.answered(A, 11.0)
    with path.open("a") as file:
        file.write('["s", "139000')  # killed while writing
    read = Ledger.read(path)
    assert read.entries == ledger.entries
    assert read.compare([A]).is_right


def test_a_foreign_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('["x", 1, 2, 3]\n["a", "1", 2, 3, 4]\n')
    with pytest.raises(ValueError, match="line 1"):
        Ledger.read(path)


def test_a_bounded_account_forgets_the_answered_only() -> None:
    ledger = Ledger(capacity=1)
    for key in (A, B, C):
        ledger.sent(key, 1, 10.0)
    ledger.answered(A, 11.0)
    ledger.answered(B, 11.0)
    assert ledger.forgotten == 1
    assert set(ledger.entries) == {B, C}
    assert "answered=2" in ledger.summary()
    with pytest.raises(ValueError, match="no longer"):
        ledger.compare([])

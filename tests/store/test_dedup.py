"""store.dedup: repeats that memory knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import store
from store.dedup import NEVER, Deduplicator
from tests.store.batches import SECOND, make_batch


def test_a_repeat_is_told_in_one_batch_and_over_several() -> None:
    memory = store.Deduplicator(100)
    batch = make_batch(3).take(np.array([0, 1, 0, 2]))
    assert memory.fresh(batch).tolist() == [True, True, False, True]
    assert memory.fresh(batch).tolist() == [False] * 4
    assert memory.fresh(make_batch(4)).tolist() == [False, False, False, True]
    assert memory.fresh(make_batch(0)).tolist() == []


@pytest.mark.parametrize("column", ["terminal_id", "time_us", "fix_hash"])
def test_a_difference_in_any_part_makes_another_fix(column: str) -> None:
    memory = store.Deduplicator(100)
    memory.fresh(make_batch(1))
    other = make_batch(1)
    setattr(other, column, getattr(other, column) + 1)
    assert memory.fresh(other).all()


def test_what_is_forgotten_is_fresh_again() -> None:
    memory = store.Deduplicator(100)
    memory.fresh(make_batch(2))
    memory.forget()
    assert memory.fresh(make_batch(2)).all()


def test_it_knows_how_far_back_it_reaches() -> None:
    memory = Deduplicator(4)
    assert memory.known_from_us == NEVER
    for number in range(1, 8):
        memory.fresh(make_batch(1, received_us=number * SECOND, fix_hash=number))
        assert memory.known_from_us == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4}[number] * SECOND
    memory.forget()
    assert memory.known_from_us == NEVER


def test_a_memory_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity must be 2 or more, not 1"):
        store.Deduplicator(1)


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=20), st.integers(2, 12))
def test_it_is_bounded_never_wrong_and_remembers_the_latest_half(batches: list[list[int]], capacity: int) -> None:
    memory = store.Deduplicator(capacity)
    seen: list[int] = []
    for fixes in batches:
        batch = make_batch(len(fixes), terminal_id=1, time_us=0, fix_hash=fixes)
        for fix, is_fresh in zip(fixes, memory.fresh(batch).tolist(), strict=True):
            if not is_fresh:
                assert fix in seen
            recent = list(dict.fromkeys(reversed(seen)))[: capacity // 2 - 1]
            if fix in recent:
                assert not is_fresh
            seen.append(fix)
        assert len(memory) <= capacity

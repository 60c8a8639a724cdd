from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forward.progress import MAX_RANGES, Progress


def test_a_fresh_session_has_only_live() -> None:
    progress = Progress(10, 10)
    assert (progress.history, progress.reached, progress.is_unmarked) == (None, 10, False)
    progress.live_sent(13)
    assert progress.is_unmarked
    progress.mark(1)
    assert not progress.is_unmarked
    assert progress.answered(1)
    assert progress.confirmed == 13
    assert not progress.answered(2)


def test_history_holds_the_confirmation_back() -> None:
    progress = Progress(10, 50)
    assert progress.history == (10, 50)
    progress.live_sent(60)
    assert progress.reached == 10
    progress.history_sent(30)
    progress.mark(1)
    progress.live_sent(70)
    progress.history_sent(50)
    assert progress.history is None
    progress.mark(2)
    assert progress.marks == 2
    progress.answered(1)
    assert progress.confirmed == 30
    progress.answered(2)
    assert (progress.confirmed, progress.marks) == (70, 0)


def test_the_answer_to_the_last_word_confirms_all_that_was_sent() -> None:
    progress = Progress(10, 50)
    progress.live_sent(60)
    progress.history_sent(30)
    progress.mark(1)
    progress.history_sent(40)
    progress.all_received()
    assert (progress.confirmed, progress.marks, progress.ranges) == (40, 0, ((40, 50),))


def test_what_live_left_out_becomes_history() -> None:
    progress = Progress(0, 0)
    progress.left_out(5)
    progress.live_sent(8)
    assert progress.history == (0, 5)
    progress.left_out(7)  # behind live already: nothing was left out
    progress.history_sent(5)
    assert progress.reached == 8


def test_ranges_stay_few() -> None:
    progress = Progress(0, 0)
    for step in range(200):
        progress.left_out(10 * step + 5)
        progress.live_sent(10 * step + 9)
    assert len(progress._ranges) == MAX_RANGES
    covered = []
    while (part := progress.history) is not None:
        covered.append(part)
        progress.history_sent(part[1])
    assert covered[-1][1] == 1995
    assert all(a < b for a, b in covered)
    assert all(covered[i][1] <= covered[i + 1][0] for i in range(len(covered) - 1))


steps = st.lists(
    st.tuples(st.sampled_from(["stored", "lost", "history", "mark", "answer"]), st.integers(1, 9)), max_size=80
)


@given(steps, st.integers(0, 20), st.integers(0, 20))
def test_nothing_is_confirmed_that_was_not_sent_before_the_mark(
    sequence: list[tuple[str, int]], cursor: int, ahead: int
) -> None:
    """Against a model that remembers every offset: what is confirmed was sent before an answered test."""
    progress = Progress(cursor, cursor + ahead)
    sent: set[int] = set()  # offsets
    sent_at: dict[int, set[int]] = {}  # token -> what was sent before it
    stored, token, answered = cursor + ahead, 0, 0
    for what, n in sequence:
        match what:
            case "stored":
                sent |= set(range(stored + 1, stored + n + 1))
                stored += n
                progress.live_sent(stored)
            case "lost":  # n transactions that the bus dropped, then one that came
                progress.left_out(stored + n)
                stored += n + 1
                sent.add(stored)
                progress.live_sent(stored)
            case "history" if progress.history is not None:
                after, upto = progress.history
                end = min(after + n, upto)
                sent |= set(range(after + 1, end + 1))
                progress.history_sent(end)
            case "mark":
                token += 1
                sent_at[token] = set(sent)
                progress.mark(token)
            case "answer" if answered < token:
                answered += 1
                progress.answered(answered)
        received = sent_at.get(answered, set())
        assert received >= set(range(cursor + 1, progress.confirmed + 1))
        assert cursor <= progress.confirmed <= progress.reached <= stored
    while progress.history is not None:
        after, upto = progress.history
        sent |= set(range(after + 1, upto + 1))
        progress.history_sent(upto)
    assert sent == set(range(cursor + 1, stored + 1))  # nothing skipped

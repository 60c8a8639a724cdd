from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jt808
from simulators.link import GOOD, BadLink, LinkFaults, damaged
from simulators.wire import enframe

FRAMES = [enframe(bytes([0, 2, 0, 0, 1, 2, 3, 4, 5, 6, 0, n])) for n in range(100)]


def carry(**faults: float) -> tuple[list[bytes], dict[str, int]]:
    counts: dict[str, int] = {}
    link = BadLink(LinkFaults(**faults), random.Random(1), counts)
    return [piece.data for frame in FRAMES for piece in link.carry(frame)], counts


@given(content=st.binary(min_size=12, max_size=60), seed=st.integers())
def test_damage_is_always_noticed(content: bytes, seed: int) -> None:
    frame = damaged(enframe(content), random.Random(seed))
    assert frame != enframe(content)
    found = jt808.Deframer().feed(frame)
    assert [type(f) for f in found] == [jt808.BadFrame]


def test_a_good_link_changes_nothing() -> None:
    assert carry()[0] == FRAMES
    assert LinkFaults() == GOOD


def test_lost_repeated_and_swapped_frames() -> None:
    lost, counts = carry(lose=0.2)
    assert len(lost) == 100 - counts["link_lose"] < 100
    repeated, counts = carry(repeat=0.2)
    assert len(repeated) == 100 + counts["link_repeat"] > 100
    swapped, counts = carry(swap=0.2)
    assert counts["link_swap"]
    assert swapped != FRAMES
    assert sorted(swapped) == sorted(FRAMES)[: len(swapped)] or set(swapped) <= set(FRAMES)


def test_a_cut_link_ends_within_the_frame() -> None:
    link = BadLink(LinkFaults(cut=1), random.Random(1), {})
    (piece,) = link.carry(FRAMES[0])
    assert piece.is_last
    assert len(piece.data) < len(FRAMES[0])
    assert FRAMES[0].startswith(piece.data)


def test_frames_after_junk_still_arrive() -> None:
    data, counts = carry(junk=0.3)
    assert counts["link_junk"]
    whole = [f for f in jt808.Deframer().feed(b"".join(data)) if isinstance(f, bytes)]
    assert len(whole) >= 100 - counts["link_junk"]


def test_delays_are_bounded() -> None:
    link = BadLink(LinkFaults(delay=1, max_delay_s=0.5), random.Random(1), {})
    delays = [piece.delay_s for frame in FRAMES for piece in link.carry(frame)]
    assert 0 < max(delays) <= 0.5


def test_probabilities_are_checked() -> None:
    with pytest.raises(ValueError, match="lose"):
        LinkFaults(lose=1.5)

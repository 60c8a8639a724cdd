"""jt808.outgoing: long messages cut and sent again, within bounds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import Deframer, Edition, UsageError, parse_header
from jt808.outgoing import SentMessage, SentPackages, build_frames, split_body
from jt808.subpackage import Assembled, Reassembler


@given(st.binary(max_size=5000), st.integers(1, 1023))
def test_parts_join_to_the_body(body: bytes, max_bytes: int) -> None:
    parts = split_body(body, max_bytes)
    assert b"".join(parts) == body
    assert all(len(part) == max_bytes for part in parts[:-1])
    assert 0 < len(parts[-1]) <= max_bytes or parts == [b""]


@pytest.mark.parametrize("max_bytes", [0, -1, 1024])
def test_packages_that_no_frame_holds(max_bytes: int) -> None:
    with pytest.raises(UsageError):
        split_body(b"abc", max_bytes)


def test_more_packages_than_a_word_counts() -> None:
    assert len(split_body(bytes(65535), 1)) == 65535
    with pytest.raises(UsageError):
        split_body(bytes(65536), 1)


@settings(deadline=None)
@given(
    st.binary(min_size=1, max_size=9000),
    st.integers(1, 1023),
    st.integers(0, 65535),
    st.sampled_from(Edition),
    st.randoms(use_true_random=False),
)
def test_the_other_side_puts_them_together(
    body: bytes, max_bytes: int, first: int, edition: Edition, order: random.Random
) -> None:
    if len(body) > 40 * max_bytes:
        return
    frames = build_frames(0x8108, "13912344321", first, body, edition, max_bytes=max_bytes)
    reassembler = Reassembler()
    order.shuffle(frames)
    got: object = None
    for frame in frames:
        (content,) = Deframer().feed(frame)
        assert isinstance(content, bytes)
        header, part = parse_header(content)
        if len(frames) == 1:
            assert (header.is_subpackaged, part, header.serial_no) == (False, body, first)
            return
        assert header.package_total == len(frames)
        assert header.serial_no == (first + header.package_no - 1) & 0xFFFF
        got = reassembler.add(header, part, 0.0)
    assert isinstance(got, Assembled)
    assert (got.body, got.serial_no) == (body, first)


def sent(serial_no: int, size: int, max_bytes: int = 100) -> SentMessage:
    return SentMessage(0x8108, serial_no, bytes(size), max_bytes)


def test_packages_are_found_by_any_of_their_serial_numbers() -> None:
    memory = SentPackages()
    memory.keep(sent(65534, 350))
    memory.keep(sent(10, 101))
    assert [memory.find(serial_no) for serial_no in (65533, 2, 9, 12)] == [None] * 4
    for serial_no in (65534, 65535, 0, 1):
        found = memory.find(serial_no)
        assert found is not None
        assert found.serial_no == 65534
    assert memory.again(10, [2, 2, 1, 0, 3, 70000]) == (sent(10, 101), [2, 1])
    assert memory.again(11, [1]) == (None, [])
    assert [len(sent(0, 350).package(number)) for number in (1, 4)] == [100, 50]


def test_the_oldest_give_way() -> None:
    memory = SentPackages(max_bytes=1000, max_messages=3)
    for serial_no in (1, 11, 21, 31):
        memory.keep(sent(serial_no, 200))
    assert (len(memory), memory.size_bytes, memory.dropped) == (3, 600, 1)
    assert memory.find(1) is None
    memory.keep(sent(41, 900))
    assert (len(memory), memory.size_bytes, memory.dropped) == (1, 900, 4)
    memory.keep(sent(51, 1001))
    assert (len(memory), memory.dropped) == (1, 5)
    memory.keep(sent(41, 300))  # a retransmission
    assert (len(memory), memory.size_bytes, memory.dropped) == (1, 300, 5)


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(1, 500)), max_size=40))
def test_never_more_than_the_bounds(messages: list[tuple[int, int]]) -> None:
    memory = SentPackages(max_bytes=1000, max_messages=5)
    for serial_no, size in messages:
        memory.keep(sent(serial_no, size))
        assert len(memory) <= 5
        assert memory.size_bytes <= 1000
    assert memory.size_bytes == sum(len(one.body) for one in memory._kept.values())

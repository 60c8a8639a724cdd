"""jt808.fix_hash: one value a body wherever it stands, and no two for bodies that differ a little."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import UsageError
from jt808.fix_hash import fix_hash, fix_hashes
from tests.jt808.vectors import location_bodies

SIZE = 54  # of the usual report with six items


def placed(bodies: list[bytes]) -> tuple[bytes, Any, Any]:
    """The bodies in one buffer, with gaps."""
    lengths = np.array([len(body) for body in bodies], np.int64)
    return b"gap" + b"\x7e".join(bodies), 2 + np.cumsum(lengths + 1) - lengths, lengths


def hashes(bodies: list[bytes]) -> list[int]:
    found: list[int] = fix_hashes(*placed(bodies)).tolist()
    return found


KNOWN = [
    2658907818351748380, 1833373397532267819, -7592726602045849776, 9175995364859193533, -2364927101591030898,
]  # fmt: skip


def test_it_is_what_was_stored_before() -> None:
    """What is in databases cannot change with the code."""
    bodies = [b"", b"\0", bytes(range(28)), bytes(range(200)), b"\xff" * 64]
    assert [fix_hash(body) for body in bodies] == hashes(bodies) == KNOWN


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300) | st.binary(min_size=1000, max_size=1100), max_size=12))
def test_many_are_hashed_as_one_is(bodies: list[bytes]) -> None:
    assert hashes(bodies) == [fix_hash(body) for body in bodies] == [hashes([body])[0] for body in bodies]


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(max_size=80))
def test_what_stands_around_makes_no_difference(body: bytes, before: bytes, behind: bytes) -> None:
    where = np.array([len(before)], np.int64), np.array([len(body)], np.int64)
    assert fix_hashes(memoryview(before + body + behind), *where).tolist() == [fix_hash(body)]


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, 29), (28, 1), (3, -1)])
def test_bodies_outside_the_buffer_are_the_callers_fault(offset: int, length: int) -> None:
    with pytest.raises(UsageError):
        fix_hashes(bytes(28), np.array([offset]), np.array([length]))


def flipped(body: bytes, *bits: int) -> bytes:
    number = int.from_bytes(body, "big")
    for bit in bits:
        number ^= 1 << bit
    return number.to_bytes(len(body), "big")


@pytest.mark.parametrize("body", [bytes(SIZE), b"\xff" * SIZE, location_bodies()[0][:28]], ids=["0", "1", "report"])
def test_bodies_that_differ_in_one_or_two_bits(body: bytes) -> None:
    bits = range(8 * len(body))
    bodies = [body, *(flipped(body, bit) for bit in bits)]
    bodies += [flipped(body, *pair) for pair in itertools.combinations(bits, 2)]
    assert_all_differ(bodies)


def test_bodies_of_zeros_differ_by_their_length() -> None:
    assert_all_differ([bytes(length) for length in range(2000)])


def test_bodies_that_differ_in_the_top_bits_of_their_words() -> None:
    """What a sum of products would lose: those bits' differences cancel out."""
    for top in (0x80, 0x40, 0xC0):
        bodies = []
        for chosen in range(1 << 12):
            words = [bytes((0, 0, 0, 0, 0, 0, 0, top if chosen >> word & 1 else 0)) for word in range(12)]
            bodies.append(b"".join(words))
        assert_all_differ(bodies)


def test_bodies_with_their_words_in_another_order() -> None:
    alike = [bytes((number,)) * 8 for number in range(7)]
    small = [number.to_bytes(8, "big") for number in range(7)]
    for words in (alike, small):
        assert_all_differ([b"".join(order) for order in itertools.permutations(words)])


def test_bodies_that_differ_in_two_words_by_the_same() -> None:
    """One word more, another less, by as much: latitude and longitude, mileage and fuel."""
    bodies = []
    for first, second in itertools.combinations(range(6), 2):
        for step in range(1, 400):
            words = [1000] * 6
            words[first] += step
            words[second] -= step
            bodies.append(b"".join(word.to_bytes(8, "little") for word in words))
            bodies.append(b"".join(word.to_bytes(8, "big") for word in words))
    assert_all_differ(bodies)


def test_reports_that_count() -> None:
    """Latitude and longitude step by step, as of vehicles that stand close together."""
    body = location_bodies()[0][:28]
    bodies = [body[:8] + (31_000_000 + x).to_bytes(4, "big") + (121_000_000 + y).to_bytes(4, "big") + body[16:]
              for x in range(250) for y in range(250)]  # fmt: skip
    assert_all_differ(bodies)


def assert_all_differ(bodies: list[bytes]) -> None:
    """And any 40 bits of the hash nearly always, which would show a weakness that 64 hide."""
    found = np.array(hashes(bodies)).view(np.uint64)
    assert len(set(found.tolist())) == len(set(bodies)) == len(bodies)
    expected = len(bodies) ** 2 / 2 / 2**40
    for shift in (0, 12, 24):
        part = found >> np.uint64(shift) & np.uint64(2**40 - 1)
        assert len(bodies) - len(np.unique(part)) <= 5 + 5 * expected


@pytest.mark.parametrize("length", [28, 54, 200])
def test_each_bit_changes_half_of_the_hash(length: int) -> None:
    chance = random.Random(length)
    samples = 300
    bodies = [chance.randbytes(length) for _ in range(samples)]
    before = bits_of(hashes(bodies))
    for bit in [*range(0, 8 * length, 11), 0, 8 * length - 1]:
        changes = (before != bits_of(hashes([flipped(body, bit) for body in bodies]))).mean(axis=0)
        assert abs(changes.mean() - 0.5) < 0.02
        assert np.abs(changes - 0.5).max() < 0.2, bit  # seven standard deviations of a fair coin


def bits_of(numbers: list[int]) -> Any:
    return np.unpackbits(np.array(numbers, ">i8").view(np.uint8)).reshape(-1, 64)

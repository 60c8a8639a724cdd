"""Reassembly: order, repetition, bounds."""

from __future__ import annotations

import random

import pytest

from jt808.header import Edition, Header
from jt808.subpackage import PACKAGE_OVERHEAD, Assembled, Budget, Missing, Outcome, Reassembler


def package(number: int, total: int, *, first: int = 100, message_id: int = 0x0704) -> Header:
    serial_no = (first + number - 1) & 0xFFFF
    return Header(message_id, Edition.V2013, "013900000001", serial_no, 4, 0, True, total, number)


def parts(total: int) -> list[bytes]:
    return [b"part%02d" % number for number in range(1, total + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_gives_the_message(seed: int) -> None:
    reassembler = Reassembler()
    numbers = list(range(1, 7))
    random.Random(seed).shuffle(numbers)
    *before, last = numbers
    for number in before:
        assert reassembler.add(package(number, 6), parts(6)[number - 1], 0.0) is Outcome.WAITING
    got = reassembler.add(package(last, 6), parts(6)[last - 1], 0.0)
    assert got == Assembled(b"".join(parts(6)), 100, (100, 101, 102, 103, 104, 105))
    assert len(reassembler) == 0


def test_serial_numbers_wrap_inside_a_message() -> None:
    reassembler = Reassembler()
    reassembler.add(package(1, 3, first=0xFFFF), b"a", 0.0)
    reassembler.add(package(3, 3, first=0xFFFF), b"c", 0.0)
    got = reassembler.add(package(2, 3, first=0xFFFF), b"b", 0.0)
    assert got == Assembled(b"abc", 0xFFFF, (0xFFFF, 0, 1))


def test_a_single_package_is_a_message() -> None:
    assert Reassembler().add(package(1, 1), b"all", 0.0) == Assembled(b"all", 100, (100,))


def test_messages_side_by_side_do_not_mix() -> None:
    reassembler = Reassembler()
    for number in (1, 2):
        assert reassembler.add(package(number, 3, first=10), b"x", 0.0) is Outcome.WAITING
        assert reassembler.add(package(number, 3, first=50), b"y", 0.0) is Outcome.WAITING
        assert reassembler.add(package(number, 3, first=10, message_id=0x0801), b"z", 0.0) is Outcome.WAITING
    assert reassembler.add(package(3, 3, first=50), b"y", 0.0) == Assembled(b"yyy", 50, (50, 51, 52))
    assert reassembler.add(package(3, 3, first=10), b"x", 0.0) == Assembled(b"xxx", 10, (10, 11, 12))


def test_a_repeated_package_is_ignored_until_its_message_is_stored() -> None:
    reassembler = Reassembler()
    assert reassembler.add(package(1, 2), b"a", 0.0) is Outcome.WAITING
    assert reassembler.add(package(1, 2), b"changed", 0.0) is Outcome.DUPLICATE
    assert isinstance(reassembler.add(package(2, 2), b"b", 0.0), Assembled)
    assert reassembler.add(package(2, 2), b"b", 1.0) is Outcome.DUPLICATE  # complete, not on disk: no answer yet
    reassembler.stored(0x0704, 100)
    assert reassembler.add(package(2, 2), b"b", 2.0) is Outcome.STORED
    assert len(reassembler) == 0


def test_a_completed_message_is_forgotten_after_its_age() -> None:
    reassembler = Reassembler(max_age_s=300)
    reassembler.add(package(1, 1), b"a", 0.0)
    reassembler.stored(0x0704, 100)
    assert reassembler.add(package(1, 1), b"a", 299.0) is Outcome.STORED
    assert isinstance(reassembler.add(package(1, 1), b"a", 301.0), Assembled)  # the serial number came round


@pytest.mark.parametrize(("number", "total"), [(0, 3), (4, 3), (1, 0)])
def test_impossible_numbers_are_refused(number: int, total: int) -> None:
    assert Reassembler().add(package(number, total), b"", 0.0) is Outcome.BAD


def test_a_total_that_contradicts_the_set_is_refused() -> None:
    reassembler = Reassembler()
    reassembler.add(package(1, 3), b"a", 0.0)
    assert reassembler.add(package(2, 4), b"b", 0.0) is Outcome.BAD
    assert len(reassembler) == 1


def test_the_byte_bound_drops_the_message_and_frees_its_bytes() -> None:
    budget = Budget(10_000)
    reassembler = Reassembler(max_bytes=3000, budget=budget)
    assert reassembler.add(package(1, 9), bytes(1000), 0.0) is Outcome.WAITING
    assert reassembler.add(package(2, 9), bytes(1000), 0.0) is Outcome.WAITING
    assert reassembler.add(package(3, 9), bytes(1000), 0.0) is Outcome.TOO_LARGE
    assert len(reassembler) == 0
    assert budget.free == 10_000


def test_empty_packages_meet_the_bound_too() -> None:
    reassembler = Reassembler(max_bytes=100 * PACKAGE_OVERHEAD)
    got = [reassembler.add(package(number, 65_535), b"", 0.0) for number in range(1, 102)]
    assert got[-1] is Outcome.TOO_LARGE
    assert set(got[:-1]) == {Outcome.WAITING}


def test_the_budget_is_shared_and_given_back() -> None:
    budget = Budget(1500)
    one, other = Reassembler(budget=budget), Reassembler(budget=budget)
    assert one.add(package(1, 2), bytes(1000), 0.0) is Outcome.WAITING
    one.clear()
    assert budget.free == 1500
    assert other.add(package(1, 2), bytes(1000), 0.0) is Outcome.WAITING


def test_when_the_budget_is_used_up_the_oldest_set_of_all_gives_way() -> None:
    budget = Budget(4 * (1000 + PACKAGE_OVERHEAD))
    hoarders = [Reassembler(budget=budget) for _ in range(4)]
    honest = Reassembler(budget=budget)
    for hoarder in hoarders:
        assert hoarder.add(package(1, 2), bytes(1000), 0.0) is Outcome.WAITING
    assert honest.add(package(1, 2), bytes(1000), 1.0) is Outcome.WAITING
    assert isinstance(honest.add(package(2, 2), bytes(1000), 1.0), Assembled)
    assert [hoarder.dropped for hoarder in hoarders] == [[("package_evicted", 0x0704, 1)]] * 2 + [[]] * 2


def test_a_set_that_no_budget_holds_is_too_large() -> None:
    budget = Budget(1500)
    reassembler = Reassembler(budget=budget)
    assert reassembler.add(package(1, 3), bytes(1000), 0.0) is Outcome.WAITING
    assert reassembler.add(package(2, 3), bytes(1000), 0.0) is Outcome.TOO_LARGE
    assert budget.free == 1500


def test_too_many_messages_at_once_drop_the_oldest() -> None:
    reassembler = Reassembler(max_sets=2)
    for first in (0, 100, 200):
        reassembler.add(package(1, 2, first=first), b"a", 0.0)
    assert reassembler.dropped == [("package_evicted", 0x0704, 1)]
    assert isinstance(reassembler.add(package(2, 2, first=200), b"b", 0.0), Assembled)
    assert reassembler.add(package(2, 2, first=0), b"b", 0.0) is Outcome.WAITING


def test_missing_packages_are_asked_for_and_then_given_up() -> None:
    reassembler = Reassembler(ask_after_s=10, max_asks=2, max_age_s=60)
    reassembler.add(package(2, 4), b"b", 0.0)
    assert reassembler.next_deadline() == 10
    assert reassembler.on_time(9.9) == []
    assert reassembler.on_time(10.0) == [Missing(0x0704, 100, (1, 3, 4), b"", 1)]
    assert reassembler.on_time(20.0) == [Missing(0x0704, 100, (1, 3, 4), b"", 2)]
    assert reassembler.next_deadline() == 60  # asked often enough
    assert reassembler.on_time(60.0) == []
    assert reassembler.dropped == [("package_expired", 0x0704, 1)]
    assert reassembler.next_deadline() is None


def test_a_further_package_gives_new_patience() -> None:
    """A large upload over a slow network: it lives as long as it gets on, but not for ever."""
    reassembler = Reassembler(ask_after_s=10, max_asks=1, max_age_s=60, max_life_s=100)
    reassembler.add(package(1, 4), b"a", 0.0)
    assert len(reassembler.on_time(10.0)) == 1
    reassembler.add(package(2, 4), b"b", 50.0)
    assert reassembler.on_time(60.0) == [Missing(0x0704, 100, (3, 4), b"a", 1)]
    reassembler.add(package(3, 4), b"c", 95.0)
    assert reassembler.next_deadline() == 100
    assert reassembler.on_time(100.0) == []
    assert reassembler.dropped == [("package_expired", 0x0704, 3)]


def test_what_lacks_after_the_last_package_is_asked_for_soon_once() -> None:
    reassembler = Reassembler(ask_after_s=10, ask_after_last_s=2)
    reassembler.add(package(1, 3), b"a", 0.0)
    reassembler.add(package(3, 3), b"c", 1.0)
    assert reassembler.next_deadline() == 3
    assert reassembler.on_time(3.0) == [Missing(0x0704, 100, (2,), b"a", 1)]
    assert reassembler.next_deadline() == 13

"""Reassembly: order, repetition, bounds."""

from __future__ import annotations

import random

import pytest

from jt808.header import Edition, Header
from jt808.subpackage import (
    GOES_ON_WITHIN,
    PACKAGE_OVERHEAD,
    REMEMBERED_PACKAGES,
    REMEMBERED_SETS,
    STORED_WITHIN_S,
    Assembled,
    Budget,
    Missing,
    Outcome,
    Reassembler,
)


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
    assert reassembler.add(package(1, 2), b"a", 0.0) is Outcome.DUPLICATE
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


def test_a_package_that_contradicts_its_set_begins_another_message() -> None:
    """Another body under the same number, or another total: the parts of two messages are not joined."""
    reassembler = Reassembler()
    reassembler.add(package(1, 3), b"a", 0.0)
    reassembler.add(package(2, 3), b"b", 0.0)
    assert reassembler.add(package(1, 3), b"other", 0.0) is Outcome.WAITING
    assert reassembler.dropped == [("package_contradicted", 0x0704, 2)]
    assert reassembler.add(package(2, 4), b"B", 0.0) is Outcome.WAITING
    assert reassembler.dropped[1:] == [("package_contradicted", 0x0704, 1)]
    for number in (1, 3):
        assert reassembler.add(package(number, 4), parts(4)[number - 1], 0.0) is Outcome.WAITING
    assert reassembler.add(package(4, 4), b"D", 0.0) == Assembled(b"part01Bpart03D", 100, (100, 101, 102, 103))


def test_another_message_under_the_numbers_of_one_that_is_stored_is_taken_and_not_answered_for_it() -> None:
    reassembler = Reassembler()
    for body in (b"a", b"b"):
        reassembler.add(package(1 if body == b"a" else 2, 2), body, 0.0)
    reassembler.stored(0x0704, 100)
    assert reassembler.add(package(2, 2), b"b", 1.0) is Outcome.STORED
    assert reassembler.add(package(1, 2), b"A", 1.0) is Outcome.WAITING
    assert reassembler.add(package(2, 2), b"b", 1.0) == Assembled(b"Ab", 100, (100, 101))


def test_another_message_waits_until_the_one_under_its_numbers_is_stored() -> None:
    """Their answers could not be told apart."""
    reassembler = Reassembler()
    reassembler.add(package(1, 1), b"a", 0.0)
    assert reassembler.add(package(1, 1), b"b", 0.1) is Outcome.DUPLICATE
    reassembler.stored(0x0704, 100)
    assert reassembler.add(package(1, 1), b"b", 0.2) == Assembled(b"b", 100, (100,))


def test_a_message_that_never_reached_the_disk_is_taken_once_more() -> None:
    """The journal was full and dropped it: the terminal has it still."""
    reassembler = Reassembler()
    reassembler.add(package(1, 1), b"a", 0.0)
    assert reassembler.add(package(1, 1), b"a", STORED_WITHIN_S) is Outcome.DUPLICATE
    assert reassembler.add(package(1, 1), b"a", STORED_WITHIN_S + 1) == Assembled(b"a", 100, (100,))


def test_what_is_remembered_of_completed_messages_has_a_bound() -> None:
    reassembler = Reassembler(max_bytes=1 << 30)
    total = REMEMBERED_PACKAGES // 2
    for first in (0, 10_000, 20_000, 30_000):
        for number in range(1, total + 1):
            reassembler.add(package(number, total, first=first), b"", 0.0)
    assert [bool(reassembler._completed.get((0x0704, first))) for first in (0, 10_000, 20_000, 30_000)] == [
        False, False, True, True,
    ]  # fmt: skip
    for number in range(1, 17):
        reassembler.add(package(1, 1, first=40_000 + number), b"", 0.0)
    assert len(reassembler._completed) == REMEMBERED_SETS


def test_a_terminal_that_repeats_what_is_here_is_not_asked_meanwhile() -> None:
    """It sends the whole once more: what lacks is on its way."""
    reassembler = Reassembler(ask_after_s=10, max_age_s=60)
    for number in (1, 2):
        reassembler.add(package(number, 3), parts(3)[number - 1], 0.0)
    assert reassembler.add(package(1, 3), b"part01", 9.0) is Outcome.DUPLICATE
    assert reassembler.on_time(18.9) == []
    assert reassembler.add(package(2, 3), b"part02", 18.9) is Outcome.DUPLICATE
    assert len(reassembler.on_time(28.9)) == 1
    for at in range(30, 60):  # repetitions prolong no life
        reassembler.add(package(1, 3), b"part01", float(at))
    reassembler.on_time(60.0)
    assert reassembler.dropped == [("package_expired", 0x0704, 2)]


def test_the_head_of_a_completed_message_is_remembered() -> None:
    reassembler = Reassembler()
    reassembler.add(package(1, 1), b"\0\0\0\x2apicture", 0.0)
    assert reassembler.head(0x0704, 100) == b"\0\0\0\x2a"
    assert reassembler.head(0x0704, 101) == b""


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


# ---- a login in between


def half_a_message(*, first: int = 100, **options: int) -> Reassembler:
    """Packages 1 and 2 of 4 are here; the link has ended."""
    reassembler = Reassembler(**options)
    for number in (1, 2):
        reassembler.add(package(number, 4, first=first), parts(4)[number - 1], 0.0)
    reassembler.link_ended()
    return reassembler


@pytest.mark.parametrize(("first", "login"), [(100, 102), (100, 101 + GOES_ON_WITHIN), (0xFFFE, 0), (0xFFF0, 3)])
def test_a_terminal_that_goes_on_counting_goes_on_with_its_message(first: int, login: int) -> None:
    reassembler = half_a_message(first=first)
    reassembler.logged_in(login, 50.0)
    assert reassembler.dropped == []
    assert reassembler.on_time(59.9) == []
    assert reassembler.on_time(60.0) == [Missing(0x0704, first, (3, 4), b"part01", 1)]  # as after any silence
    assert reassembler.add(package(3, 4, first=first), b"part03", 61.0) is Outcome.WAITING
    got = reassembler.add(package(4, 4, first=first), b"part04", 61.0)
    assert isinstance(got, Assembled)
    assert got.body == b"".join(parts(4))
    assert got.serials == tuple((first + i) & 0xFFFF for i in range(4))


@pytest.mark.parametrize("login", [0, 1, 99, 101, 102 + GOES_ON_WITHIN, 0xFFFF])
def test_of_a_terminal_that_counts_anew_nothing_stays(login: int) -> None:
    """A package of its next message under the same numbers is not joined with those of before."""
    reassembler = half_a_message()
    reassembler.logged_in(login, 50.0)
    assert reassembler.dropped == [("package_link_ended", 0x0704, 2)]
    for number in (3, 4):
        assert reassembler.add(package(number, 4), b"new%d" % number, 51.0) is Outcome.WAITING


def test_whichever_goes_on_is_kept_of_several_messages() -> None:
    reassembler = half_a_message(first=100)
    for number in (1, 3):
        reassembler.add(package(number, 4, first=20_000), b"later", 0.0)
    reassembler.logged_in(20_010, 1.0)
    assert reassembler.dropped == [("package_link_ended", 0x0704, 2)]
    assert len(reassembler) == 1


def test_a_login_makes_asking_begin_anew_and_prolongs_no_life() -> None:
    reassembler = Reassembler(ask_after_s=10, ask_after_last_s=2, max_asks=1, max_age_s=60)
    reassembler.add(package(4, 4), b"d", 0.0)
    assert len(reassembler.on_time(2.0)) == 1
    assert reassembler.on_time(30.0) == []  # asked often enough
    reassembler.logged_in(110, 40.0)
    assert reassembler.next_deadline() == 42
    assert reassembler.on_time(42.0) == [Missing(0x0704, 100, (1, 2, 3), b"", 1)]
    assert reassembler.next_deadline() == 60
    reassembler.expire(60.0)
    assert reassembler.dropped == [("package_expired", 0x0704, 1)]


def test_the_message_begun_anew_under_other_numbers_takes_the_place_of_the_old() -> None:
    reassembler = half_a_message()
    reassembler.logged_in(110, 1.0)
    assert reassembler.add(package(1, 4, first=111), b"another picture", 2.0) is Outcome.WAITING
    assert reassembler.dropped == []
    assert reassembler.add(package(1, 4, first=211), b"part01", 2.0) is Outcome.WAITING
    assert reassembler.dropped == [("package_link_ended", 0x0704, 2)]
    assert len(reassembler) == 2


def test_what_is_not_gone_on_with_keeps_out_neither_by_bytes_nor_by_number() -> None:
    reassembler = Reassembler(max_bytes=4000, max_sets=2)
    reassembler.add(package(1, 3, first=0), bytes(1000), 0.0)
    reassembler.add(package(2, 3, first=0), bytes(1000), 0.0)
    reassembler.logged_in(10, 1.0)
    for number in (1, 2):
        assert reassembler.add(package(number, 3, first=11), b"%d" % number * 1000, 2.0) is Outcome.WAITING
    assert reassembler.dropped == [("package_evicted", 0x0704, 2)]
    assert isinstance(reassembler.add(package(3, 3, first=11), bytes(1000), 2.0), Assembled)

    reassembler.dropped.clear()
    for first in (100, 200, 300):
        assert reassembler.add(package(2, 3, first=first), b"", 3.0) is Outcome.WAITING
    assert reassembler.dropped == [("package_evicted", 0x0704, 1)]


def test_what_the_terminal_has_gone_on_with_is_held_like_any_other() -> None:
    reassembler = Reassembler(max_bytes=4000)
    reassembler.add(package(1, 4, first=0), bytes(1000), 0.0)
    reassembler.logged_in(10, 1.0)
    reassembler.add(package(2, 4, first=0), bytes(1000), 2.0)
    reassembler.add(package(1, 3, first=11), b"1" * 1000, 2.0)
    assert reassembler.add(package(2, 3, first=11), b"2" * 1000, 2.0) is Outcome.TOO_LARGE
    assert [dropped[0] for dropped in reassembler.dropped] == ["package_too_large"]
    assert len(reassembler) == 1


def test_between_two_links_the_budget_still_takes_the_oldest() -> None:
    budget = Budget(2 * (1000 + PACKAGE_OVERHEAD))
    left, other = Reassembler(budget=budget), Reassembler(budget=budget)
    left.add(package(1, 3), bytes(1000), 0.0)
    left.link_ended()
    for number in (1, 2):
        assert other.add(package(number, 3), bytes(1000), 1.0) is Outcome.WAITING
    assert left.dropped == [("package_evicted", 0x0704, 1)]
    left.logged_in(102, 2.0)
    assert len(left) == 0


def test_what_was_whole_on_another_link_is_not_answered_on_the_next() -> None:
    """It is taken once more: whoever counts anew may send something else under its numbers."""
    reassembler = Reassembler()
    reassembler.add(package(1, 1), b"a", 0.0)
    reassembler.stored(0x0704, 100)
    reassembler.link_ended()
    assert isinstance(reassembler.add(package(1, 1), b"a", 1.0), Assembled)


@pytest.mark.parametrize(("login", "is_remembered"), [(101, True), (0, False)])
def test_a_restart_on_the_same_link_forgets_what_was_whole(login: int, is_remembered: bool) -> None:
    """Datagrams: the link is an address, which may outlive a restart."""
    reassembler = Reassembler()
    reassembler.add(package(1, 1), b"a", 0.0)
    reassembler.stored(0x0704, 100)
    reassembler.logged_in(login, 1.0)
    again = reassembler.add(package(1, 1), b"a", 2.0)
    assert (again is Outcome.STORED) is is_remembered


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_in_between_what_is_put_together_was_one_message(seed: int) -> None:
    """Links that break at any package, restarts that count anew, repetitions, uploads that go on or begin anew."""
    rng = random.Random(seed)
    reassembler, counter, whole = Reassembler(), rng.choice((5, 65_500)), set()
    sent: list[tuple[int, list[bytes]]] = []  # first serial number, bodies
    for number in range(300):
        match rng.randrange(10):
            case 0 if sent:  # the link breaks, and the terminal goes on, or restarted
                counter = rng.choice((0, 1, 2)) if rng.random() < 0.5 else counter
                sent = [] if counter < 3 else sent
                reassembler.link_ended()
                reassembler.logged_in(counter, 0.0)
                counter += 1
            case 1 | 2:
                bodies = [b"message %d, part %d" % (number, part) for part in range(rng.randint(2, 4))]
                if sent and rng.random() < 0.3:
                    bodies = sent[-1][1]  # anew
                sent.append((counter, bodies))
                counter = (counter + len(bodies)) & 0xFFFF
            case _ if sent:
                first, bodies = rng.choice(sent[-3:])
                part = rng.randrange(len(bodies))
                got = reassembler.add(package(part + 1, len(bodies), first=first), bodies[part], 0.0)
                if isinstance(got, Assembled):
                    assert got.body == b"".join(bodies)
                    whole.add(got.body)
    assert len(whole) > 3

"""Links of an address, counted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ingest.addresses import Addresses, address_of, is_loopback


def test_each_address_has_its_own_bound_and_places_come_free() -> None:
    addresses = Addresses(2)
    assert [addresses.enter("203.0.113.7") for _ in range(3)] == [True, True, False]
    assert addresses.enter("203.0.113.8")
    addresses.leave("203.0.113.7")  # the third was counted, too
    assert not addresses.enter("203.0.113.7")
    for _ in range(2):
        addresses.leave("203.0.113.7")
    assert addresses.enter("203.0.113.7")
    addresses.leave("nobody")
    assert [addresses.enter("127.0.0.1") for _ in range(5)] == [True] * 5


def test_nothing_is_remembered_of_who_left() -> None:
    addresses = Addresses(2)
    for number in range(9):
        addresses.enter(f"203.0.113.{number}")
        addresses.leave(f"203.0.113.{number}")
    assert addresses._counts == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("203.0.113.7", False), ("", False), ("?", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_an_ipv4_peer_of_a_socket_for_both_is_one_of_ipv4() -> None:
    assert address_of("::ffff:203.0.113.7") == ip_address("203.0.113.7")
    assert address_of("2001:db8::7") == ip_address("2001:db8::7")

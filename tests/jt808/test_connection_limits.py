"""What a link may cost: time, bytes, junk, messages that are never whole."""

from __future__ import annotations

from jt808.connection import ConnectionLimits, State, TerminalConnection
from jt808.events import Event, LinkEnded, MessageReceived, PackagesDropped, Refused
from tests.jt808.links import NOW, frame, logged_in, package


def test_an_unauthenticated_link_has_limited_time() -> None:
    connection = TerminalConnection(NOW, limits=ConnectionLimits(unauthenticated_s=60))
    connection.receive_data(frame(0x0002, 1), NOW + 59)
    assert connection.next_deadline() == NOW + 60
    assert connection.on_time(NOW + 59.9) == []
    assert connection.on_time(NOW + 60) == [LinkEnded("unauthenticated_time")]
    assert connection.state is State.CLOSED
    assert connection.next_deadline() is None


def test_an_unauthenticated_link_has_limited_bytes() -> None:
    connection = TerminalConnection(NOW, limits=ConnectionLimits(unauthenticated_bytes=1000))
    events: list[Event] = []
    for _ in range(100):
        events += connection.receive_data(b"\x7e" + bytes(19), NOW)
    assert events.count(LinkEnded("unauthenticated_bytes")) == 1
    assert connection.state is State.CLOSED


def test_an_authenticated_link_may_say_as_much_as_it_likes() -> None:
    connection = logged_in()
    for serial_no in range(2000):
        (event,) = connection.receive_data(frame(0x0200, serial_no, bytes(60)), NOW)
        assert isinstance(event, MessageReceived)


def test_junk_without_a_good_frame_ends_an_authenticated_link() -> None:
    connection = logged_in()
    for _ in range(10):
        assert LinkEnded("junk") not in connection.receive_data(b"~junk" * 8000 + frame(0x0002, 1), NOW)
    events = [event for _ in range(9) for event in connection.receive_data(b"\x7e" + bytes(8000), NOW)]
    assert events[-1] == LinkEnded("junk")
    assert connection.state is State.CLOSED


def test_bytes_that_drip_are_no_sign_of_life() -> None:
    connection = logged_in()
    for second in range(0, 900, 5):
        connection.receive_data(b"x", NOW + second)
    assert connection.on_time(NOW + 900) == [LinkEnded("idle")]


def test_a_silent_link_ends() -> None:
    connection = logged_in()
    connection.receive_data(frame(0x0002, 1), NOW + 100)
    assert connection.next_deadline() == NOW + 1000
    assert connection.on_time(NOW + 999) == []
    assert connection.on_time(NOW + 1000) == [LinkEnded("idle")]


def test_messages_that_are_never_completed_end_the_link() -> None:
    connection = logged_in()
    events: list[Event] = []
    for number in range(100):
        events += connection.receive_data(package(number * 10, 1, 2, bytes(1000)), NOW)
    assert events[-1] == LinkEnded("packages_incomplete")
    assert events.count(PackagesDropped("package_evicted", 0x0704, 1)) == ConnectionLimits().lost_messages


def test_a_message_that_is_completed_forgives_those_that_were_lost() -> None:
    connection = logged_in()
    for number in range(14 + 4):
        connection.receive_data(package(number * 10, 1, 2, b""), NOW)
    connection.receive_data(package(1000, 1, 2, b"") + package(1001, 2, 2, b""), NOW)  # the 15th loss, and a gain
    for number in range(200, 212):
        connection.receive_data(package(number * 10, 1, 2, b""), NOW)
    assert connection.state is State.AUTHENTICATED


def test_the_bound_of_incomplete_messages_is_the_links() -> None:
    connection = logged_in(limits=ConnectionLimits(package_bytes=1500))
    connection.receive_data(package(10, 1, 3, bytes(900), 0x0801), NOW)
    dropped, refused = connection.receive_data(package(11, 2, 3, bytes(900), 0x0801), NOW)
    assert dropped == PackagesDropped("package_too_large", 0x0801, 1)
    assert isinstance(refused, Refused)
    assert refused.reason == "package_too_large"

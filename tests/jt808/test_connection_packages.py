"""Messages that come in packages: put together, answered when stored, asked for while some are missing."""

from __future__ import annotations

from jt808.connection import ConnectionLimits
from jt808.events import LinkEnded, MessageReceived, PackageRepeated, PackagesDropped
from jt808.header import Edition, build_frame
from tests.jt808.links import NOW, PHONE_2019, frame, general, logged_in, package, sent


def test_packages_are_answered_when_the_message_is_stored() -> None:
    connection = logged_in()
    assert connection.receive_data(package(11, 2, 2, b"b"), NOW) == []
    (event,) = connection.receive_data(package(10, 1, 2, b"a"), NOW)
    assert event == MessageReceived(0x0704, 10, b"ab", (10, 11))
    assert isinstance(event, MessageReceived)
    assert connection.data_to_send() == b""
    assert connection.receive_data(package(11, 2, 2, b"b"), NOW) == [PackageRepeated(0x0704, 11)]
    assert connection.data_to_send() == b""
    connection.reply_stored(event)
    assert general(connection) == [(10, 0x0704, 0), (11, 0x0704, 0)]
    assert connection.receive_data(package(11, 2, 2, b"b"), NOW) == [PackageRepeated(0x0704, 11)]
    assert general(connection) == [(11, 0x0704, 0)]


def test_a_contradicting_package_begins_another_message() -> None:
    connection = logged_in()
    connection.receive_data(package(10, 1, 2, b"a"), NOW)
    events = connection.receive_data(package(11, 2, 3, b"b"), NOW)
    assert events == [PackagesDropped("package_contradicted", 0x0704, 1)]
    events = connection.receive_data(package(10, 1, 3, b"A") + package(12, 3, 3, b"c"), NOW)
    assert events == [MessageReceived(0x0704, 10, b"Abc", (10, 11, 12))]


def test_another_message_under_the_numbers_of_an_answered_one_is_no_repetition() -> None:
    """Units that number the packages of every upload alike: the second must not be answered for the first."""
    connection = logged_in()
    (event,) = connection.receive_data(package(10, 1, 2, b"a") + package(11, 2, 2, b"b"), NOW)
    assert isinstance(event, MessageReceived)
    connection.reply_stored(event)
    connection.data_to_send()
    assert connection.receive_data(package(10, 1, 2, b"A"), NOW + 1) == []
    assert connection.data_to_send() == b""
    assert connection.receive_data(package(11, 2, 2, b"B"), NOW + 1) == [MessageReceived(0x0704, 10, b"AB", (10, 11))]


def test_a_message_that_becomes_whole_is_taken_whatever_was_lost_before() -> None:
    """The package that completes one may push another out: that does not count against it."""
    connection = logged_in(limits=ConnectionLimits(lost_messages=2))
    for first in (10, 20, 30, 40, 50):
        connection.receive_data(package(first, 1, 2, b"a"), NOW)
    events = connection.receive_data(package(60, 1, 1, b"whole"), NOW)
    assert events[-1] == MessageReceived(0x0704, 60, b"whole", (60,))


def test_missing_packages_are_asked_for() -> None:
    connection = logged_in()
    connection.receive_data(package(10, 1, 3, b"a"), NOW)
    deadline = connection.next_deadline()
    assert deadline == NOW + 10
    assert connection.on_time(deadline) == []
    ((header, body),) = sent(connection)
    assert (header.message_id, body.hex()) == (0x8003, "000a" + "02" + "0002" + "0003")
    connection.receive_data(frame(0x0002, 50), NOW + 299)
    events = connection.on_time(NOW + 300)
    assert events == [PackagesDropped("package_expired", 0x0704, 1)]


def test_interleaved_messages_are_asked_for_by_the_clock_alone_and_not_for_ever() -> None:
    """Two of one id; nothing comes any more, the owner only keeps to the deadlines."""
    connection = logged_in()
    assert not connection.holds_packages
    for serial_no, number in ((10, 1), (20, 1), (12, 3), (22, 3)):
        connection.receive_data(package(serial_no, number, 3, b"%d" % serial_no), NOW)
    assert connection.holds_packages
    asked, dropped, deadline = [], [], connection.next_deadline()
    while connection.holds_packages:
        assert deadline is not None
        dropped += connection.on_time(deadline)
        asked += [(header.message_id, body.hex(), deadline - NOW) for header, body in sent(connection)]
        later = connection.next_deadline()
        assert later is not None
        assert later > deadline
        deadline = later
    lists = "000a" + "01" + "0002", "0014" + "01" + "0002"
    assert asked == [(0x8003, list_, at) for at in (2, 12, 22) for list_ in lists]
    assert dropped == [PackagesDropped("package_expired", 0x0704, 2)] * 2
    assert deadline == NOW + ConnectionLimits().idle_s


def test_interleaved_messages_are_put_together() -> None:
    connection = logged_in()
    for serial_no, number in ((10, 1), (20, 1), (12, 3), (22, 3), (21, 2)):
        events = connection.receive_data(package(serial_no, number, 3, b"%d" % serial_no), NOW)
    assert events == [MessageReceived(0x0704, 20, b"202122", (20, 21, 22))]
    assert connection.receive_data(package(11, 2, 3, b"11"), NOW) == [
        MessageReceived(0x0704, 10, b"101112", (10, 11, 12))
    ]
    assert not connection.holds_packages


def test_2019_is_asked_with_a_wide_count_and_2011_not_at_all() -> None:
    wide, silent = logged_in(PHONE_2019), logged_in(edition=Edition.V2011)
    data = build_frame(0x0704, PHONE_2019, 10, b"a", Edition.V2019, package=(2, 1))
    wide.receive_data(data, NOW)
    wide.on_time(NOW + 10)
    assert sent(wide)[0][1].hex() == "000a" + "0001" + "0002"
    silent.receive_data(package(10, 1, 2, b"a"), NOW)
    silent.on_time(NOW + 10)
    assert silent.data_to_send() == b""


def test_what_is_half_there_when_the_link_ends_is_told() -> None:
    connection = logged_in()
    connection.receive_data(package(10, 1, 3, b"a", 0x0801) + package(12, 3, 3, b"c", 0x0801), NOW)
    assert connection.close() == [PackagesDropped("package_link_ended", 0x0801, 2)]
    assert connection.close() == []


def test_what_is_half_there_when_the_link_ends_by_itself_is_told() -> None:
    connection = logged_in(limits=ConnectionLimits(idle_s=100))
    connection.receive_data(package(10, 1, 3, b"a", 0x0801), NOW)
    assert connection.on_time(NOW + 100) == [LinkEnded("idle")]
    assert connection.close() == [PackagesDropped("package_link_ended", 0x0801, 1)]

"""Packages from one link of a terminal to its next: what was begun goes on, what is another's does not."""

from __future__ import annotations

from jt808.connection import ConnectionLimits, TerminalConnection
from jt808.events import AuthRequested, LinkEnded, MessageReceived, PackagesDropped
from jt808.subpackage import Reassembler
from tests.jt808.links import NOW, frame, logged_in, package, sent


def cut_off(*packages: bytes, limits: ConnectionLimits | None = None) -> Reassembler:
    """What a link that ended leaves of these packages."""
    connection = logged_in(limits=limits)
    connection.receive_data(b"".join(packages), NOW)
    packages_left = connection.take_packages()
    assert packages_left is not None
    assert connection.close() == []
    return packages_left


def next_link(left: Reassembler, serial_no: int, now: float = NOW) -> tuple[TerminalConnection, list[PackagesDropped]]:
    connection = TerminalConnection(now)
    (event,) = connection.receive_data(frame(0x0102, serial_no, b"code"), now)
    assert isinstance(event, AuthRequested)
    connection.continue_packages(left)
    dropped = connection.authenticated(event.header)
    connection.data_to_send()
    return connection, dropped


PHOTO = [package(10 + i, i + 1, 4, part, 0x0801) for i, part in enumerate((b"\0\0\0\x2a-", b"b", b"c", b"d"))]


def test_an_upload_goes_on_on_the_next_link_and_is_answered_there() -> None:
    connection, dropped = next_link(cut_off(PHOTO[0], PHOTO[2]), 14, NOW + 50)
    assert dropped == []
    assert connection.next_deadline() == NOW + 60
    connection.on_time(NOW + 60)
    assert [(header.message_id, body.hex()) for header, body in sent(connection)] == [
        (0x8800, "0000002a" + "02" + "0002" + "0004")
    ]
    (event,) = connection.receive_data(PHOTO[1] + PHOTO[3], NOW + 61)
    assert event == MessageReceived(0x0801, 10, b"\0\0\0\x2a-bcd", (10, 11, 12, 13))
    assert isinstance(event, MessageReceived)
    connection.reply_stored(event)
    answers = [(header.message_id, body.hex()) for header, body in sent(connection)]
    assert answers == [*[(0x8001, f"{serial_no:04x}080100") for serial_no in range(10, 14)], (0x8800, "0000002a")]


def test_a_terminal_that_counts_anew_goes_on_with_nothing() -> None:
    connection, dropped = next_link(cut_off(*PHOTO[:3]), 0)
    assert dropped == [PackagesDropped("package_link_ended", 0x0801, 3)]
    assert not connection.holds_packages
    assert connection.receive_data(package(13, 4, 4, b"of another", 0x0801), NOW) == []
    assert connection.close() == [PackagesDropped("package_link_ended", 0x0801, 1)]


def test_what_was_lost_over_two_links_is_told_once() -> None:
    left = cut_off(*[package(first, 1, 2, b"a") for first in (10, 20, 30, 40)])
    left.drop((0x0704, 10), "package_evicted")  # by the budget, in between
    connection, dropped = next_link(left, 45)
    assert dropped == [PackagesDropped("package_evicted", 0x0704, 1)]
    assert len(connection.close()) == 3


def test_an_idle_link_still_gives_what_it_has_of_messages() -> None:
    connection = logged_in(limits=ConnectionLimits(idle_s=100))
    connection.receive_data(PHOTO[0], NOW)
    assert connection.on_time(NOW + 100) == [LinkEnded("idle")]
    left = connection.take_packages()
    assert left is not None
    assert len(left) == 1
    assert connection.take_packages() is None


def test_there_is_mostly_nothing_to_go_on_with() -> None:
    assert TerminalConnection(NOW).take_packages() is None
    connection = logged_in()
    connection.receive_data(package(10, 1, 1, b"whole"), NOW)
    assert connection.take_packages() is None


def test_a_restart_on_the_same_link_joins_nothing() -> None:
    """Datagrams from the same address: the link outlives the restart."""
    connection = logged_in()
    connection.receive_data(PHOTO[0] + PHOTO[1], NOW)
    (event,) = connection.receive_data(frame(0x0102, 0, b"code"), NOW + 30)
    assert isinstance(event, AuthRequested)
    assert connection.authenticated(event.header) == [PackagesDropped("package_link_ended", 0x0801, 2)]
    assert connection.receive_data(PHOTO[2] + PHOTO[3], NOW + 31) == []

"""What the platform sends of its own: numbered, repeated, in packages, some of them again."""

from __future__ import annotations

import pytest

from jt808.connection import TerminalConnection
from jt808.errors import UsageError
from jt808.events import PackagesAsked
from jt808.framing import deframe_datagram
from jt808.header import parse_header
from tests.jt808.links import NOW, PHONE, PHONE_2019, frame, logged_in, sent


def test_send_numbers_and_repeats() -> None:
    connection = logged_in()
    connection.continue_serial_no(0xFFFF)
    assert connection.send(0x8300, b"\x01hi") == 0xFFFF
    assert connection.send(0x8300, b"\x01hi") == 0
    assert connection.send(0x8300, b"\x01hi", 0xFFFF) == 0xFFFF
    assert [header.serial_no for header, _ in sent(connection)] == [0xFFFF, 0, 0xFFFF]


def test_send_needs_a_terminal() -> None:
    with pytest.raises(UsageError):
        TerminalConnection(NOW).send(0x8300, b"x")


def test_datagrams_are_sent_a_frame_each() -> None:
    connection = logged_in()
    connection.send(0x8300, b"a")
    connection.send(0x8300, b"b")
    assert len(connection.frames_to_send()) == 2
    assert connection.frames_to_send() == []


@pytest.mark.parametrize("phone", [PHONE, PHONE_2019])
def test_a_long_message_goes_out_in_packages_and_some_of_them_again(phone: str) -> None:
    connection = logged_in(phone)
    connection.continue_serial_no(65534)
    body = bytes(range(256)) * 12
    assert connection.send(0x8108, body) == 65534
    assert connection.take_serial_no() == 2
    frames = connection.frames_to_send()
    found = [parse_header(content) for content in deframe_datagram(b"".join(frames)) if isinstance(content, bytes)]
    assert [(h.serial_no, h.package_total, h.package_no) for h, _ in found] == [
        (65534, 4, 1), (65535, 4, 2), (0, 4, 3), (1, 4, 4)
    ]  # fmt: skip
    assert b"".join(part for _, part in found) == body
    assert [connection.first_serial_no(serial_no) for serial_no in (65534, 1, 2)] == [65534, 65534, 2]

    count = b"\0\3" if phone == PHONE_2019 else b"\3"
    asked = frame(0x0005, 9, b"\xff\xfe" + count + b"\0\2\0\4\0\5", phone=phone)
    assert connection.receive_data(asked, NOW) == [PackagesAsked(0x0005, 9, 3, 2)]
    assert connection.frames_to_send() == [frames[1], frames[3]]


def test_packages_that_are_gone_cannot_be_sent_again() -> None:
    connection = logged_in()
    for body in (b"\0\7\1\0\1", b"", b"\0\0\0"):
        (event,) = connection.receive_data(frame(0x0005, 1, body), NOW)
        assert isinstance(event, PackagesAsked)
        assert event.sent == 0
    connection.send(0x8108, bytes(2000), 0)
    assert connection.receive_data(frame(0x0005, 2, b"\0\7\1\0\1"), NOW) == [
        PackagesAsked(0x0005, 2, 1, 0, b"\0\7\1\0\1")
    ]
    assert connection.receive_data(frame(0x0005, 3, b"broken"), NOW) == [PackagesAsked(0x0005, 3, 0, 0)]
    with pytest.raises(UsageError):
        connection.send(0x8108, bytes(1023 * 65535 + 1))

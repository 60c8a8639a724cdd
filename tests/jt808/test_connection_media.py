"""Media data (0x0801) in packages, with the answer of its own (0x8800)."""

from __future__ import annotations

import pytest

from jt808.events import MessageReceived, PackageRepeated, RegisterRequested
from jt808.header import Edition
from tests.jt808.links import NOW, frame, logged_in, package, sent


def test_media_data_is_answered_with_its_id() -> None:
    connection = logged_in()
    connection.receive_data(package(10, 1, 2, b"\0\0\0\x2arest", 0x0801), NOW)
    (event,) = connection.receive_data(package(11, 2, 2, b"more", 0x0801), NOW)
    assert isinstance(event, MessageReceived)
    connection.reply_stored(event)
    assert [(header.message_id, body.hex()) for header, body in sent(connection)][-1] == (0x8800, "0000002a")


@pytest.mark.parametrize("edition", [Edition.V2011, Edition.V2013])
def test_media_data_sent_again_is_answered_again_with_its_id(edition: Edition) -> None:
    """The 0x8800 got lost: a unit that waits for nothing else sends all packages again."""
    connection = logged_in(edition=edition)
    packages = package(10, 1, 2, b"\0\0\0\x2arest", 0x0801) + package(11, 2, 2, b"more", 0x0801)
    (event,) = connection.receive_data(packages, NOW)
    assert isinstance(event, MessageReceived)
    connection.reply_stored(event)
    answers = [(header.message_id, body) for header, body in sent(connection)]
    assert [message_id for message_id, _ in answers] == [0x8001, 0x8001, 0x8800]
    assert connection.receive_data(packages, NOW + 9) == [PackageRepeated(0x0801, 10), PackageRepeated(0x0801, 11)]
    assert [(header.message_id, body) for header, body in sent(connection)] == answers


@pytest.mark.parametrize("end", ["closed", "registered anew"])
def test_media_data_stored_when_nobody_is_there_any_more_is_not_answered(end: str) -> None:
    connection = logged_in()
    (event,) = connection.receive_data(package(10, 1, 1, b"\0\0\0\x2apicture", 0x0801), NOW)
    assert isinstance(event, MessageReceived)
    if end == "closed":
        connection.close()
    else:
        (register,) = connection.receive_data(frame(0x0100, 11), NOW)
        assert isinstance(register, RegisterRequested)
        connection.accept_registration(register.header, "code")
        connection.data_to_send()
    connection.reply_stored(event)
    assert connection.data_to_send() == b""


def test_missing_media_packages_are_asked_for_with_their_own_answer() -> None:
    """And every other time with the general one; without the first package nobody knows the media id."""
    connection = logged_in()
    connection.receive_data(package(10, 1, 4, b"\0\0\0\x2arest", 0x0801), NOW)
    asked = []
    for ask in range(1, 5):
        connection.on_time(NOW + 10 * ask)
        asked += [(header.message_id, body.hex()) for header, body in sent(connection)]
    list_ = "03" + "0002" + "0003" + "0004"
    assert asked == [(0x8800, "0000002a" + list_), (0x8003, "000a" + list_), (0x8800, "0000002a" + list_)]
    headless = logged_in()
    headless.receive_data(package(11, 2, 2, b"more", 0x0801), NOW)
    headless.on_time(NOW + 2)
    assert [(header.message_id, body.hex()) for header, body in sent(headless)] == [(0x8003, "000a" + "01" + "0001")]


def test_2011_is_asked_for_media_with_its_layout() -> None:
    connection = logged_in(edition=Edition.V2011)
    connection.receive_data(package(10, 1, 2, b"\0\0\0\x2arest", 0x0801), NOW)
    connection.on_time(NOW + 10)
    assert [(header.message_id, body.hex()) for header, body in sent(connection)] == [
        (0x8800, "000a" + "0000002a" + "01" + "0002")
    ]

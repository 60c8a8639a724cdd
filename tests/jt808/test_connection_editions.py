"""A link in the form of its terminal's edition, learnt from the header or told by the registration."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808.connection import TerminalConnection
from jt808.errors import Result
from jt808.events import AuthRequested, MessageReceived
from jt808.header import Edition, build_frame
from tests.jt808.links import NOW, PHONE, PHONE_2019, frame, logged_in, sent


@pytest.mark.parametrize("version", [1, 2])
def test_2019_is_answered_in_its_own_form(version: int) -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0102, 0, b"\x04code", phone=PHONE_2019, version=version), NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header, Edition.V2013)  # the header knows better
    connection.data_to_send()
    (message,) = connection.receive_data(frame(0x0200, 0x7E7D, b"x", phone=PHONE_2019, version=version), NOW)
    assert isinstance(message, MessageReceived)
    connection.reply_stored(message)
    ((header, body),) = sent(connection)
    assert (header.edition, header.phone, header.protocol_version) == (Edition.V2019, PHONE_2019, version)
    assert struct.unpack(">HHB", body) == (0x7E7D, 0x0200, 0)
    assert connection.edition == Edition.V2019
    assert connection.phone10 == bytes.fromhex(PHONE_2019)


def test_2011_and_2013_share_a_header_and_a_padded_phone_field() -> None:
    connection = logged_in(edition=Edition.V2011)
    assert connection.edition == Edition.V2011
    assert connection.phone10 == bytes(4) + bytes.fromhex(PHONE)


def test_a_terminal_that_changes_its_header_form_is_followed() -> None:
    connection = logged_in()
    (event,) = connection.receive_data(frame(0x0200, 1, b"x", phone=PHONE_2019), NOW)
    assert event == MessageReceived(0x0200, 1, b"x")
    assert connection.edition == Edition.V2019
    connection.reply_general(event, Result.OK)
    assert sent(connection)[0][0].phone == PHONE_2019


@given(
    serial_no=st.integers(0, 0xFFFF),
    own=st.integers(0, 0xFFFF),
    message_id=st.sampled_from([0x0200, 0x0704, 0x7E7D]),
    phone=st.sampled_from([PHONE, PHONE_2019, "7e7d7e7d7e7d"]),
)
def test_the_general_answer_written_out_equals_the_frame_built(
    serial_no: int, own: int, message_id: int, phone: str
) -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0102, 0, b"\x04code", phone=phone), NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header)
    connection.data_to_send()
    connection.continue_serial_no(own)
    connection.reply_stored(MessageReceived(message_id, serial_no, b""))
    edition = Edition.V2019 if len(phone) == 20 else Edition.V2013
    assert connection.data_to_send() == build_frame(
        0x8001, phone, own, struct.pack(">HHB", serial_no, message_id, 0), edition
    )

"""The platform's side of a link: its states, what is taken in each and how it is answered; any cuts, any bytes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808.connection import TRANSITIONS, ConnectionLimits, State, Step, TerminalConnection
from jt808.errors import UsageError
from jt808.events import (
    AuthRequested,
    BadFrameReceived,
    Event,
    HeartbeatReceived,
    MessageReceived,
    Refused,
    RegisterRequested,
    TimeQueried,
    UnregisterRequested,
)
from jt808.framing import deframe_datagram, enframe
from jt808.header import Edition, build_frame
from tests.jt808.links import NOW, OTHER, PHONE, frame, general, logged_in, package, sent


@pytest.mark.parametrize(("state", "step"), list(product(State, Step)))
def test_every_state_and_step_is_known_or_an_error_of_ours(state: State, step: Step) -> None:
    connection = TerminalConnection(NOW)
    connection.state = state
    if (state, step) in TRANSITIONS:
        connection._step(step)
        assert connection.state is TRANSITIONS[state, step]
    else:
        with pytest.raises(UsageError):
            connection._step(step)
        assert connection.state is state


def test_registration_then_authentication_then_reports() -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0100, 7, b"body"), NOW)
    assert isinstance(event, RegisterRequested)
    assert event.body == b"body"
    assert connection.data_to_send() == b""  # the owner decides
    connection.accept_registration(event.header, "0123456789abcdef", Edition.V2011)
    ((header, body),) = sent(connection)
    assert (header.message_id, header.phone, body) == (0x8100, PHONE, b"\x00\x07\x000123456789abcdef")
    assert (connection.state, connection.edition) == (State.REGISTERED, Edition.V2011)

    (event,) = connection.receive_data(frame(0x0102, 8, b"0123456789abcdef"), NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header)
    assert general(connection) == [(8, 0x0102, 0)]
    assert (connection.state, connection.edition) == (State.AUTHENTICATED, Edition.V2011)

    (event,) = connection.receive_data(frame(0x0200, 9, b"report"), NOW)
    assert event == MessageReceived(0x0200, 9, b"report")
    assert connection.data_to_send() == b""  # not before it is stored
    connection.reply_stored(event)
    assert general(connection) == [(9, 0x0200, 0)]


def test_refused_registration_names_the_result() -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0100, 7, b"body"), NOW)
    assert isinstance(event, RegisterRequested)
    connection.refuse_registration(event.header, 4)
    ((header, body),) = sent(connection)
    assert (header.message_id, body) == (0x8100, b"\x00\x07\x04")
    assert connection.state is State.NEW


@pytest.mark.parametrize("message_id", [0x0200, 0x0002, 0x0003, 0x0704, 0x0900])
def test_before_authentication_nothing_is_taken(message_id: int) -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(message_id, 3, b""), NOW)
    assert isinstance(event, Refused)
    assert event.reason == "unauthenticated"
    assert general(connection) == [(3, message_id, 1)]


def test_an_answer_before_authentication_is_not_answered() -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0001, 3, bytes(5)), NOW)
    assert isinstance(event, Refused)
    assert connection.data_to_send() == b""


def test_wrong_codes_count() -> None:
    connection = TerminalConnection(NOW, limits=ConnectionLimits(auth_failures=3))
    verdicts = []
    for serial_no in range(3):
        (event,) = connection.receive_data(frame(0x0102, serial_no, b"wrong"), NOW)
        assert isinstance(event, AuthRequested)
        verdicts.append(connection.refuse_authentication(event.header))
    assert verdicts == [False, False, True]
    assert general(connection) == [(0, 0x0102, 1), (1, 0x0102, 1), (2, 0x0102, 1)]


def test_registering_again_on_an_authenticated_link_asks_for_the_new_code() -> None:
    connection = logged_in()
    (event,) = connection.receive_data(frame(0x0100, 1, b"again"), NOW)
    assert isinstance(event, RegisterRequested)
    connection.accept_registration(event.header, "new")
    assert connection.state is State.REGISTERED
    (refused,) = connection.receive_data(frame(0x0200, 2, b"x"), NOW + 1)
    assert isinstance(refused, Refused)
    assert connection.next_deadline() == NOW + ConnectionLimits().unauthenticated_s


def test_what_comes_with_an_authentication_waits_for_it() -> None:
    connection = TerminalConnection(NOW)
    data = frame(0x0102, 0, b"code") + frame(0x0200, 1, b"eager") + frame(0x0200, 2, b"more")
    (event,) = connection.receive_data(data, NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header)
    assert connection.receive_held(NOW) == [MessageReceived(0x0200, 1, b"eager"), MessageReceived(0x0200, 2, b"more")]
    assert connection.receive_held(NOW) == []


def test_what_comes_with_a_failed_authentication_is_refused() -> None:
    connection = TerminalConnection(NOW)
    (event,) = connection.receive_data(frame(0x0102, 0, b"wrong") + frame(0x0200, 1, b"eager"), NOW)
    assert isinstance(event, AuthRequested)
    connection.refuse_authentication(event.header)
    (refused,) = connection.receive_held(NOW)
    assert isinstance(refused, Refused)


def test_another_phone_is_refused_after_authentication() -> None:
    connection = logged_in()
    events = connection.receive_data(frame(0x0200, 1, b"x", phone=OTHER) + frame(0x0200, 2, b"y"), NOW)
    assert isinstance(events[0], Refused)
    assert events[0].reason == "wrong_phone"
    assert events[1] == MessageReceived(0x0200, 2, b"y")
    ((header, body),) = sent(connection)
    assert header.phone == OTHER
    assert struct.unpack(">HHB", body) == (1, 0x0200, 1)


def test_an_encrypted_body_is_not_supported() -> None:
    connection = logged_in()
    data = build_frame(0x0200, PHONE, 5, b"secret", encryption=1)
    (event,) = connection.receive_data(data, NOW)
    assert isinstance(event, Refused)
    assert event.reason == "encrypted"
    assert general(connection) == [(5, 0x0200, 3)]


def test_own_answers() -> None:
    connection = logged_in()
    heartbeat, query, unregister = connection.receive_data(frame(0x0002, 1) + frame(0x0004, 2) + frame(0x0003, 3), NOW)
    assert heartbeat == HeartbeatReceived(0x0002, 1)
    assert query == TimeQueried(0x0004, 2)
    assert isinstance(query, TimeQueried)
    assert unregister == UnregisterRequested(0x0003, 3)
    assert isinstance(unregister, UnregisterRequested)
    connection.reply_time(query, datetime(2017, 3, 15, 17, 9, 23, tzinfo=UTC).timestamp())
    ((header, body),) = sent(connection)
    assert (header.message_id, body.hex()) == (0x8004, "170315170923")  # the standard's example, in UTC
    connection.unregistered(unregister)
    assert general(connection) == [(3, 0x0003, 0)]
    assert connection.state is State.NEW
    (event,) = connection.receive_data(frame(0x0200, 4, b"x"), NOW)
    assert isinstance(event, Refused)


def test_answers_are_kept_and_not_answered() -> None:
    connection = logged_in()
    (event,) = connection.receive_data(frame(0x0001, 1, bytes(5)), NOW)
    assert isinstance(event, MessageReceived)
    connection.reply_stored(event)
    assert connection.data_to_send() == b""


def test_a_closed_link_is_silent() -> None:
    connection = logged_in()
    connection.close()
    connection.close()
    connection.reply_stored(MessageReceived(0x0200, 1, b""))
    assert connection.data_to_send() == b""
    assert connection.receive_data(frame(0x0200, 2, b"x"), NOW) == []


@given(st.lists(st.integers(1, 40), max_size=60))
def test_cuts_do_not_matter(sizes: list[int]) -> None:
    stream = (
        frame(0x0002, 1)
        + b"junk\x7e\x01\x02"
        + frame(0x0200, 2, bytes(range(0x70, 0x90)))
        + frame(0x0200, 3, b"x", phone=OTHER)
        + package(4, 1, 2, b"first") + package(5, 2, 2, b"second")
        + frame(0x0004, 6)
    )  # fmt: skip
    whole, cut = logged_in(), logged_in()
    expected = whole.receive_data(stream, NOW)
    events: list[Event] = []
    position = 0
    for size in sizes:
        events += cut.receive_data(stream[position : position + size], NOW)
        position += size
    events += cut.receive_data(stream[position:], NOW)
    assert events == expected
    assert cut.data_to_send() == whole.data_to_send()
    assert MessageReceived(0x0704, 4, b"firstsecond", (4, 5)) in events


def test_junk_costs_a_frame_and_not_the_link() -> None:
    connection = logged_in()
    spoilt = bytearray(frame(0x0200, 1, b"x"))
    spoilt[5] ^= 1
    declared = build_frame(0x0200, PHONE, 2, b"abcdef")
    lying = deframe_datagram(declared)[0]
    assert isinstance(lying, bytes)
    shorter = lying[:-2]  # the header still says six bytes

    events = connection.receive_data(bytes(spoilt) + enframe(shorter) + frame(0x0200, 3, b"good"), NOW)
    assert [event.reason for event in events if isinstance(event, BadFrameReceived)] == ["bad_check", "bad_header"]
    assert events[-1] == MessageReceived(0x0200, 3, b"good")


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_give_events_and_nothing_else(pieces: list[bytes]) -> None:
    for connection in (TerminalConnection(NOW), logged_in()):
        for piece in pieces:
            for event in connection.receive_data(piece, NOW):
                assert isinstance(event, Event)
        connection.data_to_send()

"""The platform's side of a link: states, answers, cuts, editions, bounds."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808.connection import TRANSITIONS, ConnectionLimits, State, Step, TerminalConnection
from jt808.errors import Result, UsageError
from jt808.events import (
    AuthRequested,
    BadFrameReceived,
    Event,
    HeartbeatReceived,
    LinkEnded,
    MessageReceived,
    PackageRepeated,
    PackagesAsked,
    PackagesDropped,
    Refused,
    RegisterRequested,
    TimeQueried,
    UnregisterRequested,
)
from jt808.framing import deframe_datagram
from jt808.header import Edition, Header, build_frame, parse_header
from jt808.subpackage import Reassembler

PHONE = "013912345678"
OTHER = "013912345679"
PHONE_2019 = "00000000013912345678"
NOW = 1000.0


def frame(message_id: int, serial_no: int, body: bytes = b"", *, phone: str = PHONE, version: int = 1) -> bytes:
    edition = Edition.V2019 if len(phone) == 20 else Edition.V2013
    return build_frame(message_id, phone, serial_no, body, edition, protocol_version=version)


def package(serial_no: int, number: int, total: int, body: bytes, message_id: int = 0x0704) -> bytes:
    return build_frame(message_id, PHONE, serial_no, body, package=(total, number))


def sent(connection: TerminalConnection) -> list[tuple[Header, bytes]]:
    """What the connection wants to send, parsed by the library's other half."""
    contents = deframe_datagram(connection.data_to_send())
    assert all(isinstance(content, bytes) for content in contents)
    return [parse_header(content) for content in contents if isinstance(content, bytes)]


def general(connection: TerminalConnection) -> list[tuple[int, int, int]]:
    """The 0x8001 that wait to be sent: (serial number, id, result)."""
    found = []
    for header, body in sent(connection):
        assert header.message_id == 0x8001
        found.append(struct.unpack(">HHB", body))
    return found


def logged_in(
    phone: str = PHONE, edition: Edition | None = None, limits: ConnectionLimits | None = None
) -> TerminalConnection:
    connection = TerminalConnection(NOW, limits=limits or ConnectionLimits())
    (event,) = connection.receive_data(frame(0x0102, 0, b"code", phone=phone), NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header, edition)
    assert general(connection) == [(0, 0x0102, 0)]
    return connection


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
    from jt808.framing import enframe

    events = connection.receive_data(bytes(spoilt) + enframe(shorter) + frame(0x0200, 3, b"good"), NOW)
    assert [event.reason for event in events if isinstance(event, BadFrameReceived)] == ["bad_check", "bad_header"]
    assert events[-1] == MessageReceived(0x0200, 3, b"good")


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


# ---- sub-packages


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


def test_the_bound_of_incomplete_messages_is_the_links() -> None:
    connection = logged_in(limits=ConnectionLimits(package_bytes=1500))
    connection.receive_data(package(10, 1, 3, bytes(900), 0x0801), NOW)
    dropped, refused = connection.receive_data(package(11, 2, 3, bytes(900), 0x0801), NOW)
    assert dropped == PackagesDropped("package_too_large", 0x0801, 1)
    assert isinstance(refused, Refused)
    assert refused.reason == "package_too_large"


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


# ---- sub-packages, from one link to the next


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


# ---- time and bounds


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


def test_a_silent_link_ends() -> None:
    connection = logged_in()
    connection.receive_data(frame(0x0002, 1), NOW + 100)
    assert connection.next_deadline() == NOW + 1000
    assert connection.on_time(NOW + 999) == []
    assert connection.on_time(NOW + 1000) == [LinkEnded("idle")]


# ---- sending


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


def test_a_closed_link_is_silent() -> None:
    connection = logged_in()
    connection.close()
    connection.close()
    connection.reply_stored(MessageReceived(0x0200, 1, b""))
    assert connection.data_to_send() == b""
    assert connection.receive_data(frame(0x0200, 2, b"x"), NOW) == []


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


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_give_events_and_nothing_else(pieces: list[bytes]) -> None:
    for connection in (TerminalConnection(NOW), logged_in()):
        for piece in pieces:
            for event in connection.receive_data(piece, NOW):
                assert isinstance(event, Event)
        connection.data_to_send()

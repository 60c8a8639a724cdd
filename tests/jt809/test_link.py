"""The four ends, joined in memory; time is a number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt809 import (
    BackoffPolicy,
    Cipher,
    Credentials,
    Deframer,
    Edition,
    Link,
    LinkSettings,
    MainLink,
    Message,
    SerialCounter,
    State,
    SubLink,
    SuperiorMainLink,
    SuperiorSubLink,
    UsageError,
    parse_header,
)
from jt809.events import (
    BadFrameReceived,
    BodyUnreadable,
    Event,
    LinkClosed,
    LoginAccepted,
    LoginAsked,
    LoginRefused,
    LogoutAsked,
    MainLinkDown,
    MessageReceived,
    OutOfPlace,
    PeerCloses,
    SubLinkDown,
    TestAnswered,
)
from jt809.link import LINK_MANAGEMENT, Trigger
from jt809.messages import (
    CloseLinkInform,
    ConnectRequest,
    ConnectResponse,
    DisconnectInform,
    DisconnectRequest,
    DownCloseLinkInform,
    DownConnectRequest,
    DownDisconnectInform,
    DownDisconnectRequest,
    DownLinkTest,
    UnknownMessage,
)

SETTINGS = LinkSettings(access_code=12345678)
WHO = Credentials(888888, "passwd01", "127.0.0.1", 6809)
BACKOFF = BackoffPolicy(jitter=0.0)


def main_link(settings: LinkSettings = SETTINGS, **arguments: Any) -> MainLink:
    return MainLink(settings, WHO, arguments.pop("backoff", BACKOFF), **arguments)


def carry(a: Link, b: Link, now: float) -> tuple[list[Event], list[Event]]:
    """Bytes to and fro until nobody has any; the events of a, of b."""
    events: tuple[list[Event], list[Event]] = [], []
    while True:
        to_b, to_a = a.data_to_send(), b.data_to_send()
        if not to_b and not to_a:
            return events
        events[1].extend(b.receive_data(to_b, now))
        events[0].extend(a.receive_data(to_a, now))


def logged_in(now: float = 0.0, settings: LinkSettings = SETTINGS) -> tuple[MainLink, SuperiorMainLink]:
    low = main_link(settings)
    high = SuperiorMainLink(LinkSettings(edition=settings.edition), now, lambda header, body: settings.cipher)
    low.start(now)
    low.connected(now)
    events = carry(low, high, now)[1]
    assert isinstance(events[0], LoginAsked)
    high.accept(replace(settings, heartbeat_s=60.0), SerialCounter(), 4711, now)
    assert carry(low, high, now) == ([LoginAccepted(4711)], [])
    assert (low.state, high.state, low.verify_code) == (State.UP, State.UP, 4711)
    return low, high


def sub_up(now: float = 0.0) -> tuple[SubLink, SuperiorSubLink]:
    high, low = SuperiorSubLink(SETTINGS, 4711), SubLink(LinkSettings(), now)
    high.connected(now)
    (asked,) = carry(high, low, now)[1]
    assert isinstance(asked, LoginAsked)
    assert asked.request == DownConnectRequest(4711)
    low.accept(SETTINGS, SerialCounter(), now)
    assert carry(high, low, now) == ([LoginAccepted(None)], [])
    return low, high


def ids(data: bytes, edition: Edition = Edition.V2011) -> list[int]:
    return [parse_header(c, edition)[0].message_id for c in Deframer().feed(data) if isinstance(c, bytes)]


def test_login_and_heartbeat() -> None:
    low, high = logged_in()
    assert low.next_deadline() == 60.0
    assert low.handle_timer(59.9) == []
    assert low.data_to_send() == b""
    low.handle_timer(60.0)
    assert carry(low, high, 61.0) == ([TestAnswered(1)], [])
    assert high.received[0x1005] == 1
    assert low.next_deadline() == 120.0


def test_business_data_spares_the_heartbeat() -> None:
    low, high = logged_in()
    low.send(0x1200, bytes(28), 50.0)
    assert low.next_deadline() == 110.0
    (event,) = carry(low, high, 50.0)[1]
    assert isinstance(event, MessageReceived)
    assert event.name == "0x1200/0x0000"


def test_silence_closes_the_link() -> None:
    low, high = logged_in()
    for now in (60.0, 120.0):
        low.handle_timer(now)
        assert ids(low.data_to_send()) == [0x1005]
    (closed,) = low.handle_timer(180.0)
    assert isinstance(closed, LinkClosed)
    assert (low.state, low.wants_close, low.next_deadline()) == (State.BACKOFF, True, 185.0)
    assert low.receive_data(bytes(10), 181.0) == []
    assert low.connection_lost(181.0, "closed") == []
    assert low.next_deadline() == 185.0
    (closed,) = high.handle_timer(180.0)
    assert isinstance(closed, LinkClosed)
    assert high.state is State.CLOSED


def test_garbage_keeps_no_link_alive() -> None:
    low, _ = logged_in()
    (bad,) = low.receive_data(b"noise", 170.0)
    assert bad == BadFrameReceived("junk", b"noise")
    assert low.bad_frames == {"junk": 1}
    assert low.handle_timer(180.0)


def test_back_off_grows_and_begins_anew_after_a_steady_link() -> None:
    low = main_link()
    low.start(0.0)
    now, waits = 0.0, []
    for _ in range(8):
        (closed,) = low.connection_lost(now, "no route")
        assert closed == LinkClosed("no route")
        deadline = low.next_deadline()
        assert deadline is not None
        waits.append(deadline - now)
        assert low.handle_timer(deadline - 0.001) == []
        assert low.state is State.BACKOFF
        now = deadline
        low.handle_timer(now)
        assert low.state is State.CONNECTING
    assert waits == [pytest.approx(min(60.0, 5.0 * 1.5**n)) for n in range(8)]

    low.connected(now)
    low.data_to_send()
    low.receive_data(frame(ConnectResponse(0, 1)), now)
    low.connection_lost(now + 10.0, "lost")  # a link that lived only for a moment does not count
    assert low.next_deadline() == pytest.approx(now + 10.0 + 60.0)
    now = now + 70.0
    low.handle_timer(now)
    low.connected(now)
    low.receive_data(frame(ConnectResponse(0, 1)), now)
    low.connection_lost(now + 60.0, "lost")
    assert low.next_deadline() == pytest.approx(now + 60.0 + 5.0)


def test_jitter_spreads_the_tries() -> None:
    for chance, wait in ((0.0, 4.0), (0.5, 5.0), (1.0, 6.0)):
        low = main_link(backoff=BackoffPolicy(jitter=0.2), chance=lambda chance=chance: chance)
        low.start(0.0)
        low.connection_lost(0.0, "lost")
        assert low.next_deadline() == pytest.approx(wait)


def frame(message: Message) -> bytes:
    link = SuperiorMainLink(LinkSettings(), 0.0)
    link.send_message(message, 0.0)
    return link.data_to_send()


@pytest.mark.parametrize(("result", "wait"), [(1, 60.0), (2, 60.0), (3, 60.0), (4, 60.0), (5, 5.0), (6, 5.0)])
def test_refused(result: int, wait: float) -> None:
    low, high = main_link(), SuperiorMainLink(LinkSettings(), 0.0)
    low.start(0.0)
    low.connected(0.0)
    (asked,) = carry(low, high, 0.0)[1]
    assert isinstance(asked, LoginAsked)
    assert asked.request == ConnectRequest(888888, "passwd01", "127.0.0.1", 6809)
    assert asked.header.access_code == 12345678
    high.refuse(result, 1.0)
    assert high.wants_close
    events = carry(low, high, 1.0)[0]
    assert events == [LoginRefused(result), LinkClosed(f"login refused (result {result})")]
    assert low.wants_close
    assert low.next_deadline() == 1.0 + wait


@pytest.mark.parametrize(
    ("settings", "who", "complaint"),
    [
        (SETTINGS, replace(WHO, password="ninebytes"), "the field has 8"),
        (SETTINGS, replace(WHO, user_id=-1), "user_id"),
        (SETTINGS, replace(WHO, down_link_port=70000), "down_link_port"),
        (replace(SETTINGS, access_code=1 << 32), WHO, "access_code"),
    ],
)
def test_a_login_that_cannot_be_written_is_refused_at_once(
    settings: LinkSettings, who: Credentials, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        MainLink(settings, who)


def test_no_answer_to_the_login() -> None:
    low = main_link()
    low.start(0.0)
    low.connected(0.0)
    assert ids(low.data_to_send()) == [0x1001]
    assert low.next_deadline() == 30.0
    (closed,) = low.handle_timer(30.0)
    assert closed == LinkClosed("no answer to the login for 30 s")
    assert low.state is State.BACKOFF


def test_logout() -> None:
    low, high = logged_in()
    low.stop(10.0)
    mine, theirs = carry(low, high, 10.0)
    assert theirs == [
        LogoutAsked(DisconnectRequest(888888, "passwd01")),
        LinkClosed("the subordinate platform logged out"),
    ]
    assert mine == [LinkClosed("logged out")]
    assert (low.state, high.state) == (State.IDLE, State.CLOSED)
    low.stop(11.0)
    assert low.next_deadline() is None


def test_logout_without_an_answer() -> None:
    low, _ = logged_in()
    low.stop(10.0, logout_timeout_s=2.0)
    assert low.next_deadline() == 12.0
    assert low.handle_timer(12.0) == [LinkClosed("no answer to the logout")]
    assert (low.state, low.wants_close) == (State.IDLE, True)


@pytest.mark.parametrize("connect", [False, True])
def test_stop_before_the_login(connect: bool) -> None:
    low = main_link()
    low.start(0.0)
    if connect:
        low.connected(0.0)
    low.stop(1.0)
    assert (low.state, low.wants_close) == (State.IDLE, True)


def test_the_peer_closes_both_links() -> None:
    low, high = logged_in()
    high.send_message(DownCloseLinkInform(0), 5.0)
    events = carry(low, high, 5.0)[0]
    assert events == [PeerCloses(0), LinkClosed("the peer closes both links (reason 0)")]
    assert low.state is State.BACKOFF


def test_sub_link() -> None:
    low, high = sub_up()
    assert high.next_deadline() == 60.0
    high.handle_timer(60.0)
    assert carry(high, low, 60.0) == ([], [])
    assert low.received[0x9005] == 1
    assert high.received[0x9006] == 1
    assert low.next_deadline() == 240.0
    high.send_message(DownDisconnectRequest(4711), 61.0)
    assert carry(high, low, 61.0)[1] == [
        LogoutAsked(DownDisconnectRequest(4711)),
        LinkClosed("the superior platform logged out"),
    ]
    assert high.received[0x9004] == 1
    assert low.wants_close


def test_sub_link_with_a_wrong_code() -> None:
    high, low = SuperiorSubLink(SETTINGS, 1), SubLink(LinkSettings(), 0.0)
    high.connected(0.0)
    carry(high, low, 0.0)
    low.refuse(0.0)
    assert low.wants_close
    assert carry(high, low, 0.0)[0] == [LoginRefused(1), LinkClosed("login refused (result 1)")]
    assert high.state is State.CLOSED


def test_a_client_that_does_not_log_in() -> None:
    low = SubLink(LinkSettings(), 100.0)
    assert low.next_deadline() == 130.0
    assert low.handle_timer(130.0)
    assert low.wants_close


def test_every_id_on_either_link() -> None:
    """With one link down all goes over the other: heartbeats and logouts of both are answered where they came."""
    main_low, main_high = logged_in()
    sub_low, sub_high = sub_up()
    for low, high in ((main_low, main_high), (sub_low, sub_high)):
        high.send_message(DownLinkTest(), 1.0)
        assert low.test(1.0) == 1
        high.send(0x9300, bytes(6), 1.0)
        low.send(0x1200, bytes(28), 1.0)
        low.send_message(DisconnectInform(0), 1.0)
        mine, theirs = carry(low, high, 1.0)
        assert [type(event) for event in mine] == [MessageReceived, TestAnswered]
        assert [type(event) for event in theirs] == [MessageReceived, MainLinkDown]
        assert high.received[0x9006] == 1
        assert low.test(2.0) == 2
        assert carry(low, high, 2.0)[0] == [TestAnswered(2)]
    main_high.send_message(DownDisconnectInform(1), 1.0)
    assert carry(main_low, main_high, 1.0)[0] == [SubLinkDown(1)]
    sub_low.send_message(CloseLinkInform(1), 3.0)
    assert carry(sub_low, sub_high, 3.0)[1][0] == PeerCloses(1)


def test_answers_to_link_tests_count_in_order_and_never_ahead() -> None:
    low, high = logged_in()
    assert [low.test(1.0), low.test(2.0), low.test(3.0)] == [1, 2, 3]
    assert carry(low, high, 3.0)[0] == [TestAnswered(1), TestAnswered(2), TestAnswered(3)]
    link = SuperiorMainLink(LinkSettings(), 0.0)
    link.send(0x1006, b"", 0.0)  # out of the blue
    assert low.receive_data(link.data_to_send(), 4.0) == [OutOfPlaceFor(low)]
    assert low.test(5.0) == 4


class OutOfPlaceFor:
    """Equal to any OutOfPlace of that link's state."""

    def __init__(self, link: Link) -> None:
        self._state = link.state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutOfPlace) and other.state == self._state

    __hash__ = None  # type: ignore[assignment]


def test_business_before_the_login_is_dropped() -> None:
    high = SuperiorMainLink(LinkSettings(), 0.0)
    other = SuperiorMainLink(LinkSettings(), 0.0)
    other.send(0x1200, bytes(28), 0.0)
    other.send(0x1005, b"", 0.0)
    assert [type(event) for event in high.receive_data(other.data_to_send(), 0.0)] == [OutOfPlace, OutOfPlace]
    assert high.data_to_send() == b""


def test_a_second_login_is_out_of_place() -> None:
    low, high = logged_in()
    low.send_message(ConnectRequest(1, "x", "", 1), 1.0)
    (event,) = carry(low, high, 1.0)[1]
    assert isinstance(event, OutOfPlace)
    with pytest.raises(UsageError, match="no login"):
        high.refuse(1, 1.0)


def test_an_unreadable_body_costs_the_message() -> None:
    low, _ = logged_in()
    link = SuperiorMainLink(LinkSettings(), 0.0)
    link.send(0x9007, b"too long", 0.0)
    link.send_message(DownDisconnectInform(0), 0.0)
    events = low.receive_data(link.data_to_send(), 1.0)
    assert [type(event) for event in events] == [BodyUnreadable, SubLinkDown]


def test_encrypted_links() -> None:
    cipher = Cipher(10000000, 20000000, 30000000)
    low, high = logged_in(settings=replace(SETTINGS, cipher=cipher, is_encrypting=True))
    low.send_message(UnknownMessage(0x1200, None, b"secret" * 5), 1.0)
    data = low.data_to_send()
    assert b"secret" not in data
    (event,) = high.receive_data(data, 1.0)
    assert isinstance(event, MessageReceived)
    assert event.body == b"secret" * 5
    plain, _ = logged_in()
    assert [event.reason for event in plain.receive_data(data, 1.0) if isinstance(event, BadFrameReceived)] == [
        "no_cipher"
    ]
    with pytest.raises(UsageError, match="cipher"):
        main_link(replace(SETTINGS, is_encrypting=True))


def test_2019_login() -> None:
    low, _ = logged_in(settings=replace(SETTINGS, edition=Edition.V2019, epoch_s=1_700_000_000.0))
    low.test(5.0)
    (content,) = Deframer().feed(low.data_to_send())
    assert isinstance(content, bytes)
    assert parse_header(content, Edition.V2019)[0].time_s == 1_700_000_005


def test_serial_numbers_run_over_reconnects_and_wrap() -> None:
    serial = SerialCounter()
    low = main_link(serial=serial)
    low.start(0.0)
    for _ in range(2):
        low.connected(0.0)
        low.connection_lost(0.0, "lost")
        low.handle_timer(1000.0)
    assert serial.take() == 2
    serial._next = 0xFFFFFFFF
    assert (serial.take(), serial.take()) == (0xFFFFFFFF, 0)


def test_sending_without_a_connection() -> None:
    with pytest.raises(UsageError, match="idle"):
        main_link().send(0x1200, b"", 0.0)


@pytest.mark.parametrize("kind", [MainLink, SubLink, SuperiorMainLink, SuperiorSubLink])
def test_tables_reach_every_state_and_can_always_stop(kind: type[Link]) -> None:
    reached = {kind.INITIAL}
    while more := {to for (at, _), to in kind.TABLE.items() if at in reached} - reached:
        reached |= more
    assert reached == {at for at, _ in kind.TABLE} | set(kind.TABLE.values())
    for state in reached - {State.IDLE, State.CLOSED, State.LOGGING_OUT}:
        assert (state, Trigger.STOP) in kind.TABLE


actions = st.lists(
    st.one_of(
        st.sampled_from(["start", "connected", "lost", "stop", "timer", "test"]),
        st.sampled_from(sorted(LINK_MANAGEMENT | {0x9300, 0x1200})),
        st.binary(max_size=20),
    ),
    max_size=40,
)


@given(actions)
def test_any_sequence_ends_in_a_known_state_or_our_error(sequence: list[str | int | bytes]) -> None:
    low, now = main_link(), 0.0
    peer = SuperiorMainLink(LinkSettings(), 0.0)
    for action in sequence:
        now += 7.0
        try:
            match action:
                case "start":
                    low.start(now)
                case "connected":
                    low.connected(now)
                case "lost":
                    low.connection_lost(now, "lost")
                case "stop":
                    low.stop(now)
                case "timer":
                    low.handle_timer(low.next_deadline() or now)
                case "test":
                    low.test(now)
                case int():
                    peer.send(action, bytes(5 if action == 0x1002 else 1), now)
                    low.receive_data(peer.data_to_send(), now)
                case _:
                    assert isinstance(action, bytes)
                    low.receive_data(action, now)
        except UsageError:
            pass
        assert low.state in {state for state, _ in MainLink.TABLE}
        low.data_to_send()

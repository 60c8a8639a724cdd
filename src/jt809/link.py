"""What the four ends of the two links have in common: frames in, events out, bytes to send, deadlines.

Two platforms hold two TCP connections. On the main link (主链路) the subordinate platform is client and carries its
data up; on the sub link (从链路) the superior platform is client and carries its requests down. While one of them is
down everything goes over the other, so every end accepts every message id, and whatever is answered is answered on the
connection the request came on.

A link has no socket, clock or task. The shell calls ``receive_data`` with what it read, ``handle_timer`` when
``next_deadline()`` is reached and ``connection_lost`` when the connection ended; after each of them, and after every
other call, it writes ``data_to_send()`` and closes the socket when ``wants_close``. ``now`` is in seconds on any clock
that does not jump.

The states of each end are a table, (state, trigger) -> state, printed in ``subordinate`` and ``superior``.

Source: JT/T 809-2011 and 809-2019, links between platforms (链路); the times in ``LinkSettings``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from jt809.cipher import Cipher
from jt809.errors import BodyError, HeaderError, UsageError
from jt809.events import (
    BadFrameReceived,
    BodyUnreadable,
    Event,
    LinkClosed,
    LogoutAsked,
    MainLinkDown,
    MessageReceived,
    OutOfPlace,
    PeerCloses,
    SubLinkDown,
    TestAnswered,
)
from jt809.framing import MAX_FRAME_BYTES, BadFrame, Deframer
from jt809.header import DEFAULT_VERSION, Edition, Header, build_frame, parse_header
from jt809.messages import (
    CloseLinkInform,
    DisconnectInform,
    DisconnectResponse,
    DownCloseLinkInform,
    DownDisconnectInform,
    DownDisconnectResponse,
    DownLinkTestResponse,
    LinkTest,
    LinkTestResponse,
    Message,
    decode_body,
    encode_body,
)

KeySource = Callable[[], int]
"""Gives the ENCRYPT_KEY of the next encrypted frame, 1..2**32-1."""

LINK_MANAGEMENT: Final = frozenset((*range(0x1001, 0x1009), *range(0x9001, 0x9009)))


class State(StrEnum):
    """Where a link stands; each end uses some of them."""

    IDLE = "idle"  # nothing is wanted
    CONNECTING = "connecting"  # the shell opens the TCP connection
    LOGGING_IN = "logging_in"  # our login is out
    WAIT_LOGIN = "wait_login"  # the client's login has to come
    UP = "up"  # logged in
    LOGGING_OUT = "logging_out"
    BACKOFF = "backoff"  # waits before the next try
    CLOSED = "closed"  # over for good


class Trigger(StrEnum):
    START = "start"
    CONNECTED = "connected"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    TIMEOUT = "timeout"  # the deadline of the state: login, logout or back-off time
    SILENCE = "silence"  # nothing received for too long
    LOST = "lost"  # the connection ended or never came
    PEER_CLOSES = "peer_closes"  # 0x9008, 0x1008 or the peer's logout
    STOP = "stop"  # we do not want the link any more
    LOGGED_OUT = "logged_out"


Table = Mapping[tuple[State, Trigger], State]


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What is agreed with the peer of a link.

    Attributes:
        access_code:     MSG_GNSSCENTERID (下级平台接入码) for our headers.
        edition:         which JT/T 809 the peer speaks.
        version:         VERSION_FLAG for our headers.
        cipher:          None: an encrypted frame cannot be read and is dropped as "no_cipher".
        is_encrypting:   encrypt what we send (needs the cipher).
        heartbeat_s:     the client's heartbeat when it sent nothing for so long; the standard's minute.
        silence_s:       close the link when nothing readable came for so long; the standard's three minutes.
        login_timeout_s: give up a login that is not answered, or a client that does not log in (not in the standard).
        epoch_s:         POSIX time when ``now`` is 0; only the 2019 header needs it.
    """

    access_code: int = 0
    edition: Edition = Edition.V2011
    version: tuple[int, int, int] = DEFAULT_VERSION
    cipher: Cipher | None = None
    is_encrypting: bool = False
    heartbeat_s: float = 60.0
    silence_s: float = 180.0
    login_timeout_s: float = 30.0
    max_frame_bytes: int = MAX_FRAME_BYTES
    epoch_s: float = 0.0


class SerialCounter:
    """MSG_SN of one sender: 2011 has one counter for all it sends, over both links and over reconnects."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        value = self._next
        self._next = (value + 1) & 0xFFFFFFFF
        return value


def random_key() -> int:
    """An ENCRYPT_KEY for each frame; never 0, which would mean 1."""
    return random.randrange(1, 1 << 32)


class Link:
    """Base of the four ends. Use ``MainLink``, ``SubLink``, ``SuperiorMainLink`` or ``SuperiorSubLink``."""

    TABLE: ClassVar[Table]
    INITIAL: ClassVar[State]

    def __init__(
        self, settings: LinkSettings, serial: SerialCounter | None = None, key_source: KeySource = random_key
    ) -> None:
        if settings.is_encrypting and settings.cipher is None:
            raise UsageError("is_encrypting needs a cipher")
        self.settings = settings
        self.state = self.INITIAL
        self.received: Counter[int] = Counter()  # frames by message id, this link's life long
        self.sent: Counter[int] = Counter()
        self.bad_frames: Counter[str] = Counter()  # by reason
        self._serial = serial or SerialCounter()
        self._key_source = key_source
        self._out: list[bytes] = []
        self._wants_close = False
        self._begin_connection(0.0)

    # what the shell asks

    @property
    def is_up(self) -> bool:
        return self.state is State.UP

    @property
    def wants_close(self) -> bool:
        """The shell should write what is left and close the socket."""
        return self._wants_close

    def data_to_send(self) -> bytes:
        """The bytes to write now; asking takes them out."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_deadline(self) -> float | None:
        """When to call ``handle_timer`` at the latest; None: never. Ask again after every call."""
        if self.state is State.UP:
            silence = self._last_received + self.settings.silence_s
            return min(silence, self._last_sent + self.settings.heartbeat_s) if self._is_client() else silence
        return self._deadline

    # what the shell tells

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Bytes came. Returns what happened, in order."""
        events: list[Event] = []
        if self._is_over():
            return events
        for item in self._deframer.feed(data):
            if isinstance(item, BadFrame):
                self._bad_frame(item.reason, item.raw, events)
            else:
                self._content(item, now, events)
            if self._wants_close:
                break
        return events

    def handle_timer(self, now: float) -> list[Event]:
        """A deadline may have passed. Returns what follows from it; [] when it was not time yet."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self.state is not State.UP:
            return self._time_is_up(now)
        if now >= self._last_received + self.settings.silence_s:
            return self._end(Trigger.SILENCE, f"nothing received for {self.settings.silence_s:.0f} s", now)
        self._heartbeat(now)
        return []

    def connection_lost(self, now: float, reason: str) -> list[Event]:
        """The connection ended, or could not be opened. ``reason`` in words."""
        self._out.clear()
        if self._is_over():
            self._wants_close = False
            return []
        events = self._end(Trigger.LOST, reason, now)
        self._wants_close = False
        return events

    # sending

    def send_message(self, message: Message, now: float) -> None:
        """Queue a message. Raises: UsageError: a value does not fit its field."""
        self.send(*encode_body(message, self.settings.edition), now)

    def send(self, message_id: int, body: bytes, now: float) -> None:
        """Queue a message whose plain body is bytes already. Raises: UsageError: the link is not connected."""
        if self.state in (State.IDLE, State.CONNECTING, State.BACKOFF, State.CLOSED):
            raise UsageError(f"cannot send 0x{message_id:04X}: the link is {self.state}")
        s = self.settings
        header = Header(
            message_id,
            self._serial.take(),
            s.access_code,
            s.version,
            s.is_encrypting,
            self._key_source() if s.is_encrypting else 0,
            int(now + s.epoch_s) if s.edition is Edition.V2019 else None,
        )
        self._out.append(build_frame(header, body, s.edition, s.cipher))
        self._last_sent = now
        self.sent[message_id] += 1

    def test(self, now: float) -> int:
        """Send a link test (0x1005) and number it; ``TestAnswered`` with that token follows when the answer came.

        The k-th answer of a connection is taken for the k-th test: should a peer leave one unanswered, the tokens
        lag behind, which errs on the safe side for whoever concludes from them what was received.
        """
        self.send_message(LinkTest(), now)
        self._tests_sent += 1
        return self._tests_sent

    # inside

    def _begin_connection(self, now: float) -> None:
        self._deframer = Deframer(self.settings.max_frame_bytes)
        self._last_received = self._last_sent = now
        self._deadline: float | None = None
        self._tests_sent = self._tests_answered = 0
        self._wants_close = False

    def _is_client(self) -> bool:
        return False

    def _is_over(self) -> bool:
        return self.state in (State.IDLE, State.CLOSED, State.BACKOFF)

    def _step(self, trigger: Trigger) -> None:
        state = self.TABLE.get((self.state, trigger))
        if state is None:
            raise UsageError(f"{type(self).__name__} is {self.state}: {trigger} is not possible")
        self.state = state

    def _end(self, trigger: Trigger, reason: str, now: float) -> list[Event]:
        """Leave a connected state for good."""
        self._step(trigger)
        self._deadline = None
        self._wants_close = True
        return [LinkClosed(reason)]

    def _time_is_up(self, now: float) -> list[Event]:
        return self._end(Trigger.TIMEOUT, f"no answer to the login for {self.settings.login_timeout_s:.0f} s", now)

    def _heartbeat(self, now: float) -> None:
        self.test(now)

    def _cipher_for(self, header: Header, body: bytes) -> Cipher | None:
        return self.settings.cipher

    def _bad_frame(self, reason: str, raw: bytes, events: list[Event]) -> None:
        self.bad_frames[reason] += 1
        events.append(BadFrameReceived(reason, raw))

    def _content(self, content: bytes, now: float, events: list[Event]) -> None:
        edition = self.settings.edition
        try:
            header, body = parse_header(content, edition)
        except HeaderError:
            return self._bad_frame("bad_header", content, events)
        if header.is_encrypted:
            cipher = self._cipher_for(header, body)
            if cipher is None:
                return self._bad_frame("no_cipher", content, events)
            body = cipher.apply(body, header.key)
        self._last_received = now
        self.received[header.message_id] += 1
        if header.message_id not in LINK_MANAGEMENT:
            is_in_place = self.state in (State.UP, State.LOGGING_OUT)
            events.append(MessageReceived(header, body, edition) if is_in_place else OutOfPlace(header, self.state))
            return None
        try:
            message = decode_body(header.message_id, edition, body)
        except BodyError as error:
            events.append(BodyUnreadable(header, body, error))
            return None
        if not self._login(header, message, now, events):
            self._manage(header, message, now, events)
        return None

    def _login(self, header: Header, message: Message, now: float, events: list[Event]) -> bool:
        """Handle the login messages of this end; False: not one of them."""
        raise NotImplementedError

    def _manage(self, header: Header, message: Message, now: float, events: list[Event]) -> None:
        """Link management that is the same on every end."""
        if self.state not in (State.UP, State.LOGGING_OUT):
            events.append(OutOfPlace(header, self.state))
            return
        match header.message_id:
            case 0x1005:
                self.send_message(LinkTestResponse(), now)
            case 0x9005:
                self.send_message(DownLinkTestResponse(), now)
            case 0x1006 if self._tests_answered < self._tests_sent:
                self._tests_answered += 1
                events.append(TestAnswered(self._tests_answered))
            case 0x9006:
                pass
            case 0x1003 | 0x9003:
                self.send_message(
                    DisconnectResponse() if header.message_id == 0x1003 else DownDisconnectResponse(), now
                )
                events.append(LogoutAsked(message))
                self._logout_asked(header.message_id, now, events)
            case _:
                self._inform(header, message, now, events)

    def _inform(self, header: Header, message: Message, now: float, events: list[Event]) -> None:
        match message:
            case DisconnectInform(error_code):
                events.append(MainLinkDown(error_code))
            case DownDisconnectInform(error_code):
                events.append(SubLinkDown(error_code))
            case CloseLinkInform(reason_code) | DownCloseLinkInform(reason_code):
                events.append(PeerCloses(reason_code))
                events += self._end(Trigger.PEER_CLOSES, f"the peer closes both links (reason {reason_code})", now)
            case _:
                events.append(OutOfPlace(header, self.state))

    def _logout_asked(self, message_id: int, now: float, events: list[Event]) -> None:
        """The peer's logout was answered; the end of the link it names closes."""

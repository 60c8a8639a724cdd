"""The subordinate platform's (下级平台) ends: ``MainLink`` connects to the superior, ``SubLink`` is connected to.

Source: JT/T 809-2011 and 809-2019, connecting and logging in (链路建立), keeping up (连接保持), breaking (断开). The
reconnect interval is not in the standard: ours grows from 5 s to 60 s, for ever, with some chance in it so that
platforms that lost their superior together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from jt809.cipher import Cipher
from jt809.errors import UsageError
from jt809.events import Event, LoginAccepted, LoginAsked, LoginRefused, OutOfPlace
from jt809.header import Edition, Header, build_frame
from jt809.link import KeySource, Link, LinkSettings, SerialCounter, State, Table, Trigger, random_key
from jt809.messages import (
    ConnectRequest,
    ConnectRequest2019,
    ConnectResponse,
    DisconnectRequest,
    DownConnectRequest,
    DownConnectResponse,
    Message,
    encode_body,
)

CONFIGURATION_ERRORS: Final = (1, 2, 3, 4)
"""Results of 0x1002 that will not go away by themselves: address, access code, user, password."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What 0x1001 says. ``password`` at most 8 bytes; the sub link address is where the superior connects to."""

    user_id: int
    password: str = field(repr=False)
    down_link_ip: str
    down_link_port: int


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """How long to wait before the next try: ``first_s``, then ``growth`` times as long, at most ``longest_s``.

    ``refused_s`` after a refusal that only a changed configuration ends. Each is spread by ± ``jitter`` (a share).
    The wait begins at ``first_s`` again once a link was up for ``steady_s``.
    """

    first_s: float = 5.0
    longest_s: float = 60.0
    growth: float = 1.5
    refused_s: float = 60.0
    jitter: float = 0.2
    steady_s: float = 60.0


class MainLink(Link):
    """The client end of the main link (主链路).

    Besides the calls of every link the shell calls ``start`` once, opens a TCP connection whenever the state is
    CONNECTING, then calls ``connected`` (or ``connection_lost``), and ``stop`` to end it for good.

    Raises: UsageError: settings or credentials do not fit the fields of the login.
    """

    INITIAL: ClassVar[State] = State.IDLE
    TABLE: ClassVar[Table] = {
        (State.IDLE, Trigger.START): State.CONNECTING,
        (State.CONNECTING, Trigger.CONNECTED): State.LOGGING_IN,  # -> 0x1001
        (State.CONNECTING, Trigger.LOST): State.BACKOFF,
        (State.CONNECTING, Trigger.STOP): State.IDLE,
        (State.LOGGING_IN, Trigger.ACCEPTED): State.UP,
        (State.LOGGING_IN, Trigger.REFUSED): State.BACKOFF,
        (State.LOGGING_IN, Trigger.TIMEOUT): State.BACKOFF,
        (State.LOGGING_IN, Trigger.LOST): State.BACKOFF,
        (State.LOGGING_IN, Trigger.STOP): State.IDLE,
        (State.UP, Trigger.SILENCE): State.BACKOFF,
        (State.UP, Trigger.LOST): State.BACKOFF,
        (State.UP, Trigger.PEER_CLOSES): State.BACKOFF,
        (State.UP, Trigger.STOP): State.LOGGING_OUT,  # -> 0x1003
        (State.LOGGING_OUT, Trigger.LOGGED_OUT): State.IDLE,
        (State.LOGGING_OUT, Trigger.TIMEOUT): State.IDLE,
        (State.LOGGING_OUT, Trigger.LOST): State.IDLE,
        (State.LOGGING_OUT, Trigger.PEER_CLOSES): State.IDLE,
        (State.BACKOFF, Trigger.TIMEOUT): State.CONNECTING,
        (State.BACKOFF, Trigger.STOP): State.IDLE,
    }

    def __init__(
        self,
        settings: LinkSettings,
        credentials: Credentials,
        backoff: BackoffPolicy | None = None,
        serial: SerialCounter | None = None,
        key_source: KeySource = random_key,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(settings, serial, key_source)
        self.credentials = credentials
        self.verify_code: int | None = None  # of the newest accepted login; the superior's 0x9001 must bring it
        self._backoff = backoff or BackoffPolicy()
        self._chance = chance
        self._failures = 0
        self._up_since = 0.0
        header = Header(0x1001, 0, settings.access_code, settings.version, time_s=0)
        build_frame(header, self._login_body(), settings.edition)  # better now than when the connection is open

    def start(self, now: float) -> None:
        """Want the link. The shell then connects."""
        self._step(Trigger.START)

    def connected(self, now: float) -> None:
        """The TCP connection is open: the login goes out."""
        self._step(Trigger.CONNECTED)
        self._begin_connection(now)
        self._deadline = now + self.settings.login_timeout_s
        self.send(0x1001, self._login_body(), now)

    def stop(self, now: float, logout_timeout_s: float = 3.0) -> None:
        """Do not want the link any more: log out when logged in, else close at once."""
        if self.state in (State.IDLE, State.LOGGING_OUT):
            return
        was_up = self.is_up
        self._step(Trigger.STOP)
        self._wants_close = not was_up
        self._deadline = now + logout_timeout_s if was_up else None
        if was_up:
            self.send_message(DisconnectRequest(self.credentials.user_id, self.credentials.password), now)

    def _is_client(self) -> bool:
        return True

    def _login_body(self) -> bytes:
        c, s = self.credentials, self.settings
        login: Message = ConnectRequest(c.user_id, c.password, c.down_link_ip, c.down_link_port)
        if s.edition is Edition.V2019:
            login = ConnectRequest2019(c.user_id, c.password, s.access_code, c.down_link_ip, c.down_link_port)
        return encode_body(login, s.edition)[1]

    def _login(self, header: Header, message: Message, now: float, events: list[Event]) -> bool:
        if header.message_id == 0x1004 and self.state is State.LOGGING_OUT:
            events += self._end(Trigger.LOGGED_OUT, "logged out", now)
            return True
        if not isinstance(message, ConnectResponse):
            return False
        if self.state is not State.LOGGING_IN:
            events.append(OutOfPlace(header, self.state))
        elif message.result == 0:
            self._step(Trigger.ACCEPTED)
            self._deadline = None
            self._up_since = now
            self.verify_code = message.verify_code
            events.append(LoginAccepted(message.verify_code))
        else:
            events.append(LoginRefused(message.result))
            events += self._end(Trigger.REFUSED, f"login refused (result {message.result})", now)
            if message.result in CONFIGURATION_ERRORS:
                self._deadline = now + self._spread(self._backoff.refused_s)
        return True

    def _end(self, trigger: Trigger, reason: str, now: float) -> list[Event]:
        if self.is_up and now - self._up_since >= self._backoff.steady_s:
            self._failures = 0
        events = super()._end(trigger, reason, now)
        if self.state is State.BACKOFF:
            b = self._backoff
            wait = min(b.longest_s, b.first_s * b.growth ** min(self._failures, 64))
            self._failures += 1
            self._deadline = now + self._spread(wait)
        return events

    def _spread(self, wait_s: float) -> float:
        return wait_s * (1 + self._backoff.jitter * (2 * self._chance() - 1))

    def _time_is_up(self, now: float) -> list[Event]:
        if self.state is State.BACKOFF:
            self._step(Trigger.TIMEOUT)
            self._deadline = None
            return []
        if self.state is State.LOGGING_OUT:
            return self._end(Trigger.TIMEOUT, "no answer to the logout", now)
        return super()._time_is_up(now)


class ServerLink(Link):
    """An end that waits for the client's login and then serves it; one object per accepted connection."""

    INITIAL: ClassVar[State] = State.WAIT_LOGIN
    TABLE: ClassVar[Table] = {
        (State.WAIT_LOGIN, Trigger.ACCEPTED): State.UP,
        (State.WAIT_LOGIN, Trigger.REFUSED): State.CLOSED,
        (State.WAIT_LOGIN, Trigger.TIMEOUT): State.CLOSED,
        (State.WAIT_LOGIN, Trigger.LOST): State.CLOSED,
        (State.WAIT_LOGIN, Trigger.STOP): State.CLOSED,
        (State.UP, Trigger.SILENCE): State.CLOSED,
        (State.UP, Trigger.LOST): State.CLOSED,
        (State.UP, Trigger.PEER_CLOSES): State.CLOSED,
        (State.UP, Trigger.STOP): State.CLOSED,
    }
    LOGIN_MESSAGES: ClassVar[tuple[type[Message], ...]]

    def __init__(
        self,
        settings: LinkSettings,
        now: float,
        cipher_of: Callable[[Header, bytes], Cipher | None] | None = None,
        serial: SerialCounter | None = None,
        key_source: KeySource = random_key,
    ) -> None:
        """``cipher_of`` gives the cipher of an encrypted frame that comes before the login has told who it is: by its
        header, which has the access code, and its body as it came."""
        super().__init__(settings, serial, key_source)
        self._cipher_of = cipher_of
        self._login_pending = False
        self._begin_connection(now)
        self._deadline = now + settings.login_timeout_s

    def stop(self, now: float) -> None:
        """Close the link."""
        if self.state is not State.CLOSED:
            self._end(Trigger.STOP, "closed by us", now)

    def _cipher_for(self, header: Header, body: bytes) -> Cipher | None:
        if self.state is State.WAIT_LOGIN and self._cipher_of is not None:
            return self._cipher_of(header, body)
        return super()._cipher_for(header, body)

    def _login(self, header: Header, message: Message, now: float, events: list[Event]) -> bool:
        if not isinstance(message, self.LOGIN_MESSAGES):
            return False
        if self.state is not State.WAIT_LOGIN or self._login_pending:
            events.append(OutOfPlace(header, self.state))
        else:
            self._login_pending = True
            events.append(LoginAsked(header, message))
        return True

    def _answer_login(self, answer: Message, trigger: Trigger, now: float) -> None:
        if not self._login_pending:
            raise UsageError("there is no login to answer")
        self._login_pending = False
        self.send_message(answer, now)
        if trigger is Trigger.ACCEPTED:
            self._step(trigger)
            self._deadline = None
        else:
            self._end(trigger, "login refused", now)

    def _adopt(self, settings: LinkSettings, serial: SerialCounter | None) -> None:
        """Now that the peer is known: what is agreed with it."""
        self.settings = settings
        self._serial = serial or self._serial


class SubLink(ServerLink):
    """The server end of the sub link (从链路).

    On ``LoginAsked`` (0x9001) the shell looks for the platform whose verify code it is and calls ``accept`` with that
    platform's settings (and closes an older sub link of it), or ``refuse``.
    """

    LOGIN_MESSAGES: ClassVar[tuple[type[Message], ...]] = (DownConnectRequest,)

    def accept(self, settings: LinkSettings, serial: SerialCounter, now: float) -> None:
        """Answer the login with result 0; the link is up."""
        self._adopt(settings, serial)
        self._answer_login(DownConnectResponse(0), Trigger.ACCEPTED, now)

    def refuse(self, now: float, result: int = 1) -> None:
        """Answer the login with ``result`` (1: verify code wrong, 2: try later) and close."""
        self._answer_login(DownConnectResponse(result), Trigger.REFUSED, now)

    def _logout_asked(self, message_id: int, now: float, events: list[Event]) -> None:
        if message_id == 0x9003:
            events += self._end(Trigger.PEER_CLOSES, "the superior platform logged out", now)

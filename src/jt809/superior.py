"""The superior platform's (上级平台) ends, for a peer to test against: it takes main links and connects sub links back.

Source: as ``subordinate``, seen from the other side.
"""

from __future__ import annotations

from typing import ClassVar

from jt809.events import Event, LoginAccepted, LoginRefused, OutOfPlace
from jt809.header import Header
from jt809.link import KeySource, Link, LinkSettings, SerialCounter, State, Table, Trigger, random_key
from jt809.messages import (
    ConnectRequest,
    ConnectRequest2019,
    ConnectResponse,
    DownConnectRequest,
    DownConnectResponse,
    DownLinkTest,
    Message,
)
from jt809.subordinate import ServerLink


class SuperiorMainLink(ServerLink):
    """The server end of the main link. On ``LoginAsked`` (0x1001) the shell calls ``accept`` or ``refuse``."""

    LOGIN_MESSAGES: ClassVar[tuple[type[Message], ...]] = (ConnectRequest, ConnectRequest2019)

    def accept(self, settings: LinkSettings, serial: SerialCounter, verify_code: int, now: float) -> None:
        """Answer with result 0; the shell then connects the sub link with ``verify_code``."""
        self._adopt(settings, serial)
        self._answer_login(ConnectResponse(0, verify_code), Trigger.ACCEPTED, now)

    def refuse(self, result: int, now: float) -> None:
        """Answer with a ``result`` of ``messages.CONNECT_RESULTS`` and close."""
        self._answer_login(ConnectResponse(result, 0), Trigger.REFUSED, now)

    def _logout_asked(self, message_id: int, now: float, events: list[Event]) -> None:
        if message_id == 0x1003:
            events += self._end(Trigger.PEER_CLOSES, "the subordinate platform logged out", now)


class SuperiorSubLink(Link):
    """The client end of the sub link; one object per connection. The shell connects, then calls ``connected``."""

    INITIAL: ClassVar[State] = State.CONNECTING
    TABLE: ClassVar[Table] = {
        (State.CONNECTING, Trigger.CONNECTED): State.LOGGING_IN,  # -> 0x9001
        (State.CONNECTING, Trigger.LOST): State.CLOSED,
        (State.CONNECTING, Trigger.STOP): State.CLOSED,
        (State.LOGGING_IN, Trigger.ACCEPTED): State.UP,
        (State.LOGGING_IN, Trigger.REFUSED): State.CLOSED,
        (State.LOGGING_IN, Trigger.TIMEOUT): State.CLOSED,
        (State.LOGGING_IN, Trigger.LOST): State.CLOSED,
        (State.LOGGING_IN, Trigger.STOP): State.CLOSED,
        (State.UP, Trigger.SILENCE): State.CLOSED,
        (State.UP, Trigger.LOST): State.CLOSED,
        (State.UP, Trigger.PEER_CLOSES): State.CLOSED,
        (State.UP, Trigger.STOP): State.CLOSED,
    }

    def __init__(
        self,
        settings: LinkSettings,
        verify_code: int,
        serial: SerialCounter | None = None,
        key_source: KeySource = random_key,
    ) -> None:
        super().__init__(settings, serial, key_source)
        self._verify_code = verify_code

    def connected(self, now: float) -> None:
        """The TCP connection is open: the login goes out."""
        self._step(Trigger.CONNECTED)
        self._begin_connection(now)
        self._deadline = now + self.settings.login_timeout_s
        self.send_message(DownConnectRequest(self._verify_code), now)

    def stop(self, now: float) -> None:
        """Close the link."""
        if self.state is not State.CLOSED:
            self._end(Trigger.STOP, "closed by us", now)

    def _is_client(self) -> bool:
        return True

    def _heartbeat(self, now: float) -> None:
        self.send_message(DownLinkTest(), now)

    def _login(self, header: Header, message: Message, now: float, events: list[Event]) -> bool:
        if not isinstance(message, DownConnectResponse):
            return False
        if self.state is not State.LOGGING_IN:
            events.append(OutOfPlace(header, self.state))
        elif message.result == 0:
            self._step(Trigger.ACCEPTED)
            self._deadline = None
            events.append(LoginAccepted(None))
        else:
            events.append(LoginRefused(message.result))
            events += self._end(Trigger.REFUSED, f"login refused (result {message.result})", now)
        return True

"""What can happen on a link; ``receive_data`` and ``handle_timer`` give these in order."""

from __future__ import annotations

from dataclasses import dataclass

from jt809.errors import BodyError
from jt809.header import Edition, Header
from jt809.messages import Message, decode_body, sub_id_of


@dataclass(frozen=True, slots=True)
class Event:
    """Any event."""


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """A business message: everything that is not link management. ``body`` is plain, envelope included."""

    header: Header
    body: bytes
    edition: Edition

    @property
    def sub_id(self) -> int | None:
        return sub_id_of(self.header.message_id, self.edition, self.body)

    @property
    def name(self) -> str:
        """``0x9300/0x9301``: how logs and counters call it."""
        sub_id = self.sub_id
        main = f"0x{self.header.message_id:04X}"
        return main if sub_id is None else f"{main}/0x{sub_id:04X}"

    def decode(self) -> Message:
        """The body. Raises: BodyError."""
        return decode_body(self.header.message_id, self.edition, self.body)


@dataclass(frozen=True, slots=True)
class BadFrameReceived(Event):
    """A frame was dropped. ``reason``: as in framing.REASONS, or "bad_header", "no_cipher"."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class BodyUnreadable(Event):
    """A link management body did not fit its layout; the message was dropped."""

    header: Header
    body: bytes
    error: BodyError


@dataclass(frozen=True, slots=True)
class OutOfPlace(Event):
    """A message that means nothing in the link's present state, dropped (such as business before the login)."""

    header: Header
    state: str


@dataclass(frozen=True, slots=True)
class LoginAccepted(Event):
    """0x1002 (main link) or 0x9002 (sub link) with result 0. ``verify_code`` is None on a sub link."""

    verify_code: int | None


@dataclass(frozen=True, slots=True)
class LoginRefused(Event):
    """0x1002 or 0x9002 with another result."""

    result: int


@dataclass(frozen=True, slots=True)
class LoginAsked(Event):
    """The other side logs in: 0x1001 on a main link, 0x9001 on a sub link. Answer with ``accept`` or ``refuse``."""

    header: Header
    request: Message


@dataclass(frozen=True, slots=True)
class TestAnswered(Event):
    """0x1006 came for the link test that ``test()`` numbered ``token``: all sent before it was received."""

    __test__ = False  # for pytest, which collects what is called Test...
    token: int


@dataclass(frozen=True, slots=True)
class SubLinkDown(Event):
    """0x9007: the superior platform says it cannot keep up the sub link."""

    error_code: int


@dataclass(frozen=True, slots=True)
class MainLinkDown(Event):
    """0x1007: the subordinate platform says its main link is broken."""

    error_code: int


@dataclass(frozen=True, slots=True)
class PeerCloses(Event):
    """0x9008 or 0x1008: the other platform is about to close both links."""

    reason_code: int


@dataclass(frozen=True, slots=True)
class LogoutAsked(Event):
    """0x1003 or 0x9003; it is answered already."""

    request: Message


@dataclass(frozen=True, slots=True)
class LinkClosed(Event):
    """The link is over; the shell closes its socket. ``reason`` in words, for the log."""

    reason: str

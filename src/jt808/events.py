"""What can happen on a terminal's link, as seen by the platform: what `TerminalConnection.receive_data` hands back.

Plain slotted classes, not frozen ones: one `MessageReceived` is made per report, and a frozen dataclass costs three
times as much to build. Nobody changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from jt808.header import Header


@dataclass(slots=True)
class MessageReceived:
    """An authenticated terminal sent a message that is to be kept; store it, then call `reply_stored`.

    `body` is as on the wire, unescaped, not decoded; a sub-packaged message arrives once, with its bodies joined, and
    `serial_no` is the serial number of its first package.
    """

    message_id: int
    serial_no: int
    body: bytes
    package_serials: tuple[int, ...] = ()  # of every package, when it came in several; each is answered


@dataclass(slots=True)
class HeartbeatReceived:
    """Heartbeat (终端心跳) 0x0002: answer at once with `reply_general`."""

    message_id: int
    serial_no: int


@dataclass(slots=True)
class RegisterRequested:
    """Register (终端注册) 0x0100: answer with `accept_registration`, `refuse_registration` or, when the body cannot be
    read, `reply_general` with result 2."""

    header: Header
    body: bytes


@dataclass(slots=True)
class AuthRequested:
    """Authenticate (终端鉴权) 0x0102: answer with `authenticated` or `refuse_authentication`."""

    header: Header
    body: bytes


@dataclass(slots=True)
class UnregisterRequested:
    """Unregister (终端注销) 0x0003: revoke the code, then call `unregistered`."""

    message_id: int
    serial_no: int


@dataclass(slots=True)
class TimeQueried:
    """Query server time (查询服务器时间请求) 0x0004, 2019: answer with `reply_time`."""

    message_id: int
    serial_no: int


@dataclass(slots=True)
class Refused:
    """A message was not taken; the answer that says so is already written. `reason` is one of a bounded vocabulary:

    unauthenticated, wrong_phone, encrypted, bad_package, package_too_large.
    """

    header: Header
    reason: str


@dataclass(slots=True)
class BadFrameReceived:
    """Bytes that are no frame; nothing is answered. `reason`: the deframer's words or ``bad_header``."""

    reason: str
    raw: bytes


@dataclass(slots=True)
class PackagesDropped:
    """An incomplete sub-packaged message was given up unanswered, so the terminal still has it.

    `reason`: package_evicted (too many at once), package_expired (the rest never came), package_too_large (with the
    one that is refused), package_contradicted (another message came under its numbers) or package_link_ended (its
    link, and the terminal has not gone on with it).
    """

    reason: str
    message_id: int
    packages: int  # how many had arrived


@dataclass(slots=True)
class PackageRepeated:
    """A package that was there already; nothing to do. Counted, because many of them mean that answers get lost."""

    message_id: int
    serial_no: int


@dataclass(slots=True)
class PackagesAsked:
    """The terminal asked for packages (终端补传分包请求, 0x0005) of a message of ours; those that are still there are
    written already. Fewer `sent` than `asked`: the message is gone, or was never sent in so many."""

    message_id: int
    serial_no: int
    asked: int
    sent: int
    body: bytes = b""  # the request as it came, when nothing of that message is kept here: its owner may have it


@dataclass(slots=True)
class LinkEnded:
    """The link must be closed: write what `data_to_send` has, then close.

    `reason`: unauthenticated_time, unauthenticated_bytes, idle, junk, packages_incomplete.
    """

    reason: str


Event = (
    MessageReceived
    | HeartbeatReceived
    | RegisterRequested
    | AuthRequested
    | UnregisterRequested
    | TimeQueried
    | Refused
    | BadFrameReceived
    | PackagesDropped
    | PackageRepeated
    | PackagesAsked
    | LinkEnded
)

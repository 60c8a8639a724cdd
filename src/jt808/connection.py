"""One terminal's link, platform side, without any I/O: bytes and time in, events out, answers to send.

The life of a link. A terminal that has no authentication code (鉴权码) registers first (终端注册, 0x0100) and is given
one; with the code it authenticates (终端鉴权, 0x0102), on every new link, before anything else. Only then are its
messages taken. When its unit is removed from the vehicle it unregisters (终端注销, 0x0003) and has to begin again.
A link speaks for one terminal: once authenticated, a frame with another phone number is refused.
Source: JT/T 808-2013 §7.2.1, §7.2.2; 2019 likewise. The states are the table `TRANSITIONS`.

Whoever owns the link calls `receive_data` with what arrived, handles the events, and writes `data_to_send()`
afterwards; arms one timer for `next_deadline()` and calls `on_time` when it is due. Answers to stored messages are
made when the store says so (`reply_stored`), which may be long after the event.

Every answer goes out in the form its request came in: the same header layout, phone bytes and version byte, because
there are terminals that compare them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

from jt808.errors import BodyError, HeaderError, Result, UsageError
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
from jt808.framing import BadFrame, Deframer, checksum, enframe
from jt808.header import MAX_BODY_BYTES, Edition, Header, parse_header
from jt808.messages import TerminalPackagesRequest, decode_body
from jt808.outgoing import MAX_PACKAGES, SentMessage, SentPackages, package_frames, split_body
from jt808.subpackage import Assembled, Budget, Missing, Outcome, Reassembler


class State(Enum):
    NEW = "new"  # nothing is known of the terminal but what it says
    REGISTERED = "registered"  # it was given a code on this link, and has to show it
    AUTHENTICATED = "authenticated"
    CLOSED = "closed"


class Step(Enum):
    REGISTRATION_ACCEPTED = "registration accepted"
    AUTHENTICATED = "authenticated"
    UNREGISTERED = "unregistered"
    CLOSED = "closed"


TRANSITIONS: Final[dict[tuple[State, Step], State]] = {
    (State.NEW, Step.REGISTRATION_ACCEPTED): State.REGISTERED,
    (State.NEW, Step.AUTHENTICATED): State.AUTHENTICATED,
    (State.NEW, Step.CLOSED): State.CLOSED,
    (State.REGISTERED, Step.REGISTRATION_ACCEPTED): State.REGISTERED,  # its answer got lost
    (State.REGISTERED, Step.AUTHENTICATED): State.AUTHENTICATED,
    (State.REGISTERED, Step.CLOSED): State.CLOSED,
    (State.AUTHENTICATED, Step.REGISTRATION_ACCEPTED): State.REGISTERED,  # reset to factory state on an open link
    (State.AUTHENTICATED, Step.AUTHENTICATED): State.AUTHENTICATED,  # its answer got lost
    (State.AUTHENTICATED, Step.UNREGISTERED): State.NEW,
    (State.AUTHENTICATED, Step.CLOSED): State.CLOSED,
    (State.CLOSED, Step.CLOSED): State.CLOSED,
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one link. The defaults let every terminal pass that follows the standard."""

    unauthenticated_s: float = 60.0
    unauthenticated_bytes: int = 64 * 1024
    idle_s: float = 900.0  # without a whole good frame
    auth_failures: int = 3
    junk_bytes: int = 64 * 1024  # of an authenticated terminal without a good frame among them
    lost_messages: int = 16  # sub-packaged ones that it began and never completed, one after the other
    package_bytes: int = 1 << 20  # of incomplete sub-packaged messages


class Request(Protocol):
    """What an answer needs to know of what it answers; `Header` and the events have it."""

    @property
    def message_id(self) -> int: ...

    @property
    def serial_no(self) -> int: ...


DEFAULT_LIMITS: Final = ConnectionLimits()

NEVER_ANSWERED: Final = frozenset({0x0001, 0x0005})
"""Answers themselves (JT/T 808-2013 §6.1), and the terminal's demand to repeat packages (2019): the answer to that is
the packages."""

_VERSION_FLAG: Final = 0x4000
_FORM_BITS: Final = 0xFC00  # all attributes but the length: a plain frame has none of them, or the version flag alone
_PLAIN_2013: Final = struct.Struct(">HH6sH")
_PLAIN_2019: Final = struct.Struct(">HH11sH")  # version byte and phone field in one
_HEAD: Final = struct.Struct(">HH")
_WORD: Final = struct.Struct(">H")
_GENERAL_ANSWER: Final = struct.Struct(">HHB")  # serial and id of what is answered, result
_GENERAL_TAIL: Final = struct.Struct(">HHHBB")  # own serial number, the above, check byte


class TerminalConnection:
    """The platform's side of one link."""

    __slots__ = (
        "_answer_check",
        "_answer_head",
        "_auth_failures",
        "_budget",
        "_deframer",
        "_form",
        "_held",
        "_junk_bytes",
        "_last_received",
        "_limits",
        "_lost_messages",
        "_out",
        "_phone_field",
        "_plain",
        "_reassembler",
        "_sent",
        "_serial_no",
        "_unauthenticated_bytes",
        "_unauthenticated_since",
        "edition",
        "phone10",
        "state",
    )

    def __init__(
        self,
        now: float,
        *,
        limits: ConnectionLimits = DEFAULT_LIMITS,
        budget: Budget | None = None,
    ) -> None:
        """Args:  now: monotonic or wall-clock seconds, the same clock in every call.
        budget: shared bound of what incomplete messages of all links may hold.
        """
        self.state = State.NEW
        self.edition = Edition.V2013  # what the terminal follows, as far as known
        self.phone10 = b""  # the phone field as 10 bytes, padded with zeros in front, once authenticated
        self._limits = limits
        self._deframer = Deframer()
        self._budget = budget
        self._reassembler: Reassembler | None = None  # most terminals never need one
        self._sent: SentPackages | None = None  # nor keeps what went out in packages
        self._held: list[bytes | BadFrame] | None = None
        self._out: list[bytes] = []
        self._serial_no = 0
        self._auth_failures = 0
        self._junk_bytes = 0
        self._lost_messages = 0
        self._unauthenticated_since = now
        self._unauthenticated_bytes = 0
        self._last_received = now
        # What a plain frame of the authenticated terminal looks like; None while nobody is.
        self._plain: struct.Struct | None = None
        self._form = 0
        self._phone_field = b""
        self._answer_head = b""
        self._answer_check = 0

    # ---- what comes in

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes of a stream, cut anywhere. Handle the events in order, then write `data_to_send()`."""
        frames = self._deframer.feed(data)
        events = self.receive_frames(frames, now)
        if self._plain is None or not frames or type(frames[-1]) is not bytes:
            self._count_bytes(len(data), events)
        elif self._junk_bytes:
            self._junk_bytes = 0
        return events

    def _count_bytes(self, count: int, events: list[Event]) -> None:
        """Bytes that a link may not send for ever: of a stranger, or without a good frame at their end."""
        if self.state is State.CLOSED:
            return
        if self._plain is None:
            self._unauthenticated_bytes += count
            if self._unauthenticated_bytes > self._limits.unauthenticated_bytes:
                self._end("unauthenticated_bytes", events)
        else:
            self._junk_bytes += count
            if self._junk_bytes > self._limits.junk_bytes:
                self._end("junk", events)

    def _end(self, reason: str, events: list[Event]) -> None:
        events.append(LinkEnded(reason))
        self.close()

    def receive_frames(self, frames: list[bytes | BadFrame], now: float) -> list[Event]:
        """The same for frames that are cut already (datagrams)."""
        if self.state is State.CLOSED:
            return []
        if frames and type(frames[-1]) is bytes:
            self._last_received = now  # bytes alone, dripping, are no sign of life
        events: list[Event] = []
        for index, frame in enumerate(frames, 1):
            plain = self._plain
            if plain is not None and type(frame) is bytes and len(frame) >= plain.size:
                # The road of nearly every frame: a whole message of the authenticated terminal.
                message_id, attributes, phone_field, serial_no = plain.unpack_from(frame)
                body = frame[plain.size :]
                if phone_field == self._phone_field and attributes == self._form | len(body):
                    if message_id in _OWN_HANDLING:
                        self._handle_plain(message_id, serial_no, frame, events, now)
                    else:
                        events.append(MessageReceived(message_id, serial_no, body))
                    continue
            if self._receive_other(frame, events, now) and index < len(frames):
                self._held = frames[index:]
                break
        return events

    def receive_held(self, now: float) -> list[Event]:
        """Go on with what arrived together with an authentication, now that it is answered. Usually there is nothing.

        Call it after the events of `receive_data` are handled, until it gives no more: a terminal that does not wait
        for the answer to its 0x0102 is not sent away for it.
        """
        if not self._held:
            return []
        held, self._held = self._held, None
        return self.receive_frames(held, now)

    def _handle_plain(self, message_id: int, serial_no: int, frame: bytes, events: list[Event], now: float) -> None:
        if message_id == 0x0002:
            events.append(HeartbeatReceived(message_id, serial_no))
        elif message_id == 0x0003:
            events.append(UnregisterRequested(message_id, serial_no))
        elif message_id == 0x0004:
            events.append(TimeQueried(message_id, serial_no))
        elif message_id == 0x0005:
            self._send_again(serial_no, frame[self._plain.size :] if self._plain else b"", events)
        else:
            self._receive_other(frame, events, now)

    def _receive_other(self, frame: bytes | BadFrame, events: list[Event], now: float) -> bool:
        """All that is not a plain frame of the authenticated terminal. True: wait for the answer before going on."""
        if isinstance(frame, BadFrame):
            events.append(BadFrameReceived(frame.reason, frame.raw))
            return False
        try:
            header, body = parse_header(frame)
        except HeaderError:
            events.append(BadFrameReceived("bad_header", frame))
            return False
        reason, result = self._judge(header)
        if reason:
            self._refuse(header, reason, result, events)
        elif header.message_id == 0x0100:
            events.append(RegisterRequested(header, body))
        elif header.message_id == 0x0102:
            events.append(AuthRequested(header, body))
            return True
        else:
            self._adopt(header)  # the same terminal in another header form
            if header.is_subpackaged:
                self._receive_package(header, body, events, now)
            elif header.message_id in _OWN_HANDLING:
                self._handle_plain(header.message_id, header.serial_no, frame, events, now)
            else:
                events.append(MessageReceived(header.message_id, header.serial_no, body))
        return False

    def _judge(self, header: Header) -> tuple[str, Result]:
        """Why a message is not taken, with the result to answer; ("", OK) when it is."""
        is_login = header.message_id in _LOGIN
        if self._plain is None:
            if not is_login or header.is_subpackaged:
                return "unauthenticated", Result.FAILED
        elif header.phone.rjust(20, "0") != self.phone10.hex():
            return "wrong_phone", Result.FAILED
        if header.encryption:
            return "encrypted", Result.UNSUPPORTED
        if is_login and header.is_subpackaged:
            return "bad_package", Result.MESSAGE_WRONG
        return "", Result.OK

    def _refuse(self, header: Header, reason: str, result: Result, events: list[Event]) -> None:
        if header.message_id not in NEVER_ANSWERED:
            self._answer(header, 0x8001, _GENERAL_ANSWER.pack(header.serial_no, header.message_id, result))
        events.append(Refused(header, reason))

    def _receive_package(self, header: Header, body: bytes, events: list[Event], now: float) -> None:
        if self._reassembler is None:
            self._reassembler = Reassembler(max_bytes=self._limits.package_bytes, budget=self._budget)
        got = self._reassembler.add(header, body, now)
        self._report_dropped(self._reassembler, events)
        if self.state is State.CLOSED:
            return
        if isinstance(got, Assembled):
            self._lost_messages = 0
            events.append(MessageReceived(header.message_id, got.serial_no, got.body, got.serials))
        elif got is Outcome.STORED:
            self._general_answer(header.message_id, header.serial_no, Result.OK)
            events.append(PackageRepeated(header.message_id, header.serial_no))
        elif got is Outcome.DUPLICATE:
            events.append(PackageRepeated(header.message_id, header.serial_no))
        elif got is Outcome.BAD:
            self._refuse(header, got.value, Result.MESSAGE_WRONG, events)
        elif got is Outcome.TOO_LARGE:
            self._lost_messages += 1
            self._refuse(header, got.value, Result.FAILED, events)

    def _report_dropped(self, reassembler: Reassembler, events: list[Event]) -> None:
        if reassembler.dropped:
            events += [PackagesDropped(*dropped) for dropped in reassembler.dropped]
            self._lost_messages += len(reassembler.dropped)
            reassembler.dropped.clear()
            if self._lost_messages >= self._limits.lost_messages:
                self._end("packages_incomplete", events)

    # ---- time

    @property
    def phone(self) -> str:
        """The phone field's digits as on the wire; "" while nobody is authenticated."""
        return self._phone_field[-10 if len(self._phone_field) == 11 else -6 :].hex()

    @property
    def last_received(self) -> float:
        """When the last whole good frame came."""
        return self._last_received

    def use_limits(self, limits: ConnectionLimits) -> None:
        """Other bounds from now on; ask for `next_deadline` again."""
        self._limits = limits

    def next_deadline(self) -> float | None:
        """When to call `on_time`; None once the link is closed. May move later without notice: ask again when due."""
        if self.state is State.CLOSED:
            return None
        if self._plain is None:
            return self._unauthenticated_since + self._limits.unauthenticated_s
        idle = self._last_received + self._limits.idle_s
        packages = self._reassembler.next_deadline() if self._reassembler is not None else None
        return idle if packages is None else min(idle, packages)

    def on_time(self, now: float) -> list[Event]:
        """Let time pass. Handle the events, then write `data_to_send()`."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        if self._plain is None:
            if now >= self._unauthenticated_since + self._limits.unauthenticated_s:
                self._end("unauthenticated_time", events)
            return events
        if now >= self._last_received + self._limits.idle_s:
            self._end("idle", events)
        elif self._reassembler is not None:
            for missing in self._reassembler.on_time(now):
                self._ask_again(missing)
            self._report_dropped(self._reassembler, events)
        return events

    def _ask_again(self, missing: Missing) -> None:
        """0x8003, asks missing packages (服务器补传分包请求). JT/T 808-2013 §8.4 (BYTE count), 2019 (WORD count). Those
        of media are asked for with their own answer, 0x8800; every other time, because there are units that know only
        one of the two."""
        serial_no, package_nos = missing.serial_no, missing.package_nos
        is_media = missing.message_id == 0x0801 and len(missing.first) >= 4
        if is_media and (missing.asked % 2 or self.edition == Edition.V2011):
            self._answer_media(missing.first[:4], serial_no, package_nos)
        elif self.edition != Edition.V2011:  # does not know it
            count = "H" if self.edition == Edition.V2019 else "B"
            self.send(0x8003, struct.pack(f">H{count}{len(package_nos)}H", serial_no, len(package_nos), *package_nos))

    # ---- answers

    def reply_general(self, request: Request, result: Result) -> None:
        """Answer with 0x8001, platform general response (平台通用应答). On a closed link: nothing happens."""
        if isinstance(request, Header):
            self._answer(request, 0x8001, _GENERAL_ANSWER.pack(request.serial_no, request.message_id, result))
        else:
            self._general_answer(request.message_id, request.serial_no, result)

    def reply_stored(self, message: MessageReceived) -> None:
        """The message is on disk: answer success, to each package when it came in several. Then `data_to_send()`."""
        message_id = message.message_id
        if message_id in NEVER_ANSWERED:
            return
        if not message.package_serials:
            self._general_answer(message_id, message.serial_no, 0)
        else:
            for serial_no in message.package_serials:
                self._general_answer(message_id, serial_no, 0)
            if self._reassembler is not None:
                self._reassembler.stored(message_id, message.serial_no)
        if message_id == 0x0801 and len(message.body) >= 4:
            self._answer_media(message.body[:4], message.serial_no)

    def _answer_media(self, media_id: bytes, serial_no: int, package_nos: tuple[int, ...] = ()) -> None:
        """0x8800, media data answer (多媒体数据上传应答): it is all there but for these packages. 2011 names the serial
        number first, and gives a count in any case. JT/T 808-2013 §8.53."""
        numbers = struct.pack(f">B{len(package_nos)}H", len(package_nos), *package_nos)
        if self.edition == Edition.V2011:
            self.send(0x8800, _WORD.pack(serial_no) + media_id + numbers)
        else:
            self.send(0x8800, media_id + numbers if package_nos else media_id)

    def reply_time(self, request: Request, now_utc: float) -> None:
        """Answer 0x0004 with 0x8004, server time (查询服务器时间应答) in UTC. JT/T 808-2019 §8.6."""
        clock = datetime.fromtimestamp(now_utc, UTC)
        self.send(0x8004, bytes.fromhex(f"{clock:%y%m%d%H%M%S}"))

    def accept_registration(self, header: Header, auth_code: str, edition: Edition | None = None) -> None:
        """Answer 0x8100 result 0 with the code. Only when the code is on disk.

        Args:    edition: of the body, where it says more than the header (2011 has the header of 2013).
        """
        if self.state is State.CLOSED:
            return
        if self._plain is not None:
            self._forget_packages()
            self._plain = None
            self._unauthenticated_since = self._last_received
            self._unauthenticated_bytes = 0
        self._step(Step.REGISTRATION_ACCEPTED)
        self.edition = edition or header.edition
        self.repeat_registration(header, auth_code)

    def repeat_registration(self, header: Header, auth_code: str) -> None:
        """Answer a registration that came once more (a retry, a datagram late) as the first time; the link stays as it
        is, authenticated where it was."""
        self._answer(header, 0x8100, _WORD.pack(header.serial_no) + b"\0" + auth_code.encode("ascii"))

    def refuse_registration(self, header: Header, result: int) -> None:
        """Answer 0x8100 with 1 (vehicle already registered), 2 (no such vehicle), 3 (terminal already registered) or
        4 (no such terminal). Source: JT/T 808-2013 §8.8."""
        self._answer(header, 0x8100, _WORD.pack(header.serial_no) + bytes((result,)))

    def authenticated(self, header: Header, edition: Edition | None = None) -> None:
        """The code is right: answer 0x8001 result 0; from now on the terminal's messages are taken.

        Args:    edition: as remembered from the terminal's registration; None: what this link knows.
        """
        if self.state is State.CLOSED:
            return
        self._step(Step.AUTHENTICATED)
        if edition is not None:
            self.edition = edition
        self._adopt(header)  # the header has the last word on 2019
        self._auth_failures = 0
        self._general_answer(header.message_id, header.serial_no, Result.OK)

    def refuse_authentication(self, header: Header) -> bool:
        """The code is wrong: answer 0x8001 result 1. True: it was once too often, close the link."""
        self._auth_failures += 1
        self.reply_general(header, Result.FAILED)
        return self._auth_failures >= self._limits.auth_failures

    def unregistered(self, request: Request) -> None:
        """The code is revoked, on disk: answer 0x8001 result 0; the terminal has to register again."""
        if self.state is not State.AUTHENTICATED:
            return
        self._general_answer(request.message_id, request.serial_no, Result.OK)
        self._step(Step.UNREGISTERED)
        self._plain = None
        self._forget_packages()
        self._unauthenticated_since = self._last_received
        self._unauthenticated_bytes = 0

    # ---- what goes out

    def send(self, message_id: int, body: bytes, serial_no: int | None = None) -> int:
        """Send a message of ours. Then write `data_to_send()`.

        A body longer than a frame holds goes out in packages (分包) with the serial numbers that follow; they are kept,
        within bounds, for when the terminal asks for some of them again (0x0005).

        Args:    serial_no: None: the next one; a retransmission keeps that of the first time.
        Returns: the (first) serial number. The terminal's answer names it, or that of another
                 package: `first_serial_no`.
        Raises:  UsageError: nobody is authenticated, or the body needs more than 65535 packages.
        """
        if self._plain is None or self.state is State.CLOSED:
            raise UsageError("no terminal is authenticated on this link")
        if len(body) > MAX_BODY_BYTES:
            return self._send_packages(message_id, body, serial_no)
        serial_no = self.take_serial_no() if serial_no is None else serial_no
        head = _HEAD.pack(message_id, self._form | len(body)) + self._phone_field
        self._out.append(enframe(head + _WORD.pack(serial_no) + body))
        return serial_no

    def _send_packages(self, message_id: int, body: bytes, serial_no: int | None) -> int:
        count = len(split_body(body))
        if serial_no is None:
            serial_no = self.take_serial_no(count)
        elif (serial_no + count - self._serial_no) & 0xFFFF < 0x8000:
            self._serial_no = (serial_no + count) & 0xFFFF  # only the first was taken
        if self._sent is None:
            self._sent = SentPackages()
        sent = SentMessage(message_id, serial_no, body, MAX_BODY_BYTES)
        self._sent.keep(sent)
        self._out += sent.frames(range(1, count + 1), self._form, self._phone_field)
        return serial_no

    def send_packages(self, message_id: int, serial_no: int, total: int, parts: Mapping[int, bytes]) -> None:
        """Send some packages of a message that is kept elsewhere, by their numbers from 1. Then `data_to_send()`.

        Args:    serial_no: of the first package of all; as many as there are packages were taken before.
        Raises:  UsageError: nobody is authenticated, or a package is too long, or has no such number.
        """
        if self._plain is None or self.state is State.CLOSED:
            raise UsageError("no terminal is authenticated on this link")
        if not all(1 <= number <= total <= MAX_PACKAGES for number in parts):
            raise UsageError(f"packages {sorted(parts)} of {total}")
        if any(len(part) > MAX_BODY_BYTES for part in parts.values()):
            raise UsageError(f"a package holds {MAX_BODY_BYTES} bytes at most")
        self._out += package_frames(message_id, serial_no, total, parts, self._form, self._phone_field)

    def _send_again(self, serial_no: int, body: bytes, events: list[Event]) -> None:
        """0x0005, the terminal asks for packages (终端补传分包请求). They are the answer."""
        try:
            asked = decode_body(0x0005, self.edition, body)
        except BodyError:
            asked = None
        if not isinstance(asked, TerminalPackagesRequest) or self._sent is None:
            is_readable = isinstance(asked, TerminalPackagesRequest)
            events.append(PackagesAsked(0x0005, serial_no, 0, 0, body if is_readable else b""))
            return
        sent, numbers = self._sent.again(asked.first_serial_no, asked.package_nos)
        if sent is not None:
            self._out += sent.frames(numbers, self._form, self._phone_field)
        unknown = body if sent is None else b""
        events.append(PackagesAsked(0x0005, serial_no, len(asked.package_nos), len(numbers), unknown))

    def first_serial_no(self, serial_no: int) -> int:
        """The serial number that `send` gave for the message one of whose packages has this one; otherwise the same."""
        sent = self._sent.find(serial_no) if self._sent is not None else None
        return serial_no if sent is None else sent.serial_no

    def take_serial_no(self, count: int = 1) -> int:
        """The next serial number of our own, taken, and as many more behind it as there are packages."""
        serial_no = self._serial_no
        self._serial_no = (serial_no + count) & 0xFFFF
        return serial_no

    def continue_serial_no(self, serial_no: int) -> None:
        """Count on from here: a new link of a known terminal, so that late answers hit no new question."""
        self._serial_no = serial_no & 0xFFFF

    def data_to_send(self) -> bytes:
        """All that waits to be sent, as one run of bytes; b"" when nothing does."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def frames_to_send(self) -> list[bytes]:
        """The same, a frame each: for datagrams."""
        frames, self._out = self._out, []
        return frames

    def close(self) -> None:
        """The transport is gone, or is about to be."""
        self._step(Step.CLOSED)
        self._plain = None
        self._forget_packages()

    def _forget_packages(self) -> None:
        if self._reassembler is not None:
            self._reassembler.clear()
            self._reassembler = None
        self._sent = None

    def _step(self, step: Step) -> None:
        try:
            self.state = TRANSITIONS[self.state, step]
        except KeyError:
            raise UsageError(f"{step.value} on a link that is {self.state.value}") from None

    def _adopt(self, header: Header) -> None:
        """Speak to the terminal in the form of this header from now on."""
        is_2019 = header.edition == Edition.V2019
        phone_field = _phone_field(header)
        if is_2019:
            self.edition = Edition.V2019
        elif self.edition == Edition.V2019:
            self.edition = Edition.V2013
        self.phone10 = bytes.fromhex(header.phone.rjust(20, "0"))
        self._plain = _PLAIN_2019 if is_2019 else _PLAIN_2013
        self._form = _VERSION_FLAG if is_2019 else 0
        self._phone_field = phone_field
        self._answer_head = _HEAD.pack(0x8001, self._form | _GENERAL_ANSWER.size) + phone_field
        self._answer_check = checksum(self._answer_head)

    def _general_answer(self, message_id: int, serial_no: int, result: int) -> None:
        """0x8001 in the authenticated terminal's form. Written out because one is made for every report."""
        if self._plain is None:
            return
        own = self._serial_no
        self._serial_no = (own + 1) & 0xFFFF
        words = own ^ serial_no ^ message_id
        check = (words >> 8 ^ words ^ result ^ self._answer_check) & 0xFF
        content = self._answer_head + _GENERAL_TAIL.pack(own, serial_no, message_id, result, check)
        if b"\x7d" in content or b"\x7e" in content:
            self._out.append(enframe(content[:-1]))
        else:
            self._out.append(b"\x7e%b\x7e" % content)

    def _answer(self, header: Header, message_id: int, body: bytes) -> None:
        """An answer in the form of the header it answers."""
        if self.state is State.CLOSED:
            return
        form = _VERSION_FLAG if header.edition == Edition.V2019 else 0
        head = _HEAD.pack(message_id, form | len(body)) + _phone_field(header)
        self._out.append(enframe(head + _WORD.pack(self.take_serial_no()) + body))


_LOGIN: Final = frozenset({0x0100, 0x0102})
_OWN_HANDLING: Final = frozenset({0x0002, 0x0003, 0x0004, 0x0005, 0x0100, 0x0102})


def _phone_field(header: Header) -> bytes:
    """The bytes between attributes and serial number, as they were received."""
    phone = bytes.fromhex(header.phone)
    return bytes((header.protocol_version,)) + phone if header.edition == Edition.V2019 else phone

"""One terminal's link, platform side, without any I/O: bytes and time in, events out, answers to send.

The life of a link. A terminal that has no authentication code (鉴权码) registers first (终端注册, 0x0100) and is given
one; with the code it authenticates (终端鉴权, 0x0102), on every new link, before anything else. Only then are its
messages taken. When its unit is removed from the vehicle it unregisters (终端注销, 0x0003) and has to begin again.
A link speaks for one terminal: once authenticated, a frame with another phone number is refused.
Source: JT/T 808-2013 §7.2.1, §7.2.2; 2019 likewise (clauses not checked). The states are the table `TRANSITIONS`.

Whoever owns the link calls `receive_data` with what arrived, handles the events, and writes `data_to_send()`
afterwards; arms one timer for `next_deadline()` and calls `on_time` when it is due. Answers to stored messages are
made when the store says so (`reply_stored`), which may be long after the event.

Every answer goes out in the form its request came in: the same header layout, phone bytes and version byte, because
there are terminals that compare them.
"""

from __future__ import annotations

from typing import Final

from jt808.errors import EncryptionError, HeaderError, Result, UsageError
from jt808.events import (
    AuthRequested,
    BadFrameReceived,
    Event,
    HeartbeatReceived,
    LinkEnded,
    MessageReceived,
    PackageRepeated,
    PackagesDropped,
    Refused,
    RegisterRequested,
    TimeQueried,
    UnregisterRequested,
)
from jt808.framing import BadFrame, Deframer
from jt808.header import BodyDecrypter, Edition, Header, parse_header
from jt808.link_states import DEFAULT_LIMITS, TRANSITIONS, ConnectionLimits, State, Step
from jt808.sending import LinkSender, Request
from jt808.subpackage import HEAD_BYTES, Assembled, Budget, Outcome, Reassembler

NEVER_ANSWERED: Final = frozenset({0x0001, 0x0005, 0x8001})
"""Answers themselves (JT/T 808-2013 §6.1), and the terminal's demand to repeat packages (2019): the answer to that is
the packages. 0x8001 is our own: a modem that echoes would have it answered for ever."""

_LOGIN: Final = frozenset({0x0100, 0x0102})
_OWN_HANDLING: Final = frozenset({0x0002, 0x0003, 0x0004, 0x0005, 0x0100, 0x0102})


class TerminalConnection(LinkSender):
    """The platform's side of one link."""

    __slots__ = (
        "_auth_failures",
        "_budget",
        "_decrypter",
        "_deframer",
        "_held",
        "_junk_bytes",
        "_last_received",
        "_limits",
        "_lost_messages",
        "_reassembler",
        "_unauthenticated_bytes",
        "_unauthenticated_since",
    )

    def __init__(
        self,
        now: float,
        *,
        limits: ConnectionLimits = DEFAULT_LIMITS,
        budget: Budget | None = None,
        decrypter: BodyDecrypter | None = None,
    ) -> None:
        """Args:  now: monotonic or wall-clock seconds, the same clock in every call.
        budget: shared bound of what incomplete messages of all links may hold.
        decrypter: opens encrypted bodies of the authenticated terminal; without one they are refused.
        """
        super().__init__()
        self._limits = limits
        self._deframer = Deframer()
        self._budget = budget
        self._decrypter = decrypter
        self._reassembler: Reassembler | None = None  # most terminals never need one
        self._held: list[bytes | BadFrame] | None = None
        self._auth_failures = 0
        self._junk_bytes = 0
        self._lost_messages = 0
        self._unauthenticated_since = now
        self._unauthenticated_bytes = 0
        self._last_received = now

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
        """No more is taken; what is held stays until `take_packages` or `close`."""
        events.append(LinkEnded(reason))
        self._step(Step.CLOSED)
        self._plain = None

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
        if reason == "encrypted" and self._decrypter is not None and self._plain is not None:
            try:
                opened = self._decrypter.decrypt(header.encryption, body)
            except EncryptionError:
                pass
            else:
                frame = frame[: len(frame) - len(body)] + opened
                header, body = header._replace(encryption=0, body_length=len(opened)), opened
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
            self.reply_general(header, result)
        events.append(Refused(header, reason))

    def _receive_package(self, header: Header, body: bytes, events: list[Event], now: float) -> None:
        if self._reassembler is None:
            self._reassembler = Reassembler(max_bytes=self._limits.package_bytes, budget=self._budget)
        got = self._reassembler.add(header, body, now)
        if isinstance(got, Assembled):
            self._lost_messages = 0
        self._report_dropped(events)
        if self.state is State.CLOSED:
            return
        if isinstance(got, Assembled):
            events.append(MessageReceived(header.message_id, got.serial_no, got.body, got.serials))
        elif got is Outcome.STORED:
            self._general_answer(header.message_id, header.serial_no, Result.OK)
            if header.message_id == 0x0801 and header.package_no == header.package_total:
                first = (header.serial_no - header.package_no + 1) & 0xFFFF
                if len(head := self._reassembler.head(0x0801, first)) == HEAD_BYTES:
                    self._answer_media(head, first)  # it got lost; there are units that wait for nothing else
            events.append(PackageRepeated(header.message_id, header.serial_no))
        elif got is Outcome.DUPLICATE:
            events.append(PackageRepeated(header.message_id, header.serial_no))
        elif got is Outcome.TOO_LARGE:
            self._refuse(header, got.value, Result.FAILED, events)

    def _report_dropped(self, events: list[Event]) -> None:
        if dropped := self._take_dropped():
            events += dropped
            self._lost_messages += len(dropped)
            if self._lost_messages >= self._limits.lost_messages:
                self._end("packages_incomplete", events)

    def _take_dropped(self) -> list[PackagesDropped]:
        if self._reassembler is None or not self._reassembler.dropped:
            return []
        dropped = [PackagesDropped(*dropped) for dropped in self._reassembler.dropped]
        self._reassembler.dropped.clear()
        return dropped

    # ---- time

    @property
    def last_received(self) -> float:
        """When the last whole good frame came."""
        return self._last_received

    def use_limits(self, limits: ConnectionLimits) -> None:
        """Other bounds from now on; ask for `next_deadline` again."""
        self._limits = limits

    @property
    def holds_packages(self) -> bool:
        """Whether some of a sub-packaged message are here and others lack; then each read may bring the deadline
        nearer, also one without events."""
        return self._reassembler is not None and len(self._reassembler) > 0

    def next_deadline(self) -> float | None:
        """When to call `on_time`; None once the link is closed. May move later without notice: ask again when due; and
        nearer only by what was received while `holds_packages`, a login, or `use_limits`."""
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
            self._report_dropped(events)
        return events

    # ---- what is answered when it is decided

    def reply_stored(self, message: MessageReceived) -> None:
        """The message is on disk: answer success, to each package when it came in several. Then `data_to_send()`.
        Nothing happens when nobody is authenticated any more."""
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
        if message_id == 0x0801 and len(message.body) >= 4 and self._plain is not None:
            self._answer_media(message.body[:4], message.serial_no)

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

    def authenticated(self, header: Header, edition: Edition | None = None) -> list[PackagesDropped]:
        """The code is right: answer 0x8001 result 0; from now on the terminal's messages are taken.

        Args:    edition: as remembered from the terminal's registration; None: what this link knows.
        Returns: what was held of messages that are not whole, here or by `continue_packages`, and went: the serial
                 number of the login does not go on from theirs, so the terminal counts anew.
        """
        if self.state is State.CLOSED:
            return []
        self._step(Step.AUTHENTICATED)
        if edition is not None:
            self.edition = edition
        self._adopt(header)  # the header has the last word on 2019
        self._auth_failures = 0
        self._general_answer(header.message_id, header.serial_no, Result.OK)
        if self._reassembler is not None:
            self._reassembler.logged_in(header.serial_no, self._last_received)
        return self._take_dropped()

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

    # ---- the end

    def take_packages(self) -> Reassembler | None:
        """What is here of messages that are not whole, to be handed to `continue_packages` of the terminal's next link;
        None: nothing. Before `close`, which gives up what is left. Whoever takes it has it `expire` now and then,
        counts what it has `dropped`, and in the end has it `clear`."""
        reassembler = self._reassembler
        if not reassembler:
            return None
        self._reassembler = None
        reassembler.link_ended()
        return reassembler

    def continue_packages(self, packages: Reassembler) -> None:
        """Take over what `take_packages` of the terminal's link before this one gave. Before `authenticated`, which
        keeps what the terminal may go on with."""
        if self._reassembler is not None:
            self._reassembler.clear()
            packages.dropped += self._reassembler.dropped
        self._reassembler = packages

    def close(self) -> list[PackagesDropped]:
        """The transport is gone, or is about to be. Returns what was held of messages that are not whole."""
        self._step(Step.CLOSED)
        self._plain = None
        self._forget_packages()
        return self._take_dropped()

    def _forget_packages(self) -> None:
        """What is held goes; it is told of with what is dropped next, or in the end."""
        self._sent = None
        if self._reassembler is not None:
            self._reassembler.clear()

    def _step(self, step: Step) -> None:
        try:
            self.state = TRANSITIONS[self.state, step]
        except KeyError:
            raise UsageError(f"{step.value} on a link that is {self.state.value}") from None


__all__ = ["TRANSITIONS", "ConnectionLimits", "Request", "State", "Step", "TerminalConnection"]

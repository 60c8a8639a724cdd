"""What goes out on a terminal's link: answers, messages of ours, packages, and their serial numbers.

The half of `jt808.connection.TerminalConnection` that writes. Frames gather until `data_to_send` takes them. An answer
goes out in the form its request came in, everything else in that of the terminal's latest frame.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from jt808.errors import BodyError, Result, UsageError
from jt808.events import Event, PackagesAsked
from jt808.framing import checksum, enframe
from jt808.header import MAX_BODY_BYTES, Edition, Header
from jt808.link_states import State
from jt808.messages import TerminalPackagesRequest, decode_body
from jt808.outgoing import MAX_PACKAGES, SentMessage, SentPackages, package_frames, split_body
from jt808.subpackage import Missing


class Request(Protocol):
    """What an answer needs to know of what it answers; `Header` and the events have it."""

    @property
    def message_id(self) -> int: ...

    @property
    def serial_no(self) -> int: ...


_VERSION_FLAG: Final = 0x4000
_PLAIN_2013: Final = struct.Struct(">HH6sH")
_PLAIN_2019: Final = struct.Struct(">HH11sH")  # version byte and phone field in one
_HEAD: Final = struct.Struct(">HH")
_WORD: Final = struct.Struct(">H")
_GENERAL_ANSWER: Final = struct.Struct(">HHB")  # serial and id of what is answered, result
_GENERAL_TAIL: Final = struct.Struct(">HHHBB")  # own serial number, the above, check byte


class LinkSender:
    """One link's way out, and what is known of whom it leads to."""

    __slots__ = (
        "_answer_check",
        "_answer_head",
        "_form",
        "_out",
        "_phone_field",
        "_plain",
        "_sent",
        "_serial_no",
        "edition",
        "phone10",
        "state",
    )

    def __init__(self) -> None:
        self.state = State.NEW
        self.edition = Edition.V2013  # what the terminal follows, as far as known
        self.phone10 = b""  # the phone field as 10 bytes, padded with zeros in front, once authenticated
        self._sent: SentPackages | None = None  # few links ever keep what went out in packages
        self._out: list[bytes] = []
        self._serial_no = 0
        # What a plain frame of the authenticated terminal looks like; None while nobody is.
        self._plain: struct.Struct | None = None
        self._form = 0
        self._phone_field = b""
        self._answer_head = b""
        self._answer_check = 0

    @property
    def phone(self) -> str:
        """The phone field's digits as on the wire; "" while nobody is authenticated."""
        return self._phone_field[-10 if len(self._phone_field) == 11 else -6 :].hex()

    def send(self, message_id: int, body: bytes, serial_no: int | None = None) -> int:
        """Send a message of ours. Then write `data_to_send()`.

        A body longer than a frame holds goes out in packages (分包) with the serial numbers that follow; they are kept,
        within bounds, for when the terminal asks for some of them again (0x0005).

        Args:    serial_no: of the (first) package; None: the next one. A retransmission keeps that of the first time;
                 who has to write a number down before sending takes it with `take_serial_no`.
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

    def first_serial_no(self, serial_no: int) -> int:
        """The serial number that `send` gave for the message one of whose packages has this one; otherwise the same."""
        sent = self._sent.find(serial_no) if self._sent is not None else None
        return serial_no if sent is None else sent.serial_no

    def take_serial_no(self, count: int = 1) -> int:
        """Reserve serial numbers of ours, for a message that is sent later, or is kept elsewhere in between.

        A message in packages has one of its own for each, consecutive: take as many at once as there are packages
        (``len(jt808.split_body(body))``), so that no other message comes in between, and give the first to `send` (the
        whole body) or to `send_packages`. Answers name any of them: `first_serial_no` leads back to the first, for what
        `send` sent; after `send_packages` its caller has to know. The numbers run round at 65536.

        Args:    count: 1 to 65535.
        Returns: the first of them.
        """
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

    def reply_general(self, request: Request, result: Result) -> None:
        """Answer with 0x8001, platform general response (平台通用应答). On a closed link: nothing happens."""
        if isinstance(request, Header):
            self._answer(request, 0x8001, _GENERAL_ANSWER.pack(request.serial_no, request.message_id, result))
        else:
            self._general_answer(request.message_id, request.serial_no, result)

    def _answer_media(self, media_id: bytes, serial_no: int, package_nos: tuple[int, ...] = ()) -> None:
        """0x8800, media data answer (多媒体数据上传应答): it is all there but for these packages. 2011 names the serial
        number first, and gives a count in any case. JT/T 808-2013 §8.53 (clause not
        checked)."""
        numbers = struct.pack(f">B{len(package_nos)}H", len(package_nos), *package_nos)
        if self.edition == Edition.V2011:
            self.send(0x8800, _WORD.pack(serial_no) + media_id + numbers)
        else:
            self.send(0x8800, media_id + numbers if package_nos else media_id)

    def reply_time(self, request: Request, now_utc: float) -> None:
        """Answer 0x0004 with 0x8004, server time (查询服务器时间应答) in UTC. JT/T 808-2019 §8.5
        (clause not checked)."""
        clock = datetime.fromtimestamp(now_utc, UTC)
        self.send(0x8004, bytes.fromhex(f"{clock:%y%m%d%H%M%S}"))

    def repeat_registration(self, header: Header, auth_code: str) -> None:
        """Answer a registration that came once more (a retry, a datagram late) as the first time; the link stays as it
        is, authenticated where it was."""
        self._answer(header, 0x8100, _WORD.pack(header.serial_no) + b"\0" + auth_code.encode("ascii"))

    def refuse_registration(self, header: Header, result: int) -> None:
        """Answer 0x8100 with 1 (vehicle already registered), 2 (no such vehicle), 3 (terminal already registered) or
        4 (no such terminal). Source: JT/T 808-2013 §8.6 (clause not checked)."""
        self._answer(header, 0x8100, _WORD.pack(header.serial_no) + bytes((result,)))

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


def _phone_field(header: Header) -> bytes:
    """The bytes between attributes and serial number, as they were received."""
    phone = bytes.fromhex(header.phone)
    return bytes((header.protocol_version,)) + phone if header.edition == Edition.V2019 else phone

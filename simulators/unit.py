"""What a simulated terminal does when it is told to, besides reporting and pictures: parameters, attributes, control,
doors, areas, driver, tachograph, questions, firmware in packages.

Like ``simulators.wire`` it is written with ``struct`` and apart from the server's codec. Bodies in, answers out; time
is handed in. Source: the message tables of JT/T 808-2011, -2013, -2019.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from simulators.wire import Identity

Answer = tuple[int, bytes]

SET_PARAMETERS: Final = 0x8103
UPGRADE: Final = 0x8108
PARAMETERS: Final[dict[int, bytes]] = {
    0x0001: struct.pack(">I", 60), 0x0013: b"127.0.0.1", 0x0018: struct.pack(">I", 6808),
    0x0029: struct.pack(">I", 5), 0x0055: struct.pack(">I", 100), 0x0056: struct.pack(">I", 10),
}  # fmt: skip
"""What it is set to when it leaves the factory."""

_SIMPLE: Final = frozenset((0x8202, 0x8203, 0x8204, 0x8301, 0x8303, 0x8304, 0x8400, 0x8401, 0x8701, 0x8804))
_SETTERS: Final = {0x8600: 1, 0x8602: 2, 0x8604: 3, 0x8606: 4}
_DELETERS: Final = {0x8601: 1, 0x8603: 2, 0x8605: 3, 0x8607: 4}
_NOT_IN: Final = {
    "2011": frozenset((0x8106, 0x8107, 0x8108, 0x8203, 0x8204, 0x8608, 0x8702)),
    "2013": frozenset((0x8204, 0x8608)),
    "2019": frozenset(),
}
MAX_ASKED: Final = 60  # packages in one 0x0005
SILENCE_S: Final = 2.0  # without a package, before those that are missing are asked for


@dataclass(slots=True)
class _Incoming:
    """A long message on its way."""

    message_id: int
    first_serial_no: int
    total: int
    parts: dict[int, bytes] = field(default_factory=dict)
    asked: int = 0

    def is_same(self, message_id: int, first_serial_no: int, total: int) -> bool:
        return (self.message_id, self.first_serial_no, self.total) == (message_id, first_serial_no, total)


@dataclass(slots=True)
class Unit:
    """One unit's inner state. ``location`` gives the basic part of a position; what a driver does takes ``human_s``."""

    identity: Identity
    edition: str
    location: Callable[[], bytes]
    rng: random.Random
    human_s: tuple[float, float] = (1.0, 4.0)
    confirms_packages: bool = True  # each by a 0x0001; else the whole message once
    parameters: dict[int, bytes] = field(default_factory=lambda: dict(PARAMETERS))
    areas: dict[tuple[int, int], bytes] = field(default_factory=dict)  # (kind, id) -> the body that set it
    locked: bool = False
    firmware: bytes = b""  # the last that was installed
    firmware_version: str = "1.0"
    resets: int = 0
    _later: list[tuple[float, Answer]] = field(default_factory=list)
    _incoming: _Incoming | None = None
    _ask_at: float | None = None

    # ---- plain messages

    def obey(self, message_id: int, serial_no: int, body: bytes, now: float) -> list[Answer] | None:
        """Do it; the answers to send at once. None: not the unit's to do."""
        if message_id in _NOT_IN[self.edition]:
            return [self._general(serial_no, message_id, 3)]
        try:
            return self._obey(message_id, serial_no, body, now)
        except (struct.error, IndexError, UnicodeDecodeError):
            return [self._general(serial_no, message_id, 2)]

    def _obey(self, message_id: int, serial_no: int, body: bytes, now: float) -> list[Answer] | None:
        done = self._general(serial_no, message_id, 0)
        if message_id == SET_PARAMETERS:
            self._set_parameters(body)
        elif message_id in (0x8104, 0x8106):
            return [self._tell_parameters(serial_no, body if message_id == 0x8106 else b"")]
        elif message_id == 0x8107:
            return [(0x0107, self._attributes())]
        elif message_id == 0x8105:
            return [self._general(serial_no, message_id, self._control(body))]
        elif message_id == 0x8500:
            self.locked = body[-1] == 0 if self.edition == "2019" else bool(body[0] & 1)
            return [done, (0x0500, struct.pack(">H", serial_no) + self.location())]
        elif message_id == 0x8302:
            choice = self._choose(body)
            self._later.append((now + self.rng.uniform(*self.human_s), (0x0302, struct.pack(">HB", serial_no, choice))))
        elif message_id in _SETTERS:
            self._set_area(_SETTERS[message_id], body)
        elif message_id in _DELETERS:
            self._delete_areas(_DELETERS[message_id], body)
        elif message_id == 0x8608:
            return [(0x0608, self._tell_areas(body))]
        elif message_id == 0x8700:
            return [(0x0700, self._tachograph(serial_no, body))]
        elif message_id == 0x8702:
            return [(0x0702, self._driver())]
        elif message_id == UPGRADE:
            return [done, *self._install(body)]
        elif message_id not in _SIMPLE:
            return None
        return [done]

    def _general(self, serial_no: int, message_id: int, result: int) -> Answer:
        return 0x0001, struct.pack(">HHB", serial_no, message_id, result)

    def _set_parameters(self, body: bytes) -> None:
        at = 2 if self.edition == "2011" else 1
        while at < len(body):
            (number,) = struct.unpack_from(">I", body, at)
            self.parameters[number] = body[at + 5 : at + 5 + body[at + 4]]
            at += 5 + body[at + 4]

    def _tell_parameters(self, serial_no: int, asked: bytes) -> Answer:
        ids = [struct.unpack_from(">I", asked, 1 + 4 * i)[0] for i in range(asked[0])] if asked else []
        wanted = ids if asked else [*self.parameters]
        found = [(number, self.parameters[number]) for number in wanted if number in self.parameters]
        counts = bytes([len(found)] * (2 if self.edition == "2011" else 1))
        values = b"".join(struct.pack(">IB", number, len(raw)) + raw for number, raw in found)
        return 0x0104, struct.pack(">H", serial_no) + counts + values

    def _attributes(self) -> bytes:
        model, own = (30, 30) if self.edition == "2019" else (20, 7)
        hardware, firmware = b"HW1", self.firmware_version.encode("gbk")
        return b"".join(
            (
                struct.pack(">H", 0b101),
                self.identity.manufacturer_id.encode("gbk")[:5].ljust(5, b"\0"),
                self.identity.terminal_model.encode("gbk")[:model].ljust(model, b"\0"),
                self.identity.terminal_id.encode("gbk")[:own].ljust(own, b"\0"),
                bytes.fromhex(self.identity.phone.zfill(20)[-20:]),
                bytes([len(hardware)]) + hardware + bytes([len(firmware)]) + firmware,
                b"\x03\x20",
            )
        )

    def _control(self, body: bytes) -> int:
        command = body[0]
        if command == 5:
            self.parameters = dict(PARAMETERS)
        if command in (4, 5):
            self.resets += 1
        elif command not in (1, 2, 3, 6, 7, 0xF0, 0xF1):
            return 3
        return 0

    def _choose(self, body: bytes) -> int:
        at = 2 + body[1]
        choices = []
        while at < len(body):
            choices.append(body[at])
            at += 3 + struct.unpack_from(">H", body, at + 1)[0]
        return self.rng.choice(choices)

    def _set_area(self, kind: int, body: bytes) -> None:
        """One area a message, as the server sends them; 2011 has two counts before circles and rectangles."""
        at = 0 if kind > 2 else 3 if self.edition == "2011" else 2
        if kind <= 2 and body[0] == 0:
            self.areas = {key: old for key, old in self.areas.items() if key[0] != kind}
        self.areas[kind, struct.unpack_from(">I", body, at)[0]] = body

    def _delete_areas(self, kind: int, body: bytes) -> None:
        gone = {struct.unpack_from(">I", body, 1 + 4 * i)[0] for i in range(body[0])}
        self.areas = {key: old for key, old in self.areas.items() if key[0] != kind or (gone and key[1] not in gone)}

    def _tell_areas(self, body: bytes) -> bytes:
        kind, count = struct.unpack_from(">BI", body)
        wanted = {struct.unpack_from(">I", body, 5 + 4 * i)[0] for i in range(count)}
        mine = {number: raw for (of, number), raw in sorted(self.areas.items()) if of == kind}
        found = [raw for number, raw in mine.items() if number in wanted or not wanted]
        return struct.pack(">BI", kind, len(found)) + b"".join(found)

    def _tachograph(self, serial_no: int, body: bytes) -> bytes:
        block = struct.pack(">HBHB", 0x557A, body[0], 4, 0) + b"\x00\x01\x02\x03"
        check = 0
        for byte in block:
            check ^= byte
        block += bytes([check])
        if self.edition == "2011":
            return struct.pack(">BHH", body[0], len(block), len(block)) + block
        return struct.pack(">HB", serial_no, body[0]) + block

    def _driver(self) -> bytes:
        name = "王师傅".encode("gbk")
        card = bytes([len(name)]) + name + b"210100199001010011".ljust(20, b"\0") + b"\x04" + "沈阳".encode("gbk")
        identity = b"210100199001010011".ljust(20, b"\0") if self.edition == "2019" else b""
        return b"\x01" + self.location()[22:28] + b"\x00" + card + bytes.fromhex("20301231") + identity

    def _install(self, body: bytes) -> list[Answer]:
        """The firmware is whole; its length must be what it says."""
        length = body[6]
        (size,) = struct.unpack_from(">I", body, 7 + length)
        data = body[11 + length :]
        is_whole = len(data) == size
        if is_whole:
            self.firmware, self.firmware_version = data, body[7 : 7 + length].decode("gbk")
        return [(0x0108, bytes([body[0], 0 if is_whole else 1]))]

    # ---- packages, and what takes time

    def take_package(
        self, message_id: int, serial_no: int, total: int, number: int, part: bytes, now: float
    ) -> list[Answer]:
        """A package of a long message; the answers to send at once. What arrived stays over a lost link."""
        first = (serial_no - number + 1) & 0xFFFF
        incoming = self._incoming
        if incoming is None or not incoming.is_same(message_id, first, total):
            incoming = self._incoming = _Incoming(message_id, first, total)
        incoming.parts[number] = part
        answers = [self._general(serial_no, message_id, 0)] if self.confirms_packages else []
        self._ask_at = now + SILENCE_S
        if len(incoming.parts) < total:
            return answers
        self._incoming = self._ask_at = None
        whole = b"".join(incoming.parts[index] for index in range(1, total + 1))
        obeyed = self.obey(message_id, serial_no, whole, now) or []
        return answers + (obeyed[1:] if self.confirms_packages else obeyed)

    def due(self, now: float) -> list[Answer]:
        """What is to be sent by now: a driver's answer, a request for packages that did not come (2019)."""
        answers = [answer for at, answer in self._later if at <= now]
        self._later = [(at, answer) for at, answer in self._later if at > now]
        incoming = self._incoming
        if incoming is not None and self._ask_at is not None and now >= self._ask_at:
            self._ask_at = now + SILENCE_S if incoming.asked < 5 else None
            incoming.asked += 1
            missing = [index for index in range(1, incoming.total + 1) if index not in incoming.parts][:MAX_ASKED]
            if self.edition == "2019":
                head = struct.pack(">HH", incoming.first_serial_no, len(missing))
                answers.append((0x0005, head + struct.pack(f">{len(missing)}H", *missing)))
        return answers

    def next_deadline(self) -> float | None:
        times = [at for at, _ in self._later] + ([self._ask_at] if self._ask_at is not None else [])
        return min(times, default=None)


def parse_package(content: bytes) -> tuple[int, int, bytes, int, int, bytes] | None:
    """Header+body of a downlink frame: (message id, serial number, phone field, total, number, part); None: it is
    whole, or no frame."""
    if len(content) < 16:
        return None
    message_id, attributes = struct.unpack_from(">HH", content)
    header = 21 if attributes & 0x4000 else 16
    if not attributes & 0x2000 or len(content) - header != attributes & 0x3FF:
        return None
    serial_no, total, number = struct.unpack_from(">HHH", content, header - 6)
    phone = content[5:15] if header == 21 else content[4:10]
    return (message_id, serial_no, phone, total, number, content[header:]) if 0 < number <= total else None

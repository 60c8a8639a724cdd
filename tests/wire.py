"""A terminal in plain bytes: written for the tests from the reference, sharing no code with the server's codec."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self


def escape(content: bytes) -> bytes:
    check = 0
    for byte in content:
        check ^= byte
    plain = content + bytes([check])
    return b"\x7e" + plain.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def frame(message_id: int, phone_field: bytes, serial_no: int, body: bytes) -> bytes:
    """``phone_field`` has 6 bytes (2011, 2013) or 10 (2019)."""
    if len(phone_field) == 10:
        head = struct.pack(">HHB", message_id, len(body) | 1 << 14, 1)
    else:
        head = struct.pack(">HH", message_id, len(body))
    return escape(head + phone_field + struct.pack(">H", serial_no) + body)


@dataclass(frozen=True)
class Answer:
    message_id: int
    phone_field: bytes
    serial_no: int
    body: bytes


class WireTerminal:
    """One TCP link. Every read has a time limit, so a missing answer fails a test instead of hanging it."""

    def __init__(self, address: tuple[str, int], phone_field: bytes, timeout_s: float = 60.0) -> None:
        self.phone_field = phone_field
        self.serial_no = 0
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def send(self, message_id: int, body: bytes) -> int:
        serial_no = self.serial_no
        self.serial_no = (self.serial_no + 1) & 0xFFFF
        self.socket.sendall(frame(message_id, self.phone_field, serial_no, body))
        return serial_no

    def receive(self) -> Answer:
        """The next frame from the server; EOFError when it closed the link."""
        while True:
            start = self._buffer.find(b"\x7e")
            end = self._buffer.find(b"\x7e", start + 1)
            if end > start >= 0:
                raw = self._buffer[start + 1 : end]
                self._buffer = self._buffer[end + 1 :]
                content = raw.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                check = 0
                for byte in content:
                    check ^= byte
                assert check == 0, "the server sent a wrong check byte"
                width = 10 if content[2] & 0x40 else 6
                first = 5 if width == 10 else 4
                phone, rest = content[first : first + width], content[first + width : -1]
                return Answer(int.from_bytes(content[:2], "big"), phone, int.from_bytes(rest[:2], "big"), rest[2:])
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the server closed the link")
            self._buffer += data

    def register(self, plate: str, plate_color: int = 2, terminal_id: bytes = b"T000001") -> str:
        """Register and return the auth code."""
        fixed = struct.pack(">HH", 21, 100)
        if len(self.phone_field) == 10:
            fixed += b"70111".ljust(11, b"\0") + b"SIM-19".ljust(30, b"\0") + terminal_id.ljust(30, b"\0")
        else:
            fixed += b"70111" + b"SIM-13".ljust(20, b"\0") + terminal_id.ljust(7, b"\0")
        serial_no = self.send(0x0100, fixed + bytes([plate_color]) + plate.encode("gb18030"))
        answer = self.receive()
        assert answer.message_id == 0x8100, hex(answer.message_id)
        answered, result = struct.unpack(">HB", answer.body[:3])
        assert (answered, result) == (serial_no, 0), f"registration refused with result {result}"
        return answer.body[3:].decode("gb18030")

    def authenticate(self, code: str) -> int:
        """Log in; the result of the 0x8001."""
        text = code.encode()
        if len(self.phone_field) == 10:
            body = bytes([len(text)]) + text + b"123456789012345" + b"1.0".ljust(20, b"\0")
        else:
            body = text
        serial_no = self.send(0x0102, body)
        answered, message_id, result = self.general_response()
        assert (answered, message_id) == (serial_no, 0x0102)
        return result

    def general_response(self) -> tuple[int, int, int]:
        """The next 0x8001: answered serial number, answered message id, result."""
        answer = self.receive()
        assert answer.message_id == 0x8001, hex(answer.message_id)
        answered, message_id, result = struct.unpack(">HHB", answer.body)
        return answered, message_id, result

    def login(self, plate: str) -> None:
        assert self.authenticate(self.register(plate)) == 0


def location_body(
    time_bcd: str, latitude: int = 41_800_000, longitude: int = 123_400_000, speed: int = 600, alarm: int = 0,
    status: int = 3, items: bytes = b"",
) -> bytes:  # fmt: skip
    """A 0x0200 body in wire units: 1e-6 degree, 0.1 km/h, ``YYMMDDhhmmss`` in GMT+8."""
    basic = struct.pack(">IIIIHHH", alarm, status, latitude, longitude, 50, speed, 90)
    return basic + bytes.fromhex(time_bcd) + items

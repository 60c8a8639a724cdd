"""Very many terminals in one thread: an epoll loop, a few hundred bytes a terminal, no timers but the caller's.

They connect all at once, register or show their code, and can hang up and come back, all at once again. What each was
told is kept: who was refused, how often it was cut off, when it was let in.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from simulators import wire
from simulators.wire import Identity

EDITION: Final = "2013"
RECONNECT_S: Final = 1.0
EVENTS_AT_ONCE: Final = 512


class Stage(Enum):
    AWAY = "away"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    AUTHENTICATING = "authenticating"
    IN = "in"


class Member:
    """One terminal."""

    __slots__ = (
        "code",
        "cut",
        "field",
        "let_in_at",
        "number",
        "phone",
        "refused",
        "rest",
        "serial_no",
        "sock",
        "stage",
    )

    def __init__(self, number: int, phone: str) -> None:
        self.number = number
        self.phone = phone
        self.field = wire.phone_field(phone, EDITION)
        self.sock: socket.socket | None = None
        self.stage = Stage.AWAY
        self.code = b""
        self.rest = b""
        self.serial_no = 0
        self.refused = 0  # answers other than success
        self.cut = 0  # links that ended before we ended them
        self.let_in_at = 0.0

    def frame(self, message_id: int, body: bytes = b"") -> bytes:
        self.serial_no = (self.serial_no + 1) & 0xFFFF
        return wire.message(message_id, EDITION, self.field, self.serial_no, body)

    def greeting(self) -> bytes:
        """What it says first: its code, or a registration when it has none."""
        number = f"{self.number:05d}"
        identity = Identity(self.phone, f"辽B{number}", 2, 100, f"00{number}", terminal_model="RW-CROWD")
        if self.code:
            self.stage = Stage.AUTHENTICATING
            return self.frame(wire.AUTHENTICATE, wire.authentication_body(self.code, identity, EDITION))
        self.stage = Stage.REGISTERING
        return self.frame(wire.REGISTER, wire.register_body(identity, EDITION))


class Crowd:
    """Terminals of one server. `poll` does all the work; nothing happens between two calls."""

    def __init__(self, host: str, port: int, count: int, *, first_phone: int = 13_800_000_000) -> None:
        self.address = (host, port)
        self.members = [Member(number, str(first_phone + number)) for number in range(count)]
        self._poll = select.epoll()
        self._by_fd: dict[int, Member] = {}
        self._again: list[tuple[float, Member]] = []  # who was cut off and tries again
        self.comes_back = True
        self.receive_buffer_bytes: int | None = None  # of the sockets; None: as the system likes
        self.on_answer: Callable[[Member, int, int, int], None] = lambda member, serial_no, message_id, result: None
        """Called with every 0x8001: serial number and id of what is answered, result."""

    def connect(self, members: Iterable[Member] | None = None) -> None:
        """Begin to connect, all at once."""
        for member in self.members if members is None else members:
            self._connect(member)

    def _connect(self, member: Member) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)
        member.sock, member.stage, member.rest = sock, Stage.CONNECTING, b""
        error = sock.connect_ex(self.address)
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, "a terminal cannot connect")
        self._by_fd[sock.fileno()] = member
        self._poll.register(sock, select.EPOLLOUT)

    def hang_up(self, members: Iterable[Member] | None = None) -> None:
        """All close their links, without a word."""
        for member in self.members if members is None else members:
            self._leave(member)

    def _leave(self, member: Member) -> None:
        if member.sock is not None:
            self._poll.unregister(member.sock)
            del self._by_fd[member.sock.fileno()]
            member.sock.close()
            member.sock, member.stage = None, Stage.AWAY

    def poll(self, wait_s: float = 0.1) -> None:
        """Take part in what happens, for at most `wait_s` when nothing does."""
        now = time.monotonic()
        while self._again and self._again[0][0] <= now:
            member = self._again.pop(0)[1]
            if member.sock is None:  # the caller may have connected it meanwhile
                self._connect(member)
        for fd, _ in self._poll.poll(wait_s, EVENTS_AT_ONCE):
            member = self._by_fd.get(fd)
            if member is not None:
                try:
                    self._serve(member)
                except OSError:
                    self._cut_off(member)

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Poll until the condition holds; False: it did not within the limit."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.poll()
        return True

    def all_in(self) -> bool:
        return all(member.stage is Stage.IN for member in self.members)

    def _serve(self, member: Member) -> None:
        assert member.sock is not None
        if member.stage is Stage.CONNECTING:
            if error := member.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, "refused")
            self._poll.modify(member.sock, select.EPOLLIN)
            member.sock.send(member.greeting())
            return
        data = member.sock.recv(4096)
        if not data:
            raise ConnectionResetError
        *parts, member.rest = (member.rest + data).split(b"\x7e")
        for part in parts:
            if part:
                plain = part.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                self._answered(member, plain)

    def _answered(self, member: Member, plain: bytes) -> None:
        (message_id,) = struct.unpack_from(">H", plain)
        body = plain[12:-1]
        if message_id == wire.REGISTER_ANSWER:
            if body[2] == 0:
                member.code = body[3:]
                assert member.sock is not None
                member.sock.send(member.greeting())
            else:
                member.refused += 1
        elif message_id == wire.PLATFORM_RESPONSE:
            serial_no, answered_id, result = struct.unpack(">HHB", body)
            member.refused += result != 0
            if answered_id == wire.AUTHENTICATE and result == 0:
                member.stage, member.let_in_at = Stage.IN, time.monotonic()
            self.on_answer(member, serial_no, answered_id, result)

    def _cut_off(self, member: Member) -> None:
        member.cut += 1
        self._leave(member)
        if self.comes_back:
            self._again.append((time.monotonic() + RECONNECT_S, member))

    def close(self) -> None:
        self.comes_back = False
        self.hang_up()
        self._poll.close()

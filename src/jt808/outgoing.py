"""Long messages of our own: cut into packages (分包), and packages sent again when they are asked for.

Source: JT/T 808-2013 §4.4.3 and §7.12 (clauses not checked): packages carry consecutive serial numbers, each is a whole
frame, and one that is asked for again goes out unchanged. 2019 likewise; there terminals ask with 0x0005.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from jt808.errors import UsageError
from jt808.framing import enframe
from jt808.header import MAX_BODY_BYTES, Edition, build_frame

_HEAD: Final = struct.Struct(">HH")
_PACKAGE: Final = struct.Struct(">HHH")  # serial number, total, number
_SUBPACKAGED_BIT: Final = 0x2000

MAX_PACKAGES: Final = 0xFFFF
"""What the WORD of the total can say."""


def split_body(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> list[bytes]:
    """Cut a body into those of its packages; one that fits stays whole.

    Args:    max_bytes: of each package, 1 to 1023.
    Raises:  UsageError: another ``max_bytes``; more than 65535 packages.
    """
    if not 1 <= max_bytes <= MAX_BODY_BYTES:
        raise UsageError(f"packages of {max_bytes} bytes; a frame holds 1 to {MAX_BODY_BYTES}")
    if len(body) > max_bytes * MAX_PACKAGES:
        raise UsageError(f"a body of {len(body)} bytes needs more than {MAX_PACKAGES} packages of {max_bytes}")
    return [body[at : at + max_bytes] for at in range(0, len(body), max_bytes)] or [b""]


def build_frames(
    message_id: int,
    phone: str,
    serial_no: int,
    body: bytes,
    edition: Edition = Edition.V2013,
    *,
    max_bytes: int = MAX_BODY_BYTES,
    protocol_version: int = 1,
) -> list[bytes]:
    """The frames of a message of any length: one, or packages with the serial numbers from ``serial_no`` on.

    Raises:  UsageError: as :func:`split_body` and :func:`jt808.header.build_header`.
    """
    parts = split_body(body, max_bytes)
    return [
        build_frame(
            message_id,
            phone,
            (serial_no + index) & 0xFFFF,
            part,
            edition,
            package=(len(parts), index + 1) if len(parts) > 1 else None,
            protocol_version=protocol_version,
        )
        for index, part in enumerate(parts)
    ]


def package_frames(
    message_id: int, serial_no: int, total: int, parts: Mapping[int, bytes], form: int, phone_field: bytes
) -> list[bytes]:
    """Some packages of a message, by their numbers from 1; ``serial_no``: of the first of all, ``total``: how many
    there are. The rest as in :meth:`SentMessage.frames`."""
    found = []
    for number, part in parts.items():
        head = _HEAD.pack(message_id, form | _SUBPACKAGED_BIT | len(part)) + phone_field
        found.append(enframe(head + _PACKAGE.pack((serial_no + number - 1) & 0xFFFF, total, number) + part))
    return found


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that went out in packages; enough to make each of them again."""

    message_id: int
    serial_no: int  # of the first package
    body: bytes
    max_bytes: int

    @property
    def package_count(self) -> int:
        return -(-len(self.body) // self.max_bytes)

    def package(self, number: int) -> bytes:
        """The body of a package, counted from 1."""
        return self.body[(number - 1) * self.max_bytes : number * self.max_bytes]

    def frames(self, numbers: Iterable[int], form: int, phone_field: bytes) -> list[bytes]:
        """Packages as they go out.

        Args:    form: the attribute bits of the link's edition; phone_field: as :func:`jt808.header.build_header` has
                 it between attributes and serial number, in 2019 with the version byte in front.
        """
        parts = {number: self.package(number) for number in numbers}
        return package_frames(self.message_id, self.serial_no, self.package_count, parts, form, phone_field)


class SentPackages:
    """What went out in packages on one link, kept to be sent again.

    Bounds: ``max_messages`` and ``max_bytes`` of bodies; the oldest give way, a longer one is not kept. ``dropped``
    counts what gave way.
    """

    __slots__ = ("_kept", "_max_bytes", "_max_messages", "_size", "dropped")

    def __init__(self, *, max_bytes: int = 4 << 20, max_messages: int = 8) -> None:
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._kept: OrderedDict[int, SentMessage] = OrderedDict()  # by the serial number of the first package
        self._size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """Of all bodies that are kept."""
        return self._size

    def keep(self, sent: SentMessage) -> None:
        """Remember a message; one with the same first serial number gives way without being counted."""
        if old := self._kept.pop(sent.serial_no, None):
            self._size -= len(old.body)
        if len(sent.body) > self._max_bytes:
            self.dropped += 1
            return
        self._kept[sent.serial_no] = sent
        self._size += len(sent.body)
        while self._size > self._max_bytes or len(self._kept) > self._max_messages:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone.body)
            self.dropped += 1

    def find(self, serial_no: int) -> SentMessage | None:
        """The message whose first package, or any, has that serial number: answers may name either."""
        found = self._kept.get(serial_no)
        if found is not None:
            return found
        for sent in reversed(self._kept.values()):
            if (serial_no - sent.serial_no) & 0xFFFF < sent.package_count:
                return sent
        return None

    def again(self, serial_no: int, numbers: Iterable[int]) -> tuple[SentMessage | None, list[int]]:
        """What is asked for: the message, if it is still kept, and those of its packages that there are, each once.

        Args:    serial_no: of the first package; numbers: of packages, from 1.
        """
        sent = self._kept.get(serial_no)
        if sent is None:
            return None, []
        return sent, [number for number in dict.fromkeys(numbers) if 1 <= number <= sent.package_count]

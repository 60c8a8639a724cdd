"""What a journal is, whatever it is made of.

A **record** is one thing that happened: kind, when, which terminal, edition, message id, serial number, body. Its
header has a fixed size, so that the headers of a group are one numpy array. A **group** is what was made durable
together; its `offset` is the journal's only address: it grows by one, is never reused, and stands in the database
beside the data of the group.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fleet import canonical_phone


class Kind(IntEnum):
    """What a record tells. MESSAGE holds a message body verbatim, the others JSON (see `ingest.facts`)."""

    MESSAGE = 0
    REGISTERED = 1
    REFUSED = 2
    SESSION_BEGIN = 3
    SESSION_END = 4
    UNREGISTERED = 5
    GATEWAY_STARTED = 6  # no session of before is alive; phone is zeros


EDITION_NAMES: Final[dict[int, str]] = {11: "2011", 13: "2013", 19: "2019"}
"""The edition in a record's header -> jt808.Edition's value."""

EDITION_CODES: Final[dict[str, int]] = {name: code for code, name in EDITION_NAMES.items()}


RECORD_HEADER: Final = struct.Struct("<qIIHHBB10s")
"""received_us, body_offset, body_length, message_id, serial_no, kind, edition, phone: 32 bytes, little endian."""

HEADER_DTYPE: Final = np.dtype(
    [
        ("received_us", "<i8"),  # microseconds UTC
        ("body_offset", "<u4"),  # in Group.bodies
        ("body_length", "<u4"),
        ("message_id", "<u2"),
        ("serial_no", "<u2"),
        ("kind", "u1"),  # Kind
        ("edition", "u1"),  # of EDITION_NAMES
        ("phone", "V10"),  # BCD, padded with zeros in front
    ]
)
assert HEADER_DTYPE.itemsize == RECORD_HEADER.size


def phone_text(phone10: bytes) -> str:
    """A record's 10-byte phone field -> the canonical phone number."""
    return canonical_phone(phone10.hex())


class JournalError(Exception):
    """The journal cannot be used; the message says which file and why."""


class JournalFull(JournalError):
    """The journal has reached its size bound; it goes on when the reader has caught up."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group as read. Body i is `bodies[body_offset[i] : body_offset[i] + body_length[i]]`."""

    offset: int
    closed_us: int  # when it was written, microseconds UTC
    headers: NDArray[Any]  # HEADER_DTYPE, shape (records,)
    bodies: memoryview

    def __len__(self) -> int:
        return len(self.headers)

    def body(self, index: int) -> bytes:
        """One record's body, copied out."""
        start = int(self.headers["body_offset"][index])
        return bytes(self.bodies[start : start + int(self.headers["body_length"][index])])

    def phone(self, index: int) -> str:
        """One record's canonical phone number."""
        return phone_text(self.headers["phone"][index].tobytes())


StoredCallback = Callable[[int, Sequence[Any]], None]
"""(offset, tokens): called in the event loop once per group, after it is on disk."""


class Append(Protocol):
    def __call__(
        self,
        kind: int,
        received_us: int,
        phone10: bytes,
        edition: int,
        message_id: int,
        serial_no: int,
        body: bytes,
        token: Any = None,
        *,
        urgent: bool = False,
    ) -> bool:
        """Queue a record for the next group. Its token (None: none) is handed to the stored callback once the group is
        on disk. False: the bound is reached, the record is not taken and was counted. `urgent` records (facts about
        sessions, which nobody sends again) may use the reserve above the bound."""


class JournalWriter(Protocol):
    """The gateway's end. One writer per journal."""

    @property
    def name(self) -> str:
        """The journal's own name, for ever the same: the key of its offset in the database."""

    @property
    def append(self) -> Append:
        """The hot call."""

    async def flush(self) -> None:
        """Wait until all that was appended before is on disk."""


class JournalReader(Protocol):
    """The pipeline's end, in whatever process. The offset reached is not kept here: it stands beside the data."""

    async def open(self) -> None:
        """Wait until there is a journal."""

    @property
    def name(self) -> str:
        """As the writer's; JournalError before `open` is through."""

    async def read(self, after: int, max_records: int, timeout_s: float = 0.0) -> list[Group]:
        """The groups after this offset, oldest first, as many as hold at most `max_records` records (one group at
        least, when there is one). With nothing new it waits up to `timeout_s`, then gives []."""

    async def last_offset(self) -> int:
        """The newest group's offset; 0 when there is none."""

    async def trim(self, offset: int) -> None:
        """Groups up to and including this offset are not needed any more."""

"""A run of journal groups as one, and where the location reports are in it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import jt808
from ingest.journal import EDITION_NAMES, Group, phone_text
from jt808.columns import split_bulk

LOCATION, LOCATION_ANSWER, BULK = 0x0200, 0x0201, 0x0704
BLIND_AREA = 1  # kind of a 0x0704


@dataclass(slots=True)
class Records:
    """Several groups as one: headers in a numpy structured array, bodies in one buffer."""

    headers: NDArray[np.void]
    bodies: bytes
    starts: NDArray[np.int64]  # of each record's body in ``bodies``

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Records:
        headers = np.concatenate([group.headers for group in groups])
        bases = np.cumsum([0] + [len(group.bodies) for group in groups[:-1]])
        starts = headers["body_offset"].astype(np.int64) + np.repeat(bases, [len(group) for group in groups])
        return cls(headers, b"".join(group.bodies for group in groups), starts)

    def __len__(self) -> int:
        return len(self.headers)

    def body(self, i: int) -> bytes:
        start = int(self.starts[i])
        return self.bodies[start : start + int(self.headers["body_length"][i])]

    def phone(self, i: int) -> str:
        """Canonical, of the record's terminal."""
        return phone_text(self.headers["phone"][i].tobytes())

    def edition(self, i: int) -> jt808.Edition:
        """Of a record that is a message."""
        return jt808.Edition(EDITION_NAMES[int(self.headers["edition"][i])])

    def take(self, rows: NDArray[np.intp]) -> Records:
        return Records(self.headers[rows], self.bodies, self.starts[rows])


@dataclass(slots=True)
class Pieces:
    """Bodies of 0x0200, a row each: of which record, where it lies, whether it is backfill (盲区补报)."""

    record: NDArray[np.intp]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    is_blind: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[Pieces]) -> Pieces:
        """One after the other, as journaled."""
        if len(parts) == 1:
            return parts[0]
        record = np.concatenate([part.record for part in parts])
        order = np.argsort(record, kind="stable")
        return cls(
            record[order],
            np.concatenate([part.start for part in parts])[order],
            np.concatenate([part.length for part in parts])[order],
            np.concatenate([part.is_blind for part in parts])[order],
        )

    def message(self, records: Records, row: int) -> bytes:
        """The piece as a message body of its own: of an item of a 0x0704, a 0x0704 that holds it alone."""
        i, start, length = int(self.record[row]), int(self.start[row]), int(self.length[row])
        if records.headers["message_id"][i] != BULK:
            return records.body(i)
        return struct.pack(">HBH", 1, bool(self.is_blind[row]), length) + records.bodies[start : start + length]


def spans_of(message_id: int, edition: jt808.Edition, body: bytes) -> tuple[bool, list[tuple[int, int]]]:
    """The 0x0200 bodies inside a 0x0201 or a 0x0704: whether they are backfill, and (offset, length) of each.

    Raises:  jt808.BodyError: there is none.
    """
    if message_id == BULK:
        kind, spans = split_bulk(body)
        return kind == BLIND_AREA, spans
    if len(body) < 2:
        raise jt808.BodyError(message_id, len(body), "the answered serial number is missing")
    begin = 0 if jt808.body_edition(message_id, edition, body) == jt808.Edition.V2011 else 2  # 2011 names no serial
    return False, [(begin, len(body) - begin)]

"""Bad links: what a radio network does to frames, by probability and from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class LinkFaults:
    """Probabilities of what may happen to one frame on its way, up or down.

    Raises: ValueError: a probability is outside 0..1, or a time is negative.
    """

    lose: float = 0.0  # the frame never arrives
    repeat: float = 0.0  # it arrives twice
    swap: float = 0.0  # it arrives after the one that follows
    damage: float = 0.0  # one bit is wrong; the check byte tells
    junk: float = 0.0  # bytes that are no frame stand before it
    delay: float = 0.0  # it arrives later, by up to ``max_delay_s``
    cut: float = 0.0  # the link breaks in the middle of it
    max_delay_s: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value > 1 and field.name != "max_delay_s"):
                raise ValueError(f"{field.name} must be within 0 and 1, not {value}")


GOOD: Final = LinkFaults()
USUAL: Final = LinkFaults(
    lose=0.002, repeat=0.002, swap=0.002, damage=0.001, junk=0.0005, delay=0.01, cut=0.0003, max_delay_s=1.5
)
"""A country road: the demonstration's links."""
TERRIBLE: Final = LinkFaults(
    lose=0.02, repeat=0.03, swap=0.03, damage=0.02, junk=0.01, delay=0.05, cut=0.005, max_delay_s=0.3
)
"""For tests that want everything to happen."""


class Piece(NamedTuple):
    """Bytes to hand on after a delay; ``is_last``: then the link breaks."""

    delay_s: float
    data: bytes
    is_last: bool


_SPECIAL: Final = b"\x7d\x7e"


class BadLink:
    """One direction of one link. ``carry`` turns a frame into what arrives; ``counts`` tells what happened."""

    def __init__(self, faults: LinkFaults, rng: random.Random, counts: dict[str, int]) -> None:
        self._faults = faults
        self._rng = rng
        self._counts = counts
        self._held: bytes | None = None
        self._is_good = faults == GOOD

    def _happens(self, name: str) -> bool:
        probability: float = getattr(self._faults, name)
        if probability and self._rng.random() < probability:
            self._counts[f"link_{name}"] = self._counts.get(f"link_{name}", 0) + 1
            return True
        return False

    def carry(self, frame: bytes) -> list[Piece]:
        """What arrives of a frame, and when. A frame held back for a swap comes with the next call."""
        if self._is_good:
            return [Piece(0.0, frame, False)]
        held, self._held = self._held, None
        if self._happens("cut"):
            return [Piece(0.0, frame[: self._rng.randrange(len(frame))], True)]
        if self._happens("lose"):
            return self._after(held, [])
        if held is None and self._happens("swap"):
            self._held = frame
            return []
        if self._happens("damage"):
            frame = damaged(frame, self._rng)
        data = [frame, frame] if self._happens("repeat") else [frame]
        if self._happens("junk"):
            data.insert(0, self._rng.randbytes(self._rng.randrange(1, 40)))
        delay = self._rng.random() * self._faults.max_delay_s if self._happens("delay") else 0.0
        return self._after(held, [Piece(delay, piece, False) for piece in data])

    @staticmethod
    def _after(held: bytes | None, pieces: list[Piece]) -> list[Piece]:
        if held is not None:
            pieces.append(Piece(pieces[-1].delay_s if pieces else 0.0, held, False))
        return pieces


def damaged(frame: bytes, rng: random.Random) -> bytes:
    """The frame with one bit wrong inside, in a place where the check byte must tell (no flag, no escape)."""
    places = [i for i in range(1, len(frame) - 1) if frame[i] not in _SPECIAL and frame[i - 1] != 0x7D]
    if not places:
        return frame
    place = rng.choice(places)
    bits = [1 << k for k in range(8) if frame[place] ^ 1 << k not in _SPECIAL]
    return frame[:place] + bytes([frame[place] ^ rng.choice(bits)]) + frame[place + 1 :]

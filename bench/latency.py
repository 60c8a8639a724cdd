"""The latencies of a run in the order of their answers, with a mark now and then, so that a part can be looked at."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

MARK_S: Final = 0.5
AFTER_S: Final = 0.1  # what waited for such a moment is answered soon after it


class Recorder:
    """`seconds.append(...)` is all that the hot loop does; `mark()` now and then says how late it is."""

    def __init__(self) -> None:
        self.seconds = array("f")
        self._at = array("d")
        self._count = array("Q")

    def mark(self) -> None:
        self._at.append(time.time())
        self._count.append(len(self.seconds))

    def save(self, path: Path) -> None:
        self.mark()
        np.savez(path, seconds=_floats(self.seconds), at=np.array(self._at), count=np.array(self._count))

    def quantiles_ms(self, *shares: float) -> list[float]:
        return quantiles_ms(_floats(self.seconds), *shares)


@dataclass(frozen=True, slots=True)
class Latencies:
    """What a :class:`Recorder` saved."""

    seconds: NDArray[np.float32]  # of each answer
    at: NDArray[np.float64]  # of each mark, since 1970
    count: NDArray[np.uint64]  # of the answers before it

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as saved:
            return cls(saved["seconds"], saved["at"], saved["count"])

    def between(self, begin: float, end: float, without: Sequence[tuple[float, float]] = ()) -> NDArray[np.float32]:
        """Those answered from the first mark after `begin` to the last one before `end` (seconds since 1970).

        Args:    without: moments that are left out, each with the whole time between the marks around it.
        """
        first, last = np.searchsorted(self.at, [begin, end])
        kept = [
            self.seconds[int(self.count[mark]) : int(self.count[mark + 1])]
            for mark in range(int(first), int(last) - 1)
            if not any(since < self.at[mark + 1] and self.at[mark] < until + AFTER_S for since, until in without)
        ]
        return np.concatenate(kept) if kept else self.seconds[:0]

    def rate(self, begin: float, end: float) -> float:
        """Answers a second."""
        first, last = np.searchsorted(self.at, [begin, end])
        if last - first < 2:
            return 0.0
        return float((self.count[last - 1] - self.count[first]) / (self.at[last - 1] - self.at[first]))


def quantiles_ms(seconds: NDArray[np.float32], *shares: float) -> list[float]:
    """Milliseconds below which that share lies; not a number when there are none."""
    if not len(seconds):
        return [float("nan")] * len(shares)
    return [round(float(value) * 1e3, 2) for value in np.quantile(seconds, shares, method="higher")]


def _floats(values: array[float]) -> NDArray[np.float32]:
    return np.frombuffer(values, np.float32) if values else np.zeros(0, np.float32)

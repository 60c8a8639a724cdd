"""A bounded memory of recent fixes, so that resends seldom reach the database. Its unique key remains the last word.

The memory knows how far back it reaches (``known_from_us``): what may have come before that has to be asked for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fleet import PositionBatch

DEFAULT_CAPACITY: Final = 200_000
"""Fixes remembered: about 20 MB; a fleet of 10,000 that reports every 10 s fills it in 200 s."""

NEVER: Final = int(np.iinfo(np.int64).max)

_KEY: Final = np.dtype([("terminal_id", "i4"), ("time_us", "i8"), ("fix_hash", "i8")])


class Deduplicator:
    """Tells which fixes of a batch were not seen lately. A fix is known by terminal, time and hash of its body.

    Two generations of at most ``capacity / 2`` keys: when the young one is full it becomes the old one and the old one
    is forgotten, so between ``capacity / 2`` and ``capacity`` of the latest fixes are remembered. Exact keys, no
    hashes of them: a fix is never taken for another.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 2:
            raise ValueError(f"capacity must be 2 or more, not {capacity}")
        self._generation = capacity // 2
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._young_from_us = self._old_from_us = NEVER

    def __len__(self) -> int:
        return len(self._young | self._old)

    @property
    def known_from_us(self) -> int:
        """Every fix that came with this ``received_us`` or later is remembered; ``NEVER`` when nothing came yet."""
        return self._old_from_us if self._old else self._young_from_us

    def fresh(self, batch: PositionBatch) -> NDArray[np.bool_]:
        """One bool a row: False for a fix seen before, in this batch or an earlier one. Remembers the others."""
        columns = np.empty(len(batch), _KEY)
        columns["terminal_id"], columns["time_us"], columns["fix_hash"] = (
            batch.terminal_id,
            batch.time_us,
            batch.fix_hash,
        )
        keys: list[bytes] = columns.view(f"V{_KEY.itemsize}").tolist()
        from_us = int(batch.received_us.min(initial=NEVER))
        self._young_from_us = min(self._young_from_us, from_us)
        mask = np.ones(len(batch), np.bool_)
        new = set(keys)
        if (
            len(new) == len(keys)
            and len(self._young) + len(new) < self._generation
            and self._young.isdisjoint(new)
            and self._old.isdisjoint(new)
        ):  # nearly always: no repeat at all
            self._young |= new
            return mask
        for row, key in enumerate(keys):
            if key in self._young:
                mask[row] = False
                continue
            if key in self._old:
                mask[row] = False  # and remembered anew below
            self._young.add(key)
            if len(self._young) >= self._generation:
                self._old, self._young = self._young, set()
                self._old_from_us, self._young_from_us = self._young_from_us, from_us
        return mask

    def forget(self) -> None:
        """Forget everything: after a batch that was judged here was not stored after all."""
        self._young, self._old = set(), set()
        self._young_from_us = self._old_from_us = NEVER

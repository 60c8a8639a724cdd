"""Off-line (离线): nothing heard of a vehicle for ``offline_after_s`` although its ignition was on.

The episode begins when the last report arrived, is found out by a tick, and ends when any report arrives, late ones
too: it is about the link, so it is measured in our time, not in the terminal's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from alarms.catalogue import OFFLINE
from alarms.changes import Changes
from alarms.lanes import NEVER, Lanes, grown
from alarms.rows import Rows, fix_of
from alarms.rules.base import Episode


class OfflineRule:
    name = "offline"

    def __init__(self, lanes: Lanes) -> None:
        self.dirty: set[int] = set()
        self._lanes = lanes
        self._is_offline = np.zeros(lanes.capacity, np.bool_)
        self._begin_us: dict[int, int] = {}  # slot -> when the last report had arrived

    def grow(self, capacity: int) -> None:
        self._is_offline = grown(self._is_offline, capacity, False)

    def evaluate(self, rows: Rows, out: Changes) -> None:
        if not self._begin_us:
            return
        for row in np.flatnonzero(self._is_offline[rows.heard_slot]).tolist():
            slot = int(rows.heard_slot[row])
            begin_us = self._begin_us.pop(slot, None)
            if begin_us is None:
                continue
            self._is_offline[slot] = False
            self.dirty.add(2 * slot)
            received_us = int(rows.batch.received_us[row])
            out.end(2 * slot, OFFLINE, begin_us, fix_of(rows.batch, row), end_us=received_us)

    def tick(self, now_us: int, watching_since_us: int, out: Changes) -> None:
        for slot in self._lanes.silent_with_ignition_on(now_us, watching_since_us):
            begin_us = self._lanes.heard_us(slot)
            if slot in self._begin_us or begin_us == NEVER:
                continue
            self._begin_us[slot] = begin_us
            self._is_offline[slot] = True
            self.dirty.add(2 * slot)
            facts = {"offline_after_s": int(self._lanes.offline_after_us[slot]) / 1e6}
            fix = self._lanes.last_fix(2 * slot, begin_us)
            out.begin(2 * slot, OFFLINE, fix, begin_us=begin_us, found_us=now_us, facts=facts)

    def close(self, lane: int, out: Changes) -> None:
        """Late lanes know nothing of this rule."""

    def running(self) -> Iterator[Episode]:
        for slot, begin_us in self._begin_us.items():
            yield Episode(2 * slot, OFFLINE.name, begin_us, "")

    def dump(self, lane: int) -> dict[str, Any] | None:
        begin_us = self._begin_us.get(lane >> 1)
        return None if begin_us is None or lane & 1 else {"begin_us": begin_us}

    def load(self, lane: int, state: dict[str, Any]) -> None:
        self._begin_us[lane >> 1] = int(state["begin_us"])
        self._is_offline[lane >> 1] = True

"""Region in and out (进出区域), judged by the platform: polygons and circles.

A vehicle has crossed a border when two consecutive fixes with a position are on the other side; the crossing counts
from the first of them. ``fence.enter`` runs from entering to leaving again, ``fence.leave`` from leaving to coming
back, so that a running episode always tells where the vehicle is. Where a vehicle is when it is first seen, or when a
fence is new or changed, is only noted. An episode of a fence that is changed or gone ends at the vehicle's last fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.catalogue import FENCE_ENTER, FENCE_LEAVE, RULES
from alarms.changes import Changes
from alarms.geofences import CompiledFence, FenceIndex
from alarms.lanes import Lanes, grown
from alarms.rows import Fix, Rows
from alarms.rules.base import Episode
from fleet import Rule

UNKNOWN: Final = -1
OUTSIDE: Final = 0
INSIDE: Final = 1


class FenceRule:
    name = "fence"

    def __init__(self, lanes: Lanes) -> None:
        self.dirty: set[int] = set()
        self._lanes = lanes
        self._index = FenceIndex()
        self._is_set = False
        self._applies = np.zeros((lanes.capacity, 0), np.bool_)  # slots by fences
        self._member = np.zeros((2 * lanes.capacity, 0), np.int8)  # lanes by fences: UNKNOWN, OUTSIDE, INSIDE
        self._first_over: dict[tuple[int, str], Fix] = {}  # lane, fence: first fix on the other side, unconfirmed
        self._begin_us: dict[int, dict[tuple[str, str], int]] = {}  # lane -> (rule, fence key) -> begin
        self._unplaced: dict[int, dict[str, Any]] = {}  # loaded before the fences were known

    # Fences and vehicles

    def set_fences(self, fences: Iterable[CompiledFence], out: Changes) -> None:
        """Take these fences for the ones there are; whatever ran for others ends now."""
        old, self._index = self._index, FenceIndex(fences)
        self._is_set = True
        member = np.full((2 * self._lanes.capacity, len(self._index)), UNKNOWN, np.int8)
        for key, column in self._index.column.items():
            if key in old.column:
                member[:, column] = self._member[:, old.column[key]]
        self._member = member
        self._applies = np.ones((self._lanes.capacity, len(self._index)), np.bool_)
        self._apply(range(self._lanes.count))
        for lane, key in [at for at in self._first_over if at[1] not in self._index.column]:
            del self._first_over[lane, key]
            self.dirty.add(lane)
        for lane, running in list(self._begin_us.items()):
            for rule, key in [at for at in running if at[1] not in self._index.column]:
                self._end(lane, RULES[rule], key, self._lanes.last_fix(lane, running[rule, key]), out)
        for lane, state in self._unplaced.items():
            self._place(lane, state, out)
        self._unplaced.clear()

    def grow(self, capacity: int) -> None:
        self._member = grown(self._member, 2 * capacity, UNKNOWN)
        self._applies = grown(self._applies, capacity, True)

    def see(self, slots: range) -> None:
        """New vehicles stand in these slots."""
        self._apply(slots)

    def _apply(self, slots: range) -> None:
        for column, compiled in enumerate(self._index.fences):
            chosen = compiled.fence.vehicle_ids
            if chosen is not None:
                vehicles = self._lanes.vehicle_id[slots.start : slots.stop].tolist()
                self._applies[slots.start : slots.stop, column] = [vehicle in chosen for vehicle in vehicles]

    # Judging

    def evaluate(self, rows: Rows, out: Changes) -> None:
        if not len(self._index):
            return
        sight = np.flatnonzero(rows.is_located)
        if not len(sight):
            return
        lane = rows.lane[sight]
        inside = self._index.inside(rows.latitude_deg[sight], rows.longitude_deg[sight])
        self._note_first_sight(lane, inside)
        differs = inside.view(np.int8) != self._member[lane]
        differs &= self._applies[lane >> 1]
        concerned: set[tuple[int, int]] = set()
        if differs.any():
            at_row, at_column = np.nonzero(differs)
            concerned.update(zip(lane[at_row].tolist(), at_column.tolist(), strict=True))
        if self._first_over:
            present = set(lane.tolist())
            concerned.update((at[0], self._index.column[at[1]]) for at in self._first_over if at[0] in present)
        for one, column in sorted(concerned):
            low, high = np.searchsorted(lane, [one, one + 1]).tolist()
            self._walk(rows, sight[low:high].tolist(), one, column, inside[low:high, column].tolist(), out)

    def _note_first_sight(self, lane: NDArray[np.int64], inside: NDArray[np.bool_]) -> None:
        first = np.flatnonzero(np.append(True, lane[1:] != lane[:-1]))
        lanes = lane[first]
        member = self._member[lanes]
        is_new = (member == UNKNOWN) & self._applies[lanes >> 1]
        if is_new.any():
            self._member[lanes] = np.where(is_new, inside[first], member)
            self.dirty.update(lanes[is_new.any(axis=1)].tolist())

    def _walk(self, rows: Rows, sight: list[int], lane: int, column: int, inside: list[bool], out: Changes) -> None:
        """One vehicle's fixes at one fence."""
        key = self._index.fences[column].key
        is_member = bool(self._member[lane, column] == INSIDE)
        for row, is_inside in zip(sight, inside, strict=True):
            if is_inside == is_member:
                if self._first_over.pop((lane, key), None):
                    self.dirty.add(lane)
                continue
            self.dirty.add(lane)
            first = self._first_over.pop((lane, key), None)
            if first is None:
                self._first_over[lane, key] = rows.fix(row)
                continue
            is_member = is_inside
            self._member[lane, column] = INSIDE if is_inside else OUTSIDE
            self._cross(lane, self._index.fences[column], is_inside, first, rows.fix(row), out)

    def _cross(self, lane: int, compiled: CompiledFence, entered: bool, first: Fix, second: Fix, out: Changes) -> None:
        begins, ends = (FENCE_ENTER, FENCE_LEAVE) if entered else (FENCE_LEAVE, FENCE_ENTER)
        if (ends.name, compiled.key) in self._begin_us.get(lane, ()):
            self._end(lane, ends, compiled.key, first, out)
        if compiled.has_enter if entered else compiled.has_leave:
            self._begin_us.setdefault(lane, {})[begins.name, compiled.key] = first.time_us
            fence = compiled.fence
            facts = {"fence_id": fence.id, "fence_name": fence.name}
            out.begin(lane, begins, first, found_us=second.time_us, detail=str(fence.id), facts=facts)

    def _end(self, lane: int, rule: Rule, key: str, fix: Fix, out: Changes) -> None:
        running = self._begin_us[lane]
        out.end(lane, rule, running.pop((rule.name, key)), fix, detail=_detail(key))
        if not running:
            del self._begin_us[lane]
        self.dirty.add(lane)

    def tick(self, now_us: int, watching_since_us: int, out: Changes) -> None:
        """Silence does not move a vehicle."""

    def close(self, lane: int, out: Changes) -> None:
        for (rule, key), begin_us in list(self._begin_us.get(lane, {}).items()):
            self._end(lane, RULES[rule], key, self._lanes.last_fix(lane, begin_us), out)
        for at in [at for at in self._first_over if at[0] == lane]:
            del self._first_over[at]
        self._member[lane] = UNKNOWN
        self._unplaced.pop(lane, None)
        self.dirty.add(lane)

    # Memory

    def running(self) -> Iterator[Episode]:
        for lane, running in self._begin_us.items():
            for (rule, key), begin_us in running.items():
                yield Episode(lane, rule, begin_us, _detail(key))
        for lane, state in self._unplaced.items():
            for rule, key, begin_us in state.get("running", ()):
                yield Episode(lane, rule, begin_us, _detail(key))

    def dump(self, lane: int) -> dict[str, Any] | None:
        if lane in self._unplaced:
            return self._unplaced[lane]
        state: dict[str, Any] = {}
        member = np.where(self._applies[lane >> 1], self._member[lane], UNKNOWN).tolist()
        for name, value in (("in", INSIDE), ("out", OUTSIDE)):
            keys = [self._index.fences[column].key for column, known in enumerate(member) if known == value]
            if keys:
                state[name] = keys
        first_over = {key: list(fix) for (one, key), fix in self._first_over.items() if one == lane}
        if first_over:
            state["first_over"] = first_over
        if lane in self._begin_us:
            state["running"] = [[*at, begin_us] for at, begin_us in self._begin_us[lane].items()]
        return state or None

    def load(self, lane: int, state: dict[str, Any]) -> None:
        """Placed when the fences are set: what was stored about fences that are no more then ends."""
        self._unplaced[lane] = state

    @property
    def is_set(self) -> bool:
        return self._is_set

    def place(self, out: Changes) -> None:
        """Place what was loaded after the fences had been set."""
        self.set_fences(self._index.fences, out)

    def _place(self, lane: int, state: dict[str, Any], out: Changes) -> None:
        for name, value in (("in", INSIDE), ("out", OUTSIDE)):
            for key in state.get(name, ()):
                if key in self._index.column:
                    self._member[lane, self._index.column[key]] = value
        for key, fix in state.get("first_over", {}).items():
            if key in self._index.column:
                self._first_over[lane, key] = Fix(*fix)
        for rule, key, begin_us in state.get("running", ()):
            self._begin_us.setdefault(lane, {})[rule, key] = begin_us
            if key not in self._index.column:
                self._end(lane, RULES[rule], key, self._lanes.last_fix(lane, begin_us), out)


def _detail(key: str) -> str:
    """The fence's id: what tells episodes of one rule apart in an alarm's identity."""
    return key.partition("@")[0]

"""The terminal's own alarms: each bit of the alarm word (报警标志) and of the video alarm word is an episode.

A bit that rises begins one, a bit that falls ends it; a bit that is set when a vehicle is first seen begins one too.
The video word (additional item 0x14) counts as all clear in a report that does not carry it. Several reports of one
second count together: a bit is set in that second when one of them has it, so an episode cannot begin twice in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.bits import ALARM_BITS, VIDEO_ALARM_BITS
from alarms.catalogue import RULES
from alarms.changes import Changes
from alarms.lanes import Lanes, grown
from alarms.rows import Rows
from alarms.rules.base import Episode
from fleet import Rule

VIDEO_SHIFT: Final = 32
"""Both words as one integer of 64 bits: the video word stands above the alarm word, as in JT/T 1078-2016's masks."""

_RULE_BY_BIT: Final[dict[int, Rule]] = {bit.bit: RULES[bit.rule] for bit in ALARM_BITS} | {
    bit.bit + VIDEO_SHIFT: RULES[bit.rule] for bit in VIDEO_ALARM_BITS
}
_ALARM_MASK: Final = sum(1 << bit.bit for bit in ALARM_BITS)
_VIDEO_MASK: Final = sum(1 << bit.bit for bit in VIDEO_ALARM_BITS)
_IS_CLEARED_BY_ANSWER: Final = {bit.bit for bit in ALARM_BITS if bit.is_cleared_by_answer}
_VIDEO_ITEMS: Final = {0: "video_lost_channels", 1: "video_covered_channels", 2: "video_storage_faults"}


class TerminalFlagsRule:
    name = "terminal_flags"

    def __init__(self, lanes: Lanes) -> None:
        self.dirty: set[int] = set()
        self._lanes = lanes
        self._flags = np.zeros(2 * lanes.capacity, np.int64)  # of the lane's newest fix
        self._begin_us: dict[int, dict[int, int]] = {}  # lane -> bit -> begin of its episode

    def grow(self, capacity: int) -> None:
        self._flags = grown(self._flags, 2 * capacity, 0)

    def evaluate(self, rows: Rows, out: Changes) -> None:
        if not len(rows):
            return
        flags = _both_words(rows)
        before = np.empty_like(flags)
        before[1:] = flags[:-1]
        before[rows.starts] = self._flags[rows.lane[rows.starts]]
        for row in np.flatnonzero(rows.is_same_second).tolist():  # few, and in order
            flags[row] |= before[row]
            if row + 1 < len(rows) and rows.lane[row + 1] == rows.lane[row]:
                before[row + 1] = flags[row]
        for row in np.flatnonzero(flags != before).tolist():
            self._judge(rows, row, int(flags[row]), out)
        self._flags[rows.lane[rows.ends]] = flags[rows.ends]

    def _judge(self, rows: Rows, row: int, flags: int, out: Changes) -> None:
        lane, fix = int(rows.lane[row]), rows.fix(row)
        running = self._begin_us.setdefault(lane, {})
        for bit in [bit for bit in running if not flags >> bit & 1]:
            out.end(lane, _RULE_BY_BIT[bit], running.pop(bit), fix)
        for bit in _bits(flags):
            if bit not in running:
                running[bit] = fix.time_us
                out.begin(lane, _RULE_BY_BIT[bit], fix, facts=_facts(rows, row, bit))
        if not running:
            del self._begin_us[lane]
        self.dirty.add(lane)

    def tick(self, now_us: int, watching_since_us: int, out: Changes) -> None:
        """A bit stays until the terminal clears it."""

    def close(self, lane: int, out: Changes) -> None:
        self._flags[lane] = 0
        running = self._begin_us.pop(lane, {})
        for bit, begin_us in running.items():
            out.end(lane, _RULE_BY_BIT[bit], begin_us, self._lanes.last_fix(lane, begin_us))
        if running:
            self.dirty.add(lane)

    def running(self) -> Iterator[Episode]:
        for lane, begins in self._begin_us.items():
            for bit, begin_us in begins.items():
                yield Episode(lane, _RULE_BY_BIT[bit].name, begin_us, "")

    def dump(self, lane: int) -> dict[str, Any] | None:
        running = self._begin_us.get(lane)
        return {"begin": {str(bit): begin_us for bit, begin_us in running.items()}} if running else None

    def load(self, lane: int, state: dict[str, Any]) -> None:
        running = {int(bit): int(begin_us) for bit, begin_us in state["begin"].items() if int(bit) in _RULE_BY_BIT}
        if running:
            self._begin_us[lane] = running
            self._flags[lane] = sum(1 << bit for bit in running)


def _both_words(rows: Rows) -> NDArray[np.int64]:
    flags: NDArray[np.int64] = rows.batch.alarm_flags[rows.index] & _ALARM_MASK
    video = rows.batch.items.get("video_alarm_flags")
    if video is not None:
        is_present = rows.batch.present["video_alarm_flags"][rows.index]
        flags |= np.where(is_present, video[rows.index] & _VIDEO_MASK, 0).astype(np.int64) << VIDEO_SHIFT
    return flags


def _bits(flags: int) -> Iterator[int]:
    while flags:
        lowest = flags & -flags
        yield lowest.bit_length() - 1
        flags ^= lowest


def _facts(rows: Rows, row: int, bit: int) -> dict[str, Any]:
    """What the report's additional items say about this bit (JT/T 808-2013 and -2019, items 0x04, 0x11, 0x12, 0x13;
    JT/T 1078-2016, items 0x15 to 0x18)."""
    found: dict[str, Any] = {}

    def put(fact: str, item: str) -> None:
        value = rows.item(item, row)
        if value is not None:
            found[fact] = value

    if bit in _IS_CLEARED_BY_ANSWER:
        put("alarm_event_id", "alarm_event_id")  # for the manual confirmation 0x8203
    if bit == 1:
        put("area_type", "overspeed_area_type")
        put("area_id", "overspeed_area_id")
    elif bit in (20, 21):
        put("area_type", "area_alarm_type")
        put("area_id", "area_alarm_area_id")
        is_exit = rows.item("area_alarm_is_exit", row)
        if is_exit is not None:
            found["direction"] = "out" if is_exit else "in"
    elif bit == 22:
        put("segment_id", "segment_id")
        put("segment_time_s", "segment_time_s")
        is_too_long = rows.item("segment_is_too_long", row)
        if is_too_long is not None:
            found["result"] = "too_long" if is_too_long else "too_short"
    elif bit - VIDEO_SHIFT in _VIDEO_ITEMS:
        put("channels", _VIDEO_ITEMS[bit - VIDEO_SHIFT])  # a bit per channel
    elif bit == VIDEO_SHIFT + 5:
        put("kinds", "abnormal_driving_flags")  # bits: 0 fatigue, 1 telephone, 2 smoking
        put("fatigue_degree", "fatigue_degree")
    return found

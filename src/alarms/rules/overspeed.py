"""Platform overspeed (平台超速): faster than the vehicle's limit for longer than a time.

An episode begins with the first fix over the limit, once a later one shows that it lasted longer than
``overspeed_duration_s``. It ends with the first fix at or below the limit, told ``overspeed_merge_s`` later: overspeed
that comes back within that time is the same event, as the assessment counts it (several inside one minute count once).
A gap in the data ends it at the last fix before. Fixes without a position and implausible speeds are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from alarms.catalogue import OVERSPEED
from alarms.changes import Changes
from alarms.defaults import EngineDefaults
from alarms.lanes import Lanes, grown
from alarms.rows import Fix, Rows
from alarms.rules.base import Episode
from fleet import Severity

GRADES: Final = ((10.0, "under_10"), (20.0, "10_to_20"), (50.0, "20_to_50"))
"""Excess in percent of the limit up to which a grade holds, and its name in the facts; above them all: ``over_50``."""


@dataclass(slots=True)
class _Run:
    """A lane over its limit: pending until it lasted long enough, then an episode, at last cooling down."""

    first: Fix
    last: Fix  # the newest fix looked at
    limit_kmh: float  # when it began
    peak_kmh: float
    begun: bool = False  # told as an alarm
    severity: int = int(Severity.MEDIUM)
    told_us: int = 0  # when the last change was told, and its peak
    told_kmh: float = 0.0
    cooling: Fix | None = None  # the first fix at or below the limit again


class OverspeedRule:
    name = "overspeed"

    def __init__(self, lanes: Lanes, defaults: EngineDefaults) -> None:
        self.dirty: set[int] = set()
        self._lanes = lanes
        self._runs: dict[int, _Run] = {}
        self._is_running = np.zeros(2 * lanes.capacity, np.bool_)  # has an entry in _runs
        self._implausible_kmh = np.float32(defaults.implausible_speed_kmh)
        self._merge_us = round(defaults.overspeed_merge_s * 1e6)
        self._gap_us = round(defaults.overspeed_gap_s * 1e6)
        self._update_us = round(defaults.overspeed_update_s * 1e6)
        self._update_kmh = defaults.overspeed_update_kmh

    def grow(self, capacity: int) -> None:
        self._is_running = grown(self._is_running, 2 * capacity, False)

    def evaluate(self, rows: Rows, out: Changes) -> None:
        # Limits and speeds are compared as float32: 80.3 km/h of the wire must not exceed a limit of 80.3.
        is_judged = rows.is_located & (rows.speed_kmh <= self._implausible_kmh)
        limit_kmh = self._lanes.speed_limit_kmh[rows.lane >> 1]
        is_over = is_judged & (rows.speed_kmh > limit_kmh)
        is_concerned = self._is_running.copy()
        is_concerned[rows.lane[is_over]] = True
        walk = np.flatnonzero(is_judged & is_concerned[rows.lane]).tolist()
        for row in walk:
            lane = int(rows.lane[row])
            self._judge(lane, rows.fix(row), bool(is_over[row]), float(limit_kmh[row]), out)

    def _judge(self, lane: int, fix: Fix, is_over: bool, limit_kmh: float, out: Changes) -> None:
        run = self._runs.get(lane)
        if run is not None and (
            fix.time_us - run.last.time_us > self._gap_us
            or (run.cooling is not None and fix.time_us - run.cooling.time_us > self._merge_us)
        ):
            self._finish(lane, run, out)
            run = None
        if run is None:
            if not is_over:
                return
            run = _Run(fix, fix, round(limit_kmh, 2), 0.0)
            self._runs[lane] = run
            self._is_running[lane] = True
        self.dirty.add(lane)
        run.last = fix
        if is_over:
            run.cooling = None
            run.peak_kmh = max(run.peak_kmh, fix.speed_kmh or 0.0)
            self._tell(lane, run, fix, out)
        elif not run.begun:
            self._drop(lane)
        elif run.cooling is None:
            run.cooling = fix
            if not self._merge_us:
                self._finish(lane, run, out)

    def _tell(self, lane: int, run: _Run, fix: Fix, out: Changes) -> None:
        lasted_us = fix.time_us - run.first.time_us
        duration_us = int(self._lanes.overspeed_duration_us[lane >> 1])
        severity = _severity(run)
        if not run.begun:
            if lasted_us <= duration_us and duration_us:
                return
            run.begun = True
            out.begin(lane, OVERSPEED, run.first, found_us=fix.time_us, severity=severity, facts=_facts(run))
        else:
            rise_kmh = run.peak_kmh - run.told_kmh
            is_due = rise_kmh > 0 and fix.time_us - run.told_us >= self._update_us
            if not (severity < run.severity or rise_kmh >= self._update_kmh or is_due):
                return
            out.update(lane, OVERSPEED, run.first.time_us, fix, severity=severity, facts=_facts(run))
        run.severity, run.told_us, run.told_kmh = severity, fix.time_us, run.peak_kmh

    def _finish(self, lane: int, run: _Run, out: Changes) -> None:
        """The run is over: its episode, when it is one, ends where it cooled down, else at its last fix."""
        if run.begun:
            end = run.cooling or run.last
            out.end(lane, OVERSPEED, run.first.time_us, end, severity=run.severity, facts=_facts(run))
        self._drop(lane)

    def _drop(self, lane: int) -> None:
        del self._runs[lane]
        self._is_running[lane] = False
        self.dirty.add(lane)

    def tick(self, now_us: int, watching_since_us: int, out: Changes) -> None:
        """A live vehicle that fell silent ends its overspeed: cooling down after the merge time, else after a gap."""
        for lane in [lane for lane in self._runs if not lane & 1]:
            run = self._runs[lane]
            silent_us = now_us - self._lanes.silent_since_us(lane, watching_since_us)
            if silent_us > (self._merge_us if run.cooling else self._gap_us):
                self._finish(lane, run, out)

    def close(self, lane: int, out: Changes) -> None:
        run = self._runs.get(lane)
        if run is not None:
            self._finish(lane, run, out)

    def running(self) -> Iterator[Episode]:
        for lane, run in self._runs.items():
            if run.begun:
                yield Episode(lane, OVERSPEED.name, run.first.time_us, "")

    def dump(self, lane: int) -> dict[str, Any] | None:
        run = self._runs.get(lane)
        if run is None:
            return None
        state: dict[str, Any] = {
            "first": list(run.first),
            "last": list(run.last),
            "limit_kmh": run.limit_kmh,
            "peak_kmh": run.peak_kmh,
        }
        if run.begun:
            state |= {"severity": run.severity, "told_us": run.told_us, "told_kmh": run.told_kmh}
        if run.cooling:
            state["cooling"] = list(run.cooling)
        return state

    def load(self, lane: int, state: dict[str, Any]) -> None:
        run = _Run(Fix(*state["first"]), Fix(*state["last"]), state["limit_kmh"], state["peak_kmh"])
        if "severity" in state:
            run.begun = True
            run.severity, run.told_us, run.told_kmh = state["severity"], state["told_us"], state["told_kmh"]
        if "cooling" in state:
            run.cooling = Fix(*state["cooling"])
        self._runs[lane] = run
        self._is_running[lane] = True


def _excess_percent(run: _Run) -> float:
    return round((run.peak_kmh - run.limit_kmh) / run.limit_kmh * 100, 1)


def _severity(run: _Run) -> int:
    return int(Severity.HIGH if _excess_percent(run) > GRADES[-1][0] else Severity.MEDIUM)


def _facts(run: _Run) -> dict[str, Any]:
    excess_percent = _excess_percent(run)
    return {
        "limit_kmh": run.limit_kmh,
        "max_speed_kmh": run.peak_kmh,
        "excess_percent": excess_percent,
        "excess_grade": next((name for up_to, name in GRADES if excess_percent <= up_to), "over_50"),
    }

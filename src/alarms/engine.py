"""The alarm engine: positions in, alarm episodes out. Pure: no clock, no socket, no SQL.

Order and repetition are settled first (``lanes``), then each rule judges the rows by columns (``rules``). The engine
keeps state in memory and hands out what must outlive a restart; who stores the changes stores those in the same
transaction, so that an engine loaded from the store goes on exactly where the stored positions end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from alarms.catalogue import RULES
from alarms.changes import Changes
from alarms.defaults import EngineDefaults
from alarms.geofences import CompiledFence, FenceError
from alarms.lanes import NEVER, Lanes
from alarms.rows import Fix
from alarms.rules import FenceRule, LaneRule, Memory, OfflineRule, OverspeedRule, TerminalFlagsRule
from fleet import AlarmChange, AlarmSource, Fence, PositionBatch, RuleState, VehicleLimits, alarm_id

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Evaluation:
    """What one call found: alarm changes in the order to apply them, and memory rows to upsert or (None) delete."""

    changes: list[AlarmChange] = field(default_factory=list)
    states: list[RuleState] = field(default_factory=list)


class AlarmEngine:
    """Every rule, over every vehicle.

    A new engine is told ``load``, ``set_limits`` and ``set_fences`` (any order), then ``evaluate`` for every batch and
    ``tick`` about once a second. What a call returns has to be stored, retried until it is, or the engine be thrown
    away and a new one loaded: it has moved on already.

    ``failures`` counts, by rule, exceptions that were caught: a failing rule costs its own findings, never a position.
    ``ignored`` counts reports kept from the rules: "repeated" and "older" than their lane's newest.
    """

    def __init__(self, defaults: EngineDefaults | None = None) -> None:
        self.failures: dict[str, int] = {}
        self._defaults = defaults or EngineDefaults()
        self._lanes = Lanes(self._defaults)
        self._fences = FenceRule(self._lanes)
        self._rules: tuple[LaneRule, ...] = (
            TerminalFlagsRule(self._lanes),
            OverspeedRule(self._lanes, self._defaults),
            self._fences,
            OfflineRule(self._lanes),
        )
        self._memories: tuple[Memory, ...] = (*self._rules, self._lanes)
        self._out = Changes(self._lanes)
        self._stored: dict[str, set[int]] = {memory.name: set() for memory in self._memories}  # lanes with a row
        self._reported: set[tuple[str, type[Exception]]] = set()  # failures whose traceback was logged
        self._seen = 0  # vehicles the rules were told of
        self._capacity = self._lanes.capacity
        self._ticked_us = NEVER
        self._watching_since_us = NEVER

    @property
    def ignored(self) -> dict[str, int]:
        return self._lanes.ignored

    # Before the first batch, and when something changes

    def load(
        self,
        rule_states: Iterable[RuleState],
        running: Iterable[AlarmChange] = (),
        latest: PositionBatch | None = None,
    ) -> None:
        """Go on from what is stored. Once, on a new engine.

        Args:
            rule_states: every stored row; those of rules that are no more are left alone.
            running: the alarms without an end, as changes (id, vehicle, rule, begin, ``time_us`` = last change). Those
                that no rule remembers would run for ever: the next evaluation ends them.
            latest: the newest stored fix of each vehicle (``fix_hash`` may be 0): makes the engine know the ignition,
                the last place and the time below which a fix is old. Without it the first report of each vehicle does.
        """
        if latest is not None:
            self._lanes.seed(latest)
            self._follow_growth()
        memories = {memory.name: memory for memory in self._memories}
        for stored in rule_states:
            memory = memories.get(stored.rule)
            if memory is None or stored.state is None:
                continue
            lane = 2 * self._lanes.slot(stored.vehicle_id) + stored.is_late
            self._follow_growth()
            self._stored[stored.rule].add(lane)
            self._guarded(memory.name, memory.load, lane, stored.state)
        self._end_orphans(running)
        if self._fences.is_set:
            self._guarded(self._fences.name, self._fences.place, self._out)

    def _end_orphans(self, running: Iterable[AlarmChange]) -> None:
        vehicle_id = self._lanes.vehicle_id
        remembered = {
            alarm_id(int(vehicle_id[episode.lane >> 1]), episode.rule, episode.begin_us, episode.detail)
            for rule in self._rules
            for episode in rule.running()
        }
        for alarm in running:
            rule = RULES.get(alarm.rule)
            if alarm.id in remembered or rule is None or alarm.source == AlarmSource.SUPERIOR:
                continue
            lane = 2 * self._lanes.slot(alarm.vehicle_id) + alarm.late
            fix = Fix(alarm.time_us, alarm.latitude_deg, alarm.longitude_deg, alarm.speed_kmh, alarm.terminal_id)
            self._out.end(lane, rule, alarm.begin_us, fix, severity=alarm.severity)
            self._out.list[-1].id = alarm.id  # its detail is not known here
        self._follow_growth()

    def set_limits(self, limits: Iterable[VehicleLimits]) -> None:
        """All limits there are: a vehicle that is not named has the defaults. They hold from the next report on."""
        self._lanes.set_limits(limits)

    def set_fences(self, fences: Iterable[Fence]) -> None:
        """All (enabled) fences there are. Episodes of fences that changed or are gone end with the next evaluation.

        A fence that cannot be one (two corners, no radius) is left out, logged and counted in ``failures["fence"]``.
        """
        compiled = []
        for fence in fences:
            try:
                compiled.append(CompiledFence(fence))
            except FenceError as error:
                self._count(self._fences.name)
                log.warning("fence left out: %s", error)
        self._guarded(self._fences.name, self._fences.set_fences, compiled, self._out)

    # While it runs

    def evaluate(self, batch: PositionBatch) -> Evaluation:
        """Judge a batch. Rows of one vehicle stand in order of receipt; ``late`` rows are judged by themselves."""
        if len(batch):
            rows = self._lanes.arrange(batch)
            self._follow_growth()
            for rule in self._rules:
                self._guarded(rule.name, rule.evaluate, rows, self._out)
            self._lanes.advance(rows)
        return self._take()

    def tick(self, now_us: int) -> Evaluation:
        """Let time pass: off-line vehicles, silent overspeed, late lanes that are over.

        ``now_us`` is how far the caller has read what arrived: the clock when nothing waits, else the receipt time of
        the newest report read, so that a backlog does not look like silence. When ticks were more than
        ``watch_gap_s`` apart, forwards or (the clock was set) backwards, silence counts from now on only.
        """
        gap_us = self._defaults.watch_gap_s * 1e6
        if self._ticked_us == NEVER or abs(now_us - self._ticked_us) > gap_us:
            self._watching_since_us = self._ticked_us = now_us
            self._lanes.forget_after(now_us)
        self._ticked_us = max(self._ticked_us, now_us)
        for rule in self._rules:
            self._guarded(rule.name, rule.tick, now_us, self._watching_since_us, self._out)
        for lane in self._lanes.idle_late_lanes(now_us, self._watching_since_us):
            for rule in self._rules:
                self._guarded(rule.name, rule.close, lane, self._out)
            self._lanes.close(lane)
        return self._take()

    # Inside

    def _follow_growth(self) -> None:
        """Let the rules make room for vehicles that appeared."""
        lanes = self._lanes
        if lanes.capacity != self._capacity:
            self._capacity = lanes.capacity
            for rule in self._rules:
                rule.grow(lanes.capacity)
        if lanes.count != self._seen:
            self._fences.see(range(self._seen, lanes.count))
            self._seen = lanes.count

    def _take(self) -> Evaluation:
        """Hand over what was found since the last call, and the memory that changed."""
        evaluation = Evaluation(self._out.list)
        self._out.list = []
        for memory in self._memories:
            stored = self._stored[memory.name]
            for lane in sorted(memory.dirty):
                state = self._guarded(memory.name, memory.dump, lane)
                if state is None:
                    if lane not in stored:
                        continue
                    stored.discard(lane)
                else:
                    stored.add(lane)
                vehicle_id = int(self._lanes.vehicle_id[lane >> 1])
                evaluation.states.append(RuleState(vehicle_id, memory.name, bool(lane & 1), state))
            memory.dirty.clear()
        return evaluation

    def _guarded(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Run one rule; what it throws is counted, and logged with its traceback once per kind."""
        try:
            return call(*args, **kwargs)
        except Exception as error:
            self._count(name)
            kind = (name, type(error))
            if kind not in self._reported:
                self._reported.add(kind)
                log.exception("rule %s failed; positions are not affected", name)
            return None

    def _count(self, name: str) -> None:
        self.failures[name] = self.failures.get(name, 0) + 1

"""Batches from a few words, and what an engine made of them in a few words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from alarms import AlarmEngine, EngineDefaults, Evaluation
from fleet import ITEM_COLUMNS, AlarmChange, Fence, PositionBatch, RuleState, VehicleLimits

T0_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


@dataclass(frozen=True)
class Report:
    """One location report, ``at`` seconds after the story's begin; received a second later unless said otherwise."""

    at: float
    speed: float = 60.0
    alarm: int = 0
    where: tuple[float, float] = (41.8, 123.4)
    vehicle: int = 1
    acc: bool = True
    fix: bool = True
    late: bool = False
    received: float | None = None
    terminal: int = 0  # 0: ten times the vehicle
    items: tuple[tuple[str, int], ...] = ()

    @property
    def received_at(self) -> float:
        return self.at + 1 if self.received is None else self.received

    def hash(self) -> int:
        """The same words, the same report; the time it was received at is not part of it."""
        words = (self.at, self.speed, self.alarm, self.where, self.vehicle, self.acc, self.fix, self.items)
        return hash(words) & (2**62 - 1)


def us(seconds: float) -> int:
    return T0_US + round(seconds * 1e6)


def seconds(time_us: int) -> float:
    return (time_us - T0_US) / 1e6


def batch_of(reports: Sequence[Report]) -> PositionBatch:
    names = {name for report in reports for name, _ in report.items}
    items, present = {}, {}
    for name in names:
        values = [dict(report.items).get(name) for report in reports]
        items[name] = np.array([value or 0 for value in values], ITEM_COLUMNS[name])
        present[name] = np.array([value is not None for value in values], np.bool_)

    def column(values: Iterable[Any], dtype: str) -> Any:
        return np.array(list(values), dtype)

    return PositionBatch(
        terminal_id=column((r.terminal or 10 * r.vehicle for r in reports), "i4"),
        vehicle_id=column((r.vehicle for r in reports), "i4"),
        time_us=column((us(r.at) for r in reports), "i8"),
        received_us=column((us(r.received_at) for r in reports), "i8"),
        latitude_deg=column((r.where[0] for r in reports), "f8"),
        longitude_deg=column((r.where[1] for r in reports), "f8"),
        altitude_m=column((0 for _ in reports), "i4"),
        speed_kmh=column((r.speed for r in reports), "f4"),
        heading_deg=column((0 for _ in reports), "i4"),
        alarm_flags=column((r.alarm for r in reports), "i8"),
        status_flags=column((r.acc | r.fix << 1 for r in reports), "i8"),
        late=column((r.late for r in reports), "?"),
        fix_hash=column((r.hash() for r in reports), "i8"),
        message_id=column((0x0704 if r.late else 0x0200 for r in reports), "i4"),
        items=items,
        present=present,
    )


@dataclass
class Story:
    """An engine and what a store would have of it."""

    defaults: EngineDefaults = field(default_factory=EngineDefaults)
    fences: list[Fence] = field(default_factory=list)
    limits: list[VehicleLimits] = field(default_factory=list)
    changes: list[AlarmChange] = field(default_factory=list)
    states: dict[tuple[int, str, bool], str] = field(default_factory=dict)
    latest: dict[int, Report] = field(default_factory=dict)
    state_rows: int = 0

    def __post_init__(self) -> None:
        self.engine = self._begin()

    def _begin(self) -> AlarmEngine:
        engine = AlarmEngine(self.defaults)
        engine.set_limits(self.limits)
        engine.set_fences(self.fences)
        return engine

    def report(self, *reports: Report) -> list[str]:
        """Evaluate them as one batch; what changed, in words."""
        for report in reports:
            newest = self.latest.get(report.vehicle)
            if not report.late and (newest is None or report.at >= newest.at):
                self.latest[report.vehicle] = report
        return self._keep(self.engine.evaluate(batch_of(reports)))

    def each(self, *reports: Report) -> list[str]:
        """Evaluate each as a batch of its own; what changed, in words."""
        return [word for report in reports for word in self.report(report)]

    def tick(self, at: float) -> list[str]:
        return self._keep(self.engine.tick(us(at)))

    def watch(self, begin: float, end: float) -> list[str]:
        """A tick every minute, as long as nothing arrives."""
        return [word for at in range(int(begin), int(end) + 1, 60) for word in self.tick(at)]

    def set_fences(self, *fences: Fence) -> list[str]:
        self.fences = list(fences)
        self.engine.set_fences(self.fences)
        return self._keep(self.engine.evaluate(PositionBatch.empty()))

    def restart(self, *, with_latest: bool = True) -> None:
        """A new engine from what is stored."""
        self.engine = self._begin()
        states = [RuleState(*key, json.loads(state)) for key, state in self.states.items()]
        latest = batch_of(list(self.latest.values())) if with_latest else None
        self.engine.load(states, self.running(), latest)

    def running(self) -> list[AlarmChange]:
        alarms: dict[UUID, AlarmChange] = {}
        for change in self.changes:
            if change.kind == "end":
                alarms.pop(change.id, None)
            else:
                alarms.setdefault(change.id, change)
        return list(alarms.values())

    def _keep(self, evaluation: Evaluation) -> list[str]:
        self.changes += evaluation.changes
        self.state_rows += len(evaluation.states)
        for row in evaluation.states:
            key = (row.vehicle_id, row.rule, row.is_late)
            if row.state is None:
                del self.states[key]  # a row that is not there need not be deleted
            else:
                self.states[key] = json.dumps(row.state)
        return [words(change) for change in evaluation.changes]


def words(change: AlarmChange) -> str:
    """``begin overspeed 10`` / ``end overspeed 10-70``; live unless it says late."""
    begin = f"{seconds(change.begin_us):g}"
    span = begin if change.end_us is None else f"{begin}-{seconds(change.end_us):g}"
    return f"{'late ' if change.late else ''}{change.kind} {change.rule} {span}"


def by_alarm(changes: Iterable[AlarmChange]) -> dict[tuple[bool, UUID], list[AlarmChange]]:
    """Changes of one alarm have an order; changes of different alarms have none."""
    grouped: dict[tuple[bool, UUID], list[AlarmChange]] = {}
    for change in changes:
        grouped.setdefault((change.late, change.id), []).append(change)
    return grouped

"""How rules say what they found."""

from __future__ import annotations

from typing import Any

from alarms.lanes import Lanes
from alarms.rows import Fix
from fleet import AlarmChange, ChangeKind, Rule, alarm_id


class Changes:
    """Collects the changes of one evaluation, in the order they were found."""

    def __init__(self, lanes: Lanes) -> None:
        self.list: list[AlarmChange] = []
        self._lanes = lanes

    def begin(
        self,
        lane: int,
        rule: Rule,
        fix: Fix,
        *,
        begin_us: int | None = None,
        found_us: int | None = None,
        detail: str = "",
        severity: int | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """An episode began at ``fix`` (or at ``begin_us``, in that place), and was found out at ``found_us``."""
        begin = fix.time_us if begin_us is None else begin_us
        self._add(ChangeKind.BEGIN, lane, rule, begin, fix, found_us or begin, None, detail, severity, facts)

    def update(
        self, lane: int, rule: Rule, begin_us: int, fix: Fix, *, detail: str = "", severity: int, facts: dict[str, Any]
    ) -> None:
        """Facts or severity of a running episode changed."""
        self._add(ChangeKind.UPDATE, lane, rule, begin_us, fix, fix.time_us, None, detail, severity, facts)

    def end(
        self,
        lane: int,
        rule: Rule,
        begin_us: int,
        fix: Fix,
        *,
        end_us: int | None = None,
        detail: str = "",
        severity: int | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """A running episode ended at ``fix`` (or at ``end_us``, in that place)."""
        end = max(begin_us, fix.time_us if end_us is None else end_us)
        self._add(ChangeKind.END, lane, rule, begin_us, fix, end, end, detail, severity, facts)

    def _add(
        self,
        kind: ChangeKind,
        lane: int,
        rule: Rule,
        begin_us: int,
        fix: Fix,
        time_us: int,
        end_us: int | None,
        detail: str,
        severity: int | None,
        facts: dict[str, Any] | None,
    ) -> None:
        vehicle_id = int(self._lanes.vehicle_id[lane >> 1])
        self.list.append(
            AlarmChange(
                kind=kind,
                id=alarm_id(vehicle_id, rule.name, begin_us, detail),
                vehicle_id=vehicle_id,
                terminal_id=fix.terminal_id,
                rule=rule.name,
                severity=int(rule.severity if severity is None else severity),
                source=rule.source.value,
                begin_us=begin_us,
                time_us=time_us,
                late=bool(lane & 1),
                end_us=end_us,
                latitude_deg=fix.latitude_deg,
                longitude_deg=fix.longitude_deg,
                speed_kmh=fix.speed_kmh,
                facts=facts or {},
            )
        )

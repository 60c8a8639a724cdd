"""The numbers the rules work with, each with its unit in its name and a sentence."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class EngineDefaults:
    """What holds for every vehicle that has no limit of its own. All values are positive unless said otherwise.

    Raises: ValueError: a value is out of range; the message names the field.
    """

    speed_limit_kmh: float | None = 100.0
    """Platform speed limit; None: vehicles without a limit of their own are not judged for overspeed."""

    overspeed_duration_s: float = 30.0
    """Speed has to stay over the limit for longer than this to be overspeed; 0: one fix is enough."""

    overspeed_merge_s: float = 60.0
    """Overspeed that comes back within this time continues the episode; 0: it begins a new one."""

    overspeed_gap_s: float = 300.0
    """A vehicle unseen for longer than this has ended its overspeed at the last fix."""

    overspeed_update_s: float = 60.0
    """While overspeed lasts, a small rise of its peak is told this long after the last change at the earliest."""

    overspeed_update_kmh: float = 5.0
    """A rise of the peak by this much is told at once."""

    implausible_speed_kmh: float = 250.0
    """A speed above this is a measuring error: no rule uses it."""

    offline_after_s: float = 600.0
    """A vehicle with its ignition on that sent nothing for longer than this is off-line."""

    late_idle_s: float = 600.0
    """When a vehicle's backfill has been silent for longer than this, its open episodes end at their last fix."""

    watch_gap_s: float = 120.0
    """When ticks were further apart than this, nobody was watching or the clock was set: silence before counts for
    nothing."""

    def __post_init__(self) -> None:
        may_be_zero = {"overspeed_duration_s", "overspeed_merge_s", "overspeed_update_s", "overspeed_update_kmh"}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "speed_limit_kmh":
                continue
            if not (value > 0 or (value == 0 and field.name in may_be_zero)):
                raise ValueError(
                    f"{field.name} must be {'zero or ' if field.name in may_be_zero else ''}above zero, not {value}"
                )

"""What every rule is to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from alarms.changes import Changes
from alarms.rows import Rows


class Episode(NamedTuple):
    """A running episode, as far as its alarm's identity goes (fleet.alarm_id)."""

    lane: int
    rule: str
    begin_us: int
    detail: str


class Memory(Protocol):
    """What remembers something of a lane that must outlive a restart.

    ``dirty`` holds the lanes whose memory changed since the engine last took it; the engine clears it.
    """

    name: str  # RuleState.rule: the module's name
    dirty: set[int]

    def dump(self, lane: int) -> dict[str, Any] | None:
        """What there is to remember, fit for JSON; None: nothing."""

    def load(self, lane: int, state: dict[str, Any]) -> None:
        """Take back what ``dump`` gave. Raises whatever a foreign shape causes: the engine counts it."""


class LaneRule(Memory, Protocol):
    """A rule: finds by columns the few rows that can matter, walks those, remembers little."""

    def grow(self, capacity: int) -> None:
        """Make room for this many vehicles (slots); lanes are twice as many."""

    def evaluate(self, rows: Rows, out: Changes) -> None:
        """Judge the rows: grouped by lane, each lane in the order of its own time."""

    def tick(self, now_us: int, watching_since_us: int, out: Changes) -> None:
        """Time passed. Silence counts from ``watching_since_us`` at the earliest."""

    def close(self, lane: int, out: Changes) -> None:
        """A late lane is over: end its episodes at their last fix, and forget it."""

    def running(self) -> Iterator[Episode]:
        """The episodes that this rule will end some day."""

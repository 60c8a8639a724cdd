"""How often a terminal may do what costs rows in the database: log in, register."""

from __future__ import annotations

from collections import Counter
from typing import Final

WINDOW_S: Final = 60.0


class Pace:
    """Counts by phone within a minute. Only what a terminal was let in for is counted, so it holds no more phones than
    there are terminals, and is emptied every minute."""

    def __init__(self, per_minute: int) -> None:
        """Args:  per_minute: 0: no limit."""
        self._per_minute = per_minute
        self._since = 0.0
        self._counts: Counter[str] = Counter()

    def allows(self, phone: str, now: float) -> bool:
        """May it do so once more? Counts it."""
        if not self._per_minute:
            return True
        if now - self._since >= WINDOW_S:
            self._since = now
            self._counts.clear()
        self._counts[phone] += 1
        return self._counts[phone] <= self._per_minute

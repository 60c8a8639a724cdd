"""How the pipeline stands, for whoever asks: readiness, metrics, the status bar, the preview."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


def wall_clock_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class PipelineStatus:
    offset: int = 0
    running: bool = False
    database_up: bool = False
    waiting_since_us: int = 0  # receipt of the oldest record that is not stored yet; 0: none waits
    newest_received_us: int = 0
    backlog: bool = False
    counts: Counter[str] = field(default_factory=Counter)  # the names are ours: bounded

    def lag_s(self, now_us: int) -> float:
        """How long the oldest record has waited that is not stored yet."""
        return max(0.0, (now_us - self.waiting_since_us) / 1e6) if self.waiting_since_us else 0.0

"""How fast the commands of groups go out: a token bucket a group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

BURST_S: Final = 0.5  # of the rate, that may go out at once
LEAST_PAUSE_S: Final = 0.1  # a few at a time, not one look a command


@dataclass(slots=True)
class _Bucket:
    allowance: float
    at: float


class Paces:
    """``clock``: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[UUID, _Bucket] = {}

    def keep(self, group_ids: Iterable[UUID]) -> None:
        """Forget all others."""
        wanted = set(group_ids)
        for gone in self._buckets.keys() - wanted:
            del self._buckets[gone]

    def allowed(self, group_id: UUID, rate_per_s: float) -> int:
        """How many may go out now. A group that was not seen before (a restart) begins with one."""
        now = self._clock()
        bucket = self._buckets.setdefault(group_id, _Bucket(1.0, now))
        most = max(1.0, rate_per_s * BURST_S)
        bucket.allowance = min(most, bucket.allowance + (now - bucket.at) * rate_per_s)
        bucket.at = now
        return int(bucket.allowance)

    def took(self, group_id: UUID, count: int) -> None:
        self._buckets[group_id].allowance -= count

    def pause_s(self, group_id: UUID, rate_per_s: float) -> float:
        """Until the next may go out."""
        missing = 1.0 - self._buckets[group_id].allowance
        return max(missing / rate_per_s, LEAST_PAUSE_S)

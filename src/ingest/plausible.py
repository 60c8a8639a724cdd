"""Which device times are believed (design §5)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plausible:
    """Microseconds since 1970, and a time ahead of the receipt."""

    ahead_us: int = 600 * 1_000_000
    oldest_us: int = 1_262_275_200 * 1_000_000  # 2010-01-01 00:00 GMT+8

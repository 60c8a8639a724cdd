"""Counts by name: `name` or `name{label="value"}`, as the metrics page will print them."""

from __future__ import annotations

from collections import defaultdict


class Counters(defaultdict[str, int]):
    """`counters["reports"] += 1`, and nothing more in the hot path. Label values come from bounded vocabularies."""

    def __init__(self) -> None:
        super().__init__(int)

    def count(self, name: str, reason: str, by: int = 1) -> None:
        """Count under `name{reason="..."}`."""
        self[f'{name}{{reason="{reason}"}}'] += by

"""Counts by name: `name` or `name{reason=value}`, read by whoever asks over the control link."""

from __future__ import annotations

from collections import defaultdict


class Counters(defaultdict[str, int]):
    """`counters["messages"] += 1`, and nothing more in the hot path. Label values come from bounded vocabularies."""

    def __init__(self) -> None:
        super().__init__(int)

    def count(self, name: str, reason: str, by: int = 1) -> None:
        """Count under `name{reason=...}`."""
        self[f"{name}{{reason={reason}}}"] += by

    def metrics(self, prefix: str) -> dict[str, float]:
        """`prefix_name_total`, labels behind it."""
        found = {}
        for key, value in self.items():
            name, brace, labels = key.partition("{")
            found[f"{prefix}_{name}_total{brace}{labels}"] = float(value)
        return found

"""Warnings that a peer could make endless."""

from __future__ import annotations

import logging
import time
from typing import Final

EVERY_S: Final = 10.0


class Rarely:
    """Warns of one kind at most every ten seconds; the counters have them all. The kinds must be few."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._warned_at: dict[str, float] = {}

    def warn(self, kind: str, text: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self._warned_at.get(kind, -EVERY_S) >= EVERY_S:
            self._warned_at[kind] = now
            self._log.warning(text, *arguments)

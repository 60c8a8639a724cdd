"""What can wait, done a little in each turn of the loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ingest.counters import Counters

log = logging.getLogger(__name__)

WORK_S_PER_TURN: Final = 0.001
PAUSE_S: Final = 0.003  # between two of them, when others are served as well


class Turns:
    """Newcomers' data, large reads and the ends of links go here, one after the other, for a millisecond in each turn
    of the loop: who is logged in and says little comes first. As long as there are such, three times as much is left
    to them, and to the other processes of a small machine.

    In order: a terminal that hangs up and comes back is off the old link before it is let in on the new one."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False
        self.has_company = False
        """Set by whoever is served outside the turns."""

    def add(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        waiting = self._waiting
        end = time.perf_counter() + WORK_S_PER_TURN
        while waiting and time.perf_counter() < end:
            try:
                waiting.popleft()()
            except Exception:  # a bug of ours on one link must not cost the others their turn
                log.exception("a link's data could not be taken in")
                self._counters["link_failures"] += 1
        if waiting:
            loop = asyncio.get_running_loop()
            if self.has_company:
                self.has_company = False
                loop.call_later(PAUSE_S, self._take)
            else:
                loop.call_soon(self._take)
        else:
            self._is_due = False

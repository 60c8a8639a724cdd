"""One timer for the deadlines of all links. A timer of the loop for each costs 0.6 KiB a link; a place here 0.1."""

from __future__ import annotations

import asyncio
import logging
from math import ceil
from typing import Final, Protocol

log = logging.getLogger(__name__)

STEP_S: Final = 0.25


class Waiting(Protocol):
    """Who waits for a deadline; in one slot at a time."""

    due_slot: int | None

    def on_due(self) -> None: ...


class Deadlines:
    """Calls `on_due` of whoever waits, at its deadline or up to a step later."""

    def __init__(self, step_s: float = STEP_S) -> None:
        self._step_s = step_s
        self._slots: dict[int, set[Waiting]] = {}
        self._next = 0  # the first slot that was not served yet
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Before anything else; the loop's time is that of the deadlines."""
        self._loop = loop

    def now(self) -> float:
        """The time that deadlines are in."""
        return self._loop.time()

    def set(self, link: Waiting, deadline: float | None) -> None:
        """Call it then; a deadline set before is forgotten. None: forget only. What is past is due at the next step."""
        if self._timer is None:
            self._next = int(self._loop.time() / self._step_s)
        slot = None if deadline is None else max(ceil(deadline / self._step_s), self._next)
        if slot == link.due_slot:
            return
        if link.due_slot is not None:
            self._slots[link.due_slot].discard(link)
        link.due_slot = slot
        if slot is not None:
            self._slots.setdefault(slot, set()).add(link)
            if self._timer is None:
                self._timer = self._loop.call_later(self._step_s, self._serve)

    def _serve(self) -> None:
        now = int(self._loop.time() / self._step_s)
        due: list[Waiting] = []
        while self._next <= now:
            due += self._slots.pop(self._next, ())
            self._next += 1
        for link in due:
            link.due_slot = None
        self._timer = self._loop.call_later(self._step_s, self._serve) if self._slots else None
        for link in due:
            if link.due_slot is None:
                try:
                    link.on_due()
                except Exception:  # a bug of ours on one link must not cost the others their deadlines for ever
                    log.exception("a link's deadline could not be kept")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()

"""Uploads that a lost link cut off, kept until the terminal's next login.

A photo of 100 KiB goes out in a hundred packages, over radio links that break. What had come is handed to the
terminal's next link on this gateway (`jt808.connection`: it stays when the terminal goes on counting its serial
numbers), so that only the rest has to be sent. See docs/decisions/0022.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ingest.counters import Counters
from ingest.deadlines import Deadlines
from jt808.subpackage import Reassembler

KEPT_AFTER: Final = frozenset(
    {
        "answers_not_read",
        "closed_by_terminal",
        "connection_lost",
        "displaced",
        "half_open",
        "idle",
    }
)
"""Why a link ended whose terminal may go on. After all others it is sent away, begins anew, or is not to be trusted:
two units that share an identity, junk, messages never completed."""

MAX_KEPT: Final = 4096
SWEEP_S: Final = 15.0


class CutUploads:
    """By phone what the terminal's last link left of messages in packages.

    Bounds: so many terminals, the oldest gives way; the bytes are those of the budget that all links share; the time is
    that of any incomplete message. What goes is counted as `packages_dropped`.
    """

    def __init__(self, counters: Counters, deadlines: Deadlines, *, max_kept: int = MAX_KEPT) -> None:
        self.due_slot: int | None = None
        self._counters = counters
        self._deadlines = deadlines
        self._max_kept = max_kept
        self._kept: OrderedDict[str, Reassembler] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, phone: str, packages: Reassembler) -> None:
        """Keep what `TerminalConnection.take_packages` gave."""
        if (before := self._kept.pop(phone, None)) is not None:
            self._give_up(before, "package_link_ended")
        elif len(self._kept) >= self._max_kept:
            self._give_up(self._kept.popitem(last=False)[1], "package_evicted")
        self._count_dropped(packages)
        self._kept[phone] = packages
        if self.due_slot is None:
            self._deadlines.set(self, self._deadlines.now() + SWEEP_S)

    def take(self, phone: str) -> Reassembler | None:
        """What is here of this terminal's, for `TerminalConnection.continue_packages`; it is kept no longer."""
        packages = self._kept.pop(phone, None)
        return packages if packages is not None and self._is_worth_keeping(packages) else None

    def on_due(self) -> None:
        """Look through all of them now and then; exactly when does not matter, since `take` looks too."""
        for phone, packages in list(self._kept.items()):
            if not self._is_worth_keeping(packages):
                del self._kept[phone]
        if self._kept:
            self._deadlines.set(self, self._deadlines.now() + SWEEP_S)

    def _is_worth_keeping(self, packages: Reassembler) -> bool:
        packages.expire(self._deadlines.now())
        self._count_dropped(packages)
        return len(packages) > 0

    def _give_up(self, packages: Reassembler, reason: str) -> None:
        packages.clear(reason)
        self._count_dropped(packages)

    def _count_dropped(self, packages: Reassembler) -> None:
        for reason, _, count in packages.dropped:
            self._counters.count("packages_dropped", reason, count)
        packages.dropped.clear()

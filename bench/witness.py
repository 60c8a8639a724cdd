"""What the machine does to everybody: a thread that writes a few bytes and waits for the disk, again and again.

Shared machines have disks that stop for a tenth of a second now and then. In a window of fifteen seconds one such
moment is more than one report in a hundred, and the p99 is the disk's. Who compares two windows leaves out, on both
sides, what the witness saw, and says how much that was.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

EVERY_S: Final = 0.02
HELD_UP_S: Final = 0.03  # usual are 0.7 ms, and one in a thousand has 12

Window = tuple[float, float]  # seconds since 1970


def within(moments: Sequence[Window], window: Window) -> int:
    """How many of them touch the window."""
    return sum(window[0] < until and since < window[1] for since, until in moments)


class Witness:
    """Looks while it is entered. ``held_up``: from when to when the disk took longer than ``HELD_UP_S``."""

    def __init__(self, folder: Path) -> None:
        """Args:  folder: on the disk that is to be watched."""
        self.held_up: list[Window] = []
        self._path = folder / "witness"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="witness")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while not self._over.wait(EVERY_S):
                began = time.time()
                os.pwrite(file, b"seen", 0)
                os.fdatasync(file)
                if (ended := time.time()) - began > HELD_UP_S:
                    self.held_up.append((began, ended))
        finally:
            os.close(file)

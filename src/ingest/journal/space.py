"""How full the journal is, and the disk under it: said before the bound is reached, once each way."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

FILLING: Final = 0.7  # of the bound
NEARLY_FULL: Final = 0.9
LESS: Final = 0.05  # so far below a threshold it is taken back: no coming and going around it
LEVELS: Final = (FILLING, NEARLY_FULL)


@dataclass(frozen=True, slots=True)
class Space:
    """All in bytes."""

    used: int
    bound: int
    free: int  # on the file system, for us


class SpaceWatch:
    """``level``: 0, 1: filling, 2: nearly full. ``is_disk_low``. Tell it what there is with `look`."""

    def __init__(self, disk_low_bytes: int) -> None:
        self.space = Space(0, 0, 0)
        self.level = 0
        self.is_disk_low = False
        self._disk_low_bytes = disk_low_bytes

    def look(self, space: Space) -> None:
        """Compare with the thresholds, and log what is new."""
        self.space = space
        share = space.used / space.bound
        level = sum(share >= threshold - (LESS if number <= self.level else 0) for number, threshold in
                    enumerate(LEVELS, 1))  # fmt: skip
        if level > self.level:
            log.log(
                logging.ERROR if level == 2 else logging.WARNING,
                "the journal holds %.0f %% of its bound of %d MiB: reports come faster than they are stored; at the"
                " bound nothing is taken any more",
                share * 100, space.bound >> 20,
            )  # fmt: skip
        elif level < self.level:
            log.info("the journal is down to %.0f %% of its bound", share * 100)
        self.level = level
        low = self._disk_low_bytes
        is_low = space.free < (low + low // 4 if self.is_disk_low else low)
        if is_low and not self.is_disk_low:
            log.error("the journal's disk has %d MiB left", space.free >> 20)
        elif self.is_disk_low and not is_low:
            log.info("the journal's disk has room again: %d MiB", space.free >> 20)
        self.is_disk_low = is_low

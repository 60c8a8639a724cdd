"""Reports as the rules see them: the rows of a batch, and one report of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleet import PositionBatch


class Fix(NamedTuple):
    """One report, as far as an alarm tells of it; a JSON list when stored."""

    time_us: int
    latitude_deg: float | None  # None: no place or, like the speed, not known any more
    longitude_deg: float | None
    speed_kmh: float | None
    terminal_id: int


def fix_of(batch: PositionBatch, row: int) -> Fix:
    """A row of a batch as a fix."""
    latitude_deg, longitude_deg = place_of(float(batch.latitude_deg[row]), float(batch.longitude_deg[row]))
    speed_kmh = round(float(batch.speed_kmh[row]), 1)
    return Fix(int(batch.time_us[row]), latitude_deg, longitude_deg, speed_kmh, int(batch.terminal_id[row]))


def place_of(latitude_deg: float, longitude_deg: float) -> tuple[float | None, float | None]:
    """Coordinates that cannot be a place are None: as ``PositionBatch.has_place``, for one report."""
    is_place = abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180 and (latitude_deg != 0 or longitude_deg != 0)
    return (latitude_deg, longitude_deg) if is_place else (None, None)


@dataclass(slots=True)
class Rows:
    """The reports of a batch that the rules may use: grouped by lane in ascending order, each lane in its own time.

    All arrays but ``starts`` and ``ends`` have one entry per row; those name the first and last row of each lane.
    ``heard_slot`` stands for every report of the batch, also those kept from the rules, in order of receipt.
    """

    batch: PositionBatch
    index: NDArray[np.intp]  # row of the batch
    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    latitude_deg: NDArray[np.float64]
    longitude_deg: NDArray[np.float64]
    speed_kmh: NDArray[np.float32]
    is_same_second: NDArray[np.bool_]  # as the report before it, in the batch or before
    is_located: NDArray[np.bool_]  # has a fix (status bit 1) at a place, and is the first report of its second
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    heard_slot: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    def fix(self, row: int) -> Fix:
        return fix_of(self.batch, int(self.index[row]))

    def item(self, name: str, row: int) -> int | None:
        """An additional item's value in this row; None when the report did not carry it."""
        column = self.batch.items.get(name)
        if column is None or not self.batch.present[name][self.index[row]]:
            return None
        return int(column[self.index[row]])

"""Tells late fixes from new ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fleet import PositionBatch


class Newest:
    """Device time of the newest fix of each vehicle. Eight bytes a vehicle: ids are an identity column's, so dense."""

    def __init__(self) -> None:
        self._time_s = np.zeros(1024, np.int64)

    def load(self, vehicle_id: int, time_us: int) -> None:
        self._reserve(vehicle_id)
        self._time_s[vehicle_id] = max(self._time_s[vehicle_id], time_us // 1_000_000)

    def _reserve(self, vehicle_id: int) -> None:
        if vehicle_id >= len(self._time_s):
            self._time_s = np.append(self._time_s, np.zeros(max(vehicle_id + 1, 2 * len(self._time_s)), np.int64))

    def mark_late(self, batch: PositionBatch, is_blind: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Set ``batch.late``: backfill, and whatever is older than a fix that came before it. Moves the memory on.

        Returns:  which rows are no news: the late ones, and those of the very second of the newest. A repeat of what
                  came before is among them; nothing else can be one.

        The wire has whole seconds, so a running maximum over (vehicle, time) fits one int64: the vehicle's rank in
        the high half keeps one vehicle's times from reaching into the next.
        """
        if not len(batch):
            return np.zeros(0, np.bool_)
        self._reserve(int(batch.vehicle_id.max()))
        order = np.argsort(batch.vehicle_id, kind="stable")
        vehicle = batch.vehicle_id[order]
        time_s = batch.time_us[order] // 1_000_000
        is_first = np.append(True, vehicle[1:] != vehicle[:-1])
        rank = np.cumsum(is_first).astype(np.int64) << 33
        counted = np.where(is_blind[order], 0, time_s)
        # Shifted by one: a row is compared with those before it, the first of a vehicle with the stored newest.
        before = np.where(is_first, self._time_s[vehicle], np.append(0, counted[:-1])) + rank
        before = np.maximum.accumulate(before)
        batch.late[order] = is_blind[order] | (time_s + rank < before)
        is_old = np.empty(len(batch), np.bool_)
        is_old[order] = is_blind[order] | (time_s + rank <= before)
        np.maximum.at(self._time_s, vehicle, counted)
        return is_old

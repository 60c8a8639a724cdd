"""What the live hub remembers: rows of positions, who is on-line, the alarms on the board. Plain memory, no waiting."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from api.alarms.shaping import as_json
from api.paging import EPOCH
from fleet import PositionBatch

POSITION_COLUMNS: Final = (
    "vehicle_id", "time_ms", "received_ms", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg",
    "alarm_flags", "status_flags", "mileage_km",
)  # fmt: skip


def columns_of(batch: PositionBatch, rows: NDArray[np.intp]) -> Iterable[list[Any]]:
    """The given rows of a batch, as lists of POSITION_COLUMNS."""
    mileage: list[float | None] = [None] * len(rows)
    if "mileage_km" in batch.items:
        column, present = batch.items["mileage_km"][rows].tolist(), batch.present["mileage_km"][rows].tolist()
        mileage = [value if is_there else None for value, is_there in zip(column, present, strict=True)]
    return map(
        list,
        zip(
            batch.vehicle_id[rows].tolist(),
            (batch.time_us[rows] // 1000).tolist(),
            (batch.received_us[rows] // 1000).tolist(),
            batch.latitude_deg[rows].tolist(),
            batch.longitude_deg[rows].tolist(),
            batch.altitude_m[rows].tolist(),
            batch.speed_kmh[rows].astype(np.float64).round(1).tolist(),
            batch.heading_deg[rows].tolist(),
            batch.alarm_flags[rows].tolist(),
            batch.status_flags[rows].tolist(),
            mileage,
            strict=True,
        ),
    )


def row_of(position: dict[str, Any]) -> list[Any]:
    """A row of ``latest_positions`` as a list of POSITION_COLUMNS."""
    times = {"time_ms": milliseconds(position["time"]), "received_ms": milliseconds(position["received_at"])}
    return [times[name] if name in times else position[name] for name in POSITION_COLUMNS]


def milliseconds(time: datetime) -> int:
    """Since 1970 UTC, rounded down."""
    return (time - EPOCH) // timedelta(milliseconds=1)


class Presence:
    """Which vehicles are on-line: those with a terminal that is. ``len()`` counts them.

    ``begin_read()`` before the seats are read from the database, ``replace()`` after: changes that come in between are
    put on top of what was read.
    """

    def __init__(self) -> None:
        self._vehicle_of: dict[str, int] = {}
        self._online: dict[int, set[str]] = {}  # vehicle -> its terminals that are on-line; never empty
        self._turned: set[int] = set()  # came or went since it was last told, if only for a moment
        self._meanwhile: dict[str, bool] | None = None

    def __len__(self) -> int:
        return len(self._online)

    def online(self) -> list[int]:
        return sorted(self._online)

    def change(self, phone: str, is_online: bool) -> bool:
        """A terminal came or went. False when nobody knows in which vehicle it is."""
        if self._meanwhile is not None:
            self._meanwhile[phone] = is_online
        vehicle_id = self._vehicle_of.get(phone)
        if vehicle_id is None:
            return False
        was_online = vehicle_id in self._online
        phones = self._online.setdefault(vehicle_id, set())
        if is_online:
            phones.add(phone)
        else:
            phones.discard(phone)
        if not phones:
            del self._online[vehicle_id]
        if (vehicle_id in self._online) != was_online:
            self._turned.add(vehicle_id)
        return True

    def begin_read(self) -> None:
        self._meanwhile = {}

    def replace(self, seats: Iterable[tuple[str, int, bool]]) -> None:
        """Take over what was read: (phone, vehicle_id, online)."""
        meanwhile, self._meanwhile = self._meanwhile or {}, None
        before = self._online.keys()
        self._vehicle_of = {}
        self._online = {}
        for phone, vehicle_id, is_online in seats:
            self._vehicle_of[phone] = vehicle_id
            if meanwhile.get(phone, is_online):
                self._online.setdefault(vehicle_id, set()).add(phone)
        self._turned |= before ^ self._online.keys()

    def take_changes(self) -> list[tuple[int, bool]]:
        """(vehicle_id, is_online) of those that came or went since the last call.

        One that came and went between is among them: a console may have joined in that moment.
        """
        changes = [(vehicle_id, vehicle_id in self._online) for vehicle_id in sorted(self._turned)]
        self._turned.clear()
        return changes


class AlarmBoard:
    """The alarms before the watch: open, claimed, and handled lately. Beyond ``CAPACITY`` the least pressing go.

    ``counts`` is the number of open alarms that are not late, by severity, as the database counts them: it stays right
    when the board cannot hold them all.
    """

    CAPACITY: ClassVar[int] = 2000

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.dropped = 0
        self._items: dict[UUID, tuple[dict[str, Any], datetime | None]] = {}  # the item, and when it was handled

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> list[dict[str, Any]]:
        return [item for item, _ in self._items.values()]

    def replace(self, rows: list[dict[str, Any]], counts: dict[int, int]) -> None:
        self._items = {row["id"]: (as_json(row), row["handled_at"]) for row in rows}
        self.counts = counts

    def take(self, rows: Iterable[dict[str, Any]], handled_since: datetime) -> dict[UUID, dict[str, Any]]:
        """Bring the board up to date; the items to tell, those that left the board included."""
        told = {}
        for row in rows:
            told[row["id"]] = item = as_json(row)
            self._items[row["id"]] = (item, row["handled_at"])
            if not _belongs(item["state"], row["handled_at"], handled_since):
                del self._items[row["id"]]
        if len(self._items) > self.CAPACITY:
            by_weight = sorted(self._items, key=lambda key: _weight(self._items[key][0]))
            for key in by_weight[self.CAPACITY :]:
                del self._items[key]
                self.dropped += 1
        return told

    def forget(self, handled_since: datetime) -> None:
        """Take down what was handled before."""
        gone = [key for key, (item, at) in self._items.items() if not _belongs(item["state"], at, handled_since)]
        for key in gone:
            del self._items[key]


def _belongs(state: str, handled_at: datetime | None, handled_since: datetime) -> bool:
    if state in ("open", "claimed"):
        return True
    return state in ("handled", "false") and handled_at is not None and handled_at >= handled_since


def _weight(item: dict[str, Any]) -> tuple[bool, bool, int, float]:
    """Small is pressing: not handled before handled, today's before late, by severity, newest first."""
    begin = datetime.fromisoformat(item["begin_time"]).timestamp()
    return item["state"] in ("handled", "false"), item["late"], item["severity"], -begin

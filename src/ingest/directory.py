"""Which vehicle a report belongs to: terminals by phone, with the vehicles they were in and from when on."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.journal import phone_text
from store import Database
from store.queries import engine as queries


@dataclass(frozen=True, slots=True)
class Resident:
    """A terminal and its places: ``vehicle_ids[i]`` from ``from_us[i]`` on."""

    terminal_id: int
    from_us: tuple[int, ...] = ()
    vehicle_ids: tuple[int, ...] = ()

    def vehicle_at(self, time_us: int) -> int | None:
        place = bisect_right(self.from_us, time_us) - 1
        return self.vehicle_ids[place] if place >= 0 else None


@dataclass(slots=True)
class Directory:
    """All terminals in memory (tens of thousands are small), read again when the fleet changes."""

    residents: dict[str, Resident] = field(default_factory=dict)
    phones: dict[int, str] = field(default_factory=dict)
    _by_field: dict[bytes, str] = field(default_factory=dict)

    async def reload(self, database: Database) -> None:
        async with database.connection() as connection:
            rows = await queries.load_terminals(connection)
        self.residents = {
            row.phone: Resident(
                row.terminal_id,
                tuple(from_us for from_us, _ in row.bindings),
                tuple(vehicle for _, vehicle in row.bindings),
            )
            for row in rows
        }
        self.phones = {row.terminal_id: row.phone for row in rows}

    def phone(self, phone_field: bytes) -> str:
        """The phone that a 10-byte header field (BCD, zeros in front) names."""
        phone = self._by_field.get(phone_field)
        if phone is None:
            if len(self._by_field) > 1_000_000:  # a flood of made-up phones must not grow it for ever
                self._by_field.clear()
            phone = self._by_field[phone_field] = phone_text(phone_field)
        return phone

    def resolve(self, phone_fields: NDArray[np.void], time_us: NDArray[np.int64]) -> tuple[NDArray[np.int32], ...]:
        """Terminal and vehicle of each report; −1 where there is none.

        Args:  phone_fields: the 10-byte fields, dtype ``V10``; time_us: the reports' own times.
        """
        unique, inverse = np.unique(phone_fields, return_inverse=True)
        terminals = np.full(len(unique), -1, np.int32)
        vehicles = np.full(len(unique), -1, np.int32)
        movers: list[tuple[int, Resident]] = []
        for i, phone_field in enumerate(unique):
            resident = self.residents.get(self.phone(phone_field.tobytes()))
            if resident is None:
                continue
            terminals[i] = resident.terminal_id
            if len(resident.vehicle_ids) == 1:
                vehicles[i] = resident.vehicle_ids[0]
            elif resident.vehicle_ids:
                movers.append((i, resident))
        vehicle_id = vehicles[inverse]
        for i, resident in movers:
            for row in np.flatnonzero(inverse == i):
                vehicle_id[row] = resident.vehicle_at(int(time_us[row])) or -1
        return terminals[inverse], vehicle_id

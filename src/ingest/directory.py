"""Which vehicle a report belongs to: terminals by phone, with the vehicles they were in and from when on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

from ingest.journal import phone_text
from store.queries import engine as queries

PHONE_DIGITS: Final = 20  # of a record's phone field


@dataclass(frozen=True, slots=True)
class Resident:
    """A terminal and its places: ``vehicle_ids[i]`` from ``from_us[i]`` on, in order of time."""

    terminal_id: int
    from_us: tuple[int, ...] = ()
    vehicle_ids: tuple[int, ...] = ()

    def vehicle_at(self, time_us: int) -> int:
        """The vehicle's id; −1 before the first binding."""
        place = bisect_right(self.from_us, time_us) - 1
        return self.vehicle_ids[place] if place >= 0 else -1


NOBODY: Final = Resident(-1)


def phone_field(phone: str) -> bytes:
    """A phone as the 10-byte field of a record's header. Raises: ValueError: no header can carry it."""
    return bytes.fromhex(phone.zfill(PHONE_DIGITS))


class Directory:
    """All terminals in memory. As large as the table of terminals, which nobody fills but administrators and terminals
    that were let in: about 400 bytes each."""

    def __init__(self, rows: Iterable[queries.TerminalRow] = ()) -> None:
        self._residents = _residents_of(rows)

    def __len__(self) -> int:
        return len(self._residents)

    async def load(self, connection: AsyncConnection[Any], phones: Sequence[str] | None = None) -> None:
        """Read the terminals again: those with these phones, or all (then who is gone is forgotten)."""
        residents: dict[bytes, Resident] = {}
        async for rows in queries.each_terminal(connection, phones):
            residents |= _residents_of(rows)
        if phones is None:
            self._residents = residents
        else:
            self._residents |= residents

    def homeless(self, phone_fields: NDArray[np.void]) -> list[str]:
        """Who of these is in no vehicle, as far as is known here. Args: as of ``resolve``."""
        find = self._residents.get
        return [phone_text(key) for key in np.unique(phone_fields).tolist() if not find(key, NOBODY).vehicle_ids]

    def resolve(
        self, phone_fields: NDArray[np.void], time_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Terminal and vehicle of each report; −1 where there is none.

        Args:  phone_fields: the 10-byte fields, dtype ``V10``; time_us: the reports' own times.
        """
        unique, inverse = np.unique(phone_fields, return_inverse=True)
        find = self._residents.get
        residents = [find(key, NOBODY) for key in unique.tolist()]  # bytes, of a void
        terminal_id = np.array([resident.terminal_id for resident in residents], np.int32)[inverse]
        vehicle_id = np.array([(resident.vehicle_ids or (-1,))[-1] for resident in residents], np.int32)[inverse]
        since_us = np.array([(resident.from_us or (0,))[-1] for resident in residents], np.int64)[inverse]
        for row in np.flatnonzero((time_us < since_us) & (vehicle_id >= 0)).tolist():  # from before its last move
            vehicle_id[row] = residents[inverse[row]].vehicle_at(int(time_us[row]))
        return terminal_id, vehicle_id


def _residents_of(rows: Iterable[queries.TerminalRow]) -> dict[bytes, Resident]:
    residents = {}
    for row in rows:
        try:
            key = phone_field(row.phone)
        except ValueError:
            continue  # typed in by somebody: no header can carry it, so no report will ask for it
        from_us, vehicle_ids = zip(*row.bindings, strict=True) if row.bindings else ((), ())
        residents[key] = Resident(row.terminal_id, from_us, vehicle_ids)
    return residents

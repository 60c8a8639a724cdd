"""What the wire says of vehicles and terminals, remembered; shared by all platforms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from forward.translate import TerminalFacts, VehicleFacts
from store import Database
from store.queries import forwarding


class Facts:
    """A cache of the vehicles and terminals that reported; bounded by the size of the fleet."""

    def __init__(self, database: Database, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.vehicles: dict[int, VehicleFacts] = {}
        self.terminals: dict[int, TerminalFacts] = {}
        self._database = database
        self._every_s = every_s
        self._clock = clock
        self._read_at = clock()
        self._is_stale = False
        self._lock = asyncio.Lock()

    def changed(self) -> None:
        """Vehicles or terminals changed: read again at the next use (but not more often than ``every_s``)."""
        self._is_stale = True

    async def learn(self, vehicle_ids: Iterable[int], terminal_ids: Iterable[int]) -> None:
        """Make sure that these are known, as far as the database has them.

        Raises: psycopg.OperationalError: the database is away.
        """
        async with self._lock:
            wanted_vehicles = set(vehicle_ids) - self.vehicles.keys()
            wanted_terminals = set(terminal_ids) - self.terminals.keys()
            is_due = self._is_stale and self._clock() - self._read_at >= self._every_s
            if is_due:
                wanted_vehicles |= self.vehicles.keys()
                wanted_terminals |= self.terminals.keys()
            if not wanted_vehicles and not wanted_terminals:
                return
            if is_due:
                self._is_stale = False  # before the reading: a change meanwhile is another one
            try:
                async with self._database.connection() as connection:
                    vehicles = await forwarding.vehicles(connection, wanted_vehicles)
                    terminals = await forwarding.terminals(connection, wanted_terminals)
            except BaseException:
                self._is_stale = self._is_stale or is_due
                raise
            if is_due:
                self._read_at = self._clock()
            for v in vehicles:
                old = self.vehicles.get(v.id)
                if old is None or (old.plate, old.plate_color) != (v.plate, v.plate_color):  # of() takes its time
                    self.vehicles[v.id] = VehicleFacts.of(v.id, v.plate, v.plate_color)
            for t in terminals:
                self.terminals[t.id] = TerminalFacts(
                    t.id, t.phone, t.manufacturer_id, t.terminal_model, t.terminal_id, t.vehicle_id
                )

    def is_replaced(self, vehicle_id: int, old: int, new: int) -> bool:
        """Whether the terminal ``new`` is in the vehicle and ``old`` is not any more.

        Two terminals that share a vehicle (docs/decisions/0021) replace one another never.
        """
        if old == new or (now := self.terminals.get(new)) is None or now.vehicle_id != vehicle_id:
            return False
        before = self.terminals.get(old)
        return before is None or before.vehicle_id != vehicle_id

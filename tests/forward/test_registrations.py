"""Vehicles as the superior platform is told of them: named, registered (0x1201), registered anew when they change."""

from __future__ import annotations

import numpy as np
import pytest

from fleet import FleetChanged
from store import Database
from tests.forward.world import after, batch_of, eventually, world

pytestmark = pytest.mark.postgres


async def test_vehicles_that_cannot_be_named_are_counted(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("", "LVIN0000000000001", color=0)
        await w.add_vehicles("辽A00001")
        await w.link("😀12345")
        await w.store(batch_of([(v, 1) for v in (1, 2, 3, 4)]))
        await w.confirmed()
        assert set(w.superior.positions) == {("辽A00001", 2, after(1))}
        assert w.status["skipped"] == {"no_plate": 2, "bad_plate": 1}
        await w.execute("UPDATE vehicles SET plate = '辽A00009', plate_color = 2 WHERE id = 1")
        w.bus.publish(FleetChanged("vehicles"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2)]))
        await eventually(lambda: ("辽A00009", 2, after(2)) in w.superior.positions)


async def test_a_new_plate_is_registered_anew(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001", supplement=False)
        await w.store(batch_of([(1, 1)]))
        await eventually(lambda: len(w.superior.positions) == 1)
        await w.execute("UPDATE vehicles SET plate = '辽A88888' WHERE id = 1")
        w.bus.publish(FleetChanged("vehicles"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2)]))
        await eventually(lambda: len(w.superior.positions) == 2)
        assert list(w.superior.registered) == [("辽A00001", 2), ("辽A88888", 2)]


async def test_a_new_terminal_in_the_vehicle_is_registered(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.superior.registered["辽A00001", 2].sim == "013900000001"
        await w.execute("UPDATE terminals SET vehicle_id = NULL WHERE id = 1")
        await w.execute("INSERT INTO terminals (phone, vehicle_id) VALUES ('13900000002', 1)")
        w.bus.publish(FleetChanged("terminals"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2), (1, 3)], terminal_id=np.array([2, 1], np.int32)))
        await w.arrived()
        assert w.superior.registered["辽A00001", 2].sim == "013900000002"
        assert w.superior.counts["0x1200/0x1201"] == 2  # and not again for what the old one left

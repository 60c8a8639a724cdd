"""store.queries.forwarding on every back end."""

from __future__ import annotations

import numpy as np

from store import Database
from store.queries import forwarding
from tests.forward.world import after, batch_of, world


async def test_cursors(database: Database) -> None:
    async with world(database) as w:
        await w.add_vehicles("辽A00001")
        await w.store(batch_of([(1, 1)]), groups=7)
        first, second = await w.add_platform(), await w.add_platform("市平台")
        async with database.connection() as c:
            assert await forwarding.stored_offset(c) == 7
            assert await forwarding.begin_cursor(c, first) == 7
        await w.store(batch_of([(1, 2)]))
        async with database.connection() as c:
            assert await forwarding.begin_cursor(c, first) == 7  # it has one
            assert await forwarding.begin_cursor(c, second) == 8
            await forwarding.save_cursor(c, first, 20)
            await forwarding.save_cursor(c, first, 10)  # never back
        assert await w.cursor(first) == 20


async def test_reading_by_offset(database: Database) -> None:
    async with world(database) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        batch = batch_of([(1, 10), (2, 20)], late=[True, False])
        batch.present["mileage_km"][1] = False
        batch.items["recorder_speed_kmh"] = np.array([55.5, 0.0], np.float32)
        batch.present["recorder_speed_kmh"] = np.array([True, False])
        await w.store(batch)
        for second in range(30, 40):
            await w.store(batch_of([(1, second), (2, second)]))
        async with database.connection() as c:
            assert await forwarding.count_positions(c, 0, 1) == 2
            assert await forwarding.count_positions(c, 3, 6) == 6
            assert len(await forwarding.read_positions(c, 3, 6, None)) == 6
            assert len(await forwarding.read_positions(c, 0, 100, 5)) == 5
            assert len(await forwarding.read_positions(c, 11, 100, None)) == 0
            read = await forwarding.read_positions(c, 0, 1, None)
        read = read.take(np.argsort(read.vehicle_id))
        for name in ("terminal_id", "vehicle_id", "time_us", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh",
                     "heading_deg", "alarm_flags", "status_flags", "late"):  # fmt: skip
            column = getattr(read, name)
            assert column.dtype == getattr(batch, name).dtype, name
            assert column.tolist() == getattr(batch, name).tolist(), name
        for name in ("mileage_km", "recorder_speed_kmh"):
            assert read.present[name].tolist() == [True, False]
            assert read.items[name][0] == batch.items[name][0]


async def test_platforms_vehicles_terminals_and_the_log(database: Database) -> None:
    async with world(database) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        await w.add_platform()
        await w.add_platform("关闭的", enabled=False)
        async with database.connection() as c:
            (platform,) = await forwarding.enabled_platforms(c)
            assert (platform.name, platform.port, platform.supplement) == ("省平台", w.superior.port, True)
            assert "passwd01" not in repr(platform)
            assert [v.plate for v in await forwarding.vehicles(c, [2, 77])] == ["辽B00002"]
            (terminal,) = await forwarding.terminals(c, {1})
            assert terminal.phone == "13900000001"
            assert await forwarding.vehicles(c, []) == []
            time_us = int(after(1).timestamp() * 1e6)
            await forwarding.log_link(c, platform.id, time_us, "main", "up", "10.0.0.1:9001")
            await forwarding.log_link(c, 999, time_us, "main", "down", "a platform that is gone")
        assert await w.log() == [("main", "up", "10.0.0.1:9001")]

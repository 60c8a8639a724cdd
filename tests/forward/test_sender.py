"""What goes out: live what is stored now, as history what is late or was missed, in order and at its pace."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg
import pytest

from fleet import BatchStored, PositionBatch
from forward import translate
from simulators.arrivals import Fix
from store import Database
from tests.forward.world import QUICK, after, batch_of, eventually, world

pytestmark = pytest.mark.postgres


async def test_positions_go_out_as_they_are_stored(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001", "辽B00002")
        for second in range(10):
            await w.store(batch_of([(1, second), (2, second)]))
        await w.arrived()
        assert w.superior.counts["0x1200/0x1202"] == 20
        assert w.superior.counts["0x1200/0x1203"] == 0
        assert set(w.superior.registered) == {("辽A00001", 2), ("辽B00002", 2)}
        assert w.superior.counts["0x1200/0x1201"] == 2
        registered = w.superior.registered["辽A00001", 2]
        assert (registered.platform_id, registered.producer_id, registered.terminal_model) == (
            "21010000001", "70111", "RW-200",
        )  # fmt: skip
        assert (registered.terminal_id, registered.sim) == ("ABC1234", "013900000001")
        fix = w.superior.positions["辽A00001", 2, after(9)]
        assert fix == Fix(123400090, 41801009, 9, 0, 1, 9, 43, 3, 0)
        await w.confirmed()
        status = w.status
        assert (status["sent_live"], status["sent_history"], status["backlog"]) == (20, 0, 0)
        assert status["cursor"] == 10
        await w.logged(("main", "up"), ("sub", "up"))
        assert w.superior.bad == {}


async def test_a_new_platform_gets_no_history(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.store(batch_of([(1, second) for second in range(50)]), publish=False)
        await w.link()
        assert await w.cursor() == 1
        await w.store(batch_of([(1, 100)]))
        await eventually(lambda: len(w.superior.positions) == 1)
        assert list(w.superior.positions) == [("辽A00001", 2, after(100))]


async def test_late_data_goes_as_history(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001", "辽B00002")
        rows = [(1, 100), *((1, s) for s in (20, 10, 30, 40, 60, 50)), (2, 5), (2, 101)]
        await w.store(batch_of(rows, late=[False, *[True] * 7, False]))
        await w.arrived()
        assert {key[2] for key in w.superior.live} == {after(100), after(101)}
        assert len(w.superior.history) == 7
        assert w.superior.counts["0x1200/0x1203"] == 3  # five and one of the first, one of the second
        assert w.superior.bad == {}


async def test_history_is_by_vehicle_in_order_and_at_most_five(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, window_rows=40)) as w:
        vehicles = await w.link("辽A00001", "辽B00002", "辽C00003")
        await w.forwarder.stop()
        for second in range(100):
            await w.store(batch_of([(v, second) for v in vehicles]))
        w.superior.order = []
        await w.restart()
        await w.arrived()
        assert w.superior.order is not None
        for v in vehicles:
            times = [key[2] for key in w.superior.order if key[0] == w.plates[v]]
            assert times == sorted(times)
        assert w.superior.counts["0x1200/0x1202"] == 0
        assert w.superior.counts["0x1200/0x1203"] < 300 / 3
        assert w.superior.bad == {}


async def test_live_goes_on_beside_the_history(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, history_per_s=0.001)) as w:
        await w.link("辽A00001", "辽B00002")
        await w.forwarder.stop()
        await w.store(batch_of([(1, second) for second in range(600)]))
        await w.restart()
        await w.up()
        await w.store(batch_of([(2, 1000)]))
        await eventually(lambda: ("辽B00002", 2, after(1000)) in w.superior.live)
        assert len(w.superior.history) < 600  # that pace would take a week
        await eventually(lambda: w.status["backlog"] > 0)
        await w.forwarder.stop()
        w.config = QUICK
        await w.restart()
        await w.arrived()
        await eventually(lambda: w.status["backlog"] == 0)


async def test_what_the_bus_lost_is_read_from_the_database(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, queue_batches=4)) as w:
        await w.link("辽A00001")
        events = [await w.store(batch_of([(1, second)]), publish=False, groups=3) for second in range(50)]
        for event in events:  # in one go: the sender cannot take any in between
            w.bus.publish(event)
        await w.arrived()
        assert w.status["lost_batches"] == 46
        assert len(w.superior.live) == 4
        assert len(w.superior.history) == 46
        await w.confirmed()


async def test_gaps_in_offsets_alone_are_not_read(postgresql_database: Database) -> None:
    """Transactions without positions are not told; that is no loss."""
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        for second in range(5):
            w.offset += 7
            await w.store(batch_of([(1, second)]))
            w.bus.publish(BatchStored("local", w.offset + 1, w.offset, PositionBatch.empty()))
        await w.arrived()
        await w.confirmed()
        assert w.superior.by_vehicle["辽A00001", 2] == 5
        assert w.status["lost_batches"] == 0


async def test_an_unread_link_does_not_fill_memory(postgresql_database: Database) -> None:
    """The superior platform stops reading: sending pauses, the queue drops, later everything comes from the store."""
    config = replace(QUICK, queue_batches=4, write_buffer_bytes=16 * 1024)
    async with world(postgresql_database, config) as w:
        vehicles = await w.link(*(f"辽A{n:05d}" for n in range(100)))
        w.superior.stop_reading()
        second = 0
        while w.status["lost_batches"] < 5:
            rows = [(v, second + n) for v in vehicles for n in range(50)]
            await w.store(batch_of(rows))
            second += 50
            await asyncio.sleep(0)
            assert second < 5000, "the sockets took everything"
        connection = w.sender._outlet
        assert connection._transport.get_write_buffer_size() < 16 * 1024 + 130 * 200
        assert len(w.sender._subscription) <= 4
        w.superior.resume_reading()
        await w.arrived()
        await w.confirmed()
        assert w.superior.bad == {}


async def test_the_database_goes_away_and_comes_back(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001")

        @asynccontextmanager
        async def away():  # type: ignore[no-untyped-def]
            raise psycopg.OperationalError("away")
            yield

        await w.store(batch_of([(1, 1)]), publish=False)
        with monkeypatch.context() as patch:
            patch.setattr(w.database, "connection", away)
            w.bus.publish(BatchStored("local", 1, 1, batch_of([(1, 1)])))
            w.superior.drop_all()
            await eventually(lambda: len(w.superior.logins) == 2)
            await eventually(lambda: w.status["main"] == "up")
            assert w.superior.positions == {}
        await w.arrived()
        await w.confirmed()
        assert w.status["failures"] == 0


async def test_an_error_of_ours_costs_a_pause(postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def position_blocks(batch: PositionBatch) -> list[bytes]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise RuntimeError("a bug")
        return blocks_of(batch)

    blocks_of = translate.position_blocks
    monkeypatch.setattr(translate, "position_blocks", position_blocks)
    async with world(postgresql_database, replace(QUICK, failed_s=0.02)) as w:
        await w.link("辽A00001")
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.status["failures"] == 2
        assert w.status["logins"] == 1

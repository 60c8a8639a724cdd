"""What the live hub survives: lost events, floods, a database that goes away, a broken event."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from fleet import AlarmStepped, BatchStored, CommandGroupChanged, PositionBatch, SessionsChanged
from tests.api.live import World, attached, change, stored
from tests.api.support import T0, batch


async def test_lost_events_are_made_good_by_a_snapshot_for_all(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    await world.seed.positions(batch((a, T0, 42.0)))
    for _ in range(2000):  # more than the subscription holds: the oldest go
        world.bus.publish(SessionsChanged([]))
    told = await world.tick(console)
    assert (told["type"], told["seq"]) == ("snapshot", 1)
    assert [row[6] for row in told["positions"]] == [42.0]
    assert (await world.tick(console))["type"] == "delta"


async def test_too_many_named_alarms_are_read_as_a_whole(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    alarm_id = await world.seed.alarm(a)
    world.hub.take(stored(PositionBatch.empty(), *[change(UUID(int=i), a) for i in range(5001)]))
    told = await world.tick(console)
    assert told["type"] == "snapshot"
    assert [item["id"] for item in told["alarms"]] == [str(alarm_id)]


async def test_too_many_named_groups_are_read_as_a_whole(world: World) -> None:
    await world.start()
    console = attached(world.hub)
    await console.read()
    for i in range(5001):
        world.hub.take(CommandGroupChanged(UUID(int=i)))
    assert (await world.tick(console))["type"] == "snapshot"


async def test_while_the_database_is_away_the_stream_goes_on(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    world.database.is_away = True
    world.time.advance(1.0)
    told = await console.read()
    assert (told["type"], told["stats"]["database"]) == ("delta", "down")
    world.bus.publish(AlarmStepped(UUID(int=1)))
    for _ in range(3):
        world.time.advance(1.0)
        told = await console.read()
        assert (told["type"], told["stats"]["database"]) == ("delta", "down")
    newcomer = attached(world.hub)
    assert (await newcomer.read())["stats"]["database"] == "down"

    await world.seed.positions(batch((a, T0, 42.0)))  # stored when it was back, before anybody told us
    world.database.is_away = False
    while console.last["type"] != "snapshot":
        await asyncio.sleep(0.02)
        world.time.advance(1.0)
        await console.read()
        await newcomer.read()
    assert console.last["stats"]["database"] == "up"
    assert [row[6] for row in console.last["positions"]] == [42.0]
    assert newcomer.positions == console.positions


async def test_the_database_going_away_is_noticed_without_any_event(world: World) -> None:
    await world.start()
    console = attached(world.hub)
    await console.read()
    world.database.is_away = True
    async with asyncio.timeout(60):
        while console.last["stats"]["database"] != "down":
            world.time.advance(1.0)
            await console.read()
            await asyncio.sleep(0.01)


async def test_a_broken_event_stops_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    world.bus.publish(BatchStored("main", 1, 1, None))  # type: ignore[arg-type]
    world.bus.publish(stored(batch((a, T0, 42.0))))
    told = await world.tick(console)
    assert [row[6] for row in told["positions"]] == [42.0]
    assert "could not be taken in" in caplog.text

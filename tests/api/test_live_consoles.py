"""The consoles of the live hub: who may join, who is cut off, and that all see the same."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

import store
from api import Services
from api.live import LiveHub
from fleet import SessionsChanged
from tests.api.live import Console, World, attached, session, stored, until
from tests.api.support import T0, batch


async def test_a_slow_console_is_cut_off_alone(world: World) -> None:
    await world.start()
    slow, quick = attached(world.hub), attached(world.hub)
    await quick.read()
    for _ in range(4):
        await world.tick(quick)
    assert not slow.client.overrun.is_set()
    await world.tick(quick)
    assert slow.client.overrun.is_set()
    assert not quick.client.overrun.is_set()
    world.hub.detach(slow.client)
    world.hub.detach(quick.client)
    assert (world.hub.too_slow, world.hub.counters()["clients"]) == (1, 0)


async def test_so_many_consoles_and_no_more(postgresql_database: store.Database) -> None:
    world = World(postgresql_database, max_live_clients=2)
    first = attached(world.hub)
    attached(world.hub)
    assert world.hub.attach() is None
    assert world.hub.turned_away == 1
    world.hub.detach(first.client)
    assert world.hub.attach() is not None


async def test_who_joins_after_memory_was_read_anew_sees_what_was_read(world: World) -> None:
    """Within one tick, and with nobody listening in between: no snapshot for all mends it later."""
    a = await world.seed.vehicle("辽A1")
    await world.start()
    first = attached(world.hub)
    assert (await first.read())["positions"] == []
    world.hub.detach(first.client)
    await world.seed.positions(batch((a, T0, 42.0)))
    for _ in range(2000):  # more than the subscription holds: everything is read again
        world.bus.publish(SessionsChanged([]))
    await until(lambda: world.hub.primed == 2)
    assert [row[6] for row in (await attached(world.hub).read())["positions"]] == [42.0]


@pytest.mark.parametrize("seed", range(20))
async def test_whenever_a_console_joins_it_sees_the_same(seed: int) -> None:
    """Snapshot and deltas, whatever happens between them, make the picture that the hub has."""
    choose = random.Random(seed)
    hub = LiveHub(Services(store.Database("")), now=lambda: T0.timestamp())
    hub._presence.replace([(str(vehicle), vehicle, choose.random() < 0.5) for vehicle in range(10)])
    hub._presence.take_changes()
    consoles: list[Console] = []
    for step in range(200):
        match choose.randrange(4):
            case 0:
                moved = [(choose.randrange(10), T0 + timedelta(seconds=choose.randrange(300)), float(step))]
                hub.take(stored(batch(*moved)))
            case 1:
                hub.take(SessionsChanged([session(str(choose.randrange(10)), choose.random() < 0.5)]))
            case 2:
                consoles.append(attached(hub))
            case 3:
                hub.tick()
                for console in consoles:
                    while console.client._frames.qsize():
                        await console.read()
    hub.tick()
    for console in consoles:
        while console.client._frames.qsize():
            await console.read()
        assert console.positions == hub._positions
        assert console.online == set(hub._presence.online())
    assert len(consoles) > 10

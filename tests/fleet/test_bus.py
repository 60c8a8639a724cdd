"""The bus: publishing never waits, a slow listener loses and is told."""

from __future__ import annotations

import asyncio

from fleet import Bus, FleetChanged, MediaStored


async def test_everybody_hears_the_kinds_they_asked_for_in_order() -> None:
    bus = Bus()
    with bus.subscribe("all") as everything, bus.subscribe("media", MediaStored) as media:
        bus.publish(FleetChanged("vehicles"))
        bus.publish(MediaStored((1,)))
        assert (len(everything), len(media)) == (2, 1)
        assert [await everything.next(), await everything.next()] == [FleetChanged("vehicles"), MediaStored((1,))]
        assert await media.next() == MediaStored((1,))


async def test_who_falls_behind_loses_the_oldest_alone_and_is_told_once() -> None:
    bus = Bus()
    slow, quick = bus.subscribe("slow", capacity=2), bus.subscribe("quick")
    for number in range(5):
        bus.publish(MediaStored((number,)))
    assert [await slow.next(), await slow.next()] == [MediaStored((3,)), MediaStored((4,))]
    assert [slow.take_lost(), slow.take_lost(), slow.lost] == [3, 0, 3]
    assert (len(slow), len(quick), quick.lost) == (0, 5, 0)
    bus.publish(MediaStored((5,)))
    assert slow.take_lost() == 0


async def test_one_who_waits_is_woken() -> None:
    bus = Bus()
    subscription = bus.subscribe("waits")
    for number in range(2):
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)  # it runs until it waits
        bus.publish(MediaStored((number,)))
        assert await waiting == MediaStored((number,))


async def test_who_left_hears_nothing_more() -> None:
    bus = Bus()
    gone, stays = bus.subscribe("gone"), bus.subscribe("stays")
    gone.close()
    gone.close()  # harmless
    bus.publish(MediaStored((1,)))
    assert (len(gone), len(stays), bus.subscriptions) == (0, 1, (stays,))

"""What the live hub tells: a snapshot from the database, then what changes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from fleet import (
    AlarmStepped,
    CommandChanged,
    CommandGroupChanged,
    FleetChanged,
    MediaStored,
    PositionBatch,
    PositionsSeen,
    SessionsChanged,
)
from store.queries import media
from tests.api.live import World, attached, change, session, stored
from tests.api.support import T0, batch, us
from tests.store.media import upload


async def test_the_snapshot_comes_from_the_database(world: World) -> None:
    seed = world.seed
    a, b = await seed.vehicle("辽A1"), await seed.vehicle("辽A2")
    retired = await seed.vehicle("辽A3", retired_at=T0)
    await seed.terminal("13900000001", a, online=True)
    await seed.terminal("13900000002", b, online=False)
    await seed.positions(batch((a, T0, 62.3), (b, T0, 0.0), (retired, T0, 9.0)))
    recent = T0 - timedelta(minutes=5)
    open_id = await seed.alarm(a, T0)
    claimed_id = await seed.alarm(a, T0 - timedelta(hours=5), state="claimed", severity=1)
    handled_id = await seed.alarm(b, T0, state="handled", handled_at=recent)
    await seed.alarm(b, T0 - timedelta(minutes=1), state="handled", handled_at=T0 - timedelta(minutes=11))
    await seed.alarm(b, T0 - timedelta(minutes=2), state="closed", handled_at=recent)
    late_id = await seed.alarm(b, T0 - timedelta(minutes=3), late=True, severity=2)
    world.services.journal_lag_s = lambda: 0.26
    world.services.link_status = lambda: [{"id": 1, "main": "up", "sub": "down", "sent_live": 5}]
    world.services.notices = lambda: [{"code": "disk_low", "severity": "error", "detail": "little is left"}]
    await world.start()

    snapshot = await attached(world.hub).read()
    assert snapshot["type"] == "snapshot"
    assert snapshot["time"] == "2026-03-01T08:00:00.000Z"
    assert snapshot["position_columns"] == [
        "vehicle_id", "time_ms", "received_ms", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh",
        "heading_deg", "alarm_flags", "status_flags", "mileage_km",
    ]  # fmt: skip
    ms = us(T0) // 1000
    assert snapshot["positions"] == [
        [a, ms, ms + 2000, 41.8, 123.4, 50, 62.3, 90, 0, 3, None],
        [b, ms, ms + 2000, 41.8, 123.4, 50, 0.0, 90, 0, 3, None],
    ]
    assert snapshot["online"] == [a]
    # the most severe first, then the newest; late after today's; handled last
    assert [item["id"] for item in snapshot["alarms"]] == [
        str(alarm_id) for alarm_id in (claimed_id, open_id, late_id, handled_id)
    ]
    assert snapshot["stats"] == {
        "online": 1, "vehicles": 2, "reports_per_s": 0.0, "alarms": {"1": 0, "2": 0, "3": 1, "4": 0},
        "database": "up", "journal_lag_s": 0.3,
        "notices": [{"code": "disk_low", "severity": "error", "detail": "little is left"}],
        "platforms": [{"id": 1, "name": "", "main": "up", "sub": "down", "sent_live": 5, "sent_history": 0,
                       "backlog": 0}],
    }  # fmt: skip


async def test_deltas(world: World) -> None:
    a, b = await world.seed.vehicle("辽A1"), await world.seed.vehicle("辽A2")
    await world.seed.terminal("13900000001", a)
    await world.start()
    console = attached(world.hub)
    await console.read()

    empty = await world.tick(console)
    assert (empty["positions"], empty["online"], empty["alarms"], empty["commands"], empty["fleet"]) == (
        [], [], [], [], [],
    )  # fmt: skip
    second = timedelta(seconds=1)
    world.bus.publish(stored(batch((a, T0, 1.0), (b, T0, 2.0), (a, T0 + second, 3.0))))
    world.bus.publish(SessionsChanged([session("13900000001", True)]))
    told = await world.tick(console)
    assert [(row[0], row[6]) for row in told["positions"]] == [(a, 3.0), (b, 2.0)]
    assert told["online"] == [[a, True]]
    assert told["stats"]["online"] == 1
    assert told["stats"]["reports_per_s"] == 0.3

    backfill = batch((a, T0 + 60 * second, 9.0))
    backfill.late[:] = True
    world.bus.publish(stored(backfill))
    world.bus.publish(stored(batch((a, T0, 8.0))))  # older than what is shown
    world.bus.publish(SessionsChanged([session("13900000001", False), session("13900000001", True)]))
    told = await world.tick(console)
    assert told["positions"] == []
    assert told["online"] == [[a, True]]  # it was gone for a moment, and a console may have joined in it
    for _ in range(10):
        told = await world.tick(console)
    assert told["stats"]["reports_per_s"] == 0.0


async def test_what_is_only_seen_moves_the_map_and_what_is_stored_later_does_not_move_it_back(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    second = timedelta(seconds=1)
    world.bus.publish(PositionsSeen(batch((a, T0 + second, 3.0))))
    told = await world.tick(console)
    assert [(row[0], row[6]) for row in told["positions"]] == [(a, 3.0)]
    assert told["stats"]["reports_per_s"] == 0.0  # it is counted when it is stored
    world.bus.publish(stored(batch((a, T0, 1.0), (a, T0 + second, 3.0))))
    told = await world.tick(console)
    assert told["positions"] == []
    assert told["stats"]["reports_per_s"] == 0.2


async def test_mileage_goes_along(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    positions = batch((a, T0, 1.0), items={"mileage_km": np.array([123.4])}, present={"mileage_km": np.array([True])})
    world.bus.publish(stored(positions))
    assert (await world.tick(console))["positions"][0][10] == 123.4


async def test_alarms_and_commands_are_read_and_told(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    alarm_id = await world.seed.alarm(a)
    world.bus.publish(stored(PositionBatch.empty(), change(alarm_id, a)))
    told = await world.tick(console)
    assert [(item["id"], item["state"], item["plate"]) for item in told["alarms"]] == [(str(alarm_id), "open", "辽A1")]
    assert told["stats"]["alarms"]["3"] == 1

    await world.seed.run("UPDATE alarms SET state = 'closed'")
    world.bus.publish(AlarmStepped(alarm_id))
    told = await world.tick(console)
    assert [item["state"] for item in told["alarms"]] == ["closed"]  # told once more, so that it is taken down
    assert told["stats"]["alarms"]["3"] == 0
    assert (await attached(world.hub).read())["alarms"] == []

    command_id = await world.seed.one(
        "INSERT INTO commands (vehicle_id, phone, kind, expires_at) VALUES (%s, '1', 'text', now()) RETURNING id", a
    )
    world.bus.publish(CommandChanged(command_id))
    told = await world.tick(console)
    assert [(item["id"], item["state"], item["plate"]) for item in told["commands"]] == [
        (str(command_id), "queued", "辽A1")
    ]


async def test_new_media_are_told_once(world: World) -> None:
    await world.start()
    console = attached(world.hub)
    await console.read()
    async with world.seed.database.connection() as connection:
        ids, _ = await media.insert(connection, [upload(media_id=1), upload(media_id=2)])
    world.bus.publish(MediaStored(tuple(ids)))
    told = await world.tick(console)
    assert [(item["id"], item["media_id"], item["type"]) for item in told["media"]] == [
        (ids[0], 1, "image"),
        (ids[1], 2, "image"),
    ]
    assert (await world.tick(console))["media"] == []


async def test_a_group_is_told_by_its_counts_once_a_tick(world: World) -> None:
    vehicle_id = await world.seed.vehicle("辽A1")
    await world.start()
    console = attached(world.hub)
    await console.read()
    group_id = await world.seed.one(
        "INSERT INTO command_groups (kind, rate_per_s, expires_at, vehicles)"
        " VALUES ('locate', 50, now(), 2) RETURNING id"
    )
    commands = [
        await world.seed.one(
            "INSERT INTO commands (vehicle_id, phone, kind, expires_at, group_id, state)"
            " VALUES (%s, '1', 'locate', now(), %s, %s) RETURNING id",
            vehicle_id, group_id, state,
        )
        for state in ("queued", "sent")
    ]  # fmt: skip
    for command_id in commands:
        world.bus.publish(CommandChanged(command_id, group_id))
    world.bus.publish(CommandGroupChanged(group_id))
    told = await world.tick(console)
    assert told["commands"] == []
    assert [(item["id"], item["counts"]) for item in told["command_groups"]] == [
        (str(group_id), {"queued": 1, "sent": 1})
    ]
    assert (await world.tick(console))["command_groups"] == []


async def test_a_new_terminal_is_found_by_reading_again(world: World) -> None:
    await world.start()
    console = attached(world.hub)
    await console.read()
    a = await world.seed.vehicle("辽A1")
    await world.seed.terminal("13900000001", a, online=True)
    world.bus.publish(SessionsChanged([session("13900000001", True)]))
    told = await world.tick(console)
    assert (told["online"], told["stats"]["vehicles"]) == ([[a, True]], 1)


async def test_a_retired_vehicle_leaves_the_picture(world: World) -> None:
    a = await world.seed.vehicle("辽A1")
    await world.seed.positions(batch((a, T0, 1.0)))
    await world.start()
    console = attached(world.hub)
    assert len((await console.read())["positions"]) == 1
    await world.seed.run("UPDATE vehicles SET retired_at = now()")
    world.bus.publish(FleetChanged("vehicles"))
    world.bus.publish(FleetChanged("terminals"))
    told = await world.tick(console)
    assert (told["fleet"], told["stats"]["vehicles"]) == (["terminals", "vehicles"], 0)
    world.bus.publish(stored(batch((a, T0 + timedelta(seconds=1), 2.0))))  # its terminal still reports
    assert (await world.tick(console))["positions"] == []
    assert (await attached(world.hub).read())["positions"] == []


async def test_what_was_handled_long_ago_leaves_the_board(world: World) -> None:
    await world.seed.alarm(await world.seed.vehicle("辽A1"), state="handled", handled_at=T0 - timedelta(seconds=597))
    await world.start()
    console = attached(world.hub)
    assert len((await console.read())["alarms"]) == 1
    for _ in range(4):
        await world.tick(console)
    assert (await attached(world.hub).read())["alarms"] == []

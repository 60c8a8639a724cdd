"""The live hub: what it remembers, what it tells, what it survives."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

import store
from api import ApiSettings, Services
from api.live import Client, LiveHub
from api.live_state import AlarmBoard, Presence
from fleet import (
    AlarmChange,
    AlarmStepped,
    BatchStored,
    Bus,
    ChangeKind,
    CommandChanged,
    CommandGroupChanged,
    FleetChanged,
    MediaStored,
    PositionBatch,
    PositionsSeen,
    SessionChange,
    SessionsChanged,
)
from store.queries import media
from tests.api.support import T0, Seed, batch, us
from tests.store.media import upload


class FakeTime:
    """A clock that stands still until told; ``sleep`` sleeps by it."""

    def __init__(self, start: datetime = T0) -> None:
        self.now_s = start.timestamp()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.now_s + seconds, event))
        await event.wait()

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        due = [event for until, event in self._sleepers if until <= self.now_s]
        self._sleepers = [(until, event) for until, event in self._sleepers if until > self.now_s]
        for event in due:
            event.set()


class Console:
    """A console: keeps the picture that snapshot and deltas make, and checks the numbering."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seq: int | None = None
        self.positions: dict[int, list[Any]] = {}
        self.online: set[int] = set()
        self.snapshots = 0
        self.last: dict[str, Any] = {}

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(60):
            message = json.loads(await self.client.next())
        if message["type"] == "snapshot":
            self.snapshots += 1
            self.positions = {row[0]: row for row in message["positions"]}
            self.online = set(message["online"])
        else:
            assert message["seq"] == self.seq + 1 if self.seq is not None else False
            self.positions |= {row[0]: row for row in message["positions"]}
            for vehicle_id, is_online in message["online"]:
                (self.online.add if is_online else self.online.discard)(vehicle_id)
        self.seq = message["seq"]
        self.last = message
        return message


class AwayDatabase:
    """A store.Database that can be taken away."""

    def __init__(self, database: store.Database) -> None:
        self.database = database
        self.is_away = False

    @property
    def is_up(self) -> bool:
        return not self.is_away

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        if self.is_away:
            raise psycopg.OperationalError("taken away")
        async with self.database.connection() as connection:
            yield connection

    async def ping(self) -> None:
        async with self.connection():
            pass


async def until(condition: Callable[[], bool]) -> None:
    """Let the tasks work until it is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)


def attached(hub: LiveHub) -> Console:
    client = hub.attach()
    assert client is not None
    return Console(client)


def session(phone: str, online: bool) -> SessionChange:
    return SessionChange(0, phone, online, "127.0.0.1:1", "tcp", "2019", "")


def stored(positions: PositionBatch, *changes: AlarmChange) -> BatchStored:
    return BatchStored("main", 1, 1, positions, list(changes))


def change(alarm_id: UUID, vehicle_id: int) -> AlarmChange:
    return AlarmChange(
        ChangeKind.BEGIN, alarm_id, vehicle_id, 1, "overspeed", 3, "platform", us(T0), us(T0), late=False
    )


class World:
    """A hub at work on a database, with a clock of its own."""

    def __init__(self, database: store.Database, **settings: Any) -> None:
        self.seed = Seed(database)
        self.database = AwayDatabase(database)
        self.bus = Bus()
        self.services = Services(self.database, self.bus, ApiSettings(**settings))  # type: ignore[arg-type]
        self.time = FakeTime()
        self.hub = LiveHub(self.services, now=self.time.now, sleep=self.time.sleep)

    async def start(self) -> None:
        self.hub.start()
        await until(lambda: self.hub.primed == 1)

    async def settle(self) -> None:
        """Until everything published was taken in and read."""
        hub = self.hub
        await until(lambda: not (len(hub._subscription) or hub._work.is_set() or hub._must_prime or hub.is_reading))

    async def tick(self, console: Console) -> dict[str, Any]:
        """Take everything in, tick, and what the console is told."""
        await self.settle()
        self.time.advance(1.0)
        return await console.read()


@pytest.fixture
async def world(postgresql_database: store.Database) -> AsyncIterator[World]:
    world = World(postgresql_database, live_client_queue=5)
    yield world
    await world.hub.stop()


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
    import numpy as np

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


def test_presence_of_a_vehicle_with_two_terminals() -> None:
    presence = Presence()
    presence.replace([("1", 7, False), ("2", 7, False)])
    assert presence.take_changes() == []
    assert presence.change("1", True)
    assert presence.change("2", True)
    assert presence.take_changes() == [(7, True)]
    presence.change("1", False)
    assert presence.take_changes() == []
    presence.change("2", False)
    presence.change("2", False)
    assert presence.take_changes() == [(7, False)]
    assert not presence.change("3", True)


def test_presence_changes_during_a_read_win_over_it() -> None:
    presence = Presence()
    presence.replace([("1", 7, False), ("2", 8, True)])
    presence.take_changes()
    presence.begin_read()
    presence.change("1", True)
    presence.change("9", True)  # not known yet, but in what is being read
    presence.replace([("1", 7, False), ("2", 8, False), ("9", 9, False)])
    assert presence.online() == [7, 9]
    assert presence.take_changes() == [(7, True), (8, False), (9, True)]
    presence.replace([("1", 17, True)])  # moved to another vehicle
    assert presence.take_changes() == [(7, False), (9, False), (17, True)]


def test_a_full_board_keeps_what_presses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlarmBoard, "CAPACITY", 3)
    board = AlarmBoard()

    def row(number: int, **columns: Any) -> dict[str, Any]:
        return {
            "id": UUID(int=number), "vehicle_id": 1, "plate": "辽A1", "plate_color": 2, "phone": None, "rule": "gone",
            "severity": 3, "source": "platform", "state": "open", "late": False,
            "begin_time": T0 + timedelta(seconds=number), "end_time": None, "updated_time": T0, "latitude_deg": None,
            "longitude_deg": None, "speed_kmh": None, "facts": {}, "claimed_by": None, "claimed_by_name": None,
            "claimed_at": None, "handled_by": None, "handled_by_name": None, "handled_at": None, "handle_code": None,
            "handle_text": None,
        } | columns  # fmt: skip

    since = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [row(1), row(2), row(3, severity=1), row(4, late=True), row(5, state="handled", handled_at=T0), row(6)]
    told = board.take(rows, since)
    assert len(told) == 6
    assert {item["id"] for item in board.items()} == {str(UUID(int=n)) for n in (2, 3, 6)}
    assert board.dropped == 3
    assert board.items()[0]["rule_name"] == "gone"  # a rule nobody knows any more keeps its key

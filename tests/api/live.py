"""What the tests of the live hub share: a hub on a database that can go away, a clock of its own, a console."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

import store
from api import ApiSettings, Services
from api.live import Client, LiveHub
from fleet import AlarmChange, BatchStored, Bus, ChangeKind, PositionBatch, SessionChange
from tests.api.support import T0, Seed, us


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

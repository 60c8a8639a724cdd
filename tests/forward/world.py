"""A database, a bus, a superior platform and a forwarder, joined as in production; the pipeline is played by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from fleet import BatchStored, Bus, Commit, PositionBatch
from forward import Forwarder, ForwarderConfig
from jt809 import BackoffPolicy
from simulators.arrivals import Key
from simulators.superior import Superior
from store import Database, Writer

START = datetime(2024, 5, 1, 0, 0, 0, tzinfo=UTC)
CODE = 12345678

QUICK = ForwarderConfig(
    port=0,
    barrier_s=0.02,
    history_per_s=1e6,
    retry_s=0.02,
    facts_every_s=0.0,
    backoff=BackoffPolicy(first_s=0.02, longest_s=0.05, refused_s=0.02),
)


def batch_of(rows: Sequence[tuple[int, int]], *, late: Sequence[bool] | None = None, **columns: Any) -> PositionBatch:
    """Positions of (vehicle id, seconds after START); everything else follows from the two."""
    vehicle = np.array([row[0] for row in rows], np.int32)
    second = np.array([row[1] for row in rows], np.int64)
    n = len(rows)
    batch = PositionBatch(
        terminal_id=vehicle.copy(),
        vehicle_id=vehicle,
        time_us=int(START.timestamp()) * 1_000_000 + second * 1_000_000,
        received_us=int(START.timestamp()) * 1_000_000 + second * 1_000_000 + 300_000,
        latitude_deg=41.8 + vehicle * 1e-3 + second * 1e-6,
        longitude_deg=123.4 + second * 1e-5,
        altitude_m=np.full(n, 43, np.int32),
        speed_kmh=(second % 120 + 0.4).astype(np.float32),
        heading_deg=(second % 360).astype(np.int32),
        alarm_flags=np.zeros(n, np.int64),
        status_flags=np.full(n, 3, np.int64),
        late=np.array(late if late is not None else [False] * n, np.bool_),
        fix_hash=vehicle.astype(np.int64) * 1_000_003 + second,
        message_id=np.full(n, 0x0200, np.int32),
        items={"mileage_km": second / 10.0},
        present={"mileage_km": np.ones(n, np.bool_)},
    )
    return replace(batch, **columns)


@dataclass
class World:
    database: Database
    superior: Superior
    bus: Bus = field(default_factory=Bus)
    config: ForwarderConfig = QUICK
    journal: str = "local"
    offset: int = 0
    plates: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = Writer(self.database)
        self.forwarder = Forwarder(self.database, self.bus, self.config)

    async def execute(self, statement: str, *arguments: object) -> Any:
        """The first row of the answer, or None."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(statement.encode(), arguments or None)
            return await cursor.fetchone() if cursor.description else None

    async def add_vehicles(self, *plates: str, color: int = 2) -> list[int]:
        """Vehicles with a terminal each; ids run from 1."""
        ids = []
        for plate in plates:
            (id,) = await self.execute(
                "INSERT INTO vehicles (plate, plate_color) VALUES (%s, %s) RETURNING id", plate, color
            )
            await self.execute(
                "INSERT INTO terminals (phone, vehicle_id, manufacturer_id, terminal_model, terminal_id)"
                " VALUES (%s, %s, '70111', 'RW-200', 'abc1234')", f"1390000{id:04d}", id,
            )  # fmt: skip
            self.plates[id] = plate
            ids.append(id)
        return ids

    async def add_platform(self, name: str = "省平台", **columns: object) -> int:
        values = {
            "name": name, "host": "127.0.0.1", "port": self.superior.port, "access_code": CODE, "user_id": 888888,
            "password": "passwd01", "platform_id": "21010000001",
        } | columns  # fmt: skip
        (id,) = await self.execute(
            f"INSERT INTO platforms ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",
            *values.values(),
        )
        return int(id)

    async def link(self, *plates: str, **platform: object) -> list[int]:
        """Vehicles with these plates, one platform, and both links up; the vehicles' ids."""
        vehicles = await self.add_vehicles(*plates)
        await self.add_platform(**platform)  # type: ignore[arg-type]
        await self.forwarder.start()
        await self.up()
        return vehicles

    async def restart(self) -> None:
        """A new forwarder after the one before was stopped: it knows what that one wrote down."""
        self.forwarder = Forwarder(self.database, self.bus, self.config)
        await self.forwarder.start()

    async def store(self, batch: PositionBatch, *, publish: bool = True, groups: int = 1) -> BatchStored:
        """Commit as the pipeline does, then tell the bus."""
        first, self.offset = self.offset + 1, self.offset + groups
        stored = await self.writer.commit(Commit(self.journal, self.offset, batch))
        before = self.writer.begins_after
        event = BatchStored(self.journal, before + first, before + self.offset, batch.take(stored.fresh))
        if publish:
            self.bus.publish(event)
        return event

    @property
    def reached(self) -> int:
        """How far is stored, as cursors count it."""
        return self.writer.begins_after + self.offset

    async def keys(self) -> set[Key]:
        """What is stored, as the superior platform would name it."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT v.plate, v.plate_color, p.time FROM positions p JOIN vehicles v ON v.id = p.vehicle_id"
            )
            return {(plate, color, time) for plate, color, time in await cursor.fetchall()}

    async def cursor(self, platform_id: int = 1) -> int | None:
        row = await self.execute('SELECT "offset" FROM forward_cursors WHERE platform_id = %s', platform_id)
        return None if row is None else int(row[0])

    async def log(self) -> list[tuple[str, str, str]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute("SELECT link, event, detail FROM platform_link_log ORDER BY id")
            return [(link, event, detail) for link, event, detail in await cursor.fetchall()]

    async def logged(self, *wanted: tuple[str, str]) -> None:
        """The link log holds these (link, event)."""

        async def holds() -> bool:
            return {(link, event) for link, event, _ in await self.log()} >= set(wanted)

        await eventually_async(holds)

    @property
    def status(self) -> dict[str, Any]:
        (status,) = self.forwarder.status()
        return status

    async def up(self) -> None:
        """Both links are up and the sender has taken its place (its cursor is in the table)."""
        await eventually(lambda: [s["main"] + s["sub"] for s in self.forwarder.status()] == ["upup"])
        await eventually(lambda: self.sender._session_on is not None)

    @property
    def sender(self) -> Any:
        ((link, _),) = self.forwarder._platforms.values()
        return link.sender

    async def arrived(self) -> None:
        """Everything stored has reached the superior platform."""
        wanted = await self.keys()
        await eventually(lambda: set(self.superior.positions) >= wanted)
        assert set(self.superior.positions) == wanted

    async def confirmed(self) -> None:
        """The cursor in the table stands at the newest offset."""
        await eventually(lambda: self.sender.cursor == self.reached)

        async def saved() -> bool:
            return await self.cursor() == self.reached

        await eventually_async(saved)


@asynccontextmanager
async def world(database: Database, config: ForwarderConfig = QUICK, **superior: Any) -> AsyncIterator[World]:
    """The forwarder does not run yet: ``await world.forwarder.start()``."""
    peer = Superior(sub_link_pause_s=0.02, **superior)
    await peer.start()
    made = World(database, peer, config=config)
    try:
        yield made
    finally:
        await made.forwarder.stop()
        await peer.stop()


async def eventually(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)


async def eventually_async(condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)

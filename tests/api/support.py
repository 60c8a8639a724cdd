"""What the API tests share: rows to begin with, and clients that are signed in."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import numpy as np
from argon2 import PasswordHasher
from fastapi import FastAPI

import fleet
import store
from fleet import Commit, PositionBatch

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes fast enough for tests; verifying takes its cost from the hash."""
T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

_tokens = itertools.count()


def us(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Seed:
    """Puts rows into the database, past the API."""

    def __init__(self, database: store.Database) -> None:
        self.database = database
        self.writer = store.Writer(database)
        self.offset = 0

    async def one(self, query: str, *arguments: Any) -> Any:
        """The first column of the only row."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(query.encode(), arguments)
            row = await cursor.fetchone()
        return row[0] if row else None

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(query.encode(), arguments)
            return await cursor.fetchall()

    async def run(self, query: str, *arguments: Any) -> None:
        async with self.database.connection() as connection:
            await connection.execute(query.encode(), arguments)

    async def user(self, role: str, username: str = "", display_name: str = "", disabled: bool = False) -> int:
        return await self.one(
            "INSERT INTO users (username, display_name, role, password_hash, disabled) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id",
            username or role, display_name, role, CHEAP.hash(PASSWORD), disabled,
        )  # fmt: skip

    async def session(self, user_id: int, lifetime_s: float = 3600.0) -> str:
        """A signed-in session's cookie."""
        token = f"token-{next(_tokens)}"
        await self.run(
            "INSERT INTO user_sessions (token_hash, user_id, expires_at)"
            " VALUES (%s, %s, now() + make_interval(secs => %s))",
            hashlib.sha256(token.encode()).digest(), user_id, lifetime_s,
        )  # fmt: skip
        return token

    async def vehicle(self, plate: str, plate_color: int = 2, **columns: Any) -> int:
        names = ["plate", "plate_color", *columns]
        return await self.one(
            f"INSERT INTO vehicles ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))}) RETURNING id",
            plate, plate_color, *columns.values(),
        )  # fmt: skip

    async def terminal(
        self, phone: str, vehicle_id: int | None = None, standing: str = "approved", online: bool | None = None
    ) -> int:
        terminal_id = await self.one(
            "INSERT INTO terminals (phone, vehicle_id, standing) VALUES (%s, %s, %s) RETURNING id",
            phone, vehicle_id, standing,
        )  # fmt: skip
        if vehicle_id is not None:
            await self.run("INSERT INTO terminal_bindings VALUES (%s, to_timestamp(0), %s)", terminal_id, vehicle_id)
        if online is not None:
            await self.presence(phone, online)
        return terminal_id

    async def presence(self, phone: str, online: bool) -> None:
        await self.run(
            "INSERT INTO terminal_presence VALUES (%s, %s, now(), '127.0.0.1:1', 'tcp', '2019', '')"
            " ON CONFLICT (phone) DO UPDATE SET online = excluded.online",
            phone, online,
        )  # fmt: skip

    async def positions(self, batch: PositionBatch) -> PositionBatch:
        """Store a batch as the pipeline does."""
        self.offset += 1
        await self.writer.commit(Commit("test", self.offset, positions=batch))
        return batch

    async def alarm(self, vehicle_id: int, begin: datetime = T0, **columns: Any) -> UUID:
        values = {
            "rule": "overspeed", "severity": 3, "source": "platform", "late": False, "state": "open",
            "updated_time": begin,
        } | columns  # fmt: skip
        alarm_id = fleet.alarm_id(vehicle_id, values["rule"], us(begin))
        await self.run(
            f"INSERT INTO alarms (id, vehicle_id, begin_time, {', '.join(values)})"
            f" VALUES (%s, %s, %s{', %s' * len(values)})",
            alarm_id, vehicle_id, begin, *values.values(),
        )  # fmt: skip
        return alarm_id


def batch(*fixes: tuple[int, datetime, float], terminal_id: int = 1, **columns: Any) -> PositionBatch:
    """A batch of (vehicle_id, time, speed) near Shenyang, received two seconds after; further columns by name."""
    n = len(fixes)
    times = np.array([us(time) for _, time, _ in fixes], np.int64)
    made = PositionBatch(
        terminal_id=np.full(n, terminal_id, np.int32),
        vehicle_id=np.array([vehicle_id for vehicle_id, _, _ in fixes], np.int32),
        time_us=times,
        received_us=times + 2_000_000,
        latitude_deg=np.full(n, 41.8),
        longitude_deg=np.full(n, 123.4),
        altitude_m=np.full(n, 50, np.int32),
        speed_kmh=np.array([speed for _, _, speed in fixes], np.float32),
        heading_deg=np.full(n, 90, np.int32),
        alarm_flags=np.zeros(n, np.int64),
        status_flags=np.full(n, 3, np.int64),
        late=np.zeros(n, np.bool_),
        fix_hash=np.arange(n, dtype=np.int64) + times % 1000,
        message_id=np.full(n, 0x0200, np.int32),
    )
    for name, value in columns.items():
        setattr(made, name, value)
    return made


class Api:
    """An application and its clients, one per user."""

    def __init__(self, app: FastAPI, seed: Seed) -> None:
        self.app = app
        self.seed = seed

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=("192.0.2.7", 50000)),
            base_url="http://centre.example",
            cookies={"roadwarden_session": token} if token else None,
            headers=headers,
        )

    async def signed_in(self, role: str, username: str = "") -> httpx.AsyncClient:
        """A client signed in as a new user of this role."""
        user_id = await self.seed.user(role, username)
        client = self.client(await self.seed.session(user_id))
        client.headers["x-user-id"] = str(user_id)
        return client


def assert_problem(response: httpx.Response, status: int, kind: str, *words: str) -> dict[str, Any]:
    """The answer is a problem document of this status and kind, and its detail names these words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"] == f"urn:roadwarden:problem:{kind}"
    for word in words:
        assert word in problem["detail"], problem
    return problem

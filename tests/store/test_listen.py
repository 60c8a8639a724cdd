"""store.listen: heard again after every loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

import store
from store.embedded import EmbeddedPostgres
from tests.postgres import FAST


class Ear:
    """A running listener and what it heard."""

    def __init__(self, dsn: str, *channels: str) -> None:
        self.heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.connected: asyncio.Queue[int] = asyncio.Queue()
        self.listener = store.Listener(dsn, channels, self._hear, self._connect, quiet_s=0.2)

    async def _hear(self, channel: str, payload: str) -> None:
        self.heard.put_nowait((channel, payload))
        if payload == "fail":
            raise RuntimeError("on purpose")

    def _connect(self) -> None:
        self.connected.put_nowait(self.listener.connects)


@asynccontextmanager
async def listening(dsn: str, *channels: str) -> AsyncIterator[Ear]:
    ear = Ear(dsn, *channels)
    task = asyncio.create_task(ear.listener.run())
    try:
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not ear.listener.connected


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


async def test_notifications_arrive_in_order(dsn: str) -> None:
    async with listening(dsn, "roadwarden_fleet", "other channel") as ear:
        assert await ear.connected.get() == 1
        execute(dsn, "INSERT INTO vehicles (plate) VALUES ('')")
        execute(dsn, "NOTIFY \"other channel\", 'x'")
        execute(dsn, "NOTIFY somewhere_else, 'y'")
        execute(dsn, "INSERT INTO geofences (name, shape) VALUES ('a', 'circle')")
        heard = [await ear.heard.get() for _ in range(3)]
    assert heard == [("roadwarden_fleet", "vehicles"), ("other channel", "x"), ("roadwarden_fleet", "geofences")]


async def test_a_callback_that_fails_does_not_end_the_listening(
    postgresql_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(postgresql_dsn, "a") as ear:
        await ear.connected.get()
        execute(postgresql_dsn, "NOTIFY a, 'fail'")
        execute(postgresql_dsn, "NOTIFY a, 'next'")
        assert [await ear.heard.get() for _ in range(2)] == [("a", "fail"), ("a", "next")]
        assert ear.listener.connects == 1
    assert "a callback of the listener failed" in caplog.text


async def test_a_connection_that_is_cut_comes_back(postgresql_dsn: str) -> None:
    async with listening(postgresql_dsn, "a") as ear:
        assert await ear.connected.get() == 1
        execute(
            postgresql_dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'roadwarden listener' "
            "AND datname = current_database()",
        )
        assert await ear.connected.get() == 2
        execute(postgresql_dsn, "NOTIFY a, 'again'")
        assert await ear.heard.get() == ("a", "again")


@pytest.mark.slow
async def test_a_server_that_is_started_again(spare_server: Callable[..., EmbeddedPostgres]) -> None:
    server = spare_server(settings=FAST)
    dsn = await asyncio.to_thread(server.start)
    async with listening(dsn, "a") as ear:
        assert await ear.connected.get() == 1
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert await ear.connected.get() == 2
        execute(dsn, "NOTIFY a, 'again'")
        assert await ear.heard.get() == ("a", "again")

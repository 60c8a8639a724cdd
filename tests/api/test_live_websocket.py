"""The live stream over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import store
from api import ApiSettings, Services, create_app, live_routes
from api.live import LiveHub
from fleet import BatchStored
from tests.api.live import FakeTime, until
from tests.api.support import T0, Seed, batch


class Centre:
    """A served application whose hub ticks when told."""

    def __init__(self, app: FastAPI, seed: Seed, port: int) -> None:
        self.app = app
        self.seed = seed
        self.port = port

    @property
    def hub(self) -> LiveHub:
        hub: LiveHub = self.app.state.hub
        return hub

    @asynccontextmanager
    async def live(
        self, token: str | None, origin: str | None = None, **options: Any
    ) -> AsyncIterator[ClientConnection]:
        headers = {"Cookie": f"roadwarden_session={token}"} if token else {}
        url = f"ws://127.0.0.1:{self.port}/api/v1/live"
        async with connect(url, additional_headers=headers, origin=origin, **options) as websocket:
            yield websocket

    async def token(self, role: str = "viewer") -> str:
        return await self.seed.session(await self.seed.user(role))


@asynccontextmanager
async def serve(database: store.Database, folder: Path, **settings: Any) -> AsyncIterator[Centre]:
    services = Services(database, settings=ApiSettings(**settings))
    app = create_app(services, console=folder)
    time = FakeTime()
    app.state.hub = LiveHub(services, now=time.now, sleep=time.sleep)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, lifespan="on", ws="websockets-sansio", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started and app.state.hub.primed == 1)
            yield Centre(app, Seed(database), listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def centre(postgresql_database: store.Database, tmp_path: Path) -> AsyncIterator[Centre]:
    async with serve(
        postgresql_database, tmp_path, live_client_queue=3, max_live_clients=2, session_check_s=0.02
    ) as made:
        yield made


async def closed_with(websocket: ClientConnection) -> int | None:
    """Read to the end; the code it was closed with."""
    async with asyncio.timeout(60):
        try:
            while True:
                await websocket.recv()
        except ConnectionClosed:
            return websocket.close_code


async def test_snapshot_then_deltas(centre: Centre) -> None:
    vehicle_id = await centre.seed.vehicle("辽A1")
    async with centre.live(await centre.token()) as websocket:
        snapshot = await websocket.recv()
        assert isinstance(snapshot, str)  # a text frame
        assert json.loads(snapshot)["type"] == "snapshot"
        centre.app.state.services.bus.publish(BatchStored("main", 1, 1, batch((vehicle_id, T0, 42.0))))
        await until(lambda: bool(centre.hub._moved))
        centre.hub.tick()
        delta = json.loads(await websocket.recv())
        assert (delta["type"], delta["seq"]) == ("delta", json.loads(snapshot)["seq"] + 1)
        assert delta["positions"][0][6] == 42.0
        await websocket.send("consoles have nothing to say, and nobody minds")
        centre.hub.tick()
        assert json.loads(await websocket.recv())["seq"] == delta["seq"] + 1
    await until(lambda: centre.hub.counters()["clients"] == 0)


async def test_who_is_not_signed_in_is_told_so(centre: Centre) -> None:
    for token in (None, "made up"):
        async with centre.live(token) as websocket:
            assert await closed_with(websocket) == 4401


async def test_a_sign_in_that_ends_ends_the_stream(centre: Centre) -> None:
    async with centre.live(await centre.token()) as websocket:
        await websocket.recv()
        await centre.seed.run("UPDATE user_sessions SET expires_at = now()")
        assert await closed_with(websocket) == 4401
    await until(lambda: centre.hub.counters()["clients"] == 0)


async def test_pages_of_other_origins_do_not_listen(centre: Centre) -> None:
    token = await centre.token()
    with pytest.raises(InvalidStatus) as refused:
        async with centre.live(token, origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with centre.live(token, origin=f"http://127.0.0.1:{centre.port}") as websocket:
        assert json.loads(await websocket.recv())["type"] == "snapshot"


async def test_too_many_consoles(centre: Centre) -> None:
    token = await centre.token()
    async with centre.live(token) as one, centre.live(token) as two:
        await one.recv()
        await two.recv()
        async with centre.live(token) as three:
            assert await closed_with(three) == 1013
    assert centre.hub.turned_away == 1


async def test_a_console_that_does_not_read_is_cut_off(centre: Centre) -> None:
    token = await centre.token()
    fleet = [(vehicle_id, float(vehicle_id)) for vehicle_id in range(20_000)]
    async with centre.live(token, max_queue=1, max_size=None) as slow:
        await until(lambda: len(centre.hub._clients) == 1)
        slow_client = next(iter(centre.hub._clients))
        for second in range(200):
            time = T0 + timedelta(seconds=second)
            centre.hub.take(BatchStored("main", 1, 1, batch(*[(v, time, speed) for v, speed in fleet])))
            centre.hub.tick()
            await asyncio.sleep(0)
            if slow_client.overrun.is_set():
                break
        assert slow_client.overrun.is_set()
        assert await closed_with(slow) == 4008
    await until(lambda: centre.hub.too_slow == 1)
    async with centre.live(token, max_size=None) as websocket:  # and back it comes, with a snapshot
        assert json.loads(await websocket.recv())["type"] == "snapshot"


async def test_without_a_database_the_stream_goes_on(
    postgresql_database: store.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, failed = live_routes._is_signed_in, list[Exception]()

    async def noted(*asked: Any) -> bool:
        try:
            return await check(*asked)
        except psycopg.OperationalError as error:
            failed.append(error)
            raise

    monkeypatch.setattr(live_routes, "_is_signed_in", noted)
    async with (
        serve(postgresql_database, tmp_path, session_check_s=0.02) as centre,
        centre.live(await centre.token()) as one,
    ):
        await one.recv()
        await postgresql_database.close()
        centre.hub.tick()
        assert json.loads(await one.recv())["stats"]["database"] == "down"
        await until(lambda: len(failed) >= 2)  # the sign-in could not be checked, and nobody is signed out
        centre.hub.tick()
        assert json.loads(await one.recv())["type"] == "delta"
        async with centre.live("whoever") as other:
            assert await closed_with(other) == 1013

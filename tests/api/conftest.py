"""An application on a real database, and clients in the three roles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import store
from api import Services, create_app
from fleet import Bus
from tests.api.live import World
from tests.api.support import Api, Seed


@pytest.fixture
def seed(postgresql_database: store.Database) -> Seed:
    return Seed(postgresql_database)


@pytest.fixture
def services(postgresql_database: store.Database) -> Services:
    return Services(postgresql_database, Bus())


@pytest.fixture
def api(services: Services, seed: Seed, tmp_path: Path) -> Api:
    return Api(create_app(services, console=tmp_path), seed)


@pytest.fixture
async def viewer(api: Api) -> httpx.AsyncClient:
    return await api.signed_in("viewer")


@pytest.fixture
async def operator(api: Api) -> httpx.AsyncClient:
    return await api.signed_in("operator")


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.signed_in("admin")


@pytest.fixture
async def world(postgresql_database: store.Database) -> AsyncIterator[World]:
    """A live hub; a console's queue holds five frames."""
    world = World(postgresql_database, live_client_queue=5)
    yield world
    await world.hub.stop()

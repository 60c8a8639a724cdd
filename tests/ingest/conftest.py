"""A running gateway, a pipeline between a real journal and a real database, a desk for commands: for whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import Database
from tests.ingest.command_desk import Bench
from tests.ingest.terminals import Site, running
from tests.ingest.world import World


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A gateway open to whoever registers; its data lie in ``tmp_path``."""
    async with running(tmp_path) as site:
        yield site


@pytest.fixture
async def world(tmp_path: Path, database: Database) -> AsyncIterator[World]:
    """On each back end."""
    world = World(tmp_path, database)
    yield world
    world.close()


@pytest.fixture
async def one(tmp_path: Path, postgresql_database: Database) -> AsyncIterator[World]:
    """On plain PostgreSQL, for what cannot depend on the back end."""
    world = World(tmp_path, postgresql_database)
    yield world
    world.close()


@pytest.fixture
async def bench(postgresql_database: Database) -> Bench:
    return Bench(postgresql_database)

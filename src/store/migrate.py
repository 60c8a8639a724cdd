"""Numbered SQL migrations, forward only: ``store/migrations/NNNN_what.sql``, each applied once, beside servers at work.

What stands in ``schema_migrations`` must fit what this program carries, with the same content: an edited or missing
file is refused before anything is changed. A database that is *newer* is fine as long as what came since only adds
(expand): programs of before go on with what they know. A file that takes away has ``_contract_`` in its name, and
programs that do not know it refuse.

Whoever waits for a lock makes all wait who come after, so a migration waits half a second at most and then steps back
for a while. A file that begins with ``-- outside a transaction`` is run a statement at a time, for CREATE INDEX
CONCURRENTLY; each of its statements must bear being done again. docs/decisions/0017.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import psycopg

from store import partitions
from store.errors import MigrationError
from store.pool import liveness

logger = logging.getLogger(__name__)

LOCK_KEY: Final = 0x726F6164_77617264  # "roadward": one migration at a time, whoever starts it
LOCK_TIMEOUT: Final = "500ms"  # nobody waits longer than this behind us
PATIENCE_S: Final = 300.0  # how long the locks of one file are tried for
FIRST_PAUSE_S: Final = 0.5  # no shorter than the lock's timeout: others have their turn at least half of the time
LONGEST_PAUSE_S: Final = 5.0
POLL_S: Final = 0.2
CONNECT_S: Final = 10
OLDEST_SERVER: Final = 14  # the newest thing we need is its multirange types
OUTSIDE: Final = "-- outside a transaction"
CONTRACT: Final = "contract_"
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_CONCURRENT_INDEX: Final = re.compile(r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+(\w+)", re.I)
_BUSY: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``checksum`` is the SHA-256 of its text, hex."""

    version: int
    name: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.version:04d}_{self.name}"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """The migrations that this program carries, in order."""
    folder = resources.files("store") / "migrations"
    return parse_migrations([(file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.is_file()])


def parse_migrations(files: Sequence[tuple[str, str]]) -> list[Migration]:
    """Order ``(file name, text)`` pairs and check them: 0001, 0002, ... without gap or twin.

    Raises:  MigrationError: naming the file.
    """
    found: list[Migration] = []
    for file_name, text in sorted(files):
        match = _NAME.fullmatch(file_name)
        if match is None:
            raise MigrationError(f"{file_name} is not named like 0001_what.sql")
        found.append(Migration(int(match[1]), match[2], text))
        if found[-1].version != len(found):
            raise MigrationError(f"{file_name} stands where number {len(found):04d} is due")
    return found


def migrate(
    dsn: str, migrations: Sequence[Migration] | None = None, *, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Bring the schema up to date and return what was applied now, like ``0001_initial``.

    Blocking; safe to call from several processes at once, and while servers read and write.

    Chooses how positions are cut by time when the schema is first made (``store.partitions``), and keeps to it.

    Raises:  MigrationError: the server is too old, the database does not fit these migrations, one of them fails
             (nothing of it stays), or its locks are not to be had.
             psycopg.OperationalError: the database is away.
    """
    wanted = load_migrations() if migrations is None else list(migrations)
    applied: list[str] = []
    with psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_S, **liveness(dsn)) as connection:
        if (version := connection.info.server_version // 10_000) < OLDEST_SERVER:
            raise MigrationError(f"PostgreSQL {OLDEST_SERVER} or newer is needed; the server is {version}")
        _be_alone(connection, sleep)
        try:
            for migration in wanted[_applied_of(connection, wanted) :]:
                _patiently(connection, migration, sleep)
                applied.append(migration.label)
            partitions.prepare(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise MigrationError(f"this account may not change the schema: {error.diag.message_primary}") from error
    return applied


def pending_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """What ``migrate`` would apply, like ``0001_initial``.

    Raises:  MigrationError: as ``migrate``.
    """
    wanted = load_migrations()
    if not _has_table(connection):
        return [migration.label for migration in wanted]
    return [migration.label for migration in wanted[_check_applied(connection, wanted) :]]


def _be_alone(connection: psycopg.Connection[Any], sleep: Callable[[float], None]) -> None:
    """Have the lock of migrations. Asked for again and again: who waits for it inside a statement has a snapshot open,
    and CREATE INDEX CONCURRENTLY waits for the snapshots of others."""
    is_told = False
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone() != (True,):
        if not is_told:
            logger.info("somebody else is changing the schema; waiting")
            is_told = True
        sleep(POLL_S)


def _has_table(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone() == (True,)


def _applied_of(connection: psycopg.Connection[Any], wanted: Sequence[Migration]) -> int:
    # Looked for first: CREATE TABLE IF NOT EXISTS asks for the right to make it, also when it is there.
    if not _has_table(connection):
        connection.execute(
            "CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    return _check_applied(connection, wanted)


def _check_applied(connection: psycopg.Connection[Any], wanted: Sequence[Migration]) -> int:
    """How many of ``wanted`` are applied, having seen that those are the same."""
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version").fetchall()
    for (version, name, checksum), migration in zip(rows, wanted, strict=False):
        if (version, name) != (migration.version, migration.name):
            raise MigrationError(f"the database has {version:04d}_{name} where this program has {migration.label}")
        if checksum != migration.checksum:
            raise MigrationError(
                f"migration {version:04d}_{name} was changed after it was applied; applied files are never edited, "
                f"a change is a new file"
            )
    newer = [f"{version:04d}_{name}" for version, name, _ in rows[len(wanted) :]]
    for label in newer:
        if label[5:].startswith(CONTRACT):
            raise MigrationError(
                f"the database has migration {label}, which this program does not know and which takes something away: "
                f"it was written by a newer version; run that one"
            )
    if newer:
        logger.warning(
            "the schema is newer than this program (%s was applied); it only adds, so this program goes on with what "
            "it knows", ", ".join(newer),
        )  # fmt: skip
    return min(len(rows), len(wanted))


def _patiently(connection: psycopg.Connection[Any], migration: Migration, sleep: Callable[[float], None]) -> None:
    """Apply it, stepping back while others hold what it needs."""
    waited_s, pause_s = 0.0, FIRST_PAUSE_S
    while True:
        try:
            _apply(connection, migration)
        except _BUSY as error:
            if waited_s >= PATIENCE_S:
                raise MigrationError(
                    f"migration {migration.label} could not have its locks for {PATIENCE_S:g} s, nothing of it was "
                    f"done: {_who_holds_on(connection)}"
                ) from error
            if not waited_s:
                logger.warning("migration %s waits for a quiet moment: %s", migration.label, _who_holds_on(connection))
            sleep(pause_s)
            waited_s += pause_s
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            logger.info("applied migration %s", migration.label)
            return


def _who_holds_on(connection: psycopg.Connection[Any]) -> str:
    """The transactions that have been open for longest, for people."""
    rows = connection.execute(
        "SELECT pid, application_name, extract(epoch FROM now() - xact_start)::int FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL "
        "ORDER BY xact_start LIMIT 3"
    ).fetchall()
    told = ", ".join(f"{name or 'somebody'} (pid {pid}) for {seconds} s" for pid, name, seconds in rows)
    return f"open transactions: {told}" if told else "no transaction is open now"


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    text = partitions.adapt(connection, migration.text)
    try:
        if text.startswith(OUTSIDE):
            _run_outside(connection, text)
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
            if not text.startswith(OUTSIDE):
                connection.execute(text.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege):
        raise
    except psycopg.Error as error:
        raise MigrationError(f"migration {migration.label} failed: {error}") from error


def _run_outside(connection: psycopg.Connection[Any], text: str) -> None:
    """A statement at a time. What CREATE INDEX CONCURRENTLY left half made is taken away first."""
    for name in _CONCURRENT_INDEX.findall(text):
        found = connection.execute(
            "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (name,)
        ).fetchone()
        if found == (True,):
            connection.execute(f"DROP INDEX CONCURRENTLY {name}".encode())
    for statement in text.split(";\n"):
        if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
            connection.execute(statement.encode())

"""Numbered SQL migrations, forward only: ``store/migrations/NNNN_what.sql``, each applied once, in one transaction.

What stands in ``schema_migrations`` must be a beginning of what this program carries, with the same content: an edited
or missing file, or a database written by a newer program, is refused before anything is changed.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import psycopg

from store import partitions
from store.errors import MigrationError

logger = logging.getLogger(__name__)

LOCK_KEY: Final = 0x726F6164_77617264  # "roadward": one migration at a time, whoever starts it
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


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


def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the schema up to date and return what was applied now, like ``0001_initial``.

    Blocking; safe to call from several processes at once.

    Chooses how positions are cut by time when the schema is first made (``store.partitions``), and keeps to it.

    Raises:  MigrationError: the database does not fit these migrations, or one of them fails (nothing of it stays).
             psycopg.OperationalError: the database is away.
    """
    wanted = load_migrations() if migrations is None else list(migrations)
    applied: list[str] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for migration in wanted[_check_applied(connection, wanted) :]:
            _apply(connection, migration)
            applied.append(migration.label)
        partitions.prepare(connection)
    return applied


def pending_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """What ``migrate`` would apply, like ``0001_initial``.

    Raises:  MigrationError: as ``migrate``.
    """
    wanted = load_migrations()
    if connection.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,):
        return [migration.label for migration in wanted]
    return [migration.label for migration in wanted[_check_applied(connection, wanted) :]]


def _check_applied(connection: psycopg.Connection[Any], wanted: Sequence[Migration]) -> int:
    """How many of ``wanted`` are applied, having seen that those are the same."""
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version").fetchall()
    if len(rows) > len(wanted):
        version, name, _ = rows[len(wanted)]
        raise MigrationError(
            f"the database has migration {version:04d}_{name}, which this program does not know: "
            f"it was written by a newer version; run that one"
        )
    for (version, name, checksum), migration in zip(rows, wanted, strict=False):
        if (version, name) != (migration.version, migration.name):
            raise MigrationError(f"the database has {version:04d}_{name} where this program has {migration.label}")
        if checksum != migration.checksum:
            raise MigrationError(
                f"migration {version:04d}_{name} was changed after it was applied; applied files are never edited, "
                f"a change is a new file"
            )
    return len(rows)


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    text = partitions.adapt(connection, migration.text)
    try:
        with connection.transaction():
            connection.execute(text.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationError(f"migration {migration.label} failed: {error}") from error
    logger.info("applied migration %s", migration.label)

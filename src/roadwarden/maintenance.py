"""`roadwarden migrate`, `backup`, `restore`: what is done to the whole database, and the files with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import store
from roadwarden.file_archive import Archived, Files, archive_of, make_private, pack, unpack
from roadwarden.parts import firmware_folder, media_path
from roadwarden.process import AlreadyRunning, Lock
from roadwarden.settings import Settings
from store.cluster import SUPERUSER, wheel_bin_dir
from store.embedded import EmbeddedPostgres
from store.media_folder import MediaFolder


@contextlib.contextmanager
def database(settings: Settings, *, make: bool = False) -> Iterator[str]:
    """The database's DSN. The embedded one is started for the time, unless a running server has it open already; it is
    made only for who says so: a command in the wrong folder must not answer from a new, empty one.

    Raises:  store.StoreError: there is none, or it cannot be started.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    if not make and not has_embedded(settings):
        raise store.StoreError(
            f"there is no database in {settings.data_dir} yet: set ROADWARDEN_DATA_DIR or ROADWARDEN_DATABASE_URL "
            "as the server has it"
        )
    embedded = EmbeddedPostgres(settings.data_dir / "postgres", bin_dir=settings.postgres_bin)
    try:
        lock = Lock(settings.run_dir / "server.lock", wait_s=0)
    except AlreadyRunning:
        yield embedded.dsn
        return
    except OSError as error:
        raise store.StoreError(f"the data directory cannot be used: {error}") from error
    try:
        yield embedded.start()
    finally:
        embedded.stop()
        lock.release()


def has_embedded(settings: Settings) -> bool:
    """Was the embedded database made already? True also where nobody may look: whoever starts it says why."""
    try:
        return (settings.data_dir / "postgres" / "data").exists()
    except OSError:
        return True


def _fail(message: str) -> int:
    print(f"roadwarden: {message}", file=sys.stderr)
    return 1


def _run(program: str, arguments: list[str], dsn: str) -> None:
    """Run a client program on the database. Its password goes through the environment: arguments are for all to read.

    Raises:  store.StoreError: it failed, and has said why.
    """
    parts: dict[str, Any] = conninfo_to_dict(dsn)
    password = parts.pop("password", None)
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    done = subprocess.run([program, *arguments, f"--dbname={make_conninfo(**parts)}"], env=environment)
    if done.returncode:
        raise store.StoreError(f"{Path(program).name} ended with exit code {done.returncode}")


def _program(settings: Settings, name: str) -> str | None:
    """A PostgreSQL client program: of the embedded installation, else of the PATH."""
    with contextlib.suppress(store.StoreError):
        own = (settings.postgres_bin or wheel_bin_dir()) / name
        if own.exists():
            return str(own)
    return shutil.which(name)


def migrate(settings: Settings) -> int:
    try:
        with database(settings, make=True) as dsn:
            for name in store.migrate(dsn):
                print(f"applied {name}")
            print("the schema is up to date")
    except (store.StoreError, psycopg.Error) as error:
        return _fail(str(error))
    return 0


def _require_schema(dsn: str) -> None:
    """A dump of a database without our tables would look like a backup until the day it is needed.

    Raises:  store.StoreError: there are none; psycopg.Error.
    """
    with psycopg.connect(dsn) as connection:
        is_there = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone() == (True,)
    if not is_there:
        raise store.StoreError("the database is empty, there is nothing to back up: is it the server's?")


def backup(settings: Settings, target: Path, *, with_media: bool = True) -> int:
    """The database first, the files afterwards: what a row of the dump refers to is in the archive."""
    program = _program(settings, "pg_dump")
    if program is None:
        return _fail("pg_dump is not here: install PostgreSQL's client programs (Debian: postgresql-client)")
    if target.exists():
        return _fail(f"{target} exists; name a new file")
    partial = target.with_name(target.name + ".partial")
    try:
        with database(settings) as dsn:
            _require_schema(dsn)
            make_private(partial)
            _run(program, ["--format=custom", f"--file={partial}"], dsn)
    except (store.StoreError, psycopg.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        return _fail(f"backup failed: {error}")
    os.replace(partial, target)
    print(f"{target}: {target.stat().st_size:,} bytes")
    return _backup_files(settings, archive_of(target), with_media)


def _files(settings: Settings) -> Files:
    return Files(MediaFolder(media_path(settings)), firmware_folder(settings))


def _backup_files(settings: Settings, archive: Path, with_media: bool) -> int:
    files = _files(settings)
    if not with_media:
        print(f"left out: the media files in {files.media.root}")
    if next(files.names(with_media=with_media), None) is None:
        print("there are no files to go with it")
        return 0
    try:
        done = pack(files, archive, with_media=with_media)
    except OSError as error:
        return _fail(f"the files could not be written to {archive}: {error}; the database's dump is whole")
    print(f"{archive}: {_said(done)}")
    return 0


def _restore_files(settings: Settings, archive: Path) -> int:
    if not archive.is_file():
        print(f"no media and no firmware: there is no {archive}")
        return 0
    try:
        done = unpack(_files(settings), archive)
    except (OSError, tarfile.TarError) as error:
        return _fail(f"the database is restored, its files are not: {archive}: {error}")
    print(_said(done) + (f"; {done.wrong} wrong" if done.wrong else ""))
    return 0


def _said(done: Archived) -> str:
    return f"{done.media:,} media files, {done.firmware:,} firmware packages, {done.size_bytes:,} bytes"


def _fill(program: str, source: Path, dsn: str, *, is_embedded: bool) -> None:
    """Put a dump into the database.

    One of TimescaleDB has the extension's own tables in it. Only a superuser may fill those, and only between two calls
    (its manual: Logical backup). Of the embedded server we can be that; on another the DSN has to be one's.

    Raises:  store.StoreError, psycopg.Error: it went wrong; what is filled by then stays.
    """
    listed = subprocess.run([program, "--list", str(source)], capture_output=True, text=True, errors="replace")
    if listed.returncode:
        raise store.StoreError(f"{source} is no dump that can be read: {listed.stderr.strip()}")
    if " EXTENSION - timescaledb " not in listed.stdout:
        _run(program, ["--exit-on-error", "--no-owner", str(source)], dsn)
        return
    owner = ["--no-owner"]
    if is_embedded:
        dsn, owner = make_conninfo(dsn, user=SUPERUSER), []  # the tables stay the program's role's
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute("SELECT timescaledb_pre_restore()")
    _run(program, ["--exit-on-error", *owner, str(source)], dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT timescaledb_post_restore()")


def restore(settings: Settings, source: Path) -> int:
    program = _program(settings, "pg_restore")
    if program is None:
        return _fail("pg_restore is not here: install PostgreSQL's client programs (Debian: postgresql-client)")
    if not source.is_file():
        return _fail(f"{source}: no such file")
    try:
        with database(settings, make=True) as dsn:
            with psycopg.connect(dsn) as connection:
                found = connection.execute(
                    "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
                ).fetchone()
            if found and found[0]:
                return _fail("the database holds tables already; restore goes into an empty one")
            _fill(program, source, dsn, is_embedded=settings.database_url is None)
    except (store.StoreError, psycopg.Error, OSError) as error:
        return _fail(f"restore failed: {error}")
    print("restored")
    return _restore_files(settings, archive_of(source))

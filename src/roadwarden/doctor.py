"""`roadwarden doctor`: looks at what the server needs and says what to do."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg

import store
from fleet import CHINA
from ingest.certificates import tls_context
from roadwarden.maintenance import database, has_embedded
from roadwarden.process import AlreadyRunning, Lock
from roadwarden.settings import Settings
from store.cluster import wheel_bin_dir
from store.errors import in_short
from store.migrate import pending_migrations

CLOCK_TOLERANCE_S: Final = 5.0
ENOUGH_DISK_BYTES: Final = 5 * 1024**3
ENOUGH_FILES: Final = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    is_fine: bool
    says: str
    advice: str = ""


def is_running(settings: Settings) -> bool:
    try:
        Lock(settings.run_dir / "server.lock", wait_s=0).release()
    except AlreadyRunning:
        return True
    except OSError:  # check_data_dir says what is wrong with it
        return False
    return False


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x")
        with probe.open("rb") as file:
            os.fsync(file.fileno())
        probe.unlink()
    except OSError as error:
        yield Finding(
            "data directory", False, f"{folder}: {error.strerror}", "make it writable, or set ROADWARDEN_DATA_DIR"
        )
        return
    yield Finding("data directory", True, f"{folder} is writable")
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk", free >= ENOUGH_DISK_BYTES, f"{free / 1024**3:.1f} GiB free",
        "below 5 GiB: free some space; when it is full, reports are no longer answered (nothing answered is lost)",
    )  # fmt: skip


def check_ports(settings: Settings) -> Iterator[Finding]:
    running = is_running(settings)
    ports = (
        ("jt808", settings.jt808_port, (socket.SOCK_STREAM, socket.SOCK_DGRAM)),
        ("http", settings.http_port, (socket.SOCK_STREAM,)),
        ("jt809", settings.jt809_port, (socket.SOCK_STREAM,)),
        ("jt808_tls", settings.jt808_tls_port, (socket.SOCK_STREAM,)),
    )
    for name, port, kinds in ports:
        if port is None:
            continue
        if running:
            yield Finding(f"port {name}", True, f"{port}: the server is running")
            continue
        says, fine, advice = f"{settings.bind}:{port} is free", True, ""
        for kind in kinds:
            family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:  # UDP would share the port with whoever has it
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((settings.bind, port))
                except OSError as error:
                    fine, says = False, f"{settings.bind}:{port}: {error.strerror}"
                    advice = (
                        f"stop what uses it, or set ROADWARDEN_{name.upper()}_PORT; if it is the server, give this "
                    )
                    advice += "command its settings (ROADWARDEN_DATA_DIR)"
                    if error.errno == errno.EADDRNOTAVAIL:
                        advice = "this host has no such address: set ROADWARDEN_BIND"
        yield Finding(f"port {name}", fine, says, advice)


def check_clock(now: float | None = None) -> Iterator[Finding]:
    seconds = time.time() if now is None else now
    local = datetime.fromtimestamp(seconds, CHINA)
    yield Finding(
        "clock", local.year >= 2024, f"{local:%Y-%m-%d %H:%M:%S} in China",
        "the clock is wrong: fixes would be judged implausible; set it and run an NTP client",
    )  # fmt: skip


def check_files() -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Finding(
        "open files", limit >= ENOUGH_FILES, f"at most {limit}",
        "each terminal takes one: raise it (ulimit -n, or LimitNOFILE= in the unit)",
    )  # fmt: skip


def check_certificate(settings: Settings) -> Iterator[Finding]:
    if settings.jt808_tls_port is None or settings.jt808_tls_certificate is None:
        return
    advice = "see ROADWARDEN_JT808_TLS_CERTIFICATE and …_KEY"
    try:
        tls_context(settings.jt808_tls_certificate, settings.jt808_tls_key)
    except OSError as error:
        yield Finding("TLS certificate", False, str(error), advice)
    else:
        yield Finding("TLS certificate", True, f"{settings.jt808_tls_certificate} can be used")


def check_database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None and not has_embedded(settings):
        try:
            program = (settings.postgres_bin or wheel_bin_dir()) / "postgres"
            fine, says = program.exists(), f"none yet, the first start makes it with {program}"
            yield Finding("database", fine, says if fine else f"there is no {program}", "see ROADWARDEN_POSTGRES_BIN")
        except (store.StoreError, OSError) as error:
            yield Finding("database", False, str(error))
        return
    try:
        with database(settings) as dsn, psycopg.connect(dsn, connect_timeout=5) as connection:
            row = connection.execute("SELECT current_setting('server_version'), extract(epoch FROM now())").fetchone()
            assert row is not None
            yield Finding("database", True, f"PostgreSQL {row[0]}" + ("" if settings.database_url else ", embedded"))
            skew_s = abs(float(row[1]) - time.time())
            yield Finding(
                "database clock", skew_s <= CLOCK_TOLERANCE_S, f"{skew_s:.1f} s from ours",
                "the database server's clock differs from this host's: run NTP on both",
            )  # fmt: skip
            pending = pending_migrations(connection)
            yield Finding("schema", not pending, "up to date" if not pending else f"{len(pending)} migrations wait",
                          "`roadwarden serve` applies them by itself, or run `roadwarden migrate`")  # fmt: skip
    except (store.StoreError, psycopg.Error, OSError) as error:
        yield Finding("database", False, in_short(error),
                      "see ROADWARDEN_DATABASE_URL, or the embedded server's log in the data directory")  # fmt: skip


def check_console() -> Iterator[Finding]:
    import api

    built = (Path(api.__file__).parent / "console" / "index.html").exists()
    yield Finding("console", built, "built" if built else "not built", "run `make console`")


def doctor(settings: Settings) -> int:
    """Exit code 0 when all is fine, 1 otherwise."""
    findings = [
        *check_data_dir(settings),
        *check_ports(settings),
        *check_clock(),
        *check_files(),
        *check_certificate(settings),
        *check_database(settings),
        *check_console(),
    ]
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(f"{'✓' if finding.is_fine else '✗'} {finding.what:<{width}}  {finding.says}")
        if not finding.is_fine and finding.advice:
            print(f"  {'':<{width}}  → {finding.advice}")
    wrong = sum(not finding.is_fine for finding in findings)
    print("all is well" if not wrong else f"{wrong} to mend")
    return 1 if wrong else 0

"""`roadwarden serve` in a data directory of its own, for a benchmark."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from bench import processes
from store.embedded import EmbeddedPostgres

START_S: Final = 120.0
STOP_S: Final = 15.0


@dataclass
class Server:
    """A server that is ready: its addresses, its database, and the pids to account for."""

    pid: int
    host: str
    jt808_port: int
    dsn: str
    log: Path

    def role_pid(self, role: str) -> int:
        """Raises: RuntimeError: that role does not run."""
        for process in processes.tree(self.pid):
            if re.search(rf"roadwarden\.roles {role}\b", process.command):
                return process.pid
        raise RuntimeError(f"the server has no process {role}; its log: {self.log}")


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server on free loopback ports; stop it at the end.

    Raises: RuntimeError: it does not come up; the message shows the end of its log.
    """
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROADWARDEN_")} | {
        "ROADWARDEN_DATA_DIR": str(folder / "data"),
        "ROADWARDEN_BIND": "127.0.0.1",
        "ROADWARDEN_JT808_PORT": "0",
        "ROADWARDEN_HTTP_PORT": "0",
        "ROADWARDEN_JT809_PORT": "0",
        "ROADWARDEN_ENROLMENT": "open",
        "ROADWARDEN_JT808_MESSAGES_PER_S": "0",  # few links shall be able to load it
        "ROADWARDEN_ADMIN_PASSWORD": "benchmark",
    }
    for name in ("ROADWARDEN_DATABASE_URL", "ROADWARDEN_POSTGRES_BIN"):
        if name in os.environ:
            environment[name] = os.environ[name]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "roadwarden.cli", "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        addresses = _addresses(process, log)
        host, port = addresses["jt808"].rsplit(":", 1)
        _wait_ready(f"http://{addresses['http']}/readyz", log)
        dsn = environment.get("ROADWARDEN_DATABASE_URL") or EmbeddedPostgres(folder / "data" / "postgres").dsn
        yield Server(process.pid, host, int(port), dsn, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _addresses(process: subprocess.Popen[str], log: Path) -> dict[str, str]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening "):
            return dict(re.findall(r"(\w+)=(\S+)", line))
    raise RuntimeError(f"the server did not come up:\n{log.read_text()[-2000:]}")


def _wait_ready(address: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                raise RuntimeError(f"the server is not ready ({error}):\n{log.read_text()[-2000:]}") from error
            time.sleep(0.1)


def postmaster(connection: psycopg.Connection) -> int | None:
    """The database server's main process; None when it runs elsewhere."""
    backend = processes.read(connection.info.backend_pid)
    return backend.parent if backend and "postgres" in backend.command else None

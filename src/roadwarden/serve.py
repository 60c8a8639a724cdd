"""`roadwarden serve`: one process tree that keeps itself running.

The supervisor starts the embedded PostgreSQL (unless a server is given) and two roles, each in its own process and
each restartable alone: the *gateway* (terminals in, journal) and the *core* (pipeline, alarms, commands, 809, API).
What dies is started again; a port once chosen is kept. kill -9 of the supervisor ends the whole tree.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from roadwarden.process import AlreadyRunning, Child, Lock, heard
from roadwarden.settings import Settings
from store import EmbeddedPostgres, EmbeddedPostgresError

log = logging.getLogger("roadwarden.serve")

PREDECESSOR_S: Final = 60.0  # a server that was killed may still be writing its last checkpoint
POLL_S: Final = 0.2
STEADY_S: Final = 30.0  # ran this long: the next start comes at once again
ROLES: Final = ("gateway", "core")


@dataclass(slots=True)
class Role:
    """A child that has to run, and when it may be started next."""

    name: str
    child: Child | None = None
    starts: int = 0
    delay_s: float = 0.0
    next_start: float = 0.0
    ready: dict[str, Any] = field(default_factory=dict)


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roles = [Role(name) for name in ROLES]
        self._postgres: EmbeddedPostgres | None = None
        self._stopping = threading.Event()
        self._announced = False
        self._ports: dict[str, str] = {}

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        settings = self._settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            lock = Lock(settings.run_dir / "server.lock", PREDECESSOR_S)
        except AlreadyRunning as error:
            print(f"roadwarden: another server uses this data directory: {error}", file=sys.stderr)
            return 1
        try:
            if settings.database_url is None:
                self._postgres = EmbeddedPostgres(settings.data_dir / "postgres", bin_dir=settings.postgres_bin)
                self._postgres.start()
            while not self._stopping.is_set():
                self._keep_running()
                self._stopping.wait(POLL_S)
        except EmbeddedPostgresError as error:
            print(f"roadwarden: {error}", file=sys.stderr)
            return 1
        finally:
            self._stop()
            lock.release()
        return 0

    def _keep_running(self) -> None:
        now = time.monotonic()
        if self._postgres is not None and not self._postgres.is_alive():
            log.error("PostgreSQL ended; starting it again")
            try:
                self._postgres.start()
            except EmbeddedPostgresError as error:
                log.error("PostgreSQL does not start: %s", error)
        for role in self._roles:
            if role.child is not None and role.child.exit_code is not None:
                ran_s = now - role.child.started
                log.error("%s ended with exit code %s after %.0f s", role.name, role.child.exit_code, ran_s)
                role.delay_s = 0.0 if ran_s > STEADY_S else min(max(0.5, role.delay_s * 2), 10.0)
                role.next_start = now + role.delay_s
                role.child = None
            if role.child is None and now >= role.next_start:
                self._start(role)

    def _start(self, role: Role) -> None:
        environment = {f"ROADWARDEN_{name.upper()}_PORT": port for name, port in self._ports.items()}
        environment["ROADWARDEN_DATA_DIR"] = str(self._settings.data_dir)
        if self._postgres is not None:
            environment["ROADWARDEN_DATABASE_URL"] = self._postgres.dsn
        role.starts += 1
        role.child = Child(
            role.name, ["roadwarden.roles", role.name], environment, lambda line: self._heard(role, heard(line))
        )

    def _heard(self, role: Role, message: dict[str, Any]) -> None:
        """A child says something (called from its reader thread)."""
        if "admin_password" in message:
            print(f"first sign-in: user admin, password {message['admin_password']} (shown only this once)", flush=True)
        if "ready" in message:
            role.ready = message["ready"]
            # A port that was chosen (setting 0) stays the same when the role is started again.
            self._ports |= {name: address.rsplit(":", 1)[1] for name, address in role.ready.items()}
            if not self._announced and all(other.ready for other in self._roles):
                self._announced = True
                addresses = {name: address for other in self._roles for name, address in other.ready.items()}
                line = " ".join(f"{name}={addresses[name]}" for name in ("jt808", "http", "jt809"))
                print(f"listening {line}", flush=True)

    def _stop(self) -> None:
        """Terminals first, so that what they were promised is on disk; then the core drains; then the database."""
        for role in self._roles:
            if role.child is not None:
                role.child.end(4.0 if role.name == "gateway" else 3.0)
        if self._postgres is not None:
            self._postgres.stop()


def serve(settings: Settings) -> int:
    return Supervisor(settings).run()

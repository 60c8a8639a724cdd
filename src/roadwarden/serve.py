"""`roadwarden serve`: one process tree that keeps itself running.

The supervisor starts two roles, each in its own process and each restartable alone: the *gateway* (terminals in,
journal) and the *core* (pipeline, alarms, commands, 809, API); and beside them the embedded PostgreSQL, unless a server
is given. The roles do not wait for it: after a host's crash it may recover for minutes, and terminals report meanwhile.
What dies is started again; a port once chosen is kept. kill -9 of the supervisor ends the whole tree.

SIGTERM or Ctrl-C ends it in order, a second one sooner. SIGHUP has the gateway read its TLS certificate again.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr

from roadwarden.first_password import FirstPassword
from roadwarden.handover import HANDED_OVER, GatewaySettings
from roadwarden.ports import free_port
from roadwarden.postgres import PostgresKeeper
from roadwarden.process import AlreadyRunning, Child, Lock, heard
from roadwarden.settings import Settings
from roadwarden.status import STATUS_FILE, STEADY_S
from store import EmbeddedPostgres, EmbeddedPostgresError

log = logging.getLogger("roadwarden.serve")

PREDECESSOR_S: Final = 60.0  # a server that was killed may still be writing its last checkpoint
POLL_S: Final = 0.1
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 10.0
ROLES: Final = {"gateway": 4.0, "core": 6.0}
"""Name, and how long it may take to end, the gateway besides its window for closing links; in the order in which they
are ended."""
ADDRESSES: Final = ("jt808", "http", "jt809", "jt808_tls")
"""What is said when the server is ready, in this order; what comes later is added at the end."""


@dataclass(slots=True)
class Role:
    """A child that has to run, and when it may be started next."""

    name: str
    child: Child | None = None
    starts: int = 0
    crashes: int = 0  # in a row
    next_start: float = 0.0
    started: float = 0.0  # seconds since 1970
    ready: dict[str, str] = field(default_factory=dict)  # where it listens
    failure: str = ""  # what it said for good-bye

    def ended(self, now: float) -> None:
        """It did: when to start it again. At once, unless it keeps ending."""
        assert self.child is not None
        ran_s = now - self.child.started
        self._put_off(now, ran_s, f"ended with exit code {self.child.exit_code} after {ran_s:.0f} s")
        self.child = None

    def not_started(self, now: float, error: OSError) -> None:
        """There was no process to be had."""
        self._put_off(now, 0.0, f"cannot be started: {error}")

    def _put_off(self, now: float, ran_s: float, what: str) -> None:
        self.crashes = 1 if ran_s >= STEADY_S else self.crashes + 1
        delay_s = 0.0 if self.crashes == 1 else min(FIRST_DELAY_S * 2 ** (self.crashes - 2), LONGEST_DELAY_S)
        log.error("%s %s; started again %s", self.name, what, f"in {delay_s:g} s" if delay_s else "now")
        self.next_start = now + delay_s


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roles = [Role(name) for name in ROLES]
        self._keeper: PostgresKeeper | None = None
        self._stopping = threading.Event()
        self._announced = False
        self._environment = {"ROADWARDEN_DATA_DIR": str(settings.data_dir)}
        for name in ADDRESSES:
            if getattr(settings, f"{name}_port") == 0:
                self._environment[f"ROADWARDEN_{name.upper()}_PORT"] = str(free_port(settings.bind))

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code."""
        self._heed_signals()
        settings = self._settings
        try:
            lock = self._lock()
        except AlreadyRunning as error:
            return 0 if self._stopping.is_set() else _fail(f"the data directory is in use: {error}")
        except OSError as error:
            return _fail(f"the data directory cannot be used: {error}")
        try:
            if settings.database_url is None:
                self._begin_postgres()
            while not self._stopping.is_set():
                self._keep_running()
                if failure := self._first_failure():
                    return _fail(failure)
                self._stopping.wait(POLL_S)
        except EmbeddedPostgresError as error:
            return _fail(str(error))
        finally:
            self._stop()
            lock.release()
        return 0

    def _lock(self) -> Lock:
        """The data directory for ourselves. Raises AlreadyRunning; OSError."""
        path = self._settings.run_dir / "server.lock"
        try:
            return Lock(path, 0)
        except AlreadyRunning as error:
            log.warning("the data directory is in use, waiting up to %.0f s for its end: %s", PREDECESSOR_S, error)
            return Lock(path, PREDECESSOR_S, self._stopping)

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        # Of a terminal window that is closed SIGHUP means something else: there it ends us, as it ends others.
        if sys.stdin is None or not sys.stdin.isatty():
            signal.signal(signal.SIGHUP, lambda *_: self._reload())

    def _end(self) -> None:
        if self._stopping.is_set():  # somebody is in a hurry
            for role in self._roles:
                if role.child is not None:
                    role.child.stop()
        self._stopping.set()

    def _reload(self) -> None:
        for role in self._roles:
            if role.name == "gateway" and role.ready and role.child is not None:
                role.child.stop(signal.SIGHUP)

    def _begin_postgres(self) -> None:
        postgres = EmbeddedPostgres(self._settings.data_dir / "postgres", bin_dir=self._settings.postgres_bin)
        self._environment["ROADWARDEN_DATABASE_URL"] = postgres.prepare()
        self._keeper = PostgresKeeper(postgres)
        self._keeper.start()

    def _first_failure(self) -> str:
        """What keeps this server from ever having started: better said and done with than tried for ever."""
        if self._keeper is not None and self._keeper.failure:
            return self._keeper.failure
        return "" if self._announced else next((role.failure for role in self._roles if role.failure), "")

    def _keep_running(self) -> None:
        now = time.monotonic()
        for role in self._roles:
            if role.child is not None and role.child.exit_code is not None:
                role.child.join()  # its last words
                role.ended(now)
                self._tell_status()
            if role.child is None and now >= role.next_start and not role.failure:
                try:
                    self._start(role)
                except OSError as error:  # no memory, no process, no descriptor is left: the others go on
                    role.not_started(now, error)
                self._tell_status()

    def _start(self, role: Role) -> None:
        role.starts += 1
        role.child = Child(
            role.name, ["roadwarden.roles", role.name], self._environment_of(role),
            lambda line: self._heard(role, heard(line)),
        )  # fmt: skip
        role.started = time.time()

    def _environment_of(self, role: Role) -> dict[str, str]:
        if role.name != "gateway":
            return self._environment
        chosen: dict[str, Any] = {}  # ports, and the database that was made
        for name in ("jt808", "jt808_tls"):
            if port := self._environment.get(f"ROADWARDEN_{name.upper()}_PORT"):
                chosen[f"{name}_port"] = int(port)
        if dsn := self._environment.get("ROADWARDEN_DATABASE_URL"):
            chosen["database_url"] = SecretStr(dsn)
        settings = self._settings.model_copy(update=chosen)
        return self._environment | {HANDED_OVER: GatewaySettings.of(settings).to_text()}

    def _tell_status(self) -> None:
        """Write down how often each role was started and has crashed in a row, for the core to tell operators."""
        status = {
            role.name: {"starts": role.starts, "crashes": role.crashes, "started": role.started} for role in self._roles
        }
        path = self._settings.run_dir / STATUS_FILE
        new = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(status))
            new.replace(path)
        except OSError as error:  # a full disk: telling must not end what runs
            log.warning("%s cannot be written: %s", path, error)

    def _heard(self, role: Role, message: dict[str, Any]) -> None:
        """A child says something (called from its reader thread)."""
        if "admin_password" in message:
            print(f"first sign-in: user admin, password {message['admin_password']} (shown only this once)", flush=True)
            FirstPassword(self._settings.run_dir).shown()
        if "failure" in message and not self._announced:
            role.failure = str(message["failure"])
        if "ready" in message:
            role.ready = message["ready"]
            for name, address in role.ready.items():  # kept, also when the kernel chose it
                self._environment[f"ROADWARDEN_{name.upper()}_PORT"] = address.rsplit(":", 1)[1]
            self._announce()

    def _announce(self) -> None:
        if not self._announced and all(role.ready for role in self._roles):
            self._announced = True
            addresses = {name: address for role in self._roles for name, address in role.ready.items()}
            line = " ".join(f"{name}={addresses[name]}" for name in ADDRESSES if name in addresses)
            print(f"listening {line}", flush=True)

    def _stop(self) -> None:
        """Terminals first, so that what they were promised is on disk; then the core drains; then the database."""
        for role in self._roles:
            if role.child is not None:
                extra_s = self._settings.jt808_drain_s if role.name == "gateway" else 0.0
                role.child.end(ROLES[role.name] + extra_s)
        if self._keeper is not None:
            self._keeper.stop()


def _fail(message: str) -> int:
    print(f"roadwarden: {message}", file=sys.stderr, flush=True)
    return 1


def serve(settings: Settings) -> int:
    return Supervisor(settings).run()

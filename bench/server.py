"""`roadwarden serve` in a data directory of its own, for a benchmark: start it, ask it, kill it, start it again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final

import psycopg

from bench import processes
from roadwarden.process import PARENT
from store.embedded import EmbeddedPostgres

START_S: Final = 300.0
STOP_S: Final = 60.0
ASK_S: Final = 30.0
PASSWORD: Final = "benchmark"

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


class Server:
    """A server on free loopback ports, which it keeps when it is started again.

    Args:  folder: for its data and its log.
           settings: `ROADWARDEN_*` beside or in place of the benchmark's own.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data_dir = folder / "data"
        self.log = folder / "server.log"
        self.host = "127.0.0.1"
        self._addresses: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("ROADWARDEN_")}
        self._environment |= {
            "ROADWARDEN_DATA_DIR": str(self.data_dir),
            "ROADWARDEN_BIND": self.host,
            "ROADWARDEN_ENROLMENT": "open",
            "ROADWARDEN_JT808_MESSAGES_PER_S": "0",  # few links shall be able to load it
            "ROADWARDEN_ADMIN_PASSWORD": PASSWORD,
        }
        for name in ("ROADWARDEN_DATABASE_URL", "ROADWARDEN_POSTGRES_BIN"):
            if name in os.environ:
                self._environment[name] = os.environ[name]
        self._environment |= settings
        self.requests = 0  # that were answered, whatever with
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def jt808_port(self) -> int:
        return int(self._addresses["jt808"].rsplit(":", 1)[1])

    @property
    def dsn(self) -> str:
        url = self._environment.get("ROADWARDEN_DATABASE_URL")
        return url or EmbeddedPostgres(self.data_dir / "postgres").dsn

    def start(self, *, until_ready: bool = True) -> None:
        """Start it and wait until it is ready, or listens at least.

        Raises: RuntimeError: it does not come up; the message shows the end of its log.
        """
        ports = {
            f"ROADWARDEN_{name.upper()}_PORT": self._addresses.get(name, ":0").rsplit(":", 1)[1]
            for name in ("jt808", "http", "jt809")
        }
        with self.log.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "roadwarden.cli", "serve"],
                env=self._environment | ports | {PARENT: str(os.getpid())},  # it ends with us, however we end
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening "):
                self._addresses = dict(re.findall(r"(\w+)=(\S+)", line))
                break
        else:
            raise RuntimeError(f"the server did not come up:\n{self._end_of_log()}")
        if until_ready:
            self.wait_ready()

    def wait_ready(self, limit_s: float = START_S) -> None:
        """Raises: RuntimeError: it does not become ready."""
        until = time.monotonic() + limit_s
        while True:
            try:
                self.text("/readyz")
                return
            except OSError as error:
                if time.monotonic() > until:
                    why = error.read().decode() if isinstance(error, urllib.error.HTTPError) else error
                    raise RuntimeError(f"the server is not ready ({why}):\n{self._end_of_log()}") from error
                time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            self.text("/readyz")
        except OSError:
            return False
        return True

    def text(self, path: str) -> str:
        return self._ask(urllib.request.Request(f"http://{self._addresses['http']}{path}")).decode()

    def _ask(self, request: urllib.request.Request) -> bytes:
        try:
            with self._opener.open(request, timeout=ASK_S) as response:
                content: bytes = response.read()
        except urllib.error.HTTPError:
            self.requests += 1
            raise
        self.requests += 1
        return content

    def sign_in(self) -> None:
        self.call("POST", "sessions", {"username": "admin", "password": PASSWORD})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The API, as another system would use it. Raises: urllib.error.HTTPError: anything but success."""
        request = urllib.request.Request(
            f"http://{self._addresses['http']}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        content = self._ask(request)
        return json.loads(content) if content else None

    def metrics(self) -> dict[str, float]:
        """`/metrics`: {"name": value, 'name{label="x"}': value}."""
        found = {}
        for line in self.text("/metrics").splitlines():
            if not line.startswith("#") and (match := _SAMPLE.fullmatch(line)):
                found[match[1] + (f"{{{match[2]}}}" if match[2] else "")] = float(match[3])
        return found

    def role_pid(self, role: str) -> int:
        """Raises: RuntimeError: that role does not run."""
        for process in processes.tree(self.pid):
            if re.search(rf"roadwarden\.roles {role}\b", process.command):
                return process.pid
        raise RuntimeError(f"the server has no process {role}; its log: {self.log}")

    def postgres_pids(self) -> list[int]:
        """The embedded server's processes. Raises: RuntimeError: there are none."""
        for child in processes.tree(self.pid):
            if child.parent == self.pid and "roadwarden.roles" not in child.command:
                return [process.pid for process in processes.tree(child.pid)]
        raise RuntimeError(f"the server has no PostgreSQL of its own; its log: {self.log}")

    def kill(self, victim: str = "all") -> None:
        """kill -9 of one part (gateway, core, postgres), or of the supervisor, with whom all of it goes."""
        if victim == "all":
            assert self._process is not None
            self._process.kill()
            self._ended()
            return
        pids = self.postgres_pids() if victim == "postgres" else [self.role_pid(victim)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> float:
        """SIGTERM; seconds until it had ended. What does not end is killed, and that is an error."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise RuntimeError(f"the server did not end in {STOP_S:g} s") from None
        finally:
            self._ended()
        return time.monotonic() - began

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _end_of_log(self) -> str:
        return self.log.read_text()[-4000:]


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Server]:
    """A server that is ready; stopped at the end. Raises: RuntimeError: it does not come up."""
    server = Server(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def postmaster(connection: psycopg.Connection) -> int | None:
    """The database server's main process; None when it runs elsewhere."""
    backend = processes.read(connection.info.backend_pid)
    return backend.parent if backend and "postgres" in backend.command else None

"""A whole server as a user starts it, in processes of its own, for the end-to-end tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

PASSWORD = "a test's own password"
START_S = 180.0


class Client:
    """The HTTP API, as another system would use it."""

    def __init__(self, address: str) -> None:
        self.root = f"http://{address}"
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def cookie(self) -> str:
        """The session, as a Cookie header."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def sign_in(self) -> None:
        self.call("POST", "sessions", {"username": "admin", "password": PASSWORD})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Raises urllib.error.HTTPError for anything but success."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.root}/api/v1/{path}", method=method, data=data, headers={"Content-Type": "application/json"}
        )
        with self._opener.open(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def text(self, path: str) -> str:
        with self._opener.open(self.root + path, timeout=30) as response:
            content: bytes = response.read()
        return content.decode()


class Server:
    """`roadwarden serve` on free loopback ports."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.addresses: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> Client:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ROADWARDEN_")}
        # The ports of the first start are kept, as an installation's are: terminals come back to the same address.
        ports = {name: address.rsplit(":", 1)[1] for name, address in self.addresses.items()}
        environment |= {
            "ROADWARDEN_DATA_DIR": str(self.data_dir),
            "ROADWARDEN_BIND": "127.0.0.1",
            "ROADWARDEN_JT808_PORT": ports.get("jt808", "0"),
            "ROADWARDEN_HTTP_PORT": ports.get("http", "0"),
            "ROADWARDEN_JT809_PORT": ports.get("jt809", "0"),
            "ROADWARDEN_ADMIN_PASSWORD": PASSWORD,
            "ROADWARDEN_ENROLMENT": "open",
        }
        environment |= self.settings
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "roadwarden.cli", "serve"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        until = time.monotonic() + START_S
        for line in self.process.stdout:
            if line.startswith("listening "):
                self.addresses = dict(re.findall(r"(\w+)=(\S+)", line))
                break
            if time.monotonic() > until:
                break
        if not self.addresses:
            raise AssertionError(f"the server did not come up:\n{self.log.read_text()[-4000:]}")
        client = Client(self.addresses["http"])
        self.wait_ready(client)
        return client

    def wait_ready(self, client: Client, timeout_s: float = 180.0) -> None:
        until = time.monotonic() + timeout_s
        while True:
            try:
                client.text("/readyz")
            except OSError as error:
                if time.monotonic() > until:
                    raise AssertionError(f"not ready: {error}\n{self.log.read_text()[-4000:]}") from error
                time.sleep(0.05)
            else:
                return

    def jt808(self) -> tuple[str, int]:
        host, port = self.addresses["jt808"].rsplit(":", 1)
        return host, int(port)

    def kill(self) -> None:
        """kill -9 of the process that was started; the tree must go with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self, timeout_s: float = 60.0) -> float:
        """SIGTERM; seconds until it had ended."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
        return time.monotonic() - began

    def processes(self) -> list[int]:
        """Pids of everything that runs for this data directory, by environment or working folder."""
        needle = f"ROADWARDEN_DATA_DIR={self.data_dir}".encode()
        place = str(self.data_dir / "postgres")
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                in_environment = needle in (entry / "environ").read_bytes().split(b"\0")
                in_folder = os.readlink(entry / "cwd").startswith(place)
            except OSError:
                continue
            if in_environment or in_folder:
                found.append(int(entry.name))
        return found


@contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[tuple[Server, Client]]:
    server = Server(data_dir, **settings)
    try:
        client = server.start()
        client.sign_in()
        yield server, client
    finally:
        server.stop()

"""`roadwarden demo`, what `make run` starts: server, simulated fleet, simulated superior platform; one address."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from roadwarden.process import Child
from roadwarden.settings import PREFIX, SettingsError, load_settings
from simulators.fleet import SimulatedVehicle, fleet_vehicles

PLATFORM_NAME: Final = "模拟省级平台"
DANGEROUS: Final = "危险品运输车"
SPEED_LIMITS_KMH: Final = {"客车": 100, DANGEROUS: 80}
FENCES: Final = (
    ("沈阳市区危险品禁行区", (41.8, 123.43), 9_000),
    ("大连市区危险品禁行区", (38.93, 121.62), 6_000),
)
READY_S: Final = 180.0  # the first start makes the database
STOP_S: Final = 9.0


def _password(file: Path) -> str:
    """The demo's sign-in, the same at every start."""
    if given := os.environ.get(f"{PREFIX}ADMIN_PASSWORD"):
        return given
    if file.exists():
        return file.read_text().strip()
    password = secrets.token_urlsafe(9)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    return password


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5):
            return True
    except OSError:
        return False


class Api:
    """The few calls the demo makes, with the standard library."""

    def __init__(self, address: str, password: str) -> None:
        self._root = f"http://{address}/api/v1/"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.call("POST", "sessions", {"username": "admin", "password": password})

    def call(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None, content: str = "application/json"
    ) -> Any:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self._root + path, method=method, data=data, headers={"Content-Type": content})
        with self._opener.open(request, timeout=10) as response:
            content = response.read()
        return json.loads(content) if content else None

    def show_platform(self, address: str) -> None:
        """Have the simulated superior platform among our platforms, at the port it has this time."""
        host, port = address.rsplit(":", 1)
        wanted = {"host": host, "port": int(port), "enabled": True}
        for platform in self.call("GET", "platforms")["items"]:
            if platform["name"] == PLATFORM_NAME:
                self.call("PATCH", f"platforms/{platform['id']}", wanted)
                return
        self.call(
            "POST",
            "platforms",
            wanted
            | {
                "name": PLATFORM_NAME,
                "edition": "2011",
                "access_code": 12345678,
                "user_id": 888888,
                "password": "passwd01",
                "platform_id": "21010000001",
            },
        )

    def enter_fleet(self, vehicles: Sequence[SimulatedVehicle]) -> None:
        """Put the simulated vehicles into the books, as a company would its own: by CSV import. Does nothing again."""
        if self.call("GET", "organizations?limit=1")["items"]:
            return
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(("车牌号", "车牌颜色", "终端手机号", "所属企业", "车辆类型", "限速"))
        for one in vehicles:
            limit = SPEED_LIMITS_KMH.get(one.vehicle_type, 90)
            writer.writerow((one.plate, one.plate_color, one.phone, one.company, one.vehicle_type, limit))
        self.call("POST", "vehicles/import", table.getvalue().encode(), "text/csv")
        dangerous = [one.plate for one in vehicles if one.vehicle_type == DANGEROUS]
        ids = [
            item["id"]
            for plate in dangerous
            for item in self.call("GET", f"vehicles?q={quote(plate)}")["items"]
            if item["plate"] == plate
        ]
        for name, center, radius_m in FENCES:
            fence = {"name": name, "shape": "circle", "trigger": "enter", "center": center, "radius_m": radius_m}
            self.call("POST", "geofences", fence | {"vehicle_ids": ids})


class Demo:
    def __init__(self, terminals: int, interval_s: float, seed: int) -> None:
        self._terminals, self._interval_s, self._seed = terminals, interval_s, seed
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._addresses: dict[str, str] = {}
        self._listening = threading.Event()

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        os.environ.setdefault(f"{PREFIX}DATA_DIR", "var/demo")
        os.environ.setdefault(f"{PREFIX}ENROLMENT", "open")
        os.environ.setdefault(f"{PREFIX}JT808_DRAIN_S", "0.5")  # its fleet ends with it: nobody comes back at once
        try:
            settings = load_settings()
        except SettingsError as error:
            print(f"roadwarden: {error}", file=sys.stderr)
            return 2
        data_dir = settings.data_dir
        password = _password(data_dir / "demo-password")
        os.environ[f"{PREFIX}ADMIN_PASSWORD"] = password
        print("starting the server (the first time its database is made, which takes a few seconds) ...", flush=True)
        try:
            server = self._start("server", ["roadwarden.cli", "serve"], self._heard_server)
            if not self._wait_for_server(server):
                return 1
            http = self._addresses["http"]
            api = Api(http, password)
            api.enter_fleet(fleet_vehicles(self._terminals, self._seed))
            superior = self._start("superior", ["roadwarden.cli", "superior", "--port", "0"])
            self._start("fleet", self._fleet_arguments(data_dir))
            self._connect(api, superior)
            print(f"\n  console   http://{http}/\n  sign-in   admin / {password}", flush=True)
            print(f"  data      {data_dir} (ROADWARDEN_DATA_DIR for other commands)\n", flush=True)
            print(f"  {self._terminals} simulated vehicles are on the road. Ctrl-C stops everything.\n", flush=True)
            return self._watch()
        except (OSError, urllib.error.URLError) as error:
            print(f"roadwarden demo: {error}", file=sys.stderr)
            return 1
        finally:
            self._stop()

    def _start(self, name: str, arguments: list[str], on_line: Any = None) -> Child:
        child = Child(name, arguments, on_line=on_line)
        self._children.append(child)
        return child

    def _fleet_arguments(self, data_dir: Path) -> list[str]:
        host, port = self._addresses["jt808"].rsplit(":", 1)
        return [
            "roadwarden.cli", "simulate", "--host", host, "--port", port, "--terminals", str(self._terminals),
            "--interval", str(self._interval_s), "--seed", str(self._seed), "--state", str(data_dir / "fleet.json"),
        ]  # fmt: skip

    def _heard_server(self, line: str) -> None:
        if line.startswith("listening "):
            self._addresses = dict(re.findall(r"(\w+)=(\S+)", line))
            self._listening.set()

    def _wait_for_server(self, server: Child) -> bool:
        until = time.monotonic() + READY_S
        while not self._listening.wait(0.1):
            if self._stopping.is_set():
                return False
            if server.exit_code is not None or time.monotonic() > until:
                print("roadwarden demo: the server did not come up; its messages stand above", file=sys.stderr)
                return False
        while not is_ready(self._addresses["http"]):  # it listens before its database is ready
            if self._stopping.wait(0.1) or time.monotonic() > until:
                return False
        return True

    def _connect(self, api: Api, superior: Child) -> None:
        """Tell the server where the simulated superior platform listens, once it says so."""
        until = time.monotonic() + 20
        while time.monotonic() < until and superior.exit_code is None and not self._stopping.is_set():
            for line in superior.lines:
                if found := re.match(r"listening jt809=(\S+)", line):
                    api.show_platform(found[1])
                    return
            time.sleep(0.05)

    def _watch(self) -> int:
        while not self._stopping.wait(0.3):
            for child in self._children:
                if child.exit_code is not None:
                    print(f"roadwarden demo: {child.name} ended (exit code {child.exit_code})", file=sys.stderr)
                    return 1
        print("\nstopping ...", flush=True)
        return 0

    def _stop(self) -> None:
        """Fleet, server, superior platform, so that each can say goodbye to the next; all of it within ten seconds."""
        until = time.monotonic() + STOP_S
        for name in ("fleet", "server", "superior"):
            for child in self._children:
                if child.name == name:
                    child.end(max(until - time.monotonic(), 0.5))


def demo(terminals: int, interval_s: float, seed: int) -> int:
    return Demo(terminals, interval_s, seed).run()

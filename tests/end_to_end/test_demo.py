"""What `make run` starts: comes up by itself, does the main job, goes away without a trace, and goes on next time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server import Client, Server
from tests.waiting import wait_for

TERMINALS = 40


@contextmanager
def running_demo(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], Client, str]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ROADWARDEN_")}
    environment |= {
        "ROADWARDEN_DATA_DIR": str(data_dir),
        "ROADWARDEN_JT808_PORT": "0",
        "ROADWARDEN_HTTP_PORT": "0",
        "ROADWARDEN_JT809_PORT": "0",
    }
    with (data_dir.parent / "demo.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "roadwarden.cli", "demo", "--terminals", str(TERMINALS), "--interval", "1"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        seen = ""
        for line in process.stdout:
            seen += line
            if "sign-in" in line:
                break
        address = re.search(r"console +http://(\S+)/", seen)
        password = re.search(r"sign-in +admin / (\S+)", seen)
        assert address, f"no address in:\n{seen}\n{(data_dir.parent / 'demo.log').read_text()[-3000:]}"
        assert password
        client = Client(address[1])
        client.call("POST", "sessions", {"username": "admin", "password": password[1]})
        yield process, client, password[1]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        process.stdout.close()


def moving_vehicle(client: Client) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        items: list[dict[str, Any]] = client.get("positions/latest?limit=1000")["items"]
        return next((item for item in items if item["speed_kmh"] > 20), None)

    found: dict[str, Any] = wait_for("a vehicle moves", find)
    return found


@pytest.mark.slow
def test_the_demo_does_the_main_job_and_goes_away(tmp_path: Path) -> None:
    data_dir = tmp_path / "demo"
    watch = Server(data_dir)
    with running_demo(data_dir) as (process, client, password):
        wait_for("all vehicles known", lambda: len(client.get("vehicles?limit=1000")["items"]) == TERMINALS)
        fix = moving_vehicle(client)

        command = client.call(
            "POST", "commands", {"vehicle_id": fix["vehicle_id"], "kind": "text", "text": "前方施工,请减速慢行"}
        )
        wait_for("the text is acknowledged", lambda: client.get(f"commands/{command['id']}")["state"] == "acknowledged")

        alarm = wait_for("an alarm", lambda: client.get("alarms?state=open")["items"])[0]
        assert client.call("POST", f"alarms/{alarm['id']}/claim")["state"] == "claimed"
        handled = client.call("POST", f"alarms/{alarm['id']}/handle", {"code": "called_driver", "text": "已电话提醒"})
        assert handled["state"] == "handled"

        def forwarded() -> int:
            link: dict[str, Any] = client.get("platforms")["items"][0]["link"]
            return int(link["sent_live"]) if link["main"] == "up" else 0

        before = wait_for("positions reach the superior platform", forwarded)
        wait_for("and more of them", lambda: forwarded() > before + TERMINALS)

        begin, end = time.gmtime(time.time() - 3600), time.gmtime(time.time() + 60)
        span = f"from={time.strftime('%Y-%m-%dT%H:%M:%SZ', begin)}&to={time.strftime('%Y-%m-%dT%H:%M:%SZ', end)}"
        track = client.get(f"vehicles/{fix['vehicle_id']}/track?{span}")["items"]
        assert len(track) >= 2
        assert [item["time"] for item in track] == sorted(item["time"] for item in track)

        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.returncode == 0
    assert watch.processes() == []

    with running_demo(data_dir) as (_, client, same_password):  # the same data, the same sign-in
        assert same_password == password
        assert client.get(f"alarms/{alarm['id']}")["state"] == "handled"
        assert len(client.get("vehicles?limit=1000")["items"]) == TERMINALS
        again = client.get(f"vehicles/{fix['vehicle_id']}/track?{span}")["items"]
        assert {item["time"] for item in track} <= {item["time"] for item in again}
        wait_for("vehicles come back on-line", lambda: len(client.get("vehicles?online=true&limit=1000")["items"]) > 10)
    assert watch.processes() == []

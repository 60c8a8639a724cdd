"""The gateway alone, in a process of its own: nothing reads its journal. For what concerns only the gateway.

As a module it is that process: `python -m bench.lone '{"data_dir": "...", ...}'` with the fields of `GatewayConfig`.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import processes
from ingest.control import control_path
from ingest.gateway import GatewayConfig, run_gateway

STOP_S: Final = 20.0


@dataclass
class LoneGateway:
    """A gateway that listens."""

    pid: int
    host: str
    port: int
    data_dir: Path

    def stats(self) -> dict[str, float]:
        """Its counters and gauges, as `/metrics` would show them."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(control_path(self.data_dir)))
            with sock.makefile("rw", encoding="utf-8") as stream:
                stream.write('{"id": 1, "op": "stats"}\n')
                stream.flush()
                for line in stream:
                    answer = json.loads(line)
                    if answer.get("id") == 1:
                        return dict(answer["stats"])
        raise ConnectionError("the gateway closed its control link")

    def counted(self, name: str) -> dict[str, int]:
        """A counter by its reason: {reason: count}; "" for the one without."""
        found = {}
        for key, value in self.stats().items():
            if match := re.fullmatch(rf"gateway_{name}_total(?:{{reason=(\w+)}})?", key):
                found[match[1] or ""] = int(value)
        return found

    def memory_bytes(self) -> int:
        """What is its own in memory: neither shared with others nor given back."""
        return processes.private_bytes(self.pid)

    def cpu_s(self) -> float:
        return processes.own_cpu_s(self.pid)


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[LoneGateway]:
    """Start a gateway that takes in whoever registers; stop it at the end.

    Raises:  RuntimeError: it does not come up, or does not stop when told to.
    """
    data_dir = folder / "gateway"
    config = {"data_dir": str(data_dir), "bind": "127.0.0.1", "port": 0, "enrolment": "open"} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.lone", json.dumps(config)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("listening "):
            raise RuntimeError("the gateway did not come up")
        host, port = line.split()[1].rsplit(":", 1)
        yield LoneGateway(process.pid, host, int(port), data_dir)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main(config: dict[str, Any]) -> None:
    config["data_dir"] = Path(config["data_dir"])
    uvloop.run(run_gateway(GatewayConfig(**config), on_ready=lambda address: print(f"listening {address}", flush=True)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

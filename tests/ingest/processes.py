"""A gateway in a process of its own, for tests that signal it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROCESS = """
import sys
from pathlib import Path
import uvloop
from ingest.gateway import GatewayConfig, run_gateway
config = GatewayConfig(data_dir=Path(sys.argv[1]), bind="127.0.0.1", port=0, enrolment="open")
uvloop.run(run_gateway(config, on_ready=lambda address: print(address, flush=True)))
"""


def gateway_process(data_dir: Path, settings: str = "", patch: str = "") -> tuple[subprocess.Popen[str], str]:
    """A gateway on its own, and where it listens. ``patch``: an assignment to a constant of `ingest.draining`."""
    program = PROCESS.replace("port=0,", f"port=0, {settings}")
    if patch:
        program = f"from ingest import draining\ndraining.{patch}\n" + program
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()

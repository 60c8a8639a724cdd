"""A gateway in a process of its own, for tests that signal it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PROCESS = """
import sys
from pathlib import Path
import uvloop
from ingest.gateway import GatewayConfig, run_gateway
config = GatewayConfig(data_dir=Path(sys.argv[1]), bind="127.0.0.1", port=0, enrolment="open")
uvloop.run(run_gateway(config, on_ready=lambda address: print(address, flush=True)))
"""


@asynccontextmanager
async def gateway_process(
    data_dir: Path, settings: str = "", patch: str = ""
) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    """A gateway on its own, and where it listens; killed at the end if it is still there.

    Args:  settings: more of `GatewayConfig`, each with a comma.
           patch: an assignment to a constant of `ingest.draining`.
    """
    program = PROCESS.replace("port=0,", f"port=0, {settings}")
    if patch:
        program = f"from ingest import draining\ndraining.{patch}\n" + program
    command = [sys.executable, "-c", program, str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220  (a fork takes no time)
    with process:
        assert process.stdout is not None
        try:
            yield process, (await asyncio.to_thread(process.stdout.readline)).strip()
        finally:
            process.kill()

"""The generator in a process of its own, beside whoever watches; and the echo servers that it is held against."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import generator, processes
from bench.latency import Latencies
from bench.outcome import Outcome

ECHO_SOURCE: Final = Path(__file__).parent / "echo_epoll.c"
PACE_KEPT: Final = 0.97
"""Share of a fixed rate that has to have been sent; what is less was another load than the one that is told."""


class Loading:
    """A running generator, with its files in a folder."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.account = folder / "account"
        self._latencies = folder / "latencies.npz"

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def begun(self) -> None:
        """Wait until all are logged in and the load begins. Raises: RuntimeError: they are not."""
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "begun\n":
            self._failed()

    def stop(self) -> generator.Result:
        """Send no more; what came of it when the last answers are there."""
        self.process.terminate()
        return self.finish()

    def finish(self) -> generator.Result:
        """What came of it. Raises: RuntimeError: the generator failed."""
        out, errors = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(errors.strip() or "the generator failed")
        return generator.Result(**json.loads(out.splitlines()[-1]))

    def latencies(self) -> Latencies:
        """Of a run that is over."""
        return Latencies.load(self._latencies)

    def _failed(self) -> None:
        _, errors = self.process.communicate()
        raise RuntimeError(errors.strip() or "the generator did not begin")


@contextmanager
def loading(
    host: str,
    port: int,
    folder: Path,
    *,
    links: int,
    seconds: float,
    rate: float | None = None,
    window: int = 1,
    echo: bool = False,
) -> Iterator[Loading]:
    """Start a generator; it is ended when nobody waited for it."""
    command = [sys.executable, "-m", "bench.generator", "--host", host, "--port", str(port)]
    command += ["--links", str(links), "--seconds", str(seconds), "--window", str(window)]
    command += ["--rate", str(rate)] if rate else []
    command += ["--echo"] if echo else []
    command += ["--account", str(folder / "account"), "--latencies", str(folder / "latencies.npz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Loading(process, folder)
        finally:
            if process.poll() is None:
                process.kill()


def expect_pace(out: Outcome, result: generator.Result, per_s: float, *, judged: bool) -> None:
    """Of a load at a fixed rate: it was sent at that rate, all along."""
    sent_per_s = result.sent / result.seconds if result.seconds else 0.0
    out.expect(
        sent_per_s >= PACE_KEPT * per_s and not result.held_back,
        f"{sent_per_s:,.0f} reports/s sent, {result.held_back} held back ({PACE_KEPT:.0%} of {per_s:,.0f} or more, 0)",
        judged=judged,
    )


@contextmanager
def echo_server(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that prints `listening PORT` and echoes."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline().split()[1])
        finally:
            process.terminate()


UVLOOP_ECHO: Final = (sys.executable, "-m", "bench.echo")


def compiled_echo(folder: Path) -> list[str] | None:
    """The command of the C echo, compiled just now; None: this machine has no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "echo_epoll"
    subprocess.run([compiler, "-O2", "-o", str(program), str(ECHO_SOURCE)], check=True, capture_output=True)
    return [str(program)]


def echoed(
    command: Sequence[str],
    folder: Path,
    *,
    links: int,
    seconds: float,
    window: int = 1,
    rate: float | None = None,
) -> tuple[generator.Result, float]:
    """The generator against an echo server; and that server's CPU per report, in microseconds."""
    with echo_server(command) as (server, port):
        before = processes.own_cpu_s(server.pid)
        with loading(
            "127.0.0.1", port, folder, links=links, seconds=seconds, window=window, rate=rate, echo=True
        ) as load:
            result = load.finish()
        cpu = processes.own_cpu_s(server.pid) - before
    return result, round(cpu / max(result.answered, 1) * 1e6, 2)

"""What one report costs the gateway, beside the floor: the same generator against a bare echo in the same minute.

    python -m bench.gateway [--links 500] [--seconds 8] [--rounds 3] [--profile]

The gateway runs alone, with its journal on the disk of TMPDIR. Echo and gateway take turns, so that what else the
machine does hits both; the ratios are of the medians. `--profile` samples the gateway's thread in the last round with
`perf`, where that is installed, and prints the functions that took most.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import lone, processes
from bench.end_to_end import echo_floor
from bench.generator import Result
from bench.loading import loading

TOP: Final = 40


@dataclass(frozen=True, slots=True)
class Round:
    """CPU microseconds per report of the two servers, and reports a second."""

    echo_us: float
    echo_per_s: float
    gateway_us: float
    gateway_per_s: float
    gateway_kernel_us: float
    records_per_group: float
    p99_ms: float


def measure(options: argparse.Namespace, folder: Path, *, profile: bool) -> Round:
    echo, echo_us = echo_floor(options, folder)
    with lone.running(folder) as gateway:
        before, before_kernel = gateway.cpu_s(), processes.kernel_cpu_s(gateway.pid)
        with perf(gateway.pid, folder / "perf.data") if profile else nullcontext():
            load = _load(gateway, options, folder)
        after, after_kernel = gateway.cpu_s(), processes.kernel_cpu_s(gateway.pid)
        stats = gateway.stats()
    return Round(
        echo_us=echo_us,
        echo_per_s=echo.answers_per_s,
        gateway_us=(after - before) / load.answered * 1e6,
        gateway_per_s=load.answers_per_s,
        gateway_kernel_us=(after_kernel - before_kernel) / load.answered * 1e6,
        records_per_group=stats["gateway_journal_records_total"] / stats["gateway_journal_groups_total"],
        p99_ms=load.p99_ms,
    )


def _load(gateway: lone.LoneGateway, options: argparse.Namespace, folder: Path) -> Result:
    with loading(
        gateway.host,
        gateway.port,
        folder,
        links=options.links,
        seconds=options.seconds,
        window=options.window,
        rate=options.rate,
    ) as load:
        result = load.finish()
    if result.refused or result.disordered or result.cut or result.unanswered or not result.answered:
        raise RuntimeError(f"the gateway did not answer all with success, in order: {result}")
    return result


@contextmanager
def perf(pid: int, into: Path) -> Iterator[None]:
    """Sample a process meanwhile."""
    command = ["perf", "record", "--quiet", "--freq=499", f"--pid={pid}", f"--output={into}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as sampling:
        try:
            yield
        finally:
            sampling.terminate()


def top(data: Path) -> str:
    """The functions that took most, one a line."""
    done = subprocess.run(
        ["perf", "report", f"--input={data}", "--stdio", "--sort=dso,symbol", "--percent-limit=0.4"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]
    return "\n".join(lines[:TOP])


def show(rounds: list[Round]) -> str:
    def median(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in rounds))

    ratio = median("gateway_us") / median("echo_us") if median("echo_us") else 0.0
    return "\n".join(
        [
            f"  gateway CPU / echo CPU                   {ratio:.2f}",
            f"  gateway answers/s / echo answers/s       {median('gateway_per_s') / median('echo_per_s'):.2f}",
            f"  echo      {median('echo_per_s'):>10,.0f} answers/s  {median('echo_us'):6.1f} µs",
            f"  gateway   {median('gateway_per_s'):>10,.0f} answers/s  {median('gateway_us'):6.1f} µs"
            f" of which kernel {median('gateway_kernel_us'):.1f} µs, p99 {median('p99_ms'):.1f} ms,"
            f" {median('records_per_group'):.0f} records a group",
        ]
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.gateway", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--links", type=int, default=500, help="terminals, one TCP link each")
    parser.add_argument("--seconds", type=float, default=8.0, help="of load, for each server and round")
    parser.add_argument("--window", type=int, default=1, help="reports on their way per link")
    parser.add_argument("--rate", type=float, help="reports a second in all, instead of as fast as answered")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="sample the last round with perf")
    options = parser.parse_args(arguments)
    if options.profile and not shutil.which("perf"):
        sys.exit("bench.gateway: --profile needs perf (Debian: linux-perf)")
    rounds = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="roadwarden-bench-") as name:
            last = options.profile and number == options.rounds - 1
            try:
                rounds.append(measure(options, Path(name), profile=last))
            except (RuntimeError, OSError) as error:
                sys.exit(f"bench.gateway: {error}")
            one = rounds[-1]
            print(f"  round {number + 1}: echo {one.echo_us:.1f} µs, gateway {one.gateway_us:.1f} µs", file=sys.stderr)
            if last:
                print(top(Path(name) / "perf.data"))
    print(show(rounds))


if __name__ == "__main__":
    main(sys.argv[1:])

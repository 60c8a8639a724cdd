"""Stored reports per second, socket to database, beside the floors of the same machine in the same minute.

    python -m bench.end_to_end [--links 500] [--seconds 10] [--window 1 | --rate 5000] [--json result.json]

See README.md in this folder for what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from bench import account, generator, loading, processes, server
from bench.full_load import wait_stored
from simulators.ledger import Verdict

STORED_S: Final = 120.0  # the longest wait until the last answered report is in the database
COPY_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The whole road, socket to database."""

    load: generator.Result
    stored: int
    stored_seconds: float  # from the first report until the last was in the database
    stored_per_s: float
    cpu_us_per_report: dict[str, float]  # by process


@dataclass(frozen=True, slots=True)
class CopyFloor:
    """The same rows into a table of the same shape, by nothing but COPY."""

    rows: int
    rows_per_s: float
    cpu_us_per_row: float  # of the database; 0 when it runs elsewhere


def echo_floor(options: argparse.Namespace, folder: Path) -> tuple[generator.Result, float]:
    """The generator against a bare echo on uvloop; and that server's CPU per report, in microseconds."""
    return loading.echoed(
        loading.UVLOOP_ECHO,
        folder,
        links=options.links,
        seconds=options.seconds,
        window=options.window,
        rate=options.rate,
    )


def _cpu(running: server.Server, connection: psycopg.Connection) -> dict[str, float]:
    """CPU seconds so far, by part; the database without this benchmark's own connection, 0 when it runs elsewhere."""
    main = server.postmaster(connection)
    return {
        "gateway": processes.own_cpu_s(running.role_pid("gateway")),
        "core": processes.own_cpu_s(running.role_pid("core")),
        "postgres": processes.cpu_s(main) - processes.own_cpu_s(connection.info.backend_pid) if main else 0.0,
    }


def end_to_end(
    running: server.Server, connection: psycopg.Connection, options: argparse.Namespace, folder: Path
) -> EndToEnd:
    before = _cpu(running, connection)
    with loading.loading(
        running.host,
        running.jt808_port,
        folder,
        links=options.links,
        seconds=options.seconds,
        window=options.window,
        rate=options.rate,
    ) as generator_process:
        load = generator_process.finish()
    stored = wait_stored(connection, load.answered, STORED_S)
    took = time.time() - load.began_at
    after = _cpu(running, connection)
    cpu = {name: round((after[name] - before[name]) / max(stored, 1) * 1e6, 2) for name in after}
    return EndToEnd(
        load=load,
        stored=stored,
        stored_seconds=round(took, 3),
        stored_per_s=round(stored / took, 1),
        cpu_us_per_report=cpu | {"generator": load.cpu_us_per_report},
    )


def copy_floor(connection: psycopg.Connection) -> CopyFloor:
    """Copy the stored rows out, then into an empty table with the same columns and indexes; only that is timed."""
    with tempfile.TemporaryFile() as spool:
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT * FROM positions) TO STDOUT (FORMAT binary)") as out,
        ):
            for block in out:
                spool.write(block)
        connection.execute("CREATE TABLE bench_copy (LIKE positions INCLUDING INDEXES)")
        try:
            main = server.postmaster(connection)
            before = processes.cpu_s(main) if main else 0.0
            spool.seek(0)
            began = time.perf_counter()
            with connection.cursor() as cursor:
                with cursor.copy("COPY bench_copy FROM STDIN (FORMAT binary)") as into:
                    while block := spool.read(COPY_BLOCK):
                        into.write(block)
                rows = cursor.rowcount
            took = time.perf_counter() - began
            cpu = (processes.cpu_s(main) if main else 0.0) - before
        finally:
            connection.execute("DROP TABLE bench_copy")
    return CopyFloor(rows, round(rows / took, 1), round(cpu / max(rows, 1) * 1e6, 2))


def report(
    whole: EndToEnd, echo: generator.Result, echo_us: float, copy: CopyFloor, verdict: Verdict
) -> dict[str, Any]:
    """Ratios first: they survive a change of machine, the numbers do not."""
    cpu = whole.cpu_us_per_report
    server_us = cpu["gateway"] + cpu["core"] + cpu["postgres"]
    return {
        "ratios": {
            "stored_per_s / echo answers_per_s": round(whole.stored_per_s / echo.answers_per_s, 3),
            "stored_per_s / COPY rows_per_s": round(whole.stored_per_s / copy.rows_per_s, 3),
            "gateway CPU / echo CPU": round(cpu["gateway"] / echo_us, 2) if echo_us else None,
            "postgres CPU / COPY CPU": round(cpu["postgres"] / copy.cpu_us_per_row, 2) if copy.cpu_us_per_row else None,
            "server CPU / (echo CPU + COPY CPU)": round(server_us / (echo_us + copy.cpu_us_per_row), 2),
        },
        "account": {
            "sent": verdict.sent,
            "answered": verdict.answered,
            "stored": verdict.stored,
            "answered and lost": len(verdict.lost_answered),
            "stored twice": len(verdict.twice),
            "stored and never sent": len(verdict.unknown),
        },
        "end to end": asdict(whole),
        "floors": {"echo": asdict(echo) | {"server_cpu_us_per_report": echo_us}, "copy": asdict(copy)},
    }


def show(result: dict[str, Any]) -> str:
    """The report as a table for people."""
    whole, load = result["end to end"], result["end to end"]["load"]
    echo, copy = result["floors"]["echo"], result["floors"]["copy"]
    lines = [f"  {name:<40} {value if value is not None else '-'}" for name, value in result["ratios"].items()]
    lines += ["", f"  {'':<22}{'reports/s':>12}{'p50 ms':>10}{'p99 ms':>10}"]
    lines += [f"  {'stored, end to end':<22}{whole['stored_per_s']:>12,.0f}"]
    for name, row in (("answered", load), ("floor: echo", echo)):
        lines += [f"  {name:<22}{row['answers_per_s']:>12,.0f}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}"]
    lines += [f"  {'floor: COPY':<22}{copy['rows_per_s']:>12,.0f}", ""]
    lines += ["  CPU, microseconds per report"]
    lines += [f"  {name:<22}{value:>12.1f}" for name, value in whole["cpu_us_per_report"].items()]
    lines += [f"  {'floor: echo':<22}{echo['server_cpu_us_per_report']:>12.1f}"]
    lines += [f"  {'floor: COPY':<22}{copy['cpu_us_per_row']:>12.1f}", ""]
    lines += ["  account: " + ", ".join(f"{name} {value:,}" for name, value in result["account"].items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="bench.end_to_end", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--links", type=int, default=500, help="terminals, one TCP link each")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load")
    parser.add_argument("--window", type=int, default=1, help="reports on their way per link")
    parser.add_argument("--rate", type=float, help="reports a second in all, instead of as fast as answered")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="roadwarden-bench-") as folder:
            Path(folder).chmod(0o755)  # run by root, the embedded database has a user of its own
            print("floor: a bare echo server ...", flush=True)
            echo, echo_us = echo_floor(options, Path(folder))
            print("starting the server ...", flush=True)
            with server.running(Path(folder)) as running, psycopg.connect(running.dsn, autocommit=True) as connection:
                print(f"{options.links} links, {options.seconds:g} s of load ...", flush=True)
                whole = end_to_end(running, connection, options, Path(folder))
                print("holding the generator's account against the database ...", flush=True)
                verdict = account.compare(Path(folder) / "account", connection)
                print("floor: COPY of the same rows ...", flush=True)
                copy = copy_floor(connection)
    except (RuntimeError, psycopg.Error, OSError) as error:
        sys.exit(f"bench.end_to_end: {error}")
    result = report(whole, echo, echo_us, copy, verdict)
    print(f"\n{show(result)}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if not verdict.is_right:
        sys.exit(f"bench.end_to_end: the promises are broken: {verdict}")


if __name__ == "__main__":
    main(sys.argv[1:])

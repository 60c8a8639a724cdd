"""The rows of the table that ingestion has to pass, each by one command, with a verdict.

    python -m bench.rows 1                    # or any of 1 to 9
    python -m bench.rows all [--json FILE]    # an hour on a machine that does nothing else
    python -m bench.rows all --short          # minutes; on a busy machine too: times are shown, not judged

Each row prints its seed, how it goes, its figures, and what was asked: `ok`, `NOT KEPT`, or `(not judged)`. The exit
code is 1 when anything that is judged was not kept. `--seed` repeats a run's choices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import chaos, full_load, kills, outage, siege, soak
from bench.outcome import Outcome
from ingest.listening import raise_file_limit
from store.cluster import tree_bin_dir

SEED: Final = 20261122
ROOT: Final = Path(__file__).parent.parent
TIMESCALE: Final = Path(os.environ.get("ROADWARDEN_TIMESCALEDB_DIR", ROOT / "var" / "timescaledb"))
SHORT_SCALE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Options:
    short: bool
    seed: int
    postgres: tuple[str, ...]  # back ends, where it matters
    kills: int | None
    minutes: float | None

    @property
    def scale(self) -> float:
        return SHORT_SCALE if self.short else 1.0


def settings_of(backend: str) -> dict[str, str]:
    """What makes a server run on that back end. Raises: RuntimeError: it is not on this machine."""
    if backend == "wheel":
        return {}
    binaries = tree_bin_dir(TIMESCALE)
    if not (binaries / "postgres").exists():
        raise RuntimeError("no TimescaleDB here: `make timescaledb` makes it, --postgres wheel does without")
    return {"ROADWARDEN_POSTGRES_BIN": str(binaries)}


def kill_all(options: Options) -> Outcome:
    out = Outcome()
    for backend in options.postgres:
        count = options.kills or (3 if options.short else 50)
        print(f"  {count} kills on {backend}", flush=True)
        terminals = 100 if options.short else kills.TERMINALS
        out.take(kills.row(count, options.seed, settings_of(backend), terminals), backend)
    return out


def full_disk(options: Options) -> Outcome:
    try:
        return chaos.disk(options.scale, options.seed)
    except PermissionError as error:
        out = Outcome()
        out.expect(False, f"a small disk has to be mounted, which only root may: {error}")
        return out


def stream(options: Options) -> Outcome:
    """The test of the stream against its model, at length, on both back ends."""
    out = Outcome()
    fixes = "5000" if options.short else "100000"
    environment = os.environ | {"ROADWARDEN_STREAM_FIXES": fixes, "ROADWARDEN_STREAM_SEED": str(options.seed)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "tests/ingest/test_stream.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    out.figures["fixes"] = int(fixes)
    for line in lines:
        if line.startswith(("PASSED", "FAILED", "ERROR", "SKIPPED")):
            word, _, name = line.partition(" ")
            is_other = word == "SKIPPED"  # a back end that is not on this machine
            out.expect(word == "PASSED", f"{word.lower()}: {name.strip()}", judged=not is_other)
    passed = sum(line.startswith("PASSED") for line in lines)
    out.expect(passed > 0, f"{passed} tests passed (1 or more)")
    out.expect(done.returncode == 0, f"pytest ended with {done.returncode} (0)")
    if done.returncode:
        print("\n".join(lines[-60:]))
    return out


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    minutes: float  # of the long form, about
    run: Callable[[Options], Outcome]


ROWS: Final = {
    1: Row("kill -9 at random under load", 6, kill_all),
    2: Row("the database away for five minutes", 10, lambda o: outage.outage(o.short, o.seed)),
    3: Row("the journal's disk full, then freed", 1, full_disk),
    4: Row("ten thousand terminals reconnect at once", 2, lambda o: chaos.reconnect(o.scale, o.seed)),
    5: Row("2,000 hostile links beside 2,000 good ones", 7, lambda o: siege.hostile_links(o.scale, o.seed)),
    6: Row("a shuffled, repeated, late stream against a model", 1, stream),
    7: Row("throughput, beside a C echo", 6, lambda o: full_load.throughput(o.short, o.seed)),
    8: Row("memory of an idle terminal", 1, lambda o: chaos.memory(o.scale, o.seed)),
    9: Row("soak at half the rate", 24, lambda o: soak.soak(o.short, o.seed, o.minutes)),
}


def run(number: int, options: Options) -> dict[str, Any]:
    """One row, shown; what of it goes to JSON."""
    row = ROWS[number]
    form = "short form" if options.short else f"long form, about {row.minutes:g} minutes"
    print(f"\nrow {number}: {row.title} ({form}), seed {options.seed}", flush=True)
    began = time.monotonic()
    try:
        outcome = row.run(options)
    except Exception as error:  # whatever it is, it costs this row and not the hour of the others
        traceback.print_exc()
        outcome = Outcome()
        outcome.expect(False, f"it could not be done: {type(error).__name__}: {error}")
    took = time.monotonic() - began
    print(f"{outcome.show()}\nrow {number}: {'PASS' if outcome.is_kept else 'FAIL'}, {took:.0f} s", flush=True)
    return {"row": number, "title": row.title, "seed": options.seed, "seconds": round(took)} | outcome.json()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="bench.rows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="+", choices=[*map(str, ROWS), "all"], metavar="ROW", help="1 to 9, or all")
    parser.add_argument("--short", action="store_true", help="minutes in all; times are shown, not judged")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--postgres", choices=["wheel", "timescaledb", "both"], default="both", help="for row 1")
    parser.add_argument("--kills", type=int, help="for row 1, on each back end; 50, or 3 when short")
    parser.add_argument("--minutes", type=float, help="for row 9, in place of 20")
    parser.add_argument("--json", type=Path, help="file for all figures and verdicts")
    given = parser.parse_args(arguments)
    backends = ("wheel", "timescaledb") if given.postgres == "both" else (given.postgres,)
    options = Options(given.short, given.seed, backends, given.kills, given.minutes)
    raise_file_limit()
    numbers = list(ROWS) if "all" in given.rows else sorted({int(row) for row in given.rows})
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}")
    results = []
    for number in numbers:
        results.append(run(number, options))
        if given.json:  # after each, so that what is measured is not lost
            given.json.write_text(json.dumps({"short": given.short, "rows": results}, indent=2) + "\n")
    print("\nverdict" + (" (short form: times are not judged)" if given.short else ""))
    for result in results:
        failed = [check["what"] for check in result["checks"] if check["judged"] and not check["holds"]]
        print(f"  row {result['row']}: {'PASS' if result['kept'] else 'FAIL'}  {result['title']}")
        for what in failed:
            print(f"           NOT KEPT: {what}")
    sys.exit(not all(result["kept"] for result in results))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Row 9: half the rate for twenty minutes. Nothing may grow, and every counter must have a reason."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import psycopg

from bench import account, counters, processes, server
from bench.full_load import expect_account, set_limits, set_rules, wait_stored
from bench.loading import Loading, expect_pace, loading
from bench.outcome import Outcome

LINKS: Final = 2000
PER_S: Final = 11_000.0
SECONDS: Final = 1200.0
EVERY_S: Final = 5.0
WARM_UP: Final = 0.25  # of the run
GROWTH: Final = 0.02  # of the mean in ten minutes
SETTLED_S: Final = 60.0
MIB: Final = 1 << 20

TOLERANCES: Final[dict[str, tuple[float, str]]] = {
    "memory of the gateway": (2 * MIB, "allocator"),
    "memory of the core": (8 * MIB, "alarms that nobody handles, up to 2,000; fences' states; fixes remembered"),
    "memory of the database": (64 * MIB, "shared buffers that are touched for the first time, tables' metadata"),
    "memory of the supervisor": (1 * MIB, "allocator"),
    "journal on disk": (32 * MIB, "what waits for one transaction more or less"),
}
"""Growth in ten minutes that is let pass even when it is more than 2 %, and what it may be."""
FEW: Final = 3.0  # files, threads, tasks: growth in ten minutes that is chance


@dataclass
class Watch:
    """Series of what is looked at, by name."""

    running: server.Server
    database: int | None  # the postmaster
    at: list[float] = field(default_factory=list)  # seconds since 1970
    series: dict[str, list[float]] = field(default_factory=dict)

    def look(self) -> None:
        self.at.append(time.time())
        pids = {role: [self.running.role_pid(role)] for role in ("gateway", "core")}
        pids["supervisor"] = [self.running.pid]
        if self.database is not None:
            pids["database"] = [process.pid for process in processes.tree(self.database)]
        for part, of in pids.items():
            self._add(f"memory of the {part}", _sum(lambda pid: processes.resident_bytes(pid)[1], of))
            if part != "database":  # its backends come and go; what they open is bounded by PostgreSQL
                self._add(f"RSS of the {part}", _sum(lambda pid: processes.resident_bytes(pid)[0], of))
                self._add(f"open files of the {part}", _sum(processes.open_files, of))
                self._add(f"threads of the {part}", _sum(processes.threads, of))
        try:
            told = self.running.metrics()
        except OSError:  # it shows: what is not told fails the row
            told = {}
        for role in ("gateway", "core"):
            self._add(f"asyncio tasks of the {role}", told.get(f"roadwarden_{role}_asyncio_tasks", float("nan")))
        self._add("journal on disk", told.get("roadwarden_gateway_journal_size_bytes", float("nan")))
        self._add("seconds behind the journal", told.get("roadwarden_pipeline_journal_lag_seconds", float("nan")))

    def _add(self, name: str, value: float) -> None:
        self.series.setdefault(name, []).append(value)

    def last(self, name: str) -> float:
        return self.series[name][-1]

    def forget_after(self, end: float) -> None:
        """Leave out what was seen later (seconds since 1970): the load was over then."""
        keep = sum(at < end for at in self.at)
        self.at = self.at[:keep]
        self.series = {name: values[:keep] for name, values in self.series.items()}


def _sum(measure: Callable[[int], int], pids: list[int]) -> float:
    """Over processes, of which some may have ended just now."""
    total = 0
    for pid in pids:
        try:
            total += measure(pid)
        except OSError:
            continue
    return float(total)


def soak(is_short: bool, seed: int, minutes: float | None = None) -> Outcome:
    out = Outcome()
    links, per_s, seconds, every_s = (200, 500.0, 30.0, 1.0) if is_short else (LINKS, PER_S, SECONDS, EVERY_S)
    if minutes is not None:
        seconds = minutes * 60
    with tempfile.TemporaryDirectory(prefix="roadwarden-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # run by root, the embedded database has a user of its own
        with server.running(folder) as running, psycopg.connect(running.dsn, autocommit=True) as connection:
            set_rules(running, seed)
            watch = Watch(running, server.postmaster(connection))
            with loading(running.host, running.jt808_port, folder, links=links, seconds=seconds, rate=per_s) as load:
                load.begun()
                set_limits(running, connection)
                _observe(watch, load, every_s)
                result = load.finish()
            watch.forget_after(result.began_at + result.seconds - every_s)
            wait_stored(connection, result.answered)
            _settled(running, links)
            print("  holding the account and the counters against what is stored", flush=True)
            requests = running.requests
            metrics = running.metrics()
            verdict = account.compare(folder / "account", connection)
    out.figures = {
        "links, reports/s, seconds": (links, per_s, round(result.seconds)),
        "reports": result.sent,
        "p50, p99, longest answer (ms)": (result.p50_ms, result.p99_ms, result.max_ms),
        "generator, CPU µs a report": result.cpu_us_per_report,
    }
    expect_pace(out, result, per_s, judged=not is_short)
    judge_growth(out, watch, judged=not is_short)
    expect_account(out, result, verdict)
    counters.explain(out, metrics, result, requests)
    return out


def _observe(watch: Watch, load: Loading, every_s: float) -> None:
    next_at, told_at = time.monotonic(), time.monotonic() + 30
    while not load.is_over:
        if (now := time.monotonic()) >= next_at:
            next_at += every_s
            watch.look()
        if now >= told_at:
            told_at += 30
            print(
                f"  after {watch.at[-1] - watch.at[0]:.0f} s:"
                f" gateway {watch.last('memory of the gateway') / MIB:.1f} MiB,"
                f" core {watch.last('memory of the core') / MIB:.1f} MiB,"
                f" journal {watch.last('journal on disk') / MIB:.1f} MiB,"
                f" {watch.last('seconds behind the journal'):.1f} s behind",
                flush=True,
            )
        time.sleep(0.1)


def _settled(running: server.Server, links: int) -> None:
    """Wait until the ends of the links are stored, too: the counters stand still then."""
    until = time.monotonic() + SETTLED_S
    while time.monotonic() < until:
        told = running.metrics()
        ended = told.get('roadwarden_gateway_links_ended_total{reason="closed_by_terminal"}', 0)
        offsets = [told.get(f"roadwarden_{part}_journal_offset", -1) for part in ("gateway", "pipeline")]
        if ended >= links and offsets[0] == offsets[1]:
            return
        time.sleep(0.2)


def judge_growth(out: Outcome, watch: Watch, *, judged: bool) -> None:
    """The slope of each series over the last three quarters, as growth in ten minutes."""
    at = np.array(watch.at)
    if len(at) < 4:
        out.expect(False, f"looked at {len(at)} times, too few to say what grows", judged=judged)
        return
    late = at >= at[0] + WARM_UP * (at[-1] - at[0])
    for name, values in sorted(watch.series.items()):
        series = np.array(values)[late]
        if not np.isfinite(series).all():
            out.expect(False, f"{name}: not told at all times")
            continue
        growth = slope(at[late], series) * 600
        mean = float(series.mean())
        is_bytes = name.startswith(("memory", "RSS", "journal"))
        scale, unit = (MIB, " MiB") if is_bytes else (1, "")
        figure = f"{name}: mean {mean / scale:,.1f}{unit}, {growth / scale:+.2f}{unit} in 10 minutes"
        if name.startswith(("RSS", "seconds")):
            out.figures[name] = figure.partition(": ")[2]
            continue
        bound, why = TOLERANCES.get(name, (FEW, ""))
        asked = f"2 %, or {bound / scale:g}{unit}{': ' + why if why else ''}"
        out.expect(growth <= max(GROWTH * mean, bound), f"{figure} ({asked})", judged=judged)


def slope(at: np.ndarray, values: np.ndarray) -> float:
    """By least squares, units a second; 0 for less than three points."""
    return float(np.polyfit(at - at[0], values, 1)[0]) if len(at) > 2 else 0.0

"""Row 2: the database goes away under load, and comes back; the terminals must not notice.

Two ways: stopped (a fast shutdown, as for an upgrade; connections are refused) and hung (SIGSTOP to all its processes,
as with a dead disk; connections stay and nothing answers). Meanwhile a steady crowd reports, 500 terminals hang up and
come back in waves, 20 new ones register, and ten that were blocked before have to stay out. The waves go on before,
too, so that what is compared differs in nothing but the database.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Final

import psycopg

from bench import account, generator, processes, server
from bench.crowd import Crowd, Member, Stage
from bench.full_load import count, expect_account, wait_stored
from bench.latency import MARK_S, Latencies, quantiles_ms
from bench.loading import expect_pace, loading
from bench.outcome import Outcome
from bench.witness import Window, Witness, within
from store.embedded import EmbeddedPostgres

FIRST_NEW_PHONE: Final = 13_850_000_000
BLOCKED: Final = 10
NEWCOMERS: Final = 20
P99_RATIO: Final = 2.0
LEAST_MS: Final = 1.0
DRAIN_RATIO: Final = 3.0
LET_IN_S: Final = 60.0
DRAIN_S: Final = 900.0
BEHIND_S: Final = 2.0  # the pipeline has caught up
FOREVER_S: Final = 7200.0
UNMARKED_S: Final = 3 * MARK_S


@dataclass(frozen=True, slots=True)
class Size:
    steady: int  # terminals that stay
    per_s: float  # their reports
    returning: int
    calm_s: float  # measured before
    stop_s: float
    hang_s: float
    pause_s: float  # between two waves


LONG: Final = Size(steady=1000, per_s=5000.0, returning=500, calm_s=60.0, stop_s=300.0, hang_s=60.0, pause_s=5.0)
SHORT: Final = Size(steady=100, per_s=500.0, returning=50, calm_s=4.0, stop_s=10.0, hang_s=5.0, pause_s=0.5)


@dataclass(slots=True)
class Seen:
    """Moments (seconds since 1970), and what happened to the others meanwhile."""

    calm_at: float = 0.0
    gone_at: float = 0.0
    back_at: float = 0.0
    drained_at: float = 0.0
    stored_at_back: int = 0
    stored_at_drained: int = 0
    received_at_back: float = 0.0
    received_at_drained: float = 0.0
    waves: list[float] = field(default_factory=list)  # seconds until all were in
    not_in: int = 0  # of those that should be let in
    blocked_in: int = 0  # of those that should not
    blocked_refused: int = 0
    new_in: int = 0
    new_enrolled: int = 0


def outage(is_short: bool, seed: int) -> Outcome:
    out = Outcome()
    size = SHORT if is_short else LONG
    for how, seconds in (("stopped", size.stop_s), ("hung", size.hang_s)):
        print(f"  the database is {how} for {seconds:g} s at {size.per_s:,.0f} reports/s", flush=True)
        out.take(_one(how, seconds, size, judged=not is_short), how)
    return out


def _one(how: str, seconds: float, size: Size, *, judged: bool) -> Outcome:
    out = Outcome()
    with tempfile.TemporaryDirectory(prefix="roadwarden-outage-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # run by root, the database has a user of its own
        with _database(folder) as postgres, server.running(folder, ROADWARDEN_DATABASE_URL=postgres.dsn) as running:
            with (
                loading(
                    running.host, running.jt808_port, folder, links=size.steady, rate=size.per_s, seconds=FOREVER_S
                ) as load,
                Witness(folder) as witness,
            ):
                load.begun()
                seen = _story(postgres, running, how, seconds, size)
                result = load.stop()
            latencies = load.latencies()
            with psycopg.connect(postgres.dsn, autocommit=True) as connection:
                wait_stored(connection, result.answered)
                verdict = account.compare(folder / "account", connection)
            ended = {
                key.partition('reason="')[2].rstrip('"}'): round(value)
                for key, value in running.metrics().items()
                if "gateway_links_ended_total" in key
            }
    out.figures["links ended, by reason"] = ended
    _judge(out, seen, result, latencies, witness.held_up, size, judged=judged)
    expect_pace(out, result, size.per_s, judged=judged)
    expect_account(out, result, verdict)
    return out


@contextmanager
def _database(folder: Path) -> Iterator[EmbeddedPostgres]:
    binaries = os.environ.get("ROADWARDEN_POSTGRES_BIN")
    postgres = EmbeddedPostgres(folder / "postgres", bin_dir=binaries)
    postgres.start()
    try:
        yield postgres
    finally:
        if postgres.pid is not None:
            _signal(postgres.pid, signal.SIGCONT)
        postgres.stop()


def _signal(root: int, number: signal.Signals) -> None:
    """To a process and all below it."""
    for process in processes.tree(root):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _story(postgres: EmbeddedPostgres, running: server.Server, how: str, seconds: float, size: Size) -> Seen:
    seen = Seen()
    regulars = Crowd(running.host, running.jt808_port, size.returning + BLOCKED)
    newcomers = Crowd(running.host, running.jt808_port, NEWCOMERS, first_phone=FIRST_NEW_PHONE)
    regulars.connect()
    if not regulars.until(regulars.all_in, LET_IN_S):
        raise RuntimeError("those that shall come back were not let in to begin with")
    blocked = regulars.members[:BLOCKED]
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        _block(running, connection, [member.phone for member in blocked])
    if not regulars.until(lambda: all(member.stage is not Stage.IN for member in blocked), LET_IN_S):
        raise RuntimeError("the blocked terminals were not sent away")
    seen.calm_at = time.time()
    _meanwhile(seen, regulars, newcomers, seen.calm_at + size.calm_s, size, waiting=[])
    seen.waves.clear()
    pid = postgres.pid
    assert pid is not None
    seen.gone_at = time.time()
    postgres.stop() if how == "stopped" else _signal(pid, signal.SIGSTOP)
    _meanwhile(seen, regulars, newcomers, seen.gone_at + seconds, size, waiting=list(newcomers.members))
    postgres.start() if how == "stopped" else _signal(pid, signal.SIGCONT)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        _drain(seen, running, connection, regulars)
        phones = [member.phone for member in newcomers.members]
        row = connection.execute("SELECT count(*) FROM terminals WHERE phone = ANY(%s)", [phones]).fetchone()
        seen.new_enrolled = row[0] if row else 0
    seen.blocked_in = sum(member.stage is Stage.IN for member in blocked)
    seen.blocked_refused = sum(member.refused > 0 for member in blocked)
    seen.new_in = sum(member.stage is Stage.IN and not member.cut for member in newcomers.members)
    regulars.close()
    newcomers.close()
    return seen


def _block(running: server.Server, connection: psycopg.Connection, phones: list[str]) -> None:
    """As an operator does it, once their rows are there."""
    running.sign_in()
    until = time.monotonic() + LET_IN_S
    while True:
        rows = connection.execute("SELECT id FROM terminals WHERE phone = ANY(%s)", [phones]).fetchall()
        if len(rows) == len(phones) or time.monotonic() > until:
            break
        time.sleep(0.1)
    for (terminal_id,) in rows:
        running.call("POST", f"terminals/{terminal_id}/block")


def _meanwhile(seen: Seen, regulars: Crowd, newcomers: Crowd, end: float, size: Size, waiting: list[Member]) -> None:
    """Waves of those that come back, and the newcomers that wait one after the other, until the time is over."""
    good = regulars.members[BLOCKED:]
    new = len(waiting)
    each_s = (end - time.time()) / (len(waiting) + 1)
    next_new = time.time() + each_s / 2
    told_at = time.time() + 30
    while time.time() < end or waiting:
        regulars.hang_up()
        began = time.monotonic()
        regulars.connect()
        if not regulars.until(lambda: all(member.stage is Stage.IN for member in good), LET_IN_S):
            seen.not_in = sum(member.stage is not Stage.IN for member in good)
        seen.waves.append(time.monotonic() - began)
        pause = time.monotonic() + size.pause_s
        while time.monotonic() < pause:
            while waiting and (time.time() >= next_new or time.time() >= end):
                newcomers.connect([waiting.pop()])
                next_new += each_s
            regulars.poll(0.05)
            newcomers.poll(0.01)
        if time.time() > told_at:
            told_at += 30
            print(f"  {len(seen.waves)} waves, {new - len(waiting)} of {new} newcomers so far", flush=True)
    if new:
        newcomers.until(newcomers.all_in, LET_IN_S)


def _drain(seen: Seen, running: server.Server, connection: psycopg.Connection, regulars: Crowd) -> None:
    """Wait until what waits in the journal is no more than what just came; arrivals go on."""
    told = running.metrics()
    seen.back_at, seen.stored_at_back = time.time(), count(connection, "positions")
    seen.received_at_back = told["roadwarden_gateway_messages_received_total"]
    until, told_at = time.monotonic() + DRAIN_S, time.monotonic() + 10
    while time.monotonic() < until:
        regulars.until(lambda: False, 0.25)
        try:
            told = running.metrics()
        except OSError:
            continue
        lag = told["roadwarden_pipeline_journal_lag_seconds"]
        if time.monotonic() > told_at:
            told_at += 10
            print(f"  draining: {lag:.1f} s behind", flush=True)
        if lag < BEHIND_S and told["roadwarden_database_up"]:
            break
    seen.drained_at, seen.stored_at_drained = time.time(), count(connection, "positions")
    seen.received_at_drained = told["roadwarden_gateway_messages_received_total"]


def _judge(
    out: Outcome,
    seen: Seen,
    result: generator.Result,
    latencies: Latencies,
    held_up: list[Window],
    size: Size,
    *,
    judged: bool,
) -> None:
    """Args:  held_up: moments of the disk, left out of the p99 on all sides."""
    windows = {
        "before": (seen.calm_at, seen.gone_at),
        "away": (seen.gone_at, seen.back_at),
        "drain": (seen.back_at, seen.drained_at),
    }
    with_all = tuple(quantiles_ms(latencies.between(*window), 0.99)[0] for window in windows.values())
    moments = tuple(within(held_up, window) for window in windows.values())
    p99 = {name: quantiles_ms(latencies.between(*window, held_up), 0.99)[0] for name, window in windows.items()}
    took = max(seen.drained_at - seen.back_at, 0.001)
    backlog = seen.received_at_back - seen.stored_at_back
    stored_per_s = (seen.stored_at_drained - seen.stored_at_back) / took
    arrived_per_s = (seen.received_at_drained - seen.received_at_back) / took
    ratio = stored_per_s / arrived_per_s if arrived_per_s else 0.0
    out.figures |= {
        "seconds away": round(seen.back_at - seen.gone_at, 1),
        "p50, p99, longest answer, all along (ms)": (result.p50_ms, result.p99_ms, result.max_ms),
        "p99 before, while away, while draining (ms)": tuple(p99.values()),
        "the same with all that the disk held up (ms)": with_all,
        "moments of the disk": moments,
        "reports that waited when it was back": round(backlog),
        "seconds until drained": round(took, 1),
        "stored/s, arriving/s meanwhile": (round(stored_per_s), round(arrived_per_s)),
        "waves of those that came back": len(seen.waves),
        "seconds until all of a wave were in, worst": round(max(seen.waves), 1),
        "generator, CPU µs a report": result.cpu_us_per_report,
    }
    for name, what in (("away", "while it is away"), ("drain", "while it drains")):
        times = p99[name] / max(p99["before"], LEAST_MS)
        is_too_short = name == "drain" and took < UNMARKED_S and isnan(times)  # it has no two marks of its own
        out.expect(
            times <= P99_RATIO or is_too_short,
            f"p99 of the answer {what} {times:.2f} times that before (2)",
            judged=judged,
        )
    out.expect(ratio >= DRAIN_RATIO, f"drained at {ratio:.1f} times the arrival rate (3 or more)", judged=judged)
    out.expect(not seen.not_in, f"{seen.not_in} of {size.returning} that came back not let in (0)")
    out.expect(seen.new_in == NEWCOMERS, f"{seen.new_in} newcomers let in while it was away ({NEWCOMERS})")
    out.expect(seen.new_enrolled == NEWCOMERS, f"{seen.new_enrolled} of them in the database later ({NEWCOMERS})")
    out.expect(not seen.blocked_in, f"{seen.blocked_in} blocked ones let in (0)")
    out.expect(seen.blocked_refused == BLOCKED, f"{seen.blocked_refused} blocked ones refused ({BLOCKED})")

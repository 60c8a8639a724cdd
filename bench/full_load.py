"""Row 7: as fast as it is answered, through gateway, journal, rules and database, beside a bare C echo.

2,000 links, one report a frame, one frame a send, the next when the one before was answered. Generator, server and
PostgreSQL share the machine. The echo runs before and after, under the same generator in the same run.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psycopg

from bench import account, cost, generator, server
from bench.latency import quantiles_ms
from bench.loading import Loading, compiled_echo, echoed, loading
from bench.outcome import Outcome
from simulators.ledger import Verdict

LINKS: Final = 2000
PER_S: Final = 22_000
P99_MS: Final = 1000.0
ECHO_SHARE: Final = 0.25
STORED_S: Final = 300.0  # the longest wait until the last answered report is in the database
FENCES: Final = 20
LIMITED: Final = 40  # vehicles with a limit that they break now and then
LIMIT_KMH: Final = 85.0


def throughput(is_short: bool, seed: int) -> Outcome:
    """As the issue asks: stored, judged by rules, for three minutes."""
    out = Outcome()
    links, seconds, echo_s = (200, 5.0, 2.0) if is_short else (LINKS, 180.0, 20.0)
    with tempfile.TemporaryDirectory(prefix="roadwarden-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # run by root, the embedded database has a user of its own
        echo = compiled_echo(folder)
        echoes = [_echo(echo, folder, links, echo_s, out, "before")] if echo else []
        per_s = _loaded(folder, links, seconds, seed, out, is_long=not is_short)
        echoes += [_echo(echo, folder, links, echo_s, out, "after")] if echo else []
    if echoes:
        mean = sum(echoes) / len(echoes)
        share = per_s / mean
        out.figures["answers/s of the C echo, mean"] = round(mean)
        out.expect(
            share >= ECHO_SHARE, f"{share:.3f} of the C echo's answers/s ({ECHO_SHARE:g} or more)", judged=not is_short
        )
    else:
        out.expect(False, "this machine has no C compiler: the share of a C echo is not measured", judged=False)
    return out


def _echo(command: list[str], folder: Path, links: int, seconds: float, out: Outcome, when: str) -> float:
    result, server_us = echoed(command, folder, links=links, seconds=seconds)
    out.figures[f"C echo {when}"] = (
        f"{result.answers_per_s:,.0f} answers/s, p99 {result.p99_ms:.1f} ms; CPU µs a report: echo {server_us:.1f}, "
        f"generator {result.cpu_us_per_report:.1f} (kernel {result.kernel_us_per_report:.1f}), "
        f"which was busy {result.busy:.0%} of one core"
    )
    print(f"  C echo {when}: {result.answers_per_s:,.0f} answers/s", flush=True)
    return result.answers_per_s


def _loaded(folder: Path, links: int, seconds: float, seed: int, out: Outcome, *, is_long: bool) -> float:
    """Answered reports a second."""
    with server.running(folder) as running, psycopg.connect(running.dsn, autocommit=True) as connection:
        set_rules(running, seed)
        with loading(running.host, running.jt808_port, folder, links=links, seconds=seconds) as load:
            load.begun()
            before = cost.Cost.now(running, connection)
            set_limits(running, connection)
            watch(load, running, "load")
            result = load.finish()
        stored = wait_stored(connection, result.answered)
        stored_per_s = stored / (time.time() - result.began_at)
        per_report = cost.Cost.now(running, connection).since(before, stored)
        alarms = count(connection, "alarms")
        print("  holding the account against the rows", flush=True)
        verdict = account.compare(folder / "account", connection)
    latencies = load.latencies()
    windows = [
        round(latencies.rate(result.began_at + at, result.began_at + at + seconds / 6))
        for at in (seconds / 6 * n for n in range(6))
    ]
    worst = [
        quantiles_ms(latencies.between(result.began_at + at, result.began_at + at + seconds / 6), 0.99)[0]
        for at in (seconds / 6 * n for n in range(6))
    ]
    out.figures |= {
        "links, seconds": (links, result.seconds),
        "answered/s": result.answers_per_s,
        "answered/s of each sixth": windows,
        "p99 of each sixth (ms)": worst,
        "stored/s, until the last was stored": round(stored_per_s, 1),
        "p50, p99, longest (ms)": (result.p50_ms, result.p99_ms, result.max_ms),
        "generator busy, of one core": result.busy,
        "alarms that the rules found": alarms,
    }
    out.figures |= cost.figures(per_report, result)
    per_s = min(result.answers_per_s, stored_per_s)
    out.expect(per_s >= PER_S, f"{per_s:,.0f} answered and stored a second ({PER_S:,} or more)", judged=is_long)
    out.expect(result.p99_ms < P99_MS, f"p99 of the answer {result.p99_ms:.0f} ms (below 1000)", judged=is_long)
    out.expect(alarms > 0, f"{alarms} alarms: the rules were at work", judged=is_long)
    expect_account(out, result, verdict)
    return result.answers_per_s


def set_rules(running: server.Server, seed: int) -> None:
    """Fences for every vehicle, where the generator drives."""
    chance = random.Random(seed)
    running.sign_in()
    for number in range(FENCES):
        fence: dict[str, Any] = {"name": f"fence {number}", "shape": "circle", "trigger": "both", "radius_m": 3000}
        fence["center"] = [round(chance.uniform(41.0, 42.0), 4), round(chance.uniform(122.0, 123.0), 4)]
        if number % 2:
            latitude, longitude = fence.pop("center")
            del fence["radius_m"]
            corners = [(0.0, -0.04), (0.03, 0.0), (0.0, 0.04), (-0.03, 0.0)]
            fence |= {"shape": "polygon", "points": [[latitude + a, longitude + b] for a, b in corners]}
        running.call("POST", "geofences", fence)


def set_limits(running: server.Server, connection: psycopg.Connection) -> None:
    """A speed limit for a few vehicles, once there are some."""
    rows = connection.execute("SELECT id FROM vehicles ORDER BY id LIMIT %s", [LIMITED]).fetchall()
    for (vehicle_id,) in rows:
        running.call("PATCH", f"vehicles/{vehicle_id}", {"speed_limit_kmh": LIMIT_KMH, "overspeed_duration_s": 10})


def watch(load: Loading, running: server.Server, what: str, every_s: float = 15.0) -> None:
    """Say how it goes until the load is over."""
    next_at = time.monotonic() + every_s
    while not load.is_over:
        time.sleep(0.2)
        if time.monotonic() >= next_at:
            next_at += every_s
            try:
                told = running.metrics()
            except OSError as error:
                print(f"  {what}: no figures just now ({error})", flush=True)
                continue
            answered = told.get("roadwarden_gateway_messages_received_total", 0)
            stored = told.get("roadwarden_pipeline_stored_total", 0)
            lag = told.get("roadwarden_pipeline_journal_lag_seconds", 0)
            print(f"  {what}: {answered:,.0f} received, {stored:,.0f} stored, {lag:.1f} s behind", flush=True)


def wait_stored(connection: psycopg.Connection, answered: int, limit_s: float = STORED_S) -> int:
    """Wait until every answered report is in the database, at most so long; how many are."""
    until = time.monotonic() + limit_s
    while True:
        stored = count(connection, "positions")
        if stored >= answered or time.monotonic() > until:
            return stored
        time.sleep(0.1)


def count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def expect_account(out: Outcome, result: generator.Result, verdict: Verdict) -> None:
    """What every load has to keep, however fast it was."""
    out.expect(not result.cut, f"{result.cut} links cut (0)")
    out.expect(not result.ran_dry, f"the generator was out of reports {result.ran_dry} times (0)")
    out.expect(not result.refused + result.disordered, f"{result.refused + result.disordered} wrong answers (0)")
    out.expect(not result.unanswered, f"{result.unanswered} of {result.sent:,} reports not answered (0)")
    lost, twice, unknown = (len(x) for x in (verdict.lost_answered, verdict.twice, verdict.unknown))
    out.expect(
        verdict.is_right,
        f"{verdict.answered:,} answered, {verdict.stored:,} stored: {lost} answered and lost, {twice} twice, "
        f"{unknown} never sent (0, 0, 0)",
    )

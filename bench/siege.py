"""Hostile links beside good ones, in turns within one run: good alone, then with the bad ones, then alone again.

The load of the good ones is moderate (a report a second each), so that what is measured is what the bad ones do to
them, and not how near to its limits the machine was anyway. What else the machine does hits neighbouring windows alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import hostile, lone
from bench.latency import Latencies, quantiles_ms
from bench.loading import expect_pace, loading
from bench.outcome import Outcome
from bench.witness import Window, Witness, within

P99_RATIO: Final = 1.5
BAD_LINK_BYTES: Final = 64 << 10
PAIRS: Final = 4
WINDOW_S: Final = 15.0
SETTLE_S: Final = 3.0
FOREVER_S: Final = 3600.0
LEAST_MS: Final = 1.0  # below it a p99 is the scheduler's, not ours
LIMITS: Final[dict[str, Any]] = {"idle_s": 60.0, "unauthenticated_s": 120.0}
"""So that each kind meets the limit that is meant for it, on a slow machine too, and the silent ones soon enough."""
CUT_S: Final = 150.0  # the longest until all are cut

REASONS: Final = {
    hostile.DRIPPING: "idle",
    hostile.ENDLESS: "junk",
    hostile.DEAF: "answers_not_read",
    hostile.HALVES: "packages_incomplete",
    hostile.JUNK: "junk",
    hostile.STRANGER: "unauthenticated_bytes",
}


def hostile_links(scale: float, seed: int) -> Outcome:
    """Good ones hardly notice; a bad one costs little and is cut at its limit, with its reason."""
    out = Outcome()
    good, bad = max(30, int(2000 * scale)), max(30, int(2000 * scale))
    is_long = scale >= 1
    pairs, window_s = (PAIRS, WINDOW_S) if is_long else (1, 2.0)
    limits = LIMITS
    if not is_long:
        limits = {"idle_s": 12.0, "write_stall_s": 2.0, "write_high_water_bytes": 1000, "messages_per_s": 2000.0}
    with tempfile.TemporaryDirectory(prefix="roadwarden-siege-") as name:
        folder = Path(name)
        with (
            lone.running(folder, **limits) as gateway,
            loading(gateway.host, gateway.port, folder, links=good, seconds=FOREVER_S, rate=float(good)) as load,
            Witness(folder) as witness,
        ):
            load.begun()
            time.sleep(SETTLE_S if is_long else 0.5)
            calm: list[Window] = []
            attacked: list[Window] = []
            calm_bytes: list[int] = []
            attacked_bytes: list[int] = []
            expected = Counter[str]()
            for pair in range(pairs):
                began = time.time()
                calm_bytes.append(peak(gateway.memory_bytes, window_s))
                calm.append((began, time.time()))
                with foes(gateway, bad, seed + 10_000 * pair, pair) as process:
                    began = time.time()
                    attacked_bytes.append(peak(gateway.memory_bytes, window_s))
                    attacked.append((began, time.time()))
                    _all_cut(process, expected, out)
                time.sleep(SETTLE_S if is_long else 0.0)
                print(f"  pair {pair + 1} of {pairs} is measured", flush=True)
            ended = gateway.counted("links_ended")
            result = load.stop()
            _counted(out, expected, ended)
            latencies = load.latencies()
        each = max(0, max(attacked_bytes) - calm_bytes[0]) / bad
        out.figures = {
            "good links, bad links at a time": (good, bad),
            "reports/s of the good ones": round(latencies.rate(*calm[0])),
            "KiB a bad link, at the peak": round(each / 1024, 1),
            "links ended, by reason": ended,
            "generator, CPU µs a report": result.cpu_us_per_report,
        }
        expect_pace(out, result, good, judged=is_long)
        out.expect(not result.unanswered, f"{result.unanswered} reports of good links not answered (0)")
        out.expect(not result.cut, f"{result.cut} good links cut (0)")
        out.expect(each < BAD_LINK_BYTES, f"{each / 1024:.1f} KiB a bad link (below 64)", judged=bad >= 1000)
        _ratio(out, latencies, calm, attacked, witness.held_up, judged=is_long)
    return out


class foes:
    """The bad ones in a process of their own, let in when it is entered."""

    def __init__(self, gateway: lone.LoneGateway, links: int, seed: int, number: int) -> None:
        command = [sys.executable, "-m", "bench.hostile", "--port", str(gateway.port), "--links", str(links)]
        command += ["--seconds", str(CUT_S), "--seed", str(seed)]
        command += ["--first-phone", str(hostile.FIRST_PHONE + 100_000 * number)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> subprocess.Popen[str]:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "begun\n":
            self._process.kill()
            raise RuntimeError("the hostile links were not let in")
        return self._process

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def _all_cut(process: subprocess.Popen[str], expected: Counter[str], out: Outcome) -> None:
    assert process.stdout is not None
    for kind, (links, cut_off) in json.loads(process.stdout.readline()).items():
        if links != cut_off:
            out.expect(False, f"{kind}: {links - cut_off} of {links} were not cut off")
        expected[REASONS[kind]] += links


def _counted(out: Outcome, expected: Counter[str], ended: dict[str, int]) -> None:
    for reason, links in expected.items():
        found = ended.get(reason, 0)
        out.expect(found == links, f"cut for {reason}: {found} counted ({links})")


def _ratio(
    out: Outcome,
    latencies: Latencies,
    calm: list[Window],
    attacked: list[Window],
    held_up: list[Window],
    *,
    judged: bool,
) -> None:
    """Of neighbouring windows, without the moments of the disk; the median of all pairs counts."""
    pairs = list(zip(calm, attacked, strict=True))
    p99 = [[quantiles_ms(latencies.between(*window, held_up), 0.99)[0] for window in pair] for pair in pairs]
    out.figures["p99 with all that the disk held up (ms)"] = [
        [quantiles_ms(latencies.between(*window), 0.99)[0] for window in pair] for pair in pairs
    ]
    out.figures["moments of the disk alone, beside"] = [[within(held_up, window) for window in pair] for pair in pairs]
    ratios = [beside / max(alone, LEAST_MS) for alone, beside in p99]
    median = statistics.median(ratios)
    out.figures["p99 alone, beside, each pair (ms)"] = p99
    out.figures["ratio of each pair"] = [round(ratio, 2) for ratio in ratios]
    out.expect(
        median <= P99_RATIO,
        f"p99 of good links beside bad ones {median:.2f} times as long as alone, "
        f"median of {len(ratios)} pairs from {min(ratios):.2f} to {max(ratios):.2f} (1.5)",
        judged=judged,
    )


def peak(measure: Callable[[], int], seconds: float) -> int:
    """The highest of many looks."""
    highest = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        highest = max(highest, measure())
        time.sleep(0.2)
    return highest

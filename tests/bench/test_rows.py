"""The rows' machinery: what passes, what fails, what a counter without a reason does. And one row in earnest, small."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import counters, full_load, loading, outage, rows, soak, witness
from bench.generator import Result
from bench.latency import Latencies, Recorder, quantiles_ms
from bench.outcome import Outcome
from bench.witness import Window

LOAD = Result(
    links=2, sent=10, answered=10, refused=0, disordered=0, unanswered=0, cut=0, held_back=0, seconds=1.0,
    answers_per_s=10.0, p50_ms=1.0, p99_ms=2.0, max_ms=3.0, cpu_us_per_report=9.0, kernel_us_per_report=6.0, busy=0.1,
    ran_dry=0, began_at=0.0,
)  # fmt: skip


def metrics() -> dict[str, float]:
    """As they are when all went well."""
    found = {counters.PREFIX + name: value for name, (value, _) in counters.expected(LOAD).items()}
    return found | {
        "roadwarden_gateway_journal_groups_total": 5.0,
        "roadwarden_gateway_bytes_received_total": 1000.0,
        "roadwarden_gateway_examined_total": 2.0,
        "roadwarden_http_requests_total{status=200}": 4.0,
        "roadwarden_gateway_sessions": 7.0,
        "roadwarden_pipeline_repeats_total": 0.0,
    }


def explained(found: dict[str, float]) -> Outcome:
    out = Outcome()
    counters.explain(out, found, LOAD, 4)
    return out


def test_every_counter_that_has_a_reason_is_explained() -> None:
    assert explained(metrics()).failures == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("roadwarden_pipeline_repeats_total", 1.0),
        ('roadwarden_gateway_frames_bad_total{reason="bad_check"}', 1.0),
        ("roadwarden_pipeline_stored_total", 9.0),
        ('roadwarden_gateway_deviations_total{reason="other_edition"}', 1.0),
        ("roadwarden_gateway_examined_total", 5.0),
        ('roadwarden_role_starts_total{role="core"}', 2.0),
        ("roadwarden_http_requests_total{status=200}", 5.0),
    ],
)
def test_a_counter_without_a_reason_stands_out(name: str, value: float) -> None:
    (failure,) = explained(metrics() | {name: value}).failures
    assert name.removeprefix("roadwarden_").partition("{")[0] in failure


def test_what_is_not_judged_is_shown_and_fails_nothing() -> None:
    out = Outcome()
    out.expect(False, "p99 12 ms (below 10)", judged=False)
    out.expect(True, "0 lost (0)")
    assert out.is_kept
    assert "(not judged)  p99" in out.show()
    whole = Outcome()
    whole.take(out, "here")
    whole.expect(False, "3 lost (0)")
    assert whole.failures == ["3 lost (0)"]
    assert whole.json()["checks"][0] == {"what": "here: p99 12 ms (below 10)", "holds": False, "judged": False}


def test_the_command_tells_by_its_exit_code_and_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(options: rows.Options) -> Outcome:
        out = Outcome({"seed seen": options.seed})
        out.expect(options.short, "short")
        return out

    def broken(options: rows.Options) -> Outcome:
        raise KeyError("no server")

    monkeypatch.setattr(rows, "ROWS", {1: rows.Row("one", 1, one), 2: rows.Row("two", 1, broken)})
    path = tmp_path / "rows.json"
    for arguments, code in ((["1", "--short", "--seed", "7"], 0), (["1"], 1), (["all", "--short"], 1)):
        with pytest.raises(SystemExit) as ended:
            rows.main([*arguments, "--json", str(path)])
        assert ended.value.code == code
    assert "NOT KEPT: it could not be done: KeyError: 'no server'" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert [(row["row"], row["kept"]) for row in found["rows"]] == [(1, True), (2, False)]
    assert found["rows"][0]["figures"] == {"seed seen": rows.SEED}


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"seconds": 1.02}, True),
        ({"seconds": 1.05}, False),
        ({"held_back": 1}, False),
        ({"sent": 0}, False),
    ],
)
def test_another_load_than_was_asked_fails(changes: dict[str, float], kept: bool) -> None:
    out = Outcome()
    loading.expect_pace(out, replace(LOAD, **changes), 10.0, judged=True)  # type: ignore[arg-type]
    assert out.is_kept is kept


@pytest.mark.parametrize(
    ("p99", "took", "kept"),
    [
        ((10.0, 19.0, 20.0), 6.0, True),
        ((10.0, 21.0, 20.0), 6.0, False),
        ((10.0, 19.0, 21.0), 1.0, False),
        ((10.0, 19.0, float("nan")), 1.0, True),  # a drain too short to be looked at
        ((10.0, 19.0, float("nan")), 6.0, False),
        ((10.0, float("nan"), 19.0), 6.0, False),
        ((float("nan"), 19.0, 19.0), 6.0, False),
    ],
)
def test_an_outage_is_not_kept_by_what_was_not_measured(
    p99: tuple[float, float, float], took: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(p99 * 2)  # with what the disk held up, and without
    monkeypatch.setattr(outage, "quantiles_ms", lambda seconds, share: [next(told)])
    nothing = Latencies(np.zeros(0, np.float32), np.zeros(0), np.zeros(0, np.uint64))
    seen = outage.Seen(
        calm_at=1, gone_at=2, back_at=100, drained_at=100 + took, waves=[1.0], received_at_back=1000,
        received_at_drained=1001, stored_at_drained=1000, blocked_refused=10, new_in=20, new_enrolled=20,
    )  # fmt: skip
    out = Outcome()
    outage._judge(out, seen, LOAD, nothing, [], outage.LONG, judged=True)
    assert out.is_kept is kept, out.failures


@pytest.mark.parametrize(("held_up", "kept"), [([(65.1, 65.3)], True), ([], False), ([(25.1, 25.3)], False)])
def test_an_outage_is_compared_without_the_moments_of_the_disk(held_up: list[Window], kept: bool) -> None:
    halves = np.arange(0.0, 130.0, 0.5)
    seconds = np.where(halves == 65.0, 0.9, 0.01).astype(np.float32).repeat(10)  # ten answers in each
    latencies = Latencies(seconds, np.append(halves, 130.0), np.arange(0, 2610, 10, dtype=np.uint64))
    seen = outage.Seen(
        calm_at=0.1, gone_at=60, back_at=90, drained_at=100, waves=[1.0], received_at_back=1000,
        received_at_drained=1001, stored_at_drained=1000, blocked_refused=10, new_in=20, new_enrolled=20,
    )  # fmt: skip
    out = Outcome()
    outage._judge(out, seen, LOAD, latencies, held_up, outage.LONG, judged=True)
    assert out.is_kept is kept, out.failures
    assert out.figures["the same with all that the disk held up (ms)"] == (10.0, 900.0, 10.0)
    assert sum(out.figures["moments of the disk"]) == len(held_up)


def test_a_stream_that_was_not_tested_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def skipped(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "SKIPPED [1] tests/ingest/test_stream.py: no PostgreSQL\n", "")

    monkeypatch.setattr(subprocess, "run", skipped)
    out = rows.stream(rows.Options(True, 1, (), None, None))
    assert out.failures == ["0 tests passed (1 or more)"]


def test_a_part_of_a_run_is_looked_at_by_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    for second in range(6):
        monkeypatch.setattr(time, "time", lambda now=1000.0 + second: now)
        recorder.mark()
        recorder.seconds.extend(array("f", [second / 100] * 10))
    monkeypatch.setattr(time, "time", lambda: 1006.0)
    recorder.save(tmp_path / "latencies.npz")
    latencies = Latencies.load(tmp_path / "latencies.npz")
    assert quantiles_ms(latencies.between(1002.0, 1004.5), 0.0, 1.0) == [20.0, 30.0]
    assert latencies.rate(1002.0, 1004.5) == 10.0
    assert len(latencies.between(1004.2, 1004.9)) == 0
    assert np.isnan(quantiles_ms(latencies.between(1, 2), 0.5)[0])
    assert quantiles_ms(latencies.between(1001.0, 1005.0, [(1002.2, 1002.9)]), 0.0, 1.0) == [10.0, 30.0]
    assert quantiles_ms(latencies.between(1001.0, 1005.0, [(1002.2, 1002.95)]), 0.0, 1.0) == [
        10.0,
        10.0,
    ]  # to be caught up
    assert len(latencies.between(1001.0, 1005.0, [(1000.0, 1006.0)])) == 0


@pytest.mark.parametrize(("held_up_s", "is_seen"), [(-1.0, True), (3600.0, False)])
def test_the_witness_tells_when_the_disk_took_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_up_s: float, is_seen: bool
) -> None:
    monkeypatch.setattr(witness, "HELD_UP_S", held_up_s)
    looked = threading.Semaphore(0)
    monkeypatch.setattr(witness.os, "fdatasync", lambda file: looked.release())
    before = time.time()
    with witness.Witness(tmp_path) as watching:
        for _ in range(3):
            assert looked.acquire(timeout=60)
    assert bool(watching.held_up) == is_seen
    assert all(before <= since <= until <= time.time() for since, until in watching.held_up)


def test_growth_is_told_from_a_step_at_the_beginning() -> None:
    at = np.arange(0.0, 600.0, 5.0)
    watch = soak.Watch.__new__(soak.Watch)
    watch.at = at.tolist()
    filled = np.where(at < 100, 50.0, 100.0) * soak.MIB  # a cache that fills while it warms up
    watch.series = {
        "memory of the core": filled.tolist(),
        "memory of the gateway": ((50 + at / 60) * soak.MIB).tolist(),  # a leak of 1 MiB a minute
        "asyncio tasks of the core": (20 + at % 2).tolist(),
    }
    out = Outcome()
    soak.judge_growth(out, watch, judged=True)
    (failure,) = out.failures
    assert failure.startswith("memory of the gateway: mean 56.2 MiB, +10.00 MiB in 10 minutes")


def test_the_c_echo_answers_frame_by_frame(tmp_path: Path) -> None:
    command = loading.compiled_echo(tmp_path)
    if command is None:
        pytest.skip("no C compiler here")
    result, server_us = loading.echoed(command, tmp_path, links=20, seconds=0.5, window=3)
    assert result.sent == result.answered >= 60
    assert (result.unanswered, result.cut) == (0, 0)
    assert server_us >= 0


@pytest.mark.slow
def test_the_soak_in_earnest_but_for_seconds() -> None:
    """Whole server, rules at work: the account is right, and after it every counter is explained."""
    out = soak.soak(True, rows.SEED, minutes=0.1)
    print(out.show())
    assert out.failures == []
    assert out.figures["reports"] == 3000


def test_the_long_forms_are_as_large_as_was_asked() -> None:
    assert (full_load.LINKS, full_load.PER_S, full_load.P99_MS, full_load.ECHO_SHARE) == (2000, 22_000, 1000.0, 0.25)
    assert (soak.PER_S, soak.SECONDS) == (11_000.0, 1200.0)

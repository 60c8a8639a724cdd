"""The gateway under what it must bear, with figures and a verdict: issue by issue, each in a gateway of its own.

    python -m bench.chaos disk|reconnect|hostile|memory|all [--scale 1.0] [--seed 1]

`--scale 0.02` is the short form that the tests run. Prints the figures, then what was not kept; exits 1 if anything.
Times are only judged at full scale: on a small one, chance rules.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import generator, hostile, lone, processes
from bench.crowd import Crowd, Member, Stage
from ingest.journal import Kind, SqliteJournalReader, journal_path
from ingest.listening import raise_file_limit
from simulators import wire

LET_IN_S: Final = 60.0
ANSWER_P99_MS: Final = 1000.0
P99_RATIO: Final = 1.5
BAD_LINK_BYTES: Final = 64 << 10
IDLE_TERMINAL_BYTES: Final = 8 << 10


@dataclass
class Outcome:
    """What was measured, and what of it is not as promised."""

    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.failures.append(what)


# ---- the journal's disk is full, then has room again


@contextmanager
def small_disk(at: Path, size_bytes: int) -> Iterator[None]:
    """A file system of that size. Raises: PermissionError: this user may not mount one."""
    at.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(at)], capture_output=True, check=False
    )
    if done.returncode:
        raise PermissionError(f"mount: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


class Reporter:
    """Terminals of a crowd that report, with an account of what was answered."""

    def __init__(self, crowd: Crowd, seed: int) -> None:
        self._crowd = crowd
        self._random = random.Random(seed)
        self.sent: dict[tuple[str, int], bytes] = {}  # (phone, serial number) -> body
        self.answered: set[tuple[str, int]] = set()
        self.heartbeats = 0
        crowd.on_answer = self._heard

    def _heard(self, member: Member, serial_no: int, message_id: int, result: int) -> None:
        if message_id == wire.LOCATION and result == 0:
            self.answered.add((member.phone, serial_no))
        elif message_id == wire.HEARTBEAT and result == 0:
            self.heartbeats += 1

    def report(self, count: int) -> None:
        """So many reports, by terminals chosen by chance."""
        for member in self._random.choices(self._crowd.members, k=count):
            body = self._random.randbytes(78)
            frame = member.frame(wire.LOCATION, body)
            if member.sock is not None:
                member.sock.send(frame)
                self.sent[member.phone, member.serial_no] = body

    def heartbeat(self) -> None:
        for member in self._crowd.members:
            if member.sock is not None:
                member.sock.send(member.frame(wire.HEARTBEAT))


def journaled(data_dir: Path) -> Counter[tuple[str, int, bytes]]:
    """Every message on disk: (phone, serial number, body)."""
    reader = SqliteJournalReader(journal_path(data_dir))
    found: Counter[tuple[str, int, bytes]] = Counter()
    for group in reader.read_now(0, 10**9):
        for i in range(len(group)):
            if group.headers["kind"][i] == Kind.MESSAGE:
                found[group.phone(i), int(group.headers["serial_no"][i]), group.body(i)] += 1
    reader.close()
    return found


def disk(scale: float, seed: int) -> Outcome:
    """No false answer, links kept, resumes unaided."""
    out = Outcome()
    terminals, per_round = max(20, int(500 * scale)), max(50, int(2000 * scale))
    with tempfile.TemporaryDirectory(prefix="roadwarden-chaos-") as name:
        data_dir = Path(name) / "gateway"
        with small_disk(data_dir, 64 << 20), lone.running(Path(name)) as gateway:
            crowd = Crowd(gateway.host, gateway.port, terminals)
            reporter = Reporter(crowd, seed)
            crowd.connect()
            out.expect(crowd.until(crowd.all_in, LET_IN_S), "not all terminals were let in")
            reporter.report(per_round)
            crowd.until(lambda: len(reporter.answered) == len(reporter.sent), 20)
            out.expect(len(reporter.answered) == len(reporter.sent), "not all was answered while there was room")
            fill(data_dir / "ballast")
            deadline = time.monotonic() + 60
            while not gateway.stats()["gateway_journal_failing"] and time.monotonic() < deadline:
                reporter.report(per_round)
                crowd.until(lambda: False, 0.2)
            out.expect(bool(gateway.stats()["gateway_journal_failing"]), "the disk did not fill up")
            reporter.report(per_round)
            reporter.heartbeat()
            crowd.until(lambda: reporter.heartbeats == terminals, 10)
            out.expect(reporter.heartbeats == terminals, "heartbeats are not answered while the disk is full")
            waiting = len(reporter.sent) - len(reporter.answered)
            out.expect(waiting >= per_round, "reports were answered while the disk was full")
            stored = journaled(data_dir)
            false = [key for key in reporter.answered if not stored[*key, reporter.sent[key]]]
            out.expect(not false, f"{len(false)} answered and not on disk")
            (data_dir / "ballast").unlink()
            began = time.monotonic()
            crowd.until(lambda: len(reporter.answered) == len(reporter.sent), 30)
            took = time.monotonic() - began
            out.expect(len(reporter.answered) == len(reporter.sent), "it did not go on when there was room again")
            stored = journaled(data_dir)
            out.expect(
                stored == Counter((*key, body) for key, body in reporter.sent.items()),
                "what is on disk is not what was sent, each once",
            )
            cut = sum(member.cut for member in crowd.members)
            out.expect(not cut, f"{cut} links were cut")
            out.figures = {
                "terminals": terminals,
                "reports": len(reporter.sent),
                "unanswered while full": waiting,
                "failed writes": gateway.counted("journal_write_errors"),
                "seconds until all were answered": round(took, 1),
                "links cut": cut,
            }
            crowd.close()
    return out


def fill(path: Path, leave_bytes: int = 1 << 20) -> None:
    """Leave that much room on a disk."""
    status = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_bsize - leave_bytes, 4096))


# ---- all come back at once


def reconnect(scale: float, seed: int) -> Outcome:
    """All authenticated in time, none refused twice, those that stayed are answered meanwhile."""
    out = Outcome()
    many, stayers = max(100, int(10_000 * scale)), max(20, int(500 * scale))
    storms: list[float] = []
    with tempfile.TemporaryDirectory(prefix="roadwarden-chaos-") as name, lone.running(Path(name)) as gateway:
        crowd = Crowd(gateway.host, gateway.port, many)
        crowd.connect()
        out.expect(crowd.until(crowd.all_in, 2 * LET_IN_S), "not all terminals registered")
        with generate(gateway, stayers, rate=2.0 * stayers, seconds=max(5.0, 30 * scale)) as load:
            while load.poll() is None or not storms:
                began = time.monotonic()
                crowd.hang_up()
                crowd.connect()
                out.expect(crowd.until(crowd.all_in, LET_IN_S), f"not all were let in within {LET_IN_S:g} s")
                storms.append(time.monotonic() - began)
            result = finished(load)
        trouble = [member.refused + member.cut for member in crowd.members]
        out.expect(max(trouble) <= len(storms), "some were refused more than once a storm")
        out.expect(result.unanswered == 0, f"{result.unanswered} reports of those that stayed were not answered")
        if scale >= 1:
            out.expect(result.p99_ms < ANSWER_P99_MS, f"p99 of those that stayed: {result.p99_ms} ms")
        out.figures = {
            "terminals": many,
            "storms": len(storms),
            "seconds until all were in, worst": round(max(storms), 1),
            "refused or cut, worst of a terminal": max(trouble),
            "those that stayed": stayers,
            "their p50, p99, worst answer (ms)": (result.p50_ms, result.p99_ms, result.max_ms),
        }
        crowd.close()
    return out


@contextmanager
def generate(gateway: lone.LoneGateway, links: int, *, rate: float, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The generator in a process of its own."""
    command = [sys.executable, "-m", "bench.generator", "--host", gateway.host, "--port", str(gateway.port)]
    command += ["--links", str(links), "--rate", str(rate), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def finished(load: subprocess.Popen[str]) -> generator.Result:
    out, errors = load.communicate()
    if load.returncode:
        raise RuntimeError(errors.strip())
    return generator.Result(**json.loads(out))


# ---- links that mean harm


def hostile_links(scale: float, seed: int) -> Outcome:
    """Good ones hardly notice; a bad one costs little and is cut at its limit, with its reason."""
    out = Outcome()
    good, bad = max(30, int(2000 * scale)), max(30, int(2000 * scale))
    limits: dict[str, Any] = {"idle_s": 60.0}
    if scale < 1:
        limits = {"idle_s": 6.0, "write_stall_s": 2.0, "write_high_water_bytes": 1000, "messages_per_s": 2000.0}
    seconds = 60.0 if scale >= 1 else 4.0
    with tempfile.TemporaryDirectory(prefix="roadwarden-chaos-") as name, lone.running(Path(name), **limits) as gateway:
        with generate(gateway, good, rate=2.0 * good, seconds=seconds / 2) as load:
            calm_bytes = peak(gateway.memory_bytes, lambda: load.poll() is not None)
            calm = finished(load)
        command = [sys.executable, "-m", "bench.hostile", "--port", str(gateway.port), "--links", str(bad)]
        command += ["--seconds", str(seconds * 3), "--seed", str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as foes:
            assert foes.stdout is not None
            out.expect(foes.stdout.readline() == "begun\n", "the hostile links were not let in")
            with generate(gateway, good, rate=2.0 * good, seconds=seconds) as load:
                attacked_bytes = peak(gateway.memory_bytes, lambda: load.poll() is not None)
                attacked = finished(load)
            cut = json.loads(foes.stdout.readline())
        ended = gateway.counted("links_ended")
        expected = Counter[str]()
        for kind, (links, cut_off) in cut.items():
            out.expect(links == cut_off, f"{kind}: {links - cut_off} of {links} were not cut off")
            expected[REASONS[kind]] += links
        for reason, links in expected.items():
            out.expect(ended.get(reason, 0) == links, f"{reason}: {ended.get(reason, 0)} counted, {links} expected")
        each = max(0, attacked_bytes - calm_bytes) / bad
        ratio = attacked.p99_ms / max(calm.p99_ms, 1.0)
        out.expect(attacked.unanswered == 0, f"{attacked.unanswered} reports of good links were not answered")
        out.expect(each < BAD_LINK_BYTES or bad < 1000, f"{each:.0f} bytes a bad link")
        if scale >= 1:
            out.expect(ratio <= P99_RATIO, f"p99 of good links: {ratio:.2f} times as long")
        out.figures = {
            "good links, bad links": (good, bad),
            "good p99 before, beside (ms)": (calm.p99_ms, attacked.p99_ms),
            "ratio": round(ratio, 2),
            "KiB a bad link": round(each / 1024, 1),
            "links ended, by reason": ended,
        }
    return out


REASONS: Final = {
    hostile.DRIPPING: "idle",
    hostile.ENDLESS: "junk",
    hostile.DEAF: "answers_not_read",
    hostile.HALVES: "packages_incomplete",
    hostile.JUNK: "junk",
    hostile.STRANGER: "unauthenticated_bytes",
}


def peak(measure: Callable[[], int], is_over: Callable[[], bool]) -> int:
    """The highest of many looks."""
    highest = 0
    while not is_over():
        highest = max(highest, measure())
        time.sleep(0.2)
    return highest


# ---- memory of those that are silent


def memory(scale: float, seed: int) -> Outcome:
    """What an idle authenticated terminal holds, after it registered in a storm and came back in another."""
    out = Outcome()
    many = max(100, int(10_000 * scale))
    with (
        tempfile.TemporaryDirectory(prefix="roadwarden-chaos-") as name,
        lone.running(Path(name), give_memory_back_s=3.0) as gateway,
    ):
        time.sleep(3.5)
        empty, empty_kernel = gateway.memory_bytes(), processes.socket_bytes()
        crowd = Crowd(gateway.host, gateway.port, many)
        figures: dict[str, Any] = {"terminals": many}
        for what in ("registered", "came back"):
            crowd.hang_up()
            crowd.connect()
            out.expect(crowd.until(crowd.all_in, LET_IN_S), "not all were let in")
            figures[f"bytes each, {what}"] = round((gateway.memory_bytes() - empty) / many)
            crowd.until(lambda: False, 5.0)
            each = round((gateway.memory_bytes() - empty) / many)
            figures[f"bytes each, {what} and settled"] = each
            out.expect(each <= IDLE_TERMINAL_BYTES or scale < 1, f"{each} bytes an idle terminal")
        figures["bytes each of the kernel, both ends"] = round((processes.socket_bytes() - empty_kernel) / many)
        out.expect(all(member.stage is Stage.IN for member in crowd.members), "not all stayed")
        out.figures = figures
        crowd.close()
    return out


SCENARIOS: Final[dict[str, Callable[[float, int], Outcome]]] = {
    "disk": disk,
    "reconnect": reconnect,
    "hostile": hostile_links,
    "memory": memory,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("scenario", choices=[*SCENARIOS, "all"])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    raise_file_limit()
    is_right = True
    for name in SCENARIOS if options.scenario == "all" else [options.scenario]:
        print(f"{name}: seed {options.seed}, scale {options.scale:g}", flush=True)
        outcome = SCENARIOS[name](options.scale, options.seed)
        for figure, value in outcome.figures.items():
            print(f"  {figure:<44} {value}")
        for failure in outcome.failures:
            print(f"  NOT KEPT: {failure}")
        is_right = is_right and not outcome.failures
    sys.exit(not is_right)


if __name__ == "__main__":
    main(sys.argv[1:])

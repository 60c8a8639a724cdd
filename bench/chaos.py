"""The gateway under what it must bear, with figures and a verdict: issue by issue, each in a gateway of its own.

    python -m bench.chaos disk|reconnect|hostile|memory|all [--scale 1.0] [--seed 1]

`--scale 0.02` is the short form that the tests run. Prints the figures, then what was not kept; exits 1 if anything.
Times are only judged at full scale: on a small one, chance rules.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import lone, processes, siege
from bench.crowd import Crowd, Member, Stage
from bench.loading import expect_pace, loading
from bench.outcome import Outcome
from ingest.journal import Kind, journal_path
from ingest.journal.inspect import JournalInspector
from ingest.listening import raise_file_limit
from simulators import wire

LET_IN_S: Final = 60.0
SPARE_FILES: Final = 1000
ANSWER_P99_MS: Final = 1000.0
IDLE_TERMINAL_BYTES: Final = 8 << 10


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
    journal = JournalInspector(journal_path(data_dir))
    found: Counter[tuple[str, int, bytes]] = Counter()
    for group in journal.groups(0):
        for i in range(len(group)):
            if group.headers["kind"][i] == Kind.MESSAGE:
                found[group.phone(i), int(group.headers["serial_no"][i]), group.body(i)] += 1
    journal.close()
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
            out.expect(crowd.until(crowd.all_in, LET_IN_S), f"all {terminals} terminals let in")
            reporter.report(per_round)
            crowd.until(lambda: len(reporter.answered) == len(reporter.sent), LET_IN_S)
            out.expect(len(reporter.answered) == len(reporter.sent), "all answered while there is room")
            fill(data_dir / "ballast")
            deadline = time.monotonic() + 60
            while not gateway.stats()["gateway_journal_failing"] and time.monotonic() < deadline:
                reporter.report(per_round)
                crowd.until(lambda: False, 0.2)
            out.expect(bool(gateway.stats()["gateway_journal_failing"]), "the disk is full and the gateway says so")
            reporter.report(per_round)
            reporter.heartbeat()
            crowd.until(lambda: reporter.heartbeats == terminals, LET_IN_S)
            out.expect(reporter.heartbeats == terminals, "heartbeats are answered while it is full")
            waiting = len(reporter.sent) - len(reporter.answered)
            out.expect(waiting >= per_round, f"{waiting} reports wait meanwhile (at least {per_round})")
            stored = journaled(data_dir)
            false = [key for key in reporter.answered if not stored[*key, reporter.sent[key]]]
            out.expect(not false, f"{len(false)} answered and not on disk (0)")
            (data_dir / "ballast").unlink()
            began = time.monotonic()
            crowd.until(lambda: len(reporter.answered) == len(reporter.sent), LET_IN_S)
            took = time.monotonic() - began
            out.expect(
                len(reporter.answered) == len(reporter.sent),
                f"resumes unaided: all answered {took:.1f} s after there was room",
            )
            stored = journaled(data_dir)
            out.expect(
                stored == Counter((*key, body) for key, body in reporter.sent.items()),
                "on disk is what was sent, each once",
            )
            cut = sum(member.cut for member in crowd.members)
            out.expect(not cut, f"{cut} links cut (0)")
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
    is_long = scale >= 1
    most = 20_000 if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 20_000 + SPARE_FILES else 10_000
    many, stayers = max(100, int(most * scale)), max(20, int(500 * scale))
    storms: list[float] = []
    with tempfile.TemporaryDirectory(prefix="roadwarden-chaos-") as name:
        folder = Path(name)
        with lone.running(folder) as gateway:
            crowd = Crowd(gateway.host, gateway.port, many)
            crowd.connect()
            out.expect(crowd.until(crowd.all_in, 2 * LET_IN_S), f"all {many} terminals registered")
            seconds = max(5.0, 30 * scale)
            with loading(
                gateway.host, gateway.port, folder, links=stayers, rate=2.0 * stayers, seconds=seconds
            ) as load:
                load.begun()
                while not load.is_over or not storms:
                    began = time.monotonic()
                    crowd.hang_up()
                    crowd.connect()
                    if not crowd.until(crowd.all_in, LET_IN_S):
                        out.expect(False, f"all were let in within {LET_IN_S:g} s in storm {len(storms) + 1}")
                    storms.append(time.monotonic() - began)
                result = load.finish()
        crowd.close()
    trouble = [member.refused + member.cut for member in crowd.members]
    worst = max(storms)
    out.expect(worst < LET_IN_S, f"all authenticated within {worst:.1f} s at worst of {len(storms)} storms (60)")
    out.expect(max(trouble) <= len(storms), f"one terminal refused or cut {max(trouble)} times at worst (1 a storm)")
    expect_pace(out, result, 2.0 * stayers, judged=is_long)
    out.expect(not result.unanswered, f"{result.unanswered} reports of those that stayed not answered (0)")
    p99 = result.p99_ms
    out.expect(p99 < ANSWER_P99_MS, f"p99 of those that stayed {p99:.0f} ms (1000)", judged=is_long)
    out.figures = {
        "terminals": many,
        "storms": len(storms),
        "seconds until all were in, worst": round(worst, 1),
        "refused or cut, worst of a terminal": max(trouble),
        "those that stayed": stayers,
        "their p50, p99, worst answer (ms)": (result.p50_ms, result.p99_ms, result.max_ms),
    }
    return out


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
            out.expect(crowd.until(crowd.all_in, LET_IN_S), f"all {many} {what}")
            figures[f"bytes each, {what}"] = round((gateway.memory_bytes() - empty) / many)
            crowd.until(lambda: False, 5.0)
            each = round((gateway.memory_bytes() - empty) / many)
            figures[f"bytes each, {what} and settled"] = each
            out.expect(each <= IDLE_TERMINAL_BYTES, f"{each} bytes an idle terminal, {what} (8192)", judged=scale >= 1)
        figures["bytes each of the kernel, both ends"] = round((processes.socket_bytes() - empty_kernel) / many)
        out.expect(all(member.stage is Stage.IN for member in crowd.members), "all stayed")
        out.figures = figures
        crowd.close()
    return out


SCENARIOS: Final[dict[str, Callable[[float, int], Outcome]]] = {
    "disk": disk,
    "reconnect": reconnect,
    "hostile": siege.hostile_links,
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
        print(outcome.show(), flush=True)
        is_right = is_right and outcome.is_kept
    sys.exit(not is_right)


if __name__ == "__main__":
    main(sys.argv[1:])

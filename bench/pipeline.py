"""What a report costs behind the journal, and how fast a backlog is drained: `python -m bench.pipeline`.

A journal is filled as the gateway would fill it while the database is away; then the pipeline (reading, columns,
repeats, rules, one transaction after the other) drains it into an empty embedded PostgreSQL with fsync on. No gateway,
no load beside it: the figure is the pipeline's own, to be compared with the rate at which reports arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import resource
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

import store
from alarms import AlarmEngine, EngineDefaults
from bench import frames, processes
from fleet import Bus, Registration
from ingest import pipeline as pipeline_module
from ingest.digest import Digester
from ingest.directory import Directory
from ingest.journal import (
    EDITION_CODES,
    HEADER_DTYPE,
    RECORD_HEADER,
    JournalFile,
    Kind,
    SqliteJournalReader,
    encode_fact,
    journal_path,
)
from ingest.pipeline import Pipeline
from store.embedded import EmbeddedPostgres


def register(file: JournalFile, vehicles: int) -> None:
    """The vehicles' terminals, in one group."""
    now_us = time.time_ns() // 1000
    headers, bodies, at = [], [], 0
    for link in range(vehicles):
        fact = Registration(
            now_us, frames.phone(link), "2013", 21, 100, "70111", "BENCH", f"B{link:06d}", 2, f"测B{link:05d}",
            bytes(32), now_us,
        )  # fmt: skip
        body = encode_fact(fact)
        phone = bytes.fromhex(frames.phone(link).zfill(20))
        headers.append(RECORD_HEADER.pack(now_us, at, len(body), 0, 0, Kind.REGISTERED, EDITION_CODES["2013"], phone))
        bodies.append(body)
        at += len(body)
    file.write(vehicles, [b"".join(headers), b"".join(bodies)])


def fill(file: JournalFile, records: int, vehicles: int, group: int, late_share: float) -> None:
    """Reports of all vehicles in turns, ``group`` at a time."""
    now_us = time.time_ns() // 1000
    rounds = -(-records // vehicles)
    last_s = int(time.time()) - 10
    by_link = np.stack([frames.contents(link, rounds, 0, last_s) for link in range(vehicles)])
    content = by_link.transpose(1, 0, 2).reshape(rounds * vehicles, -1)[
        :records
    ]  # a round of all vehicles, the next, ...
    rng = np.random.default_rng(1)
    moved = rng.permutation(records)[: int(records * late_share)]
    content[np.sort(moved)] = content[moved]  # those come out of their order
    reports = content[:, frames.HEADER : frames.HEADER + frames.BODY]
    head = np.zeros(records, HEADER_DTYPE)
    sender = np.arange(records) % vehicles
    phones = [np.void(bytes.fromhex(frames.phone(each).zfill(20))) for each in range(vehicles)]
    head["phone"] = np.array(phones, "V10")[sender]
    if len(moved):
        head["phone"][np.sort(moved)] = head["phone"][moved]
    head["message_id"], head["edition"], head["body_length"] = 0x0200, EDITION_CODES["2013"], frames.BODY
    head["received_us"] = now_us + np.arange(records) * 200  # 5,000 a second
    for begin in range(0, records, group):
        end = min(begin + group, records)
        part = head[begin:end].copy()
        part["body_offset"] = np.arange(end - begin) * frames.BODY
        file.write(end - begin, [part.tobytes(), np.ascontiguousarray(reports[begin:end]).tobytes()])


async def drain(file: JournalFile, folder: Path, dsn: str, reports: int, profile: cProfile.Profile | None) -> Any:
    database = store.Database(dsn)
    await database.open()
    reader = SqliteJournalReader(journal_path(folder))
    pipeline = Pipeline(
        reader, database, lambda: AlarmEngine(EngineDefaults()), Bus(), Digester(Directory())
    )  # fmt: skip
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls.append(time.perf_counter() - began - 0.001)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    watcher = asyncio.create_task(watch())
    cpu, began = time.process_time(), time.perf_counter()
    if profile is not None:
        profile.enable()
    running = asyncio.create_task(pipeline.run())
    while pipeline.status.offset < file.last_offset and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    if profile is not None:
        profile.disable()
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    for task in (running, watcher):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    counts = pipeline.status.counts
    async with database.connection() as connection:
        row = await (await connection.execute("SELECT count(*) FROM positions")).fetchone()
    assert row is not None
    counted = max(reports, 1)
    await database.close()
    reader.close()
    return {
        "reports": reports,
        "stored": row[0],
        "repeats": counts["repeats"],
        "asked": counts["repeats_asked"],
        "seconds": took_s,
        "reports_per_s": counted / took_s,
        "pipeline_cpu_us": cpu_s / counted * 1e6,
        "loop_p99_ms": float(np.quantile(stalls or [0.0], 0.99)) * 1e3,
        "loop_max_ms": max(stalls, default=0.0) * 1e3,
        "memory_growth_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--vehicles", type=int, default=2_000)
    parser.add_argument("--group", type=int, default=50, help="reports in a group of the journal")
    parser.add_argument("--late", type=float, default=0.0, help="share of the reports that come out of their order")
    parser.add_argument("--at-once", type=int, help="records of one transaction")
    parser.add_argument("--arrival", type=int, default=5_000, help="reports/s to compare with")
    parser.add_argument("--profile", action="store_true", help="top lines of the pipeline's Python (slows it down)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.at_once:
        pipeline_module.MAX_RECORDS = options.at_once  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="rw-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder / "postgres")
        dsn = postgres.start()
        pid = postgres.pid
        assert pid is not None
        file = JournalFile(journal_path(folder))
        file.open()
        try:
            store.migrate(dsn)
            register(file, options.vehicles)
            asyncio.run(drain(file, folder, dsn, 0, None))
            reports = options.records
            fill(file, reports, options.vehicles, options.group, options.late)
            gc.collect()
            profile = cProfile.Profile() if options.profile else None
            database_cpu = processes.cpu_s(pid)
            result = uvloop.run(drain(file, folder, dsn, reports, profile))
            result["database_cpu_us"] = (processes.cpu_s(pid) - database_cpu) / reports * 1e6
        finally:
            file.close()
            postgres.stop()
    result["times_the_arrival"] = result["reports_per_s"] / options.arrival
    for key, value in result.items():
        print(f"{key:<20} {value:,.1f}" if isinstance(value, float) else f"{key:<20} {value:,}")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(22)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    if missing := result["reports"] - result["stored"] - result["repeats"]:
        sys.exit(f"bench.pipeline: {missing} reports were neither stored nor repeats: it did another work")


if __name__ == "__main__":
    main()

"""P1 and P2: whatever is killed at whatever moment, every answered report is stored, and stored once.

500 simulated terminals on bad links report without pause while the server is killed 20 times: the whole tree through
its supervisor, or one of its processes alone. In the end the terminals' own account is held against the database.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from simulators.fleet import Fleet
from simulators.ledger import FixKey, Ledger
from simulators.link import LinkFaults
from simulators.terminal import FAST
from store import EmbeddedPostgres
from tests.end_to_end.conftest import postgres_settings
from tests.server import Client, Server

TERMINALS = 500
KILLS = 20
SEED = int(os.environ.get("ROADWARDEN_KILL_SEED", "20261122"))
FAULTS = LinkFaults(lose=0.005, repeat=0.02, swap=0.01, damage=0.005, delay=0.02, cut=0.001, max_delay_s=0.3)
TIMING = replace(FAST, interval_s=1.0, parked_interval_s=1.0, answer_timeout_s=2.0)


def pids(server: Server) -> dict[str, list[int]]:
    """The tree's processes by what they are."""
    found: dict[str, list[int]] = {"gateway": [], "core": [], "postgres": []}
    for pid in server.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        for name in ("gateway", "core"):
            if f"roadwarden.roles {name}" in command:
                found[name].append(pid)
        if "postgres" in command and f"-D {server.data_dir}" in command:
            found["postgres"].append(pid)
    return found


def kill(server: Server, what: str) -> None:
    """kill -9 of the whole server (supervisor; its tree follows), or of one part that the supervisor brings back."""
    if what == "server":
        server.kill()
        return
    for pid in pids(server)[what]:
        os.kill(pid, signal.SIGKILL)


def stored_fixes(server: Server) -> list[FixKey]:
    dsn = EmbeddedPostgres(server.data_dir / "postgres").dsn
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT t.phone, (extract(epoch FROM p.time) * 1000000)::bigint, p.fix_hash "
            "FROM positions p JOIN terminals t ON t.id = p.terminal_id"
        ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


async def wait_until_drained(server: Server, client: Client, ledger: Ledger) -> list[FixKey]:
    """Wait until the pipeline has stored what the journal holds."""
    answered = {key for key, entry in ledger.entries.items() if entry.answered_at is not None}
    for _ in range(600):
        await asyncio.to_thread(server.wait_ready, client)
        stored = await asyncio.to_thread(stored_fixes, server)
        if answered <= set(stored):
            return stored
        await asyncio.sleep(0.1)
    return stored


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["postgresql", "timescaledb"])
async def test_every_answered_report_is_stored_exactly_once(tmp_path: Path, backend: str) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}: ROADWARDEN_KILL_SEED={SEED} repeats this run's kills")
    server = Server(tmp_path / "data", **postgres_settings(backend))
    client = await asyncio.to_thread(server.start)
    host, port = server.jt808()
    kills = KILLS if backend == "postgresql" else 5
    try:
        fleet = Fleet(host, port, terminals=TERMINALS, seed=SEED, faults=FAULTS, timing=TIMING)
        async with fleet:
            while fleet.online < TERMINALS * 0.9:  # noqa: ASYNC110 - the fleet is not ours to signal
                await asyncio.sleep(0.1)
            for _ in range(kills):
                await asyncio.sleep(rng.uniform(0.3, 2.5))
                what = rng.choice(["server", "server", "server", "gateway", "core", "postgres"])
                answered_before = fleet.ledger.counts["answered"]
                await asyncio.to_thread(kill, server, what)
                if what == "server":
                    await asyncio.sleep(rng.uniform(0.0, 0.5))
                    client = await asyncio.to_thread(server.start)
                await asyncio.to_thread(server.wait_ready, client)
                while fleet.ledger.counts["answered"] == answered_before:  # noqa: ASYNC110 - it works again before the next blow
                    await asyncio.sleep(0.02)
            await fleet.drain(60.0)
        stored = await wait_until_drained(server, client, fleet.ledger)
        verdict = fleet.ledger.compare(stored)
        print(verdict)
        assert verdict.answered > TERMINALS * 3
        assert not verdict.lost_answered, str(verdict)
        assert not verdict.twice, str(verdict)
        assert not verdict.unknown, str(verdict)
    finally:
        await asyncio.to_thread(server.stop)
    assert server.processes() == []

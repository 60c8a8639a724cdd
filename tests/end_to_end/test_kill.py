"""P1 and P2: whatever is killed at whatever moment, every answered report is stored, and stored once.

500 simulated terminals on bad links report without pause while the server is killed 20 times: the whole tree through
its supervisor, or one of its processes alone. In the end the terminals' own account is held against the database.
`python -m bench.rows 1` does the same fifty times on each back end.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench.kills import under_fire
from bench.server import Server
from tests import server as processes
from tests.end_to_end.conftest import postgres_settings

KILLS = {"postgresql": 20, "timescaledb": 4}
SEED = int(os.environ.get("ROADWARDEN_KILL_SEED", "20261122"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", KILLS)
async def test_every_answered_report_is_stored_exactly_once(tmp_path: Path, backend: str) -> None:
    print(f"seed {SEED}: ROADWARDEN_KILL_SEED={SEED} repeats this run's kills")
    server = Server(tmp_path, **postgres_settings(backend))
    try:
        killed = await under_fire(server, kills=KILLS[backend], seed=SEED, say=print)
    finally:
        await asyncio.to_thread(server.stop)
    verdict = killed.verdict
    print(verdict, "; seconds spent on", {what: round(seconds) for what, seconds in killed.spent_s.items()})
    assert verdict.answered > 1500
    assert not verdict.lost_answered, str(verdict)
    assert not verdict.twice, str(verdict)
    assert not verdict.unknown, str(verdict)
    assert processes.Server(tmp_path / "data").processes() == []

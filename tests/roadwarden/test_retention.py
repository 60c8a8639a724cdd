"""The hourly round: days ahead made, old days and rows dropped, all of it counted."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from roadwarden import retention as retention_module
from roadwarden.retention import US_PER_DAY, Retention
from roadwarden.settings import load_settings
from store import Database
from store.partitions import backend

NOW_US = 1_793_505_600_000_000


async def test_a_round_is_counted(database: Database) -> None:
    settings = load_settings(retention_days=30, log_retention_days=10, log_max_rows=1000, record_retention_days=0)
    retention = Retention(database, settings)
    await retention.once(NOW_US - 40 * US_PER_DAY)
    async with database.connection() as connection:
        kind = await backend(connection)
        await connection.execute(
            "INSERT INTO session_log (time, phone, online, peer, transport, edition, reason) "
            "SELECT to_timestamp(%s) - n * interval '1 hour', '1', true, '', '', '', '' "
            "FROM generate_series(2000, 1, -1) AS n", (NOW_US / 1e6,),
        )  # fmt: skip
    before = retention.counts["retention_days_dropped_total"]
    await retention.once(NOW_US)
    # 2000 hours back to 10 days: 1760 are too old, and what is left is fewer than allowed.
    assert retention.metrics()["retention_rows_total{table=session_log,reason=age}"] == 1760
    if kind == "postgresql":  # the days that the first round made
        assert retention.counts["retention_days_dropped_total"] - before >= 4


@pytest.mark.parametrize("error", [psycopg.OperationalError("away"), psycopg.errors.InsufficientPrivilege("no owner")])
async def test_a_round_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch, error: psycopg.Error) -> None:
    """An account that may not drop what it does not own must not end the process that stores reports."""
    monkeypatch.setattr(retention_module, "AGAIN_S", 0.0)
    retention = Retention(Database(""), load_settings())
    rounds, done = iter([error]), asyncio.Event()

    async def once(now_us: int) -> None:
        if (fails := next(rounds, None)) is not None:
            raise fails
        done.set()

    monkeypatch.setattr(retention, "once", once)
    running = asyncio.create_task(retention.run())
    async with asyncio.timeout(60):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert retention.metrics() == {"retention_failures_total": 1.0}

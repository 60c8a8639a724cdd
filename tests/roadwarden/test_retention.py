"""The hourly round: days ahead made, old days and rows dropped, all of it counted."""

from __future__ import annotations

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

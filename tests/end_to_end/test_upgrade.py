"""The schema changes under a server at work: reports are answered and stored all along, nobody sees an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import store
from simulators.fleet import Fleet
from simulators.terminal import FAST
from store.migrate import Migration, load_migrations, parse_migrations
from tests.end_to_end.test_outage import answered, stored_fixes, until
from tests.server import Client, Server

TERMINALS = 20
TIMING = replace(FAST, interval_s=0.2, parked_interval_s=0.2, answer_timeout_s=10.0)
WIDER = """
CREATE TABLE upgrades (id integer PRIMARY KEY, vehicle_id integer REFERENCES vehicles);
ALTER TABLE positions ADD COLUMN lane_no integer, ADD COLUMN quality integer NOT NULL DEFAULT 1;
ALTER TABLE latest_positions ADD COLUMN quality integer NOT NULL DEFAULT 1;
ALTER TABLE vehicles ADD COLUMN upgraded boolean NOT NULL DEFAULT false;
ALTER TABLE terminals ADD COLUMN upgraded boolean NOT NULL DEFAULT false;
ALTER TABLE alarms ADD COLUMN upgraded boolean NOT NULL DEFAULT false;
ALTER TABLE journal_offsets ADD COLUMN upgraded boolean NOT NULL DEFAULT false;
"""
INDEX = "-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS alarms_upgraded ON alarms (upgraded, id);\n"


def newer_migrations(folder: Path) -> list[Migration]:
    """Ours and, from a folder, those of a version to come."""
    known = load_migrations()
    number = len(known) + 1
    (folder / f"{number:04d}_wider.sql").write_text(WIDER)
    (folder / f"{number + 1:04d}_index.sql").write_text(INDEX)
    ours = [(f"{migration.label}.sql", migration.text) for migration in known]
    return parse_migrations([*ours, *((file.name, file.read_text()) for file in folder.iterdir())])


async def ask(client: Client) -> AsyncIterator[str]:
    """What a console asks; any error ends it."""
    while True:
        for path in ("vehicles?limit=50", "positions/latest?limit=50", "alarms?limit=50", "terminals?limit=50"):
            await asyncio.to_thread(client.get, path)
            yield path


@pytest.mark.slow
async def test_nobody_notices_that_the_schema_grows(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    client = await asyncio.to_thread(server.start)
    await asyncio.to_thread(client.sign_in)
    dsn = store.EmbeddedPostgres(tmp_path / "data" / "postgres").dsn
    host, port = server.jt808()
    fleet = Fleet(host, port, terminals=TERMINALS, seed=4, timing=TIMING, udp_share=0.0)
    asked = 0

    async def console() -> None:
        nonlocal asked
        async for _ in ask(client):
            asked += 1

    try:
        async with fleet:
            await until("all on-line", lambda: fleet.online == TERMINALS)
            watching = asyncio.create_task(console())
            await until("the console is asking", lambda: asked > 40)  # its statements are prepared by now
            ended = fleet.ledger.counts["links_ended"]
            (folder := tmp_path / "migrations").mkdir()
            newer = newer_migrations(folder)
            with psycopg.connect(dsn) as backup:  # what an upgrade meets: somebody who reads for long
                backup.execute("SELECT count(*) FROM positions")
                migrating = asyncio.create_task(asyncio.to_thread(store.migrate, dsn, newer))
                before = fleet.ledger.counts["answered"]
                await until("reports go on meanwhile", lambda: fleet.ledger.counts["answered"] > before + 5 * TERMINALS)
                assert not migrating.done()
            assert await migrating == [newer[-2].label, newer[-1].label]
            before, were_asked = fleet.ledger.counts["answered"], asked
            await until("and afterwards", lambda: fleet.ledger.counts["answered"] > before + 5 * TERMINALS)
            await until("the console goes on", lambda: asked > were_asked + 20 or watching.done())
            assert not watching.done(), watching.exception()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            assert await fleet.drain(30.0)
            assert fleet.ledger.counts["links_ended"] == ended
        promised = answered(fleet.ledger)
        await until("all is stored", lambda: promised <= stored_fixes(dsn))
        metrics = await asyncio.to_thread(client.text, "/metrics")
        for name in ("database_retries", "storage_refused", "digest_failed", "quarantined_storage_refused"):
            assert f"roadwarden_pipeline_{name}_total " not in metrics
        # A program that is older than the schema starts, too.
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert "the schema is newer than this program" in server.log.read_text()
        await asyncio.to_thread(server.stop)
        # But not where something was taken away: it says so, and takes reports all the same.
        taken = Migration(newer[-1].version + 1, "contract_vehicles", "SELECT 1;")
        postgres = store.EmbeddedPostgres(tmp_path / "data" / "postgres")
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(store.migrate, dsn, [*newer, taken])
        await asyncio.to_thread(postgres.stop)
        wait_ready, server.wait_ready = server.wait_ready, lambda *_: None  # type: ignore[method-assign]
        client = await asyncio.to_thread(server.start)
        await until("it says why", lambda: "contract_vehicles" in server.log.read_text())
        server.wait_ready = wait_ready  # type: ignore[method-assign]
        with pytest.raises(OSError, match="503"):
            await asyncio.to_thread(client.text, "/readyz")
    finally:
        await asyncio.to_thread(server.stop)

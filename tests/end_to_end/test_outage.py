"""P3: a terminal never waits for the database. It is stopped under load; terminals come, go and register meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from simulators.fleet import Fleet
from simulators.ledger import FixKey, Ledger
from simulators.terminal import FAST
from store import EmbeddedPostgres
from tests.server import Client, Server

TERMINALS = 60
NEWCOMERS = 20
FIRST_NEW_PHONE = 13911100000
TIMING = replace(FAST, interval_s=0.5, parked_interval_s=0.5, answer_timeout_s=30.0)


def stored_fixes(dsn: str) -> set[FixKey]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT t.phone, (extract(epoch FROM p.time) * 1000000)::bigint, p.fix_hash "
            "FROM positions p JOIN terminals t ON t.id = p.terminal_id"
        ).fetchall()
    assert len(rows) == len(set(rows)), "a fix is stored twice"
    return {(row[0], row[1], row[2]) for row in rows}


def answered(ledger: Ledger) -> set[FixKey]:
    return {key for key, entry in ledger.entries.items() if entry.answered_at is not None}


async def until(what: str, condition: object, timeout_s: float = 180.0) -> None:
    assert callable(condition)
    for _ in range(int(timeout_s / 0.05)):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"in vain: {what}")


def is_ready(client: Client) -> bool:
    try:
        client.text("/readyz")
    except OSError:
        return False
    return True


@pytest.mark.slow
async def test_terminals_do_not_notice_that_the_database_is_away(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    dsn = await asyncio.to_thread(postgres.start)
    server = Server(tmp_path / "data", ROADWARDEN_DATABASE_URL=dsn)
    client = await asyncio.to_thread(server.start)
    host, port = server.jt808()
    old = Fleet(host, port, terminals=TERMINALS, seed=1, timing=TIMING, udp_share=0.0)
    try:
        async with old:
            await until("all on-line", lambda: old.online == TERMINALS)
            await asyncio.to_thread(postgres.stop)
            ended_before = old.ledger.counts["links_ended"]
            answered_before = old.ledger.counts["answered"]

            # Reports go on being answered, nobody is thrown out.
            await until("reports are answered", lambda: old.ledger.counts["answered"] > answered_before + 5 * TERMINALS)
            assert old.ledger.counts["links_ended"] == ended_before
            assert old.online == TERMINALS

            # New terminals register, and are let in, without a database.
            new = Fleet(
                host, port, terminals=NEWCOMERS, seed=2, timing=TIMING, udp_share=0.0, first_phone=FIRST_NEW_PHONE
            )
            async with new:
                await until("newcomers are let in", lambda: new.online == NEWCOMERS)
                await until("and answered", lambda: new.ledger.counts["answered"] > 3 * NEWCOMERS)
                await until("readiness tells", lambda: not is_ready(client))

                await asyncio.to_thread(postgres.start)
                await asyncio.to_thread(server.wait_ready, client)
                assert await new.drain(120.0)
            assert await old.drain(120.0)
            assert old.ledger.counts["links_ended"] == ended_before
        promised = answered(old.ledger) | answered(new.ledger)
        assert len(promised) > 10 * TERMINALS
        await until("all is stored", lambda: promised <= stored_fixes(dsn))
    finally:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(postgres.stop)

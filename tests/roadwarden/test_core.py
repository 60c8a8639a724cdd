"""The core's end: what is in the journal by then is stored, as far as time allows."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

import store
from roadwarden import core as core_module
from roadwarden.core import Core
from roadwarden.settings import load_settings


@pytest.fixture
async def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    core = Core(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))

    async def last_offset() -> int:
        return 7

    async def answers() -> bool:
        return True

    monkeypatch.setattr(core.journal, "last_offset", last_offset)
    monkeypatch.setattr(core, "_answers", answers)
    core.pipeline.status.running = True
    core.pipeline.status.offset = 5
    return core


async def test_it_waits_until_the_journal_is_stored(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "DRAIN_S", 3600.0)
    draining = asyncio.create_task(core._drain())
    for offset in (5, 6):
        core.pipeline.status.offset = offset
        done, _ = await asyncio.wait([draining], timeout=0.1)
        assert not done
    core.pipeline.status.offset = 7
    await draining


@pytest.mark.parametrize("why", ["no time", "no database", "no pipeline"])
async def test_it_does_not_wait_in_vain(core: Core, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> bool:
        return False

    monkeypatch.setattr(core_module, "DRAIN_S", 0.05 if why == "no time" else 3600.0)
    if why == "no database":
        monkeypatch.setattr(core, "_answers", away)
    core.pipeline.status.running = why != "no pipeline"
    await core._drain()


async def test_a_database_that_answers_and_takes_nothing_is_not_ready(core: Core) -> None:
    status = core.pipeline.status
    status.database_up = False
    assert (await core._readiness())["pipeline"] == "reports cannot be stored; they wait in the journal"
    status.database_up = True
    assert (await core._readiness())["pipeline"] is True
    status.running = False
    assert (await core._readiness())["pipeline"] == "the pipeline has not started"


async def test_readiness_says_what_is_wrong(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await core._readiness()
    assert parts["journal"] is True
    assert parts["gateway"] == "the gateway process does not answer"
    core._journal_failing = True
    (core._settings.run_dir).mkdir(parents=True)
    (core._settings.run_dir / "roles.json").write_text(
        '{"gateway": {"starts": 9, "crashes": 8, "started": 9e12}, "core": {"starts": 1, "crashes": 0, "started": 0}}'
    )
    parts = await core._readiness()
    assert parts["journal"] == "the journal cannot be written; no report is answered"
    assert "8 times in a row" in str(parts["gateway"])
    assert core._stats()["role_starts_total{role=gateway}"] == 9.0


async def test_what_the_forwarder_counts_is_told(core: Core) -> None:
    core.forwarder.counts["sub_links_refused"] += 2
    stats = core._stats()
    assert stats["forward_sub_links_refused_total"] == 2.0
    assert {f"forward_{name}_total" for name in core.forwarder.counts} <= stats.keys()


async def test_what_operators_are_told_is_kept_up_to_date(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    gauges: dict[str, Any] = {"gateway_journal_failing": 1}
    told: asyncio.Queue[list[str]] = asyncio.Queue()

    async def stats() -> dict[str, Any]:
        return gauges

    async def nap(seconds: float) -> None:
        told.put_nowait([notice["code"] for notice in core._notices])
        if core._notices:
            await asyncio.Event().wait()

    monkeypatch.setattr(core.control, "stats", stats)
    monkeypatch.setattr(core_module.asyncio, "sleep", nap)
    looking = asyncio.create_task(core._look())
    seen = [await told.get(), await told.get()]
    assert seen == [[], ["journal_failing"]]
    assert core._journal_failing
    assert core._services().notices() == core._notices
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_a_database_that_goes_while_it_is_prepared_is_waited_for(
    tmp_path: Path, postgresql_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(load_settings(data_dir=tmp_path, database_url=postgresql_dsn))
    troubles = [store.DatabaseUnavailable("gone again"), psycopg.OperationalError()]
    connection = store.Database.connection

    def away_at_first(database: store.Database) -> Any:
        if troubles:
            raise troubles.pop()
        return connection(database)

    monkeypatch.setattr(store.Database, "connection", away_at_first)
    monkeypatch.setattr(core_module, "RETRY_S", 0.01)
    monkeypatch.setattr(core_module, "tell_parent", lambda **_: None)
    async with asyncio.timeout(60):
        await core._prepare_database()
    assert (await core._readiness())["schema"] is True
    await core.web_database.close()
    await core.database.close()


async def test_requests_that_hold_all_connections_stop_nothing_else(tmp_path: Path, postgresql_dsn: str) -> None:
    core = Core(load_settings(data_dir=tmp_path, database_url=postgresql_dsn))
    for database in (core.database, core.web_database):
        await database.open()
    web = core._services().database
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(web.connection())
        await core.database.ping()
    await core.web_database.close()
    await core.database.close()

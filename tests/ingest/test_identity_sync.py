"""The mirror of the terminals follows the database, and does without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest import identity_sync
from ingest.identities import BLOCKED, Identities, Identity, IdentityFile
from ingest.identity_sync import IdentitySync
from store import Database
from tests.ingest.terminals import PHONE, running
from tests.ingest.waiting import until


@asynccontextmanager
async def synchronised(dsn: str, folder: Path, **options: float) -> AsyncIterator[Identities]:
    identities = Identities(IdentityFile(folder / "identities.sqlite"))
    await identities.open()
    sync = IdentitySync(dsn, identities, **{"read_again_after_s": 0.0} | options)
    task = asyncio.create_task(sync.run())
    try:
        yield identities
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await identities.close()


async def execute(database: Database, statement: str) -> None:
    async with database.connection() as connection:
        await connection.execute(statement.encode())


@pytest.mark.postgres
async def test_what_stands_in_the_database_comes_and_goes(postgresql_database: Database, tmp_path: Path) -> None:
    database = postgresql_database
    await execute(database, "INSERT INTO terminals (phone, terminal_id) VALUES ('1', 'A1')")
    async with synchronised(database.dsn, tmp_path, read_all_every_s=0.2) as identities:
        await until(lambda: identities.get("1"))
        await execute(database, "INSERT INTO terminals (phone, standing) VALUES ('2', 'blocked')")
        await until(lambda: identities.get("2"))
        blocked = identities.get("2")
        assert blocked is not None
        assert blocked.standing == BLOCKED
        await execute(database, "UPDATE terminals SET terminal_id = 'B2', updated_at = now() WHERE phone = '1'")
        await until(lambda: (one := identities.get("1")) and one.terminal_id == "B2")
        await execute(database, "DELETE FROM terminals WHERE phone = '2'")
        await until(lambda: identities.get("2") is None)
        assert identities.get("1") is not None


async def test_without_a_database_the_mirror_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dsn = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"
    async with synchronised(dsn, tmp_path) as identities:
        await until(lambda: "is away" in caplog.text)
        assert len(identities) == 0


@pytest.mark.postgres
async def test_an_operator_blocks_a_terminal_that_is_on_line(postgresql_database: Database, tmp_path: Path) -> None:
    async with running(tmp_path, database_url=postgresql_database.dsn) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        await execute(postgresql_database, f"INSERT INTO terminals (phone, standing) VALUES ('{PHONE}', 'blocked')")
        await terminal.until_closed()
        assert site.counters["links_ended{reason=blocked}"] == 1


@pytest.mark.postgres
async def test_the_closest_limit_of_silence_holds(postgresql_database: Database, tmp_path: Path) -> None:
    database = postgresql_database
    await execute(
        database,
        "INSERT INTO terminals (phone, manufacturer_id, terminal_model) VALUES"
        " ('1', 'MAKER', 'RW-1'), ('2', 'MAKER', 'RW-2'), ('3', 'OTHER', 'RW-1'), ('4', 'OTHER', 'X')",
    )
    async with synchronised(database.dsn, tmp_path) as identities:

        def granted() -> list[float | None]:
            return [one.idle_s if (one := identities.get(phone)) else -1.0 for phone in ("1", "2", "3", "4")]

        await until(lambda: granted() == [None] * 4)
        limits = "INSERT INTO link_limits (manufacturer_id, terminal_model, idle_s) VALUES"
        await execute(database, f"{limits} ('', '', 100), ('MAKER', '', 200)")
        await until(lambda: granted() == [200.0, 200.0, 100.0, 100.0])
        await execute(database, f"{limits} ('', 'RW-1', 300), ('MAKER', 'RW-1', 400)")
        await until(lambda: granted() == [400.0, 200.0, 300.0, 100.0])
        await execute(database, "UPDATE terminals SET idle_s = 500, updated_at = now() WHERE phone = '1'")
        await until(lambda: granted() == [500.0, 200.0, 300.0, 100.0])
        await execute(database, "DELETE FROM link_limits")
        await until(lambda: granted() == [500.0, None, None, None])


@pytest.mark.postgres
async def test_what_was_deleted_goes_also_while_others_change_all_the_time(
    postgresql_database: Database, tmp_path: Path
) -> None:
    database = postgresql_database
    await execute(database, "INSERT INTO terminals (phone) VALUES ('1'), ('2')")
    async with synchronised(database.dsn, tmp_path, read_all_every_s=0.5) as identities:
        await until(lambda: len(identities) == 2)

        async def change_for_ever() -> None:
            while True:
                await execute(database, "NOTIFY roadwarden_fleet, 'terminals'")

        changing = asyncio.create_task(change_for_ever())
        try:
            await execute(database, "DELETE FROM terminals WHERE phone = '2'")
            await until(lambda: identities.get("2") is None)
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)


@pytest.mark.postgres
async def test_a_failure_of_ours_with_one_terminal_is_said_and_tried_again(
    postgresql_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    synchronise, calls = Identities.synchronise, []

    def fails_first(self: Identities, rows: Iterable[Identity], *, is_all: bool) -> int:
        calls.append(is_all)
        if len(calls) == 1:
            raise ZeroDivisionError
        return synchronise(self, rows, is_all=is_all)

    monkeypatch.setattr(Identities, "synchronise", fails_first)
    await execute(postgresql_database, "INSERT INTO terminals (phone) VALUES ('1')")
    async with synchronised(postgresql_database.dsn, tmp_path) as identities:
        await until(lambda: identities.get("1"))
    assert calls[:2] == [True, True]
    assert "could not be taken over" in caplog.text


@pytest.mark.postgres
async def test_a_schema_that_is_still_being_made_is_waited_for_without_a_word(
    postgresql_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read, asked = identity_sync.read_identities, list[str]()

    async def noted(connection: Any, changed_within_s: float | None) -> list[Any]:
        asked.append("again")
        return await read(connection, changed_within_s=changed_within_s)

    monkeypatch.setattr(identity_sync, "read_identities", noted)
    database = postgresql_database
    await execute(database, "INSERT INTO terminals (phone) VALUES ('1')")
    await execute(database, "ALTER TABLE terminals RENAME COLUMN idle_s TO not_yet")
    async with synchronised(database.dsn, tmp_path) as identities:
        await until(lambda: len(asked) > 2)
        assert identities.get("1") is None
        await execute(database, "ALTER TABLE terminals RENAME COLUMN not_yet TO idle_s")
        await until(lambda: identities.get("1"))
    assert "cannot be read" not in caplog.text

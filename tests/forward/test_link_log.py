"""The link log when the database is slow, away or knows the platform no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest

from forward.link_log import ROWS, LinkLog
from store import Database
from store.queries import forwarding
from tests.forward.world import eventually


class Away:
    """A database that is not there."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        raise psycopg.OperationalError("away")
        yield


class There:
    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield None


async def test_only_so_many_wait_and_those_that_do_not_are_counted() -> None:
    counts = Counter[str]()
    log = LinkLog(cast(Database, Away()), counts, retry_s=0.01)
    for _ in range(ROWS + 3):
        log.add(1, "main", "down", "")
    assert counts["link_log_dropped"] == 3
    await log.finish()
    assert counts["link_log_dropped"] == ROWS + 3


async def test_a_platform_that_is_deleted_meanwhile_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    async def log_link(connection: Any, platform_id: int, *rest: object) -> None:
        if platform_id == 1:
            raise psycopg.errors.ForeignKeyViolation("it is gone")
        written.append(platform_id)

    monkeypatch.setattr(forwarding, "log_link", log_link)
    counts = Counter[str]()
    log = LinkLog(cast(Database, There()), counts, retry_s=0.01)
    task = asyncio.create_task(log.run())
    for platform_id in (1, 2, 3):
        log.add(platform_id, "main", "up", "")
    await eventually(lambda: written == [2, 3])
    assert counts["link_log_dropped"] == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_left_at_the_end_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[object, ...]] = []

    async def log_link(connection: Any, *row: object) -> None:
        written.append((row[0], *row[2:]))

    monkeypatch.setattr(forwarding, "log_link", log_link)
    log = LinkLog(cast(Database, There()), Counter(), retry_s=0.01)
    log.add(1, "sub", "down", "closed by us")
    await log.finish()
    assert written == [(1, "sub", "down", "closed by us")]

"""What waits for a platform is reckoned right, whatever happens while the database counts it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from store import Database
from store.queries import forwarding
from tests.forward.world import batch_of, eventually, world

pytestmark = pytest.mark.postgres


async def test_what_is_sent_while_the_backlog_is_counted_is_taken_off_it(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, all_sent, counted = forwarding.count_positions, asyncio.Event(), asyncio.Event()

    async def slow_count(connection: Any, after: int, upto: int) -> int:
        n = await count(connection, after, upto)
        await all_sent.wait()
        counted.set()
        return n

    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        await w.forwarder.stop()
        await w.store(batch_of([(1, second) for second in range(300)]))
        monkeypatch.setattr(forwarding, "count_positions", slow_count)
        await w.restart()
        await w.arrived()
        assert w.status["backlog"] == 0
        all_sent.set()
        await eventually(counted.is_set)
        await w.store(batch_of([(1, 300)]))
        await w.confirmed()
        await eventually(lambda: w.sender.backlog == 0)

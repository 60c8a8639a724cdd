"""What waits for a platform is reckoned right, whatever happens while the database counts it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from forward.progress import MAX_RANGES, Progress
from store import Database
from store.queries import forwarding
from tests.forward.world import batch_of, eventually, world


@pytest.mark.postgres
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


def test_all_that_history_is_given_is_counted_as_often_as_it_is_sent() -> None:
    """Offsets stand for positions: +1 when the live side takes one or it is counted, -1 whenever it is sent."""
    progress, backlog, offset = Progress(0, 10), 0, 10

    def count() -> int:
        parts = iter(progress.take_uncounted, None)
        return sum(upto - after for after, upto in parts)

    for step in range(3 * MAX_RANGES):
        progress.left_out(offset + 5)  # five that memory had no place for,
        offset += 6
        progress.live_sent(offset)  # and one that was taken and sent: +1 -1
        if step % 7 == 0:
            backlog += count()
    while progress.history is not None:
        after, upto = progress.history
        end = min(after + 4, upto)
        backlog -= end - after
        progress.history_sent(end)
    assert backlog + count() == 0
    assert progress.reached == offset

"""By which clock silence is judged."""

from __future__ import annotations

import pytest

from ingest import pipeline as pipeline_module
from tests.ingest.world import World, registered, report, us


async def test_a_backlog_that_takes_long_to_catch_up_is_no_silence(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock every vehicle is silent while it is worked off, for longer than it may be."""
    monkeypatch.setattr(pipeline_module, "MAX_RECORDS", 1)
    one.write(registered())
    for at in range(60):
        one.write(report(at))
    one.now_us = us(100_000)

    def later() -> int:
        one.now_us += 20_000_000
        return one.now_us

    one.begin(clock_us=later)
    await one.drain()
    assert one.now_us > us(100_000 + 1_000)
    assert await one.rows("SELECT rule FROM alarms") == []

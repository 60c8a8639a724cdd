"""How full the journal is: said before the bound, once each way, and told to whoever asks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ingest.journal import group_commit
from ingest.journal.space import Space, SpaceWatch
from tests.ingest.terminals import running
from tests.ingest.waiting import until

GIB = 1 << 30


def test_each_threshold_is_said_once_each_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch = SpaceWatch(GIB)
    levels = []
    for percent in (10, 69, 70, 69, 71, 90, 86, 95, 84, 66, 64, 10):
        watch.look(Space(percent * GIB, 100 * GIB, 50 * GIB))
        levels.append(watch.level)
    assert levels == [0, 0, 1, 1, 1, 2, 2, 2, 1, 1, 0, 0]
    said = [record.levelno for record in caplog.records]
    assert said == [logging.WARNING, logging.ERROR, logging.INFO, logging.INFO]
    assert "70 % of its bound" in caplog.text


def test_a_leap_over_both_is_said_as_the_worse(caplog: pytest.LogCaptureFixture) -> None:
    watch = SpaceWatch(GIB)
    watch.look(Space(99, 100, GIB))
    assert watch.level == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_disk_that_is_nearly_full_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch = SpaceWatch(1000)
    states = []
    for free in (5000, 1000, 999, 1001, 500, 1250, 5000):
        watch.look(Space(0, 100, free))
        states.append(watch.is_disk_low)
    assert states == [False, False, True, True, True, False, False]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]


async def test_the_gateway_looks_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "HOUSEKEEPING_S", 0.01)
    async with running(tmp_path, journal_max_bytes=10 << 20, disk_low_bytes=1) as site:

        async def stats() -> dict[str, Any]:
            return dict((await site.gateway._stats({}))["stats"])

        at_first = await stats()
        assert 0 < at_first["gateway_journal_size_bytes"] < at_first["gateway_journal_bound_bytes"] == 10 << 20
        assert (at_first["gateway_journal_level"], at_first["gateway_disk_low"]) == (0, 0)
        assert at_first["gateway_disk_free_bytes"] > 0
        file: Any = site.gateway._journal._file
        file.space = lambda: Space(8 << 20, 10 << 20, 0)
        await until(lambda: site.gateway._journal.watch.level == 1)
        assert (await stats())["gateway_disk_low"] == 1

        def fails() -> Space:
            raise OSError("the disk is away")

        file.space = fails  # no look is no news, and not the end of looking
        file.space = lambda: Space(0, 10 << 20, GIB)
        await until(lambda: site.gateway._journal.watch.level == 0)

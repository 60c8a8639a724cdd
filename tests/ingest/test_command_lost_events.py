"""Terminals that came on-line while more happened than the desk's queue of events holds."""

from __future__ import annotations

import pytest

from fleet import SessionChange, SessionsChanged
from fleet.bus import DEFAULT_CAPACITY
from tests.ingest.command_desk import Bench, at_work
from tests.ingest.terminals import PHONE
from tests.ingest.waiting import until


@pytest.mark.postgres
async def test_who_came_while_events_were_lost_is_asked_of_the_database_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.commands.desk.IDLE_S", 3600.0)
    looks: list[float] = []
    look = bench.desk.look

    async def noted() -> float:
        looks.append(await look())
        return looks[-1]

    monkeypatch.setattr(bench.desk, "look", noted)
    await bench.give()
    async with at_work(bench.desk):
        await until(lambda: looks)
        await bench.come_online()
        bench.desk._online.clear()  # nobody has told the desk
        bench.bus.publish(SessionsChanged([SessionChange(0, PHONE, True, "", "tcp", "2019", "")]))
        for _ in range(DEFAULT_CAPACITY):
            bench.bus.publish(SessionsChanged([SessionChange(0, "13900000001", False, "", "tcp", "2019", "idle")]))
        await until(lambda: bench.control.sent)

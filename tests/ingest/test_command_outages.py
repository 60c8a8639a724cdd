"""Gateway or database away, a crash, a row that somebody holds: it costs commands time, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from fleet import Bus
from ingest.commands import CommandDesk
from ingest.control import ControlUnavailable
from tests.ingest.command_desk import Bench, FakeControl, at_work
from tests.ingest.waiting import until


@pytest.mark.postgres
async def test_after_a_crash_between_claim_and_sending_it_is_sent_again(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()

    async def crash() -> None:
        raise ControlUnavailable("the gateway went away")

    bench.control.before_send = crash
    with pytest.raises(ControlUnavailable):
        await bench.desk.look()
    assert await bench.state(command) == "sent"
    restarted = CommandDesk(bench.database, bench.control, bench.bus)
    bench.control.before_send = None
    await restarted.look()
    assert bench.control.sent == []  # its answer may be on its way
    await bench.age(11)
    await restarted.look()
    assert [sent["serial_no"] for sent in bench.control.sent] == [101]
    assert (await bench.row(command))["attempts"] == 2


@pytest.mark.postgres
async def test_a_gateway_away_costs_time_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.commands.desk.RETRY_S", 0.01)
    await bench.come_online()
    await bench.give()
    bench.control.is_away = True
    async with at_work(bench.desk):
        await until(lambda: bench.control.asked_while_away >= 2)
        bench.control.is_away = False
        await until(lambda: bench.control.sent)


@pytest.mark.postgres
async def test_of_many_those_that_the_gateway_did_not_answer_for_wait_their_time(bench: Bench) -> None:
    await bench.come_online()
    given = [await bench.give() for _ in range(3)]
    told = iter([None, ControlUnavailable("away"), None])

    async def third_time() -> None:
        if error := next(told):
            raise error

    bench.control.before_send = third_time
    with pytest.raises(ControlUnavailable):
        await bench.desk.look()
    assert [await bench.state(command) for command in given] == ["sent"] * 3
    assert len(bench.control.sent) == 2
    assert bench.told() == [given[0], given[2]]
    bench.control.before_send = None
    await bench.age(11)
    await bench.desk.look()
    assert len(bench.control.sent) == 5


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("away"),
        psycopg.errors.ReadOnlySqlTransaction("read-only"),  # for a while after a fail-over
    ],
)
async def test_a_database_that_is_away_or_refuses_costs_time_only(
    monkeypatch: pytest.MonkeyPatch, error: psycopg.Error
) -> None:
    monkeypatch.setattr("ingest.commands.desk.RETRY_S", 0.01)
    tries: list[int] = []

    class Away:
        def connection(self) -> Any:
            tries.append(1)
            raise error

    async with at_work(CommandDesk(Away(), FakeControl(), Bus())):  # type: ignore[arg-type]
        await until(lambda: len(tries) > 3)


@pytest.mark.postgres
async def test_a_row_that_somebody_holds_is_left_for_the_next_look(bench: Bench) -> None:
    await bench.come_online()
    held, free = await bench.give(), await bench.give()
    async with bench.database.connection() as connection:
        await connection.execute("SELECT FROM commands WHERE id = %s FOR UPDATE", (held,))
        await asyncio.wait_for(bench.desk.look(), 60)
        assert [await bench.state(held), await bench.state(free)] == ["queued", "sent"]
    await bench.desk.look()
    assert await bench.state(held) == "sent"

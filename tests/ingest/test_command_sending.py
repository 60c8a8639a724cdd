"""A command's way to its terminal: queued until it is there, sent, repeated, given up or taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet import SessionChange, SessionsChanged
from ingest.commands import CommandDesk, wait_s
from store import Database
from store.queries import command_queue, commands
from tests.ingest.command_desk import Bench, at_work
from tests.ingest.terminals import PHONE, control, running
from tests.ingest.waiting import until


def test_the_waits_are_those_of_the_standard() -> None:
    assert [wait_s(10, attempts) for attempts in (1, 2, 3, 4)] == [10, 20, 60, 240]  # T, 2T, 6T, 24T


@pytest.mark.postgres
async def test_sent_and_acknowledged(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()
    pause_s = await bench.desk.look()
    assert 0 < pause_s <= 10.01  # the first T
    ((sent),) = bench.control.sent
    assert (sent["phone"], sent["message_id"], sent["serial_no"]) == (PHONE, 0x8300, 101)
    assert bytes.fromhex(sent["body"]) == b"\x04hello"
    assert bench.told() == [command]
    row = await bench.row(command)
    assert (row["state"], row["attempts"], row["message_id"], row["serial_no"]) == ("sent", 1, 0x8300, 101)
    await bench.desk.look()
    assert len(bench.control.sent) == 1
    assert await bench.answer() == [command]
    row = await bench.row(command)
    assert (row["state"], row["result"]) == ("acknowledged", 0)
    assert await bench.answer() == []  # once more is nothing new


@pytest.mark.postgres
async def test_the_row_knows_before_the_terminal_does(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()
    seen: list[dict[str, Any]] = []

    async def look_at_the_row() -> None:
        seen.append(await bench.row(command))

    bench.control.before_send = look_at_the_row
    await bench.desk.look()
    assert [(row["state"], row["serial_no"], row["attempts"]) for row in seen] == [("sent", 101, 1)]


@pytest.mark.postgres
async def test_repeated_with_the_same_serial_number_and_given_up(bench: Bench) -> None:
    command = await bench.give_and_send()
    for wait, count in [(5, 1), (6, 2), (15, 2), (6, 3), (50, 3)]:
        await bench.age(wait)
        await bench.desk.look()
        assert len(bench.control.sent) == count
    assert {sent["serial_no"] for sent in bench.control.sent} == {101}
    assert {sent["body"] for sent in bench.control.sent} == {bench.control.sent[0]["body"]}
    await bench.age(11)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("timed_out", "no answer after 3 transmissions")
    assert await bench.answer() == [command]  # late, and still the truth
    assert await bench.state(command) == "acknowledged"


@pytest.mark.postgres
async def test_queued_until_the_terminal_comes(bench: Bench) -> None:
    command = await bench.give()
    await bench.desk.look()
    assert await bench.state(command) == "queued"
    async with at_work(bench.desk):
        bench.control.online[PHONE] = "2019"  # the presence table may be behind the event
        bench.bus.publish(SessionsChanged([SessionChange(0, PHONE, True, "", "tcp", "2019", "")]))
        await until(lambda: bench.control.sent)
    assert await bench.state(command) == "sent"
    assert bytes.fromhex(bench.control.sent[0]["body"]) == b"\x07\x01hello"


@pytest.mark.postgres
async def test_a_new_command_needs_only_a_wake_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.commands.desk.IDLE_S", 3600.0)  # by itself it would not look again
    look, pauses = bench.desk.look, list[float]()

    async def noted() -> float:
        pauses.append(await look())
        return pauses[-1]

    monkeypatch.setattr(bench.desk, "look", noted)
    await bench.come_online()
    async with at_work(bench.desk):
        await until(lambda: pauses)
        await bench.give()
        bench.desk.wake()
        await until(lambda: bench.control.sent)
    assert pauses[0] == 3600.0


@pytest.mark.postgres
async def test_expired(bench: Bench) -> None:
    command = await bench.give()
    pause_s = await bench.desk.look()
    assert pause_s <= 30
    await bench.age(301)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("expired", 0)
    assert bench.told() == [command]


@pytest.mark.postgres
async def test_a_terminal_that_leaves_gets_it_again_when_it_is_back(bench: Bench) -> None:
    command = await bench.give_and_send()
    del bench.control.online[PHONE]
    await bench.age(11)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"], row["serial_no"]) == ("queued", 1, 101)
    await bench.come_online()
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("sent", 2)
    assert [sent["serial_no"] for sent in bench.control.sent] == [101, 101]


@pytest.mark.postgres
async def test_a_terminal_that_leaves_in_between_was_not_sent_anything(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()

    async def leave() -> None:
        bench.control.online.clear()

    bench.control.before_send = leave
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("queued", 0)


@pytest.mark.postgres
async def test_a_terminal_that_was_put_into_another_vehicle_is_not_sent_it(bench: Bench) -> None:
    await bench.come_online()
    command, other = await bench.give(), await bench.give()
    await bench.execute(
        "INSERT INTO terminals (phone, vehicle_id) SELECT %s, vehicle_id FROM commands WHERE id = %s", PHONE, other
    )
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("failed", "the terminal is not in this vehicle any more")
    assert await bench.state(other) == "sent"
    assert len(bench.control.sent) == 1


@pytest.mark.postgres
async def test_what_is_to_be_sent_once_more_can_be_taken_back(bench: Bench) -> None:
    """The terminal may be back any moment; and it may have done it before."""
    command = await bench.give_and_send()
    async with bench.database.connection() as connection:
        assert not await commands.cancel(connection, command, "enough")  # it may be at it
    del bench.control.online[PHONE]
    await bench.age(11)
    await bench.desk.look()
    async with bench.database.connection() as connection:
        assert await commands.cancel(connection, command, "enough")
    await bench.come_online()
    await bench.desk.look()
    assert len(bench.control.sent) == 1
    assert await bench.state(command) == "cancelled"
    assert await bench.answer() == [command]
    assert await bench.state(command) == "acknowledged"


@pytest.mark.postgres
async def test_many_are_written_down_together_and_keep_their_order(bench: Bench) -> None:
    await bench.come_online()
    given = [await bench.give("text", {"text": str(number)}) for number in range(40)]
    gone = await bench.give(phone="1")
    await bench.desk.look()
    assert [bytes.fromhex(sent["body"])[1:].decode() for sent in bench.control.sent] == list(map(str, range(40)))
    assert [sent["serial_no"] for sent in bench.control.sent] == list(range(101, 141))
    times = await bench.execute("SELECT DISTINCT sent_at FROM commands WHERE state = 'sent'")
    assert len(times) == 1  # one transaction
    assert await bench.state(gone) == "queued"
    assert {await bench.state(command) for command in given} == {"sent"}


@pytest.mark.postgres
async def test_many_that_are_over_are_given_up_in_bites(bench: Bench) -> None:
    for _ in range(5):
        await bench.give()
    await bench.age(301)
    async with bench.database.connection() as connection:
        assert len(await command_queue.expire(connection, limit=3)) == 3
        assert len(await command_queue.expire(connection, limit=3)) == 2


@pytest.mark.postgres
async def test_through_a_real_gateway(postgresql_database: Database, tmp_path: Path) -> None:
    bench = Bench(postgresql_database)
    async with running(tmp_path) as site, control(tmp_path) as client:
        terminal = await site.terminal()
        await terminal.log_in()
        await bench.come_online()
        command = await bench.give()
        async with at_work(CommandDesk(postgresql_database, client, bench.bus)):
            header, body = await terminal.receive()
            assert (header.message_id, body) == (0x8300, b"\x04hello")
            row = await bench.row(command)
            assert (row["state"], row["serial_no"]) == ("sent", header.serial_no)

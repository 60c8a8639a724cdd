"""Commands: composed for the edition, sent, repeated, answered, given up."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from downlink import CommandError, Composed, compose
from fleet import Bus, CommandAnswer, CommandChanged, SessionChange, SessionsChanged
from ingest.commands import CommandDesk, wait_s
from ingest.control import ControlClient, ControlUnavailable, control_path
from jt808.header import Edition
from jt808.messages import LocationQuery, TextMessage, decode_body
from store import Database
from store.queries import command_answers, command_queue, commands
from tests.ingest.terminals import PHONE, running
from tests.ingest.waiting import until

# ---- composing


def test_a_text_is_composed_for_the_edition() -> None:
    payload = {"text": "前方拥堵", "urgent": True, "tts": True}
    message_id, body, *_ = compose("text", payload, Edition.V2013)
    assert message_id == 0x8300
    assert decode_body(message_id, Edition.V2013, body) == TextMessage(0b1101, "前方拥堵")
    message_id, body, *_ = compose("text", payload, Edition.V2019)
    message = decode_body(message_id, Edition.V2019, body)
    assert isinstance(message, TextMessage)
    assert (message.text, message.text_type) == ("前方拥堵", 1)


def test_locate_is_a_location_query() -> None:
    message_id, body, *_ = compose("locate", {}, Edition.V2011)
    assert (message_id, body) == (0x8201, b"")
    assert isinstance(decode_body(message_id, Edition.V2011, body), LocationQuery)


@pytest.mark.parametrize(("kind", "payload"), [("text", {}), ("text", {"text": 5}), ("explode", {})])
def test_what_is_no_command_is_said(kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match=f"{'text' if kind == 'text' else 'explode'}"):
        compose(kind, payload, Edition.V2013)


def test_the_waits_are_those_of_the_standard() -> None:
    assert [wait_s(10, attempts) for attempts in (1, 2, 3, 4)] == [10, 20, 60, 240]  # T, 2T, 6T, 24T


# ---- the desk against a real database and a gateway that does as told


class FakeControl:
    """A gateway with some terminals on-line; keeps what it sent."""

    def __init__(self) -> None:
        self.online: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.prepared: list[dict[str, Any]] = []
        self.is_away = False
        self.unreadable: set[str] = set()
        self.before_send: Callable[[], Any] | None = None
        self._serial_no = 100

    async def request(self, op: str, **values: Any) -> dict[str, Any]:
        if self.is_away:
            raise ControlUnavailable("away")
        if values["phone"] in self.unreadable:
            raise ValueError(f"{op}: KeyError")
        if op == "send" and self.before_send is not None:
            await self.before_send()
        edition = self.online.get(values["phone"])
        if edition is None:
            return {"state": "offline"}
        if op == "prepare":
            self.prepared.append(values)
            self._serial_no += 1
            return {"state": "ready", "serial_no": self._serial_no, "edition": edition}
        if op == "room":
            return {"state": "ready"}
        self.sent.append(values)
        return {"state": "sent", "serial_no": values["serial_no"], "edition": edition}


class Bench:
    """A desk, its rows and its gateway."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.control = FakeControl()
        self.bus = Bus()
        self.changes = self.bus.subscribe("test", CommandChanged)
        self.desk = CommandDesk(database, self.control, self.bus)
        self.applied = command_answers.Applied([], Counter())  # what the last answer came to

    async def execute(self, query: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(query.encode(), named or values)
            return await cursor.fetchall() if cursor.description else []

    async def give(self, kind: str = "text", payload: dict[str, Any] | None = None, phone: str = PHONE) -> uuid.UUID:
        vehicle = "INSERT INTO vehicles (plate, plate_color) VALUES (%s, 2) RETURNING id"
        ((vehicle_id,),) = await self.execute(vehicle, f"辽{uuid.uuid4().hex[:6]}")
        command = (
            "INSERT INTO commands (vehicle_id, phone, kind, payload, expires_at)"
            " VALUES (%s, %s, %s, %s, now() + interval '5 min') RETURNING id"
        )
        ((command_id,),) = await self.execute(
            command, vehicle_id, phone, kind, Jsonb({"text": "hello"} if payload is None else payload)
        )
        assert isinstance(command_id, uuid.UUID)
        return command_id

    async def row(self, command_id: uuid.UUID) -> dict[str, Any]:
        names = "state", "reason", "attempts", "message_id", "serial_no", "result", "answer"
        ((*values,),) = await self.execute(f"SELECT {', '.join(names)} FROM commands WHERE id = %s", command_id)
        return dict(zip(names, values, strict=True))

    async def state(self, command_id: uuid.UUID) -> str:
        return str((await self.row(command_id))["state"])

    async def age(self, seconds: float) -> None:
        """Let time pass for the rows."""
        await self.execute(
            "UPDATE commands SET sent_at = sent_at - make_interval(secs => %(s)s),"
            " retry_at = retry_at - make_interval(secs => %(s)s), answer_by = answer_by - make_interval(secs => %(s)s),"
            " expires_at = expires_at - make_interval(secs => %(s)s)",
            s=seconds,
        )

    async def come_online(self, phone: str = PHONE, edition: str = "2013") -> None:
        self.control.online[phone] = edition
        await self.execute(
            "INSERT INTO terminal_presence VALUES (%s, true, now(), '', 'tcp', %s, '')"
            " ON CONFLICT (phone) DO UPDATE SET online = true",
            phone,
            edition,
        )
        self.desk._online.add(phone)  # as its listener does

    async def answer(self, **values: Any) -> list[uuid.UUID]:
        """What a terminal says; the commands that it changed."""
        defaults: dict[str, Any] = {
            "received_us": 0, "phone": PHONE, "request_serial_no": 101, "request_message_id": 0x8300,
            "message_id": 0x0001, "result": 0, "answer": None,
        }  # fmt: skip
        async with self.database.connection() as connection:
            self.applied = await command_answers.apply_answers(connection, [CommandAnswer(**defaults | values)])
        return [event.command_id for event in self.applied.events]

    def told(self) -> list[uuid.UUID]:
        events = []
        while len(self.changes):
            event = self.changes._queue.popleft()
            assert isinstance(event, CommandChanged)
            events.append(event.command_id)
        return events


@pytest.fixture
async def bench(postgresql_database: Database) -> Bench:
    return Bench(postgresql_database)


@pytest.mark.postgres
async def test_sent_and_acknowledged(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()
    pause_s = await bench.desk.look()
    assert pause_s == pytest.approx(10, abs=1)
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
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
    for wait, count in [(9, 1), (2, 2), (18, 2), (3, 3), (58, 3)]:
        await bench.age(wait)
        await bench.desk.look()
        assert len(bench.control.sent) == count
    assert {sent["serial_no"] for sent in bench.control.sent} == {101}
    assert {sent["body"] for sent in bench.control.sent} == {bench.control.sent[0]["body"]}
    await bench.age(3)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("timed_out", "no answer after 3 transmissions")
    assert await bench.answer() == [command]  # late, and still the truth
    assert await bench.state(command) == "acknowledged"


@pytest.mark.postgres
async def test_refused(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
    assert await bench.answer(result=3) == [command]
    row = await bench.row(command)
    assert (row["state"], row["result"], row["reason"]) == ("refused", 3, "the terminal says: not supported")


@pytest.mark.postgres
async def test_a_dedicated_answer(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("locate", {})
    await bench.desk.look()
    assert bench.control.sent[0]["message_id"] == 0x8201
    first = {"request_message_id": 0x8201}
    assert await bench.answer(**first) == [command]  # some say both
    dedicated = {"request_message_id": None, "message_id": 0x0201, "result": None, "answer": {"latitude_deg": 41.8}}
    assert await bench.answer(**dedicated) == [command]
    row = await bench.row(command)
    assert (row["state"], row["result"], row["answer"]) == ("answered", 0, {"latitude_deg": 41.8})
    assert await bench.answer(**dedicated) == []
    assert await bench.answer(**first) == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    "other", [{"phone": "1"}, {"request_serial_no": 102}, {"request_message_id": 0x8201}, {"message_id": 0x0201}]
)
async def test_an_answer_to_something_else_changes_nothing(bench: Bench, other: dict[str, Any]) -> None:
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
    assert await bench.answer(**other) == []
    assert await bench.state(command) == "sent"


@pytest.mark.postgres
async def test_of_two_with_one_serial_number_the_newest_is_meant(bench: Bench) -> None:
    await bench.come_online()
    old, new = await bench.give(), await bench.give()
    await bench.desk.look()
    await bench.execute("UPDATE commands SET serial_no = 500")
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 hour' WHERE id = %s", old)
    assert await bench.answer(request_serial_no=500) == [new]


@pytest.mark.postgres
async def test_queued_until_the_terminal_comes(bench: Bench) -> None:
    command = await bench.give()
    await bench.desk.look()
    assert await bench.state(command) == "queued"
    running_desk = asyncio.create_task(bench.desk.run())
    bench.control.online[PHONE] = "2019"  # the presence table may be behind the event
    bench.bus.publish(SessionsChanged([SessionChange(0, PHONE, True, "", "tcp", "2019", "")]))
    await until(lambda: bench.control.sent)
    running_desk.cancel()
    await asyncio.gather(running_desk, return_exceptions=True)
    assert await bench.state(command) == "sent"
    assert bytes.fromhex(bench.control.sent[0]["body"]) == b"\x07\x01hello"


@pytest.mark.postgres
async def test_a_new_command_needs_only_a_wake_up(bench: Bench) -> None:
    await bench.come_online()
    running_desk = asyncio.create_task(bench.desk.run())
    await asyncio.sleep(0.01)
    await bench.give()
    bench.desk.wake()
    await until(lambda: bench.control.sent)
    running_desk.cancel()
    await asyncio.gather(running_desk, return_exceptions=True)


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
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
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
async def test_what_cannot_be_composed_fails_with_its_reason(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("text", {"text": ""})
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("failed", 0)
    assert "text" in row["reason"]


@pytest.mark.postgres
async def test_a_gateway_away_costs_time_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.commands.desk.RETRY_S", 0.01)
    await bench.come_online()
    await bench.give()
    bench.control.is_away = True
    running_desk = asyncio.create_task(bench.desk.run())
    await asyncio.sleep(0.05)
    bench.control.is_away = False
    await until(lambda: bench.control.sent)
    running_desk.cancel()
    await asyncio.gather(running_desk, return_exceptions=True)


async def test_a_database_away_costs_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.commands.desk.RETRY_S", 0.01)
    tries: list[int] = []

    class Away:
        def connection(self) -> Any:
            tries.append(1)
            raise psycopg.OperationalError("away")

    desk = CommandDesk(Away(), FakeControl(), Bus())  # type: ignore[arg-type]
    running_desk = asyncio.create_task(desk.run())
    await until(lambda: len(tries) > 3)
    running_desk.cancel()
    await asyncio.gather(running_desk, return_exceptions=True)


@pytest.mark.postgres
async def test_through_a_real_gateway(postgresql_database: Database, tmp_path: Path) -> None:
    bench = Bench(postgresql_database)
    async with running(tmp_path) as site:
        client = ControlClient(control_path(tmp_path))
        tasks = [asyncio.create_task(client.run())]
        await until(lambda: client.is_connected)
        terminal = await site.terminal()
        await terminal.log_in()
        await bench.come_online()
        command = await bench.give()
        desk = CommandDesk(postgresql_database, client, bench.bus)
        tasks.append(asyncio.create_task(desk.run()))
        header, body = await terminal.receive()
        assert (header.message_id, body) == (0x8300, b"\x04hello")
        row = await bench.row(command)
        assert (row["state"], row["serial_no"]) == ("sent", header.serial_no)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# ---- dedicated answers


@pytest.mark.postgres
async def test_acknowledged_and_still_open_until_the_dedicated_answer(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("parameters_query", {})
    await bench.desk.look()
    assert await bench.answer(request_message_id=0x8104) == [command]
    assert await bench.state(command) == "acknowledged"
    values = {"message_id": 0x0104, "request_message_id": None, "result": None, "answer": {"parameters": []}}
    assert await bench.answer(**values) == [command]
    assert (await bench.row(command))["answer"] == {"parameters": []}


@pytest.mark.postgres
async def test_acknowledged_and_never_answered(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("parameters_query", {})
    await bench.desk.look()
    await bench.answer(request_message_id=0x8104)
    await bench.age(61)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("timed_out", "the terminal acknowledged it and did not answer in time")


@pytest.mark.postgres
async def test_an_answer_without_a_serial_number_is_the_newest_open_ones(bench: Bench) -> None:
    await bench.come_online()
    old, new = await bench.give("attributes", {}), await bench.give("attributes", {})
    other = await bench.give("driver", {})
    await bench.desk.look()
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 min' WHERE id = %s", old)
    values = {"request_serial_no": None, "message_id": 0x0107, "request_message_id": None, "result": None,
              "answer": {"firmware_version": "1"}}  # fmt: skip
    assert await bench.answer(**values) == [new]
    assert await bench.answer(**values) == [old]  # the next open one
    assert await bench.answer(**values) == []
    assert await bench.state(other) == "sent"


@pytest.mark.postgres
async def test_a_dedicated_answer_that_says_no(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("photo", {"channel": 3})
    await bench.desk.look()
    await bench.answer(
        message_id=0x0805, request_message_id=None, result=None, answer={"result": 2}, refusal="channel not supported"
    )
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("refused", "the terminal says: channel not supported")


@pytest.mark.postgres
async def test_photos_are_counted_against_what_the_terminal_promised(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give("photo", {"count": 3})
    await bench.desk.look()
    ((progress,),) = await bench.execute("SELECT progress FROM commands")
    assert progress == {"arrived": 0, "total": 3}
    await bench.answer(message_id=0x0805, request_message_id=None, result=None, answer={"media_ids": [5, 6]})
    ((progress,),) = await bench.execute("SELECT progress FROM commands")
    assert progress == {"arrived": 0, "total": 2}
    assert await bench.state(command) == "answered"


@pytest.mark.postgres
async def test_a_long_message_takes_its_serial_numbers_together(bench: Bench) -> None:
    await bench.come_online()
    points = [[41.0 + n / 1000, 123.0] for n in range(500)]
    command = await bench.give("area_set", {"area_id": 1, "area": {"shape": "polygon", "points": points}})
    await bench.desk.look()
    assert [request.get("count") for request in bench.control.prepared] == [None, 4]
    ((count, serial_no),) = await bench.execute("SELECT package_count, serial_no FROM commands")
    assert (count, serial_no) == (4, bench.control.sent[0]["serial_no"])
    answered = await bench.answer(request_serial_no=serial_no + 3, request_message_id=0x8604)  # names the last package
    assert answered == [command]
    assert await bench.state(command) == "acknowledged"


# ---- what fits no command, and what must not cost others anything


@pytest.mark.postgres
async def test_an_answer_that_fits_no_command_is_counted(bench: Bench) -> None:
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
    for other in ({"phone": "1"}, {"request_serial_no": 102}, {"request_message_id": 0x8201}):
        assert await bench.answer(**other) == []
        assert bench.applied.unmatched == {0x0001: 1}
    card = {"request_serial_no": None, "request_message_id": None, "message_id": 0x0702, "result": None, "answer": {}}
    await bench.answer(**card)  # nobody asked for it
    assert bench.applied.unmatched == {0x0702: 1}
    assert await bench.answer() == [command]
    assert not bench.applied.unmatched
    assert await bench.answer() == []  # once more
    assert not bench.applied.unmatched


@pytest.mark.postgres
async def test_a_repeated_answer_is_not_an_older_commands(bench: Bench) -> None:
    """Serial numbers come round: the newest command with that number is meant, also when it is over."""
    await bench.come_online()
    old, new = await bench.give("locate", {}), await bench.give("locate", {})
    await bench.desk.look()
    await bench.execute("UPDATE commands SET serial_no = 500")
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 hour' WHERE id = %s", old)
    dedicated = {"request_serial_no": 500, "request_message_id": None, "message_id": 0x0201, "result": None}
    assert await bench.answer(**dedicated, answer={"latitude_deg": 41.8}) == [new]
    assert await bench.answer(**dedicated, answer={"latitude_deg": 41.8}) == []
    assert await bench.state(old) == "sent"
    assert not bench.applied.unmatched


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
async def test_a_bug_in_one_command_costs_that_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.come_online()
    bad, good = await bench.give("text", {"text": "bad"}), await bench.give()

    def composed(name: str, payload: dict[str, Any], edition: Edition) -> Composed:
        if payload["text"] == "bad":
            raise ZeroDivisionError
        return compose(name, payload, edition)

    monkeypatch.setattr("ingest.commands.sending.compose", composed)
    await bench.desk.look()
    assert (await bench.row(bad))["reason"] == "the server cannot make a message of it; see its log"
    assert [await bench.state(bad), await bench.state(good)] == ["failed", "sent"]


@pytest.mark.postgres
async def test_what_the_gateway_cannot_read_costs_that_one(bench: Bench) -> None:
    await bench.come_online()
    await bench.come_online("1")
    bad, good = await bench.give(phone="1"), await bench.give()
    bench.control.unreadable = {"1"}
    await bench.desk.look()
    assert [await bench.state(bad), await bench.state(good)] == ["failed", "sent"]


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


@pytest.mark.postgres
async def test_a_row_that_somebody_holds_is_left_for_the_next_look(bench: Bench) -> None:
    await bench.come_online()
    held, free = await bench.give(), await bench.give()
    async with bench.database.connection() as connection:
        await connection.execute("SELECT FROM commands WHERE id = %s FOR UPDATE", (held,))
        await asyncio.wait_for(bench.desk.look(), 20)
        assert [await bench.state(held), await bench.state(free)] == ["queued", "sent"]
    await bench.desk.look()
    assert await bench.state(held) == "sent"


async def test_a_database_that_refuses_costs_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fail-over it may be read-only for a while: no OperationalError."""
    monkeypatch.setattr("ingest.commands.desk.RETRY_S", 0.01)
    tries: list[int] = []

    class ReadOnly:
        def connection(self) -> Any:
            tries.append(1)
            raise psycopg.errors.ReadOnlySqlTransaction("read-only")

    desk = CommandDesk(ReadOnly(), FakeControl(), Bus())  # type: ignore[arg-type]
    running_desk = asyncio.create_task(desk.run())
    await until(lambda: len(tries) > 3)
    running_desk.cancel()
    await asyncio.gather(running_desk, return_exceptions=True)


@pytest.mark.postgres
async def test_many_that_are_over_are_given_up_in_bites(bench: Bench) -> None:
    for _ in range(5):
        await bench.give()
    await bench.age(301)
    async with bench.database.connection() as connection:
        assert len(await command_queue.expire(connection, limit=3)) == 3
        assert len(await command_queue.expire(connection, limit=3)) == 2


@pytest.mark.postgres
async def test_what_is_to_be_sent_once_more_can_be_taken_back(bench: Bench) -> None:
    """The terminal may be back any moment; and it may have done it before."""
    await bench.come_online()
    command = await bench.give()
    await bench.desk.look()
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

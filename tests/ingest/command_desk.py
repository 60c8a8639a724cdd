"""A desk for commands, its rows in a real database, and a gateway that does as told."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg.types.json import Jsonb

from fleet import Bus, CommandAnswer, CommandChanged
from ingest.commands import CommandDesk
from ingest.control import ControlUnavailable
from store import Database
from store.queries import command_answers
from tests.ingest.terminals import PHONE


class FakeControl:
    """A gateway with some terminals on-line; keeps what it sent."""

    def __init__(self) -> None:
        self.online: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.prepared: list[dict[str, Any]] = []
        self.is_away = False
        self.asked_while_away = 0
        self.unreadable: set[str] = set()
        self.before_send: Callable[[], Any] | None = None
        self._serial_no = 100

    async def request(self, op: str, **values: Any) -> dict[str, Any]:
        if self.is_away:
            self.asked_while_away += 1
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

    async def give_and_send(self, kind: str = "text", payload: dict[str, Any] | None = None) -> uuid.UUID:
        """A command that has just gone to its terminal, which is on-line."""
        await self.come_online()
        command_id = await self.give(kind, payload)
        await self.desk.look()
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


@asynccontextmanager
async def at_work(desk: CommandDesk) -> AsyncIterator[None]:
    """The desk looks by itself, as in production."""
    task = asyncio.create_task(desk.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

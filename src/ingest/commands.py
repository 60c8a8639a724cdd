"""Commands to terminals: rows in, 808 messages out, with the protocol's patience.

A command is a row first; who wants something of a terminal writes one and is told of its fate by `CommandChanged`.
The desk sends what is queued for terminals that are on-line, sends again what is not answered, and gives up in the
end. What a terminal answers comes the long way, through journal and pipeline, and is written to the row there
(`store.queries.command_queue.apply_answers`).

**Timers.** JT/T 808-2013 §6.1: after the n-th transmission the wait is T(n) = T(n-1) * n, so T, 2T, 6T. The same
message goes out with the same serial number.

**Crashes.** The serial number is taken from the gateway first, then the row is claimed (state, attempts, serial
number), then the message is sent: the row never knows less than the terminal. Between claim and sending a crash looks
like a lost message and is sent again when its time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from math import factorial
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg

from fleet import Bus, CommandChanged, SessionsChanged
from ingest.control import ControlUnavailable
from jt808.errors import UsageError
from jt808.header import Edition
from jt808.messages import LocationQuery, Message, TextMessage, encode_body, message_id_of
from store import Database
from store.queries import command_queue
from store.queries.command_queue import QueuedCommand

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0  # database or gateway away
IDLE_S: Final = 30.0  # a look at the rows even when nothing was heard
BATCH: Final = 1000


class CommandError(ValueError):
    """A command cannot become a message; the text says why, for whoever gave it."""


class Control(Protocol):
    """What the desk needs of `ingest.control.ControlClient`."""

    async def request(self, op: str, **values: Any) -> dict[str, Any]: ...


def _text(payload: dict[str, Any], edition: Edition) -> Message:
    text = payload.get("text")
    if not isinstance(text, str) or not text:
        raise CommandError("text: a text that is not empty is needed")
    return TextMessage.compose(
        text,
        edition,
        urgent=bool(payload.get("urgent", False)),
        display=bool(payload.get("display", True)),
        tts=bool(payload.get("tts", False)),
        advertising=bool(payload.get("advertising", False)),
    )


def _locate(payload: dict[str, Any], edition: Edition) -> Message:
    return LocationQuery()


KINDS: Final[dict[str, Callable[[dict[str, Any], Edition], Message]]] = {"text": _text, "locate": _locate}
"""Kind of a command -> its message. Text: 0x8300 (文本信息下发); locate: 0x8201 (位置信息查询)."""


def compose(kind: str, payload: dict[str, Any], edition: Edition) -> tuple[int, bytes]:
    """Message id and body of a command in a terminal's edition.

    Raises:  CommandError: no such kind, or the payload does not fit the message.
    """
    make = KINDS.get(kind)
    if make is None:
        raise CommandError(f"kind: {kind} is none of {', '.join(KINDS)}")
    try:
        message = make(payload, edition)
        return message_id_of(message), encode_body(message, edition)
    except UsageError as error:
        raise CommandError(str(error)) from error


def wait_s(timeout_s: float, attempts: int) -> float:
    """How long the n-th transmission waits for its answer."""
    return timeout_s * factorial(max(attempts, 1))


class CommandDesk:
    """Sends what is queued. One desk per database; `await run()` in a task, cancel it to end."""

    def __init__(
        self, database: Database, control: Control, bus: Bus, *, timeout_s: float = 10.0, attempts: int = 3
    ) -> None:
        self._database = database
        self._control = control
        self._bus = bus
        self._timeout_s = timeout_s
        self._max_attempts = attempts
        self._woken = asyncio.Event()
        self._sessions = bus.subscribe("commands", SessionsChanged)
        self._online: set[str] = set()  # terminals that came on-line since the last look
        self._was_told = False

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen(), name="commands: sessions")
        try:
            while True:
                self._woken.clear()
                pause_s = await self._look_patiently()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._sessions.close()

    async def _listen(self) -> None:
        async for event in self._sessions:
            assert isinstance(event, SessionsChanged)
            online = [change.phone for change in event.changes if change.online]
            if online:
                self._online.update(online)
                self.wake()

    async def _look_patiently(self) -> float:
        """One look; how long to sleep after it."""
        try:
            pause_s = await self.look()
        except (psycopg.OperationalError, ControlUnavailable) as error:
            if not self._was_told:
                log.warning("commands wait: %s", error)
                self._was_told = True
            return RETRY_S
        if self._was_told:
            log.info("commands are sent again")
            self._was_told = False
        return pause_s

    async def look(self) -> float:
        """Go through the rows once; returns the seconds until something is due.

        Raises:  psycopg.OperationalError, ControlUnavailable: database or gateway is away; nothing is lost.
        """
        online, self._online = self._online, set()
        try:
            async with self._database.connection() as connection:
                self._tell(await command_queue.expire(connection))
                commands = await command_queue.live_commands(connection, phones=sorted(online), limit=BATCH)
                expiry_s = await command_queue.next_expiry_s(connection)
            pauses = [IDLE_S if len(commands) < BATCH else 0.0]
            if expiry_s is not None:
                pauses.append(max(expiry_s, 0.0) + 0.01)
            pauses += [await self._attend(command) for command in commands]
        except (psycopg.OperationalError, ControlUnavailable):
            self._online |= online
            raise
        return min(pauses)

    async def _attend(self, command: QueuedCommand) -> float:
        """Do for one command what is due; returns the seconds until it wants to be looked at again."""
        if command.state == "sent":
            left_s = wait_s(self._timeout_s, command.attempts) - command.sent_ago_s
            if left_s > 0:
                return left_s
            if command.attempts >= self._max_attempts:
                await self._close(command, "timed_out", f"no answer after {command.attempts} transmissions")
                return IDLE_S
        return await self._transmit(command)

    async def _transmit(self, command: QueuedCommand) -> float:
        ready = await self._control.request("prepare", phone=command.phone)
        if ready["state"] != "ready":
            if command.state == "sent":
                await self._requeue(command, was_sent=True)
            return IDLE_S  # it is sent when the terminal is back
        try:
            message_id, body = compose(command.kind, command.payload, Edition(ready["edition"]))
        except CommandError as error:
            await self._close(command, "failed", str(error))
            return IDLE_S
        serial_no = ready["serial_no"] if command.serial_no is None else command.serial_no
        async with self._database.connection() as connection:
            claimed = await command_queue.claim(connection, command, message_id=message_id, serial_no=serial_no)
        if not claimed:
            return 0.0  # answered or changed meanwhile: look again
        sent = await self._control.request(
            "send", phone=command.phone, message_id=message_id, body=body.hex(), serial_no=serial_no
        )
        if sent["state"] == "offline":
            await self._requeue(command, was_sent=False)
            return IDLE_S
        if sent["state"] == "refused":
            await self._close(command, "failed", str(sent.get("reason", "")))
            return IDLE_S
        self._tell([command.id])
        return wait_s(self._timeout_s, command.attempts + 1)

    async def _requeue(self, command: QueuedCommand, *, was_sent: bool) -> None:
        async with self._database.connection() as connection:
            changed = await command_queue.requeue(connection, command.id, was_sent=was_sent)
        if changed:
            self._tell([command.id])

    async def _close(self, command: QueuedCommand, state: str, reason: str) -> None:
        async with self._database.connection() as connection:
            changed = await command_queue.close(connection, command.id, state, reason)
        if changed:
            log.info("command %s to %s: %s: %s", command.id, command.phone, state, reason)
            self._tell([command.id])

    def _tell(self, command_ids: Iterable[UUID]) -> None:
        for command_id in command_ids:
            self._bus.publish(CommandChanged(command_id))

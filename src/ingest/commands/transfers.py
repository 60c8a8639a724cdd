"""Long messages in packages, at a bounded rate, going on where they were: upgrades (下发终端升级包, 0x8108).

The protocol does not promise a confirmation of each package: a terminal may answer every one, or the whole message once
(JT/T 808-2013 §7.12), and may ask for what it misses (0x0005, since 2019). So:

- Packages are written down before they go out; after a lost link or a restart it goes on `WINDOW` packages before the
  last that was, skipping those that were confirmed. What was lost besides the terminal asks for.
- When all went out the answer is waited for as for any command. Then a new pass sends all that were not confirmed.
- Serial numbers and total stay what they were the first time: to the terminal it is the same message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final
from uuid import UUID

import psycopg

from downlink import KINDS, CommandError
from downlink.composing import lacking
from downlink.firmware import UpgradeBody
from fleet import CommandChanged
from ingest.commands.office import Office
from ingest.commands.patience import wait_s
from ingest.control import ControlUnavailable
from jt808.header import MAX_BODY_BYTES, Edition
from store.queries import command_queue, command_transfers
from store.queries.command_queue import Claim, Expected, QueuedCommand
from store.queries.command_transfers import Transfer

log = logging.getLogger(__name__)

UPGRADE: Final = 0x8108
BURST: Final = 8  # packages in one go: 8 KiB, half of what a link may hold unsent
WINDOW: Final = 64  # packages, 64 KiB: what may have been on its way when a link was lost
BUSY_S: Final = 0.5  # the link still has the last burst: wait
RETRY_S: Final = 1.0
WAITS: Final = "waits for other upgrades to be through"


class Transfers:
    """The messages that go out in packages now; at most ``DeskLimits.transfers``, one task each."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._unsure: set[UUID] = set()  # packages of it may be on their way
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    def is_busy(self, command_id: UUID) -> bool:
        return command_id in self._tasks

    async def begin(self, command: QueuedCommand, edition: Edition) -> None:
        """Claim the command and send its packages, all of them or, going on, the rest. As many at once as there may be:
        then it waits, parked.

        Raises:  CommandError: it cannot be sent to such a terminal, or its file is not there.
        """
        if why := lacking(KINDS[command.kind], edition):
            raise CommandError(why)
        body = self._body(command)
        if len(self._tasks) >= self._office.limits.transfers:
            async with self._office.database.connection() as connection:
                if command.state == "sent":  # another pass
                    await command_transfers.postpone(connection, command.id, self._office.limits.timeout_s, WAITS)
                else:
                    await command_queue.park(connection, [command.id], WAITS)
            return
        serial_no = command.serial_no
        if serial_no is None:
            ready = await self._office.control.request("prepare", phone=command.phone, count=body.package_count)
            if ready["state"] != "ready":
                return  # gone in between: the next look parks it
            serial_no = int(ready["serial_no"])
        kind = KINDS[command.kind]
        expected = Expected(UPGRADE, serial_no, body.package_count, kind.answers, kind.answer_within_s)
        progress = {"sent": 0, "acknowledged": 0, "total": body.package_count}
        async with self._office.database.connection() as connection:
            if not await command_queue.claim(connection, [Claim(command, expected, None, progress)]):
                self._office.wake()
                return
            is_again = command.state == "sent"
            await command_transfers.begin(connection, command.id, again=is_again, window=WINDOW)
        self._office.tell([CommandChanged(command.id, command.group_id)])
        self._start(command._replace(serial_no=serial_no, attempts=command.attempts + 1), body)

    def resume(self, command: QueuedCommand) -> None:
        """Go on with one that was under way when the desk stopped.

        Raises:  CommandError: its file is not there.
        """
        if command.id not in self._tasks:
            self._start(command, self._body(command), is_resumed=True)

    def _body(self, command: QueuedCommand) -> UpgradeBody:
        if self._office.limits.firmware_dir is None:
            raise CommandError("this server keeps no firmware")
        try:
            return UpgradeBody(self._office.limits.firmware_dir, command.payload)
        except (KeyError, ValueError) as error:
            raise CommandError(str(error) if isinstance(error, CommandError) else "it names no firmware") from error

    def _start(self, command: QueuedCommand, body: UpgradeBody, *, is_resumed: bool = False) -> None:
        if is_resumed:
            self._unsure.add(command.id)
        task = asyncio.create_task(self._run(command, body, is_resumed), name=f"upgrade of {command.phone}")
        self._tasks[command.id] = task
        task.add_done_callback(lambda _: self._ended(command.id))

    def _ended(self, command_id: UUID) -> None:
        self._tasks.pop(command_id, None)
        self._unsure.discard(command_id)
        self._office.wake()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, command: QueuedCommand, body: UpgradeBody, must_go_back: bool) -> None:
        """Until all went out, or it cannot go on; patient with database and gateway."""
        is_going = True
        while is_going:
            try:
                if must_go_back and command.id in self._unsure:  # once, however long it takes until it goes on
                    async with self._office.database.connection() as connection:
                        await command_transfers.begin(connection, command.id, again=False, window=WINDOW)
                    self._unsure.discard(command.id)
                must_go_back = False
                is_going = await self._burst(command, body)
            except (psycopg.OperationalError, ControlUnavailable):
                await asyncio.sleep(RETRY_S)
                must_go_back = True
            except Exception:  # a bug of ours: the desk finds it again and goes on
                log.exception("upgrade %s", command.id)
                is_going = False
        self._office.tell([CommandChanged(command.id, command.group_id)])
        with contextlib.suppress(psycopg.OperationalError):  # the desk's next sweep does it, too
            async with self._office.database.connection() as connection:
                await command_queue.unpark(connection)  # another may have waited for its turn

    async def _burst(self, command: QueuedCommand, body: UpgradeBody) -> bool:
        """Send a few packages and wait as the rate asks for; False: it is over, for now at least."""
        async with self._office.database.connection() as connection:
            transfer = await command_transfers.get(connection, command.id)
            if transfer is None:
                return False  # answered, refused, taken back
            numbers, following = _next(transfer, body.package_count)
            if not numbers:
                patience_s = wait_s(self._office.limits.timeout_s, min(command.attempts, self._office.limits.attempts))
                await command_transfers.advance(connection, command.id, next_package=following, sent=[])
                return not await command_transfers.finish_pass(connection, command.id, patience_s)
        try:
            packages = await asyncio.to_thread(lambda: {str(n): body.package(n).hex() for n in numbers})
        except OSError as error:
            log.error("upgrade %s: the firmware's file cannot be read: %s", command.id, error)
            await self._office.close("failed", {command.id: "the firmware's file cannot be read"})
            return False
        probe = await self._office.control.request("room", phone=command.phone)
        if probe["state"] == "busy":
            await asyncio.sleep(BUSY_S)
            return True
        if probe["state"] == "ready":
            self._unsure.add(command.id)
            async with self._office.database.connection() as connection:
                if not await command_transfers.advance(connection, command.id, next_package=following, sent=numbers):
                    return False
            probe = await self._office.control.request(
                "packages", phone=command.phone, message_id=UPGRADE, serial_no=command.serial_no,
                total=body.package_count, packages=packages,
            )  # fmt: skip
        if probe["state"] != "ready":
            async with self._office.database.connection() as connection:
                await command_queue.requeue(connection, [command.id], was_sent=False)  # only whole passes count
            return False
        self._office.tell([CommandChanged(command.id, command.group_id)])
        await asyncio.sleep(len(numbers) * MAX_BODY_BYTES / self._office.limits.upgrade_bytes_per_s)
        return True


def _next(transfer: Transfer, total: int) -> tuple[list[int], int]:
    """The packages to send next, and the one that is next after them: what was asked for goes first."""
    asked = [number for begin, end in transfer.asked for number in range(begin, min(end, begin + BURST))][:BURST]
    if asked:
        return asked, transfer.next_package
    numbers: list[int] = []
    number = transfer.next_package
    confirmed = list(transfer.acknowledged)
    while number <= total and len(numbers) < BURST:
        behind = next((end for begin, end in confirmed if begin <= number < end), None)
        if behind is not None:
            number = behind
            continue
        numbers.append(number)
        number += 1
    return numbers, number

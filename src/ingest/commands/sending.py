"""Commands out, many at a time: serial numbers from the gateway, one transaction that writes all of them down, then the
messages. One by one, each would cost two round trips and a transaction with its own wait for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from downlink import KINDS, CommandError, Composed, compose
from fleet import CommandChanged
from ingest.commands.office import Office
from ingest.commands.patience import wait_s
from ingest.commands.transfers import Transfers
from ingest.control import ControlUnavailable
from jt808.header import MAX_BODY_BYTES, Edition
from store.queries import command_queue
from store.queries.command_queue import Claim, Expected, QueuedCommand

log = logging.getLogger(__name__)

ASKED_AT_ONCE: Final = 32  # requests; the gateway serves those that wait in one turn of its loop
OFFLINE: Final = "the terminal is off-line"
MOVED: Final = "the terminal is not in this vehicle any more"
BUG: Final = "the server cannot make a message of it; see its log"
UNKNOWN: Final = "unknown"  # the gateway went away: it may have done it


@dataclass(slots=True)
class _Plan:
    """What becomes of a batch, before anything is written."""

    claims: list[Claim] = field(default_factory=list)
    bodies: dict[UUID, bytes] = field(default_factory=dict)
    upgrades: list[tuple[QueuedCommand, Edition]] = field(default_factory=list)
    absent: list[UUID] = field(default_factory=list)  # never sent, off-line
    lost: list[UUID] = field(default_factory=list)  # sent, and the link is gone
    failed: dict[UUID, str] = field(default_factory=dict)

    def is_away(self, command: QueuedCommand) -> None:
        (self.lost if command.state == "sent" else self.absent).append(command.id)


class Sender:
    """Sends single messages itself, and has `Transfers` send the long ones."""

    def __init__(self, office: Office, transfers: Transfers) -> None:
        self._office = office
        self._transfers = transfers

    async def send(self, commands: Sequence[QueuedCommand]) -> None:
        """Send them, in this order; whatever cannot be sent is parked, put back or closed, and costs no other.

        Raises:  psycopg.OperationalError, ControlUnavailable: what was claimed is sent again when its time is up.
        """
        for begin in range(0, len(commands), self._office.limits.at_once):
            plan = await self._plan(commands[begin : begin + self._office.limits.at_once])
            claimed = await self._write_down(plan)
            if len(claimed) < len(plan.claims):
                self._office.wake()  # answered or changed meanwhile
            await self._send_out([claim for claim in plan.claims if claim.command.id in claimed], plan.bodies)
            for command, edition in plan.upgrades:
                try:
                    await self._transfers.begin(command, edition)
                except CommandError as error:
                    await self._office.close("failed", {command.id: str(error)})

    async def _plan(self, commands: Sequence[QueuedCommand]) -> _Plan:
        plan = _Plan()
        plan.failed = {command.id: MOVED for command in commands if command.has_moved}
        here = [command for command in commands if not command.has_moved]
        for command, ready in zip(here, await self._prepare(here), strict=True):
            if ready["state"] == "refused":
                plan.failed[command.id] = str(ready["reason"])
            elif ready["state"] != "ready":
                plan.is_away(command)
            elif command.kind == "upgrade":
                plan.upgrades.append((command, Edition(ready["edition"])))
            else:
                try:
                    await self._add(plan, command, ready)
                except CommandError as error:
                    plan.failed[command.id] = str(error)
        return plan

    async def _prepare(self, commands: Sequence[QueuedCommand]) -> list[dict[str, Any]]:
        """A serial number each, and the edition."""
        found = await self._ask("prepare", [{"phone": command.phone} for command in commands])
        if any(ready["state"] == UNKNOWN for ready in found):
            raise ControlUnavailable("the gateway is away")
        return found

    async def _add(self, plan: _Plan, command: QueuedCommand, ready: dict[str, Any]) -> None:
        """The message of a command. Raises:  CommandError: there is none."""
        composed = _composed(command, Edition(ready["edition"]))
        count = max(-(-len(composed.body) // MAX_BODY_BYTES), 1)
        if command.serial_no is None and count > 1:  # they follow each other: taken together
            ready = await self._office.control.request("prepare", phone=command.phone, count=count)
            if ready["state"] != "ready":
                plan.is_away(command)
                return
        serial_no = int(ready["serial_no"]) if command.serial_no is None else command.serial_no
        expected = Expected(composed.message_id, serial_no, count, composed.answers, composed.answer_within_s)
        retry_in_s = wait_s(self._office.limits.timeout_s, min(command.attempts + 1, self._office.limits.attempts))
        plan.claims.append(Claim(command, expected, retry_in_s, _progress(command)))
        plan.bodies[command.id] = composed.body

    async def _write_down(self, plan: _Plan) -> set[UUID]:
        """One transaction; the commands that may go out now."""
        events: list[CommandChanged] = []
        async with self._office.database.connection() as connection:
            claimed = await command_queue.claim(connection, plan.claims)
            if plan.absent:
                await command_queue.park(connection, plan.absent, OFFLINE)
            if plan.lost:
                events = await command_queue.requeue(connection, plan.lost, was_sent=True)
            closed = await command_queue.close(connection, "failed", plan.failed) if plan.failed else []
        self._office.tell(events)
        self._office.closed("failed", plan.failed, closed)
        return claimed

    async def _send_out(self, claims: Sequence[Claim], bodies: Mapping[UUID, bytes]) -> None:
        found = await self._ask(
            "send",
            [
                {"phone": claim.command.phone, "message_id": claim.expected.message_id,
                 "body": bodies[claim.command.id].hex(), "serial_no": claim.expected.serial_no}
                for claim in claims
            ],
        )  # fmt: skip
        by_state: dict[str, list[QueuedCommand]] = {}
        refused: dict[UUID, str] = {}
        for claim, sent in zip(claims, found, strict=True):
            by_state.setdefault(sent["state"], []).append(claim.command)
            if sent["state"] == "refused":
                refused[claim.command.id] = str(sent.get("reason", ""))
        gone = [command.id for command in by_state.get("offline", ())]
        if gone:
            async with self._office.database.connection() as connection:
                changed = await command_queue.requeue(connection, gone, was_sent=False)
            self._office.tell(changed)
        await self._office.close("failed", refused)
        done = by_state.get("sent", [])
        again = sum(command.attempts > 0 for command in done)
        self._office.counts["retransmitted"] += again
        self._office.counts["sent"] += len(done) - again
        self._office.tell(command_queue.events_of((command.id, command.group_id) for command in done))
        if UNKNOWN in by_state:
            raise ControlUnavailable("the gateway went away")

    async def _ask(self, op: str, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers in the same order; state "unknown" of those that the gateway did not answer."""
        found: list[dict[str, Any]] = []
        for begin in range(0, len(requests), ASKED_AT_ONCE):
            found += await asyncio.gather(
                *(self._ask_one(op, request) for request in requests[begin : begin + ASKED_AT_ONCE])
            )
            if found[-1]["state"] == UNKNOWN:
                break
        return found + [{"state": UNKNOWN}] * (len(requests) - len(found))

    async def _ask_one(self, op: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._office.control.request(op, **request)
        except ControlUnavailable:
            return {"state": UNKNOWN}
        except ValueError as error:  # a bug of ours: it costs this command
            log.exception("the gateway cannot read %s for %s", op, request["phone"])
            return {"state": "refused", "reason": str(error)}


def _composed(command: QueuedCommand, edition: Edition) -> Composed:
    """Raises:  CommandError: it cannot be; also for a bug of ours, which costs this command and no other."""
    try:
        return compose(command.kind, command.payload, edition)
    except CommandError:
        raise
    except Exception as error:
        log.exception("command %s cannot be composed", command.id)
        raise CommandError(BUG) from error


def _progress(command: QueuedCommand) -> dict[str, Any] | None:
    """What is counted of a command whose outcome arrives as media; `total` where it is known."""
    payload = command.payload
    if not KINDS[command.kind].media or payload.get("store_only"):
        return None
    total = payload.get("count", 1) if command.kind == "photo" and payload.get("action", "photo") == "photo" else None
    if command.kind == "media_upload" and payload.get("media_id") is not None:
        total = 1
    return {"arrived": 0, "total": total}

"""Commands on their way to terminals: claimed before they are sent, answered in the pipeline's transaction.

`state`: queued -> sent -> acknowledged | refused | answered | timed_out | failed; queued -> expired. Every transmission
is written down before it is made (`claim`), so that after a crash nothing was sent of which the row does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from fleet import CommandAnswer

QUESTION_OF: Final[dict[int, int]] = {0x0201: 0x8201}
"""Dedicated answer -> the message it answers. JT/T 808-2013 §8.20."""

RESULT_TEXTS: Final = {1: "failed", 2: "message wrong", 3: "not supported"}

MAX_ANSWER_AGE: Final = "1 day"
"""Serial numbers wrap after 65,536 messages; what was sent longer ago is not what an answer means."""


class QueuedCommand(NamedTuple):
    """A command that waits to be sent, or for its answer."""

    id: UUID
    phone: str
    kind: str
    payload: dict[str, Any]
    state: str  # queued | sent
    attempts: int
    message_id: int | None  # of the first transmission
    serial_no: int | None
    sent_ago_s: float  # since the last transmission, by the server's clock; 0 when there was none
    is_online: bool  # as far as the database knows


async def expire(connection: AsyncConnection[Any]) -> list[UUID]:
    """Give up what waited too long for its terminal."""
    cursor = await connection.execute(
        "UPDATE commands SET state = CASE attempts WHEN 0 THEN 'expired' ELSE 'timed_out' END, updated_at = now(),"
        " reason = 'the terminal was not on-line in time'"
        " WHERE state = 'queued' AND expires_at <= now() RETURNING id"
    )
    return [row[0] for row in await cursor.fetchall()]


async def live_commands(
    connection: AsyncConnection[Any], *, phones: Sequence[str] = (), limit: int = 1000
) -> list[QueuedCommand]:
    """What waits for an answer, and what is queued for terminals that are on-line (by the database, or in `phones`),
    oldest first."""
    cursor = await connection.execute(
        "SELECT c.id, c.phone, c.kind, c.payload, c.state, c.attempts, c.message_id, c.serial_no,"
        " coalesce(extract(epoch FROM now() - c.sent_at), 0)::float8,"
        " coalesce(p.online, false) OR c.phone = ANY(%(phones)s) AS is_online"
        " FROM commands c LEFT JOIN terminal_presence p ON p.phone = c.phone"
        " WHERE c.state = 'sent'"
        " OR (c.state = 'queued' AND (coalesce(p.online, false) OR c.phone = ANY(%(phones)s)))"
        " ORDER BY c.created_at, c.id LIMIT %(limit)s",
        {"phones": list(phones), "limit": limit},
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]


async def next_expiry_s(connection: AsyncConnection[Any]) -> float | None:
    """Seconds until the next queued command expires; None: nothing is queued."""
    cursor = await connection.execute(
        "SELECT extract(epoch FROM min(expires_at) - now())::float8 FROM commands WHERE state = 'queued'"
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else float(row[0])


async def claim(connection: AsyncConnection[Any], command: QueuedCommand, *, message_id: int, serial_no: int) -> bool:
    """Write down that the command is about to be sent (once more). False: its row has changed since it was read."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'sent', message_id = %s, serial_no = %s, attempts = attempts + 1,"
        " sent_at = now(), updated_at = now(), reason = ''"
        " WHERE id = %s AND state = %s AND attempts = %s",
        (message_id, serial_no, command.id, command.state, command.attempts),
    )
    return cursor.rowcount == 1


async def requeue(connection: AsyncConnection[Any], command_id: UUID, *, was_sent: bool) -> bool:
    """The terminal is off-line: wait until it returns. Without `was_sent` the claimed transmission did not happen."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'queued', attempts = attempts - %s, updated_at = now(),"
        " reason = 'the terminal is off-line' WHERE id = %s AND state = 'sent'",
        (0 if was_sent else 1, command_id),
    )
    return cursor.rowcount == 1


async def close(connection: AsyncConnection[Any], command_id: UUID, state: str, reason: str) -> bool:
    """End a command that is queued or sent: failed or timed_out."""
    cursor = await connection.execute(
        "UPDATE commands SET state = %s, reason = %s, updated_at = now() WHERE id = %s AND state IN ('queued', 'sent')",
        (state, reason, command_id),
    )
    return cursor.rowcount == 1


async def apply_answers(connection: AsyncConnection[Any], answers: list[CommandAnswer]) -> list[UUID]:
    """What terminals answered, in the pipeline's transaction; returns the commands whose rows changed.

    An answer belongs to the newest command of its terminal with that serial number. 0x0001 must name the message, too;
    a dedicated answer is the answer to its one question. Late answers still count (`timed_out` becomes what was
    answered), a repeated one changes nothing.
    """
    if not answers:
        return []
    cursor = await connection.execute(
        "SELECT a.number, c.id, c.state, c.message_id"
        " FROM unnest(%s::text[], %s::int[]) WITH ORDINALITY AS a (phone, serial_no, number)"
        " JOIN commands c ON c.phone = a.phone AND c.serial_no = a.serial_no AND c.attempts > 0"
        " AND c.state IN ('queued', 'sent', 'acknowledged', 'timed_out')"
        " AND c.sent_at > now() - %s::interval"
        " ORDER BY a.number, c.sent_at DESC",
        ([a.phone for a in answers], [a.request_serial_no for a in answers], MAX_ANSWER_AGE),
    )
    changed: dict[UUID, str] = {}
    done: set[int] = set()
    for number, command_id, state, message_id in await cursor.fetchall():
        answer = answers[number - 1]
        asked = answer.request_message_id if answer.message_id == 0x0001 else QUESTION_OF.get(answer.message_id)
        if number in done or message_id != asked:
            continue
        done.add(number)
        now = _outcome(answer, changed.get(command_id, state))
        if now is not None:
            await _store_answer(connection, command_id, answer, now)
            changed[command_id] = now
    return list(changed)


def _outcome(answer: CommandAnswer, state: str) -> str | None:
    """The state an answer leads to; None: it says nothing new."""
    if answer.message_id != 0x0001:
        return None if state in ("answered", "refused") else "answered"
    if state in ("acknowledged", "answered", "refused"):
        return None
    return "acknowledged" if answer.result == 0 else "refused"


async def _store_answer(connection: AsyncConnection[Any], command_id: UUID, answer: CommandAnswer, state: str) -> None:
    reason = ""
    if state == "refused":
        reason = f"the terminal says: {RESULT_TEXTS.get(answer.result or -1, f'result {answer.result}')}"
    await connection.execute(
        "UPDATE commands SET state = %s, reason = %s, result = coalesce(%s, result),"
        " answer = coalesce(%s::jsonb, answer), updated_at = now() WHERE id = %s",
        (state, reason, answer.result, None if answer.answer is None else Jsonb(answer.answer), command_id),
    )

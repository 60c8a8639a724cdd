"""Commands on their way to terminals: looked for, claimed before they are sent, put back, given up.

`state`: awaiting_confirmation -> queued -> sent -> acknowledged | refused | answered | timed_out | failed; queued ->
expired | cancelled; acknowledged -> answered | refused | timed_out where a dedicated answer is to come. Every
transmission is written down before it is made (`claim`), so that after a crash nothing was sent of which the row does
not know. What is queued for terminals that are off-line is parked: nobody looks at it until they are back. What they
answer: `command_answers`; long messages: `command_transfers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from fleet import CommandChanged


class QueuedCommand(NamedTuple):
    """A command that waits to be sent, or for its answer."""

    id: UUID
    group_id: UUID | None
    phone: str
    kind: str
    payload: dict[str, Any]
    state: str  # queued | sent
    attempts: int
    message_id: int | None  # of the first transmission
    serial_no: int | None
    package_count: int


class Expected(NamedTuple):
    """What goes out with a claim, and what may come back."""

    message_id: int
    serial_no: int
    package_count: int = 1
    answers: Sequence[int] = ()
    answer_within_s: float = 60.0


COLUMNS: Final = "id, group_id, phone, kind, payload, state, attempts, message_id, serial_no, package_count"


ACKNOWLEDGED: Final = (
    "answer_by = CASE WHEN answer_ids = '{}' THEN NULL ELSE now() + make_interval(secs => answer_within_s) END"
)
"""What else is set where the state becomes `acknowledged`: until when a dedicated answer may come."""


def events_of(rows: Iterable[tuple[UUID, UUID | None]]) -> list[CommandChanged]:
    """One a command, and one a group."""
    events: dict[UUID, CommandChanged] = {}
    for command_id, group_id in rows:
        events.setdefault(group_id or command_id, CommandChanged(command_id, group_id))
    return list(events.values())


async def expire(connection: AsyncConnection[Any]) -> list[CommandChanged]:
    """Give up what waited too long: for its terminal, its second word, its dedicated answer."""
    changed: list[tuple[UUID, UUID | None]] = []
    for statement in (
        "UPDATE commands SET state = CASE attempts WHEN 0 THEN 'expired' ELSE 'timed_out' END, updated_at = now(),"
        " reason = 'the terminal was not on-line in time'"
        " WHERE state = 'queued' AND expires_at <= now() RETURNING id, group_id",
        "UPDATE commands SET state = 'expired', updated_at = now(), reason = 'not confirmed in time'"
        " WHERE state = 'awaiting_confirmation' AND confirm_by <= now() RETURNING id, group_id",
        "UPDATE commands SET state = 'timed_out', updated_at = now(), answer_by = NULL,"
        " reason = 'the terminal acknowledged it and did not answer in time'"
        " WHERE state = 'acknowledged' AND answer_by <= now() RETURNING id, group_id",
    ):
        cursor = await connection.execute(statement.encode())
        changed += await cursor.fetchall()
    return events_of(changed)


async def next_change_s(connection: AsyncConnection[Any]) -> float | None:
    """Seconds until time alone changes something: an expiry, a retransmission. None: nothing waits."""
    cursor = await connection.execute(
        "SELECT extract(epoch FROM least("
        " (SELECT min(expires_at) FROM commands WHERE state = 'queued'),"
        " (SELECT min(confirm_by) FROM commands WHERE state = 'awaiting_confirmation'),"
        " (SELECT min(answer_by) FROM commands WHERE state = 'acknowledged' AND answer_by IS NOT NULL),"
        " (SELECT min(retry_at) FROM commands WHERE state = 'sent' AND retry_at < 'infinity')) - now())::float8"
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else float(row[0])


async def due(connection: AsyncConnection[Any], limit: int) -> list[QueuedCommand]:
    """What was sent and got no answer in its time; single commands first."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM commands WHERE state = 'sent' AND (retry_at IS NULL OR retry_at <= now())"
        " ORDER BY group_id IS NOT NULL, retry_at LIMIT %s".encode(),
        (limit,),
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]


async def ready(connection: AsyncConnection[Any], limit: int) -> list[QueuedCommand]:
    """Single commands that wait to be sent, oldest first; not what is parked."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM commands WHERE state = 'queued' AND NOT parked AND group_id IS NULL"
        " ORDER BY created_at, id LIMIT %s".encode(),
        (limit,),
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]


async def running_groups(connection: AsyncConnection[Any]) -> list[tuple[UUID, float]]:
    """Groups with commands that wait to be sent and are not parked, with their rates per second."""
    cursor = await connection.execute(
        "SELECT g.id, g.rate_per_s FROM command_groups g WHERE g.expires_at > now() AND g.cancelled_at IS NULL"
        " AND EXISTS (SELECT FROM commands c WHERE c.group_id = g.id AND c.state = 'queued' AND NOT c.parked)"
        " ORDER BY g.created_at, g.id"
    )
    return await cursor.fetchall()


async def ready_of_group(connection: AsyncConnection[Any], group_id: UUID, limit: int) -> list[QueuedCommand]:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM commands WHERE group_id = %s AND state = 'queued' AND NOT parked"
        " ORDER BY id LIMIT %s".encode(),
        (group_id, limit),
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]


async def park(connection: AsyncConnection[Any], command_id: UUID, reason: str) -> None:
    """It cannot be sent now; `unpark` brings it back."""
    await connection.execute(
        "UPDATE commands SET parked = true, reason = %s WHERE id = %s AND state = 'queued'", (reason, command_id)
    )


async def unpark(connection: AsyncConnection[Any], phones: Sequence[str] | None = None) -> None:
    """Terminals are on-line: look at what waits for them. None: all that are, as far as the database knows."""
    if phones is None:
        await connection.execute(
            "UPDATE commands c SET parked = false FROM terminal_presence p"
            " WHERE c.state = 'queued' AND c.parked AND p.phone = c.phone AND p.online"
        )
    elif phones:
        await connection.execute(
            "UPDATE commands SET parked = false WHERE phone = ANY (%s) AND state = 'queued' AND parked", (list(phones),)
        )


async def claim(
    connection: AsyncConnection[Any],
    command: QueuedCommand,
    expected: Expected,
    *,
    retry_in_s: float | None,
    progress: Mapping[str, Any] | None = None,
) -> bool:
    """Write down that the command is about to be sent (once more). False: its row has changed since it was read.

    Args:  retry_in_s: None: in packages, `finish_pass` says when.
    """
    cursor = await connection.execute(
        "UPDATE commands SET state = 'sent', message_id = %s, serial_no = %s, package_count = %s, answer_ids = %s,"
        " answer_within_s = %s, attempts = attempts + 1, sent_at = now(), updated_at = now(), reason = '',"
        " retry_at = CASE WHEN %s::float8 IS NULL THEN 'infinity' ELSE now() + make_interval(secs => %s::float8) END,"
        " progress = coalesce(progress, %s)"
        " WHERE id = %s AND state = %s AND attempts = %s",
        (expected.message_id, expected.serial_no, expected.package_count, list(expected.answers),
         expected.answer_within_s, retry_in_s, retry_in_s, None if progress is None else Jsonb(dict(progress)),
         command.id, command.state, command.attempts),
    )  # fmt: skip
    return cursor.rowcount == 1


async def requeue(connection: AsyncConnection[Any], command_id: UUID, *, was_sent: bool) -> bool:
    """The terminal is off-line: wait until it returns. Without `was_sent` the claimed transmission did not happen."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'queued', parked = true, attempts = attempts - %s, updated_at = now(),"
        " retry_at = NULL, reason = 'the terminal is off-line' WHERE id = %s AND state = 'sent'",
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

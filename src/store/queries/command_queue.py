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
from store.values import clean_text


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
    has_moved: bool = False  # its terminal is not in the vehicle any more that it was given to


class Expected(NamedTuple):
    """What goes out with a claim, and what may come back."""

    message_id: int
    serial_no: int
    package_count: int = 1
    answers: Sequence[int] = ()
    answer_within_s: float = 60.0


class Claim(NamedTuple):
    """A transmission that is about to be made."""

    command: QueuedCommand
    expected: Expected
    retry_in_s: float | None  # None: in packages, `command_transfers.finish_pass` says when
    progress: Mapping[str, Any] | None = None  # what is counted, from the first time on


COLUMNS: Final = (
    "id, group_id, phone, kind, payload, state, attempts, message_id, serial_no, package_count,"
    " EXISTS (SELECT FROM terminals t WHERE t.phone = commands.phone"
    " AND t.vehicle_id IS DISTINCT FROM commands.vehicle_id)"
)

MAX_EXPIRED: Final = 2000
"""Of a statement. A group of 100,000 that nobody was there for is given up in bites: there are others to send to."""

ANSWER_BY: Final = "CASE WHEN answer_ids <> '{}' THEN now() + make_interval(secs => answer_within_s) END"
"""Until when a dedicated answer may come, where the state becomes `acknowledged`."""


# The pipeline's transaction locks rows in the order in which answers came. Who changes many at once here does not wait
# for a row that is locked, so that neither ever waits for the other; it comes across that row again.
_THOSE: Final = "id = ANY (ARRAY(SELECT id FROM commands WHERE id = ANY (%s) AND {} FOR UPDATE SKIP LOCKED))"


def events_of(rows: Iterable[tuple[UUID, UUID | None]]) -> list[CommandChanged]:
    """One a command, and one a group."""
    events: dict[UUID, CommandChanged] = {}
    for command_id, group_id in rows:
        events.setdefault(group_id or command_id, CommandChanged(command_id, group_id))
    return list(events.values())


UPLOAD: Final = 0x0801  # the answer of a retrieval

# Nobody says how many recordings a 0x8803 will bring: it is over when no more come.
_RETRIEVED: Final = f"{UPLOAD} = ANY (answer_ids) AND progress->>'total' IS NULL AND (progress->>'arrived')::int > 0"

_OVER: Final = (
    ("state = 'queued' AND expires_at <= now()", "expires_at",
     "state = CASE attempts WHEN 0 THEN 'expired' ELSE 'timed_out' END,"
     " reason = 'the terminal was not on-line in time'"),
    ("state = 'awaiting_confirmation' AND confirm_by <= now()", "confirm_by",
     "state = 'expired', reason = 'not confirmed in time'"),
    ("state = 'acknowledged' AND answer_by <= now()", "answer_by",
     f"state = CASE WHEN {_RETRIEVED} THEN 'answered' ELSE 'timed_out' END, answer_by = NULL,"
     f" reason = CASE WHEN {_RETRIEVED} THEN ''"
     " ELSE 'the terminal acknowledged it and did not answer in time' END"),
)  # fmt: skip


async def expire(connection: AsyncConnection[Any], limit: int = MAX_EXPIRED) -> list[CommandChanged]:
    """Give up what waited too long: for its terminal, its second word, its dedicated answer; so many of each, the
    oldest first."""
    changed: list[tuple[UUID, UUID | None]] = []
    for is_over, since, change in _OVER:
        cursor = await connection.execute(
            f"UPDATE commands SET {change}, updated_at = now() WHERE id = ANY (ARRAY(SELECT id FROM commands"
            f" WHERE {is_over} ORDER BY {since} LIMIT %s FOR UPDATE SKIP LOCKED)) RETURNING id, group_id".encode(),
            (limit,),
        )
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
        "SELECT g.id, g.rate_per_s FROM command_groups g WHERE g.expires_at > now()"
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


async def park(connection: AsyncConnection[Any], command_ids: Sequence[UUID], reason: str) -> None:
    """They cannot be sent now; `unpark` brings them back."""
    await connection.execute(
        ("UPDATE commands SET parked = true, reason = %s WHERE " + _THOSE.format("state = 'queued'")).encode(),
        (reason, list(command_ids)),
    )


async def unpark(connection: AsyncConnection[Any], phones: Sequence[str] | None = None) -> None:
    """Terminals are on-line: look at what waits for them. None: all that are, as far as the database knows."""
    if phones is None:
        online, values = "phone IN (SELECT phone FROM terminal_presence WHERE online)", []
    elif phones:
        online, values = "phone = ANY (%s)", [list(phones)]
    else:
        return
    await connection.execute(
        "UPDATE commands SET parked = false WHERE id = ANY (ARRAY(SELECT id FROM commands"
        f" WHERE {online} AND state = 'queued' AND parked FOR UPDATE SKIP LOCKED))".encode(),
        values,
    )


async def retrieve_again(
    connection: AsyncConnection[Any], phones: Sequence[str] | None, most_attempts: int
) -> list[CommandChanged]:
    """Retrievals of recordings whose link was lost before all had come: queue them again, now that their terminals are
    back. What was uploaded before is known when it comes again. ``phones``: as of `unpark`."""
    cursor = await connection.execute(
        "UPDATE commands SET state = 'queued', parked = false, retry_at = NULL, answer_by = NULL, updated_at = now(),"
        " expires_at = greatest(expires_at, now() + make_interval(secs => answer_within_s)),"
        " reason = 'the link was lost before all had come' WHERE id = ANY (ARRAY("
        "SELECT c.id FROM commands c JOIN terminal_presence p ON p.phone = c.phone AND p.online AND p.since > c.sent_at"
        " WHERE c.state = 'acknowledged' AND c.answer_by > now() AND %s = ANY (c.answer_ids) AND c.attempts < %s"
        " AND (%s::text[] IS NULL OR c.phone = ANY (%s)) FOR UPDATE OF c SKIP LOCKED)) RETURNING id, group_id",
        (UPLOAD, most_attempts, phones, phones),
    )
    return events_of(await cursor.fetchall())


_CLAIM: Final = """
UPDATE commands c SET state = 'sent', message_id = n.message_id, serial_no = n.serial_no,
       package_count = n.package_count, answer_ids = n.answer_ids::int[], answer_within_s = n.answer_within_s,
       attempts = c.attempts + 1, sent_at = now(), updated_at = now(), reason = '',
       retry_at = coalesce(now() + make_interval(secs => n.retry_in_s), 'infinity'),
       progress = coalesce(c.progress, n.progress)
FROM (SELECT x.* FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::int[], %s::int[], %s::text[],
                             %s::float8[], %s::float8[], %s::jsonb[])
      AS x (id, state, attempts, message_id, serial_no, package_count, answer_ids, answer_within_s, retry_in_s,
            progress)
      JOIN commands o ON (o.id, o.state, o.attempts) = (x.id, x.state, x.attempts) FOR UPDATE OF o SKIP LOCKED) n
WHERE c.id = n.id RETURNING c.id
"""


async def claim(connection: AsyncConnection[Any], claims: Sequence[Claim]) -> set[UUID]:
    """Write down that commands are about to be sent (once more). Those that are not in the answer have changed since
    they were read, or somebody is changing them."""
    if not claims:
        return set()
    rows = [
        (one.command.id, one.command.state, one.command.attempts, one.expected.message_id, one.expected.serial_no,
         one.expected.package_count, "{" + ",".join(map(str, one.expected.answers)) + "}",
         one.expected.answer_within_s, one.retry_in_s, None if one.progress is None else Jsonb(dict(one.progress)))
        for one in claims
    ]  # fmt: skip
    cursor = await connection.execute(_CLAIM.encode(), [list(column) for column in zip(*rows, strict=True)])
    return {row[0] for row in await cursor.fetchall()}


async def requeue(
    connection: AsyncConnection[Any], command_ids: Sequence[UUID], *, was_sent: bool
) -> list[CommandChanged]:
    """Their terminals are off-line: wait until they return. Without `was_sent` the claimed transmission did not
    happen."""
    cursor = await connection.execute(
        (
            "UPDATE commands SET state = 'queued', parked = true, attempts = attempts - %s, updated_at = now(),"
            " retry_at = NULL, reason = 'the terminal is off-line' WHERE "
            + _THOSE.format("state = 'sent'")
            + " RETURNING id, group_id"
        ).encode(),
        (0 if was_sent else 1, list(command_ids)),
    )
    return events_of(await cursor.fetchall())


async def close(
    connection: AsyncConnection[Any], state: str, reasons: Mapping[UUID, str]
) -> list[tuple[UUID, UUID | None]]:
    """End commands that are queued or sent, as failed or timed_out: id -> why. Returns id and group of those that
    were."""
    cursor = await connection.execute(
        (
            "UPDATE commands c SET state = %s, reason = x.reason, updated_at = now()"
            " FROM unnest(%s::uuid[], %s::text[]) AS x (id, reason) WHERE c.id = x.id AND c."
            + _THOSE.format("state IN ('queued', 'sent')")
            + " RETURNING c.id, c.group_id"
        ).encode(),
        (state, list(reasons), [clean_text(reason) for reason in reasons.values()], list(reasons)),
    )
    return await cursor.fetchall()

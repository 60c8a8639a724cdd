"""Commands on their way to terminals: claimed before they are sent, answered in the pipeline's transaction.

`state`: awaiting_confirmation -> queued -> sent -> acknowledged | refused | answered | timed_out | failed; queued ->
expired | cancelled; acknowledged -> answered | refused | timed_out where a dedicated answer is to come. Every
transmission is written down before it is made (`claim`), so that after a crash nothing was sent of which the row does
not know. What is queued for terminals that are off-line is parked: nobody looks at it until they are back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from fleet import CommandAnswer, CommandChanged

RESULT_TEXTS: Final = {1: "failed", 2: "message wrong", 3: "not supported"}

MAX_ANSWER_AGE: Final = "1 day"
"""Serial numbers wrap after 65,536 messages; what was sent longer ago is not what an answer means."""

GENERAL_RESPONSE: Final = 0x0001
PACKAGES_REQUEST: Final = 0x0005


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


_COLUMNS: Final = "id, group_id, phone, kind, payload, state, attempts, message_id, serial_no, package_count"


def _events(rows: Iterable[tuple[UUID, UUID | None]]) -> list[CommandChanged]:
    """One a command, and one a group."""
    events: dict[UUID, CommandChanged] = {}
    for command_id, group_id in rows:
        events.setdefault(group_id or command_id, CommandChanged(command_id, group_id))
    return list(events.values())


# ---- what the desk looks at


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
    return _events(changed)


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
        f"SELECT {_COLUMNS} FROM commands WHERE state = 'sent' AND (retry_at IS NULL OR retry_at <= now())"
        " ORDER BY group_id IS NOT NULL, retry_at LIMIT %s".encode(),
        (limit,),
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]


async def ready(connection: AsyncConnection[Any], limit: int) -> list[QueuedCommand]:
    """Single commands that wait to be sent, oldest first; not what is parked."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM commands WHERE state = 'queued' AND NOT parked AND group_id IS NULL"
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
        f"SELECT {_COLUMNS} FROM commands WHERE group_id = %s AND state = 'queued' AND NOT parked"
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


# ---- what the desk does


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


# ---- what terminals answer


_CANDIDATES: Final = f"""
SELECT a.number, c.id, c.group_id, c.state, c.message_id, c.serial_no, c.package_count, c.answer_ids
FROM unnest(%(phones)s::text[], %(serials)s::int[], %(ids)s::int[]) WITH ORDINALITY
     AS a (phone, serial_no, message_id, number)
CROSS JOIN LATERAL (
    SELECT * FROM commands WHERE a.serial_no IS NOT NULL AND phone = a.phone AND serial_no = a.serial_no
    UNION ALL
    SELECT * FROM commands WHERE a.serial_no IS NOT NULL AND phone = a.phone AND package_count > 1
        AND serial_no <> a.serial_no AND (a.serial_no - serial_no + 65536) %% 65536 < package_count
        AND sent_at > now() - interval '{MAX_ANSWER_AGE}'
    UNION ALL
    (SELECT * FROM commands WHERE a.serial_no IS NULL AND phone = a.phone AND a.message_id = ANY (answer_ids)
        AND sent_at > now() - interval '{MAX_ANSWER_AGE}' AND state IN ('queued', 'sent', 'acknowledged', 'timed_out')
     ORDER BY sent_at DESC LIMIT 1)
) c
WHERE (c.attempts > 0 OR c.package_count > 1) AND c.state IN ('queued', 'sent', 'acknowledged', 'timed_out')
  AND c.sent_at > now() - interval '{MAX_ANSWER_AGE}'
ORDER BY a.number, c.sent_at DESC
"""


class _Candidate(NamedTuple):
    id: UUID
    group_id: UUID | None
    state: str
    message_id: int
    serial_no: int
    package_count: int
    answer_ids: list[int]

    def is_meant(self, answer: CommandAnswer) -> bool:
        if answer.message_id == GENERAL_RESPONSE:
            return answer.request_message_id == self.message_id
        if answer.message_id == PACKAGES_REQUEST:
            return self.package_count > 1 and answer.request_serial_no == self.serial_no
        return answer.message_id in self.answer_ids


async def apply_answers(connection: AsyncConnection[Any], answers: list[CommandAnswer]) -> list[CommandChanged]:
    """What terminals answered, in the pipeline's transaction; returns what to tell.

    An answer belongs to the newest command of its terminal with that serial number; one that carries none, to the
    newest open command that it can answer. 0x0001 must name the message, too; a dedicated answer is one of those that
    the command waits for. Late answers still count (`timed_out` becomes what was answered), a repeated one changes
    nothing.
    """
    if not answers:
        return []
    cursor = await connection.execute(
        _CANDIDATES.encode(),
        {
            "phones": [a.phone for a in answers],
            "serials": [a.request_serial_no for a in answers],
            "ids": [a.message_id for a in answers],
        },
    )
    states: dict[UUID, str] = {}
    changed: list[tuple[UUID, UUID | None]] = []
    confirmed: dict[UUID, tuple[_Candidate, set[int]]] = {}
    done: set[int] = set()
    for number, *columns in await cursor.fetchall():
        answer, command = answers[number - 1], _Candidate(*columns)
        if number in done or not command.is_meant(answer):
            continue
        done.add(number)
        state = states.get(command.id, command.state)
        if answer.message_id == PACKAGES_REQUEST:
            if await _ask_again(connection, command, answer):
                changed.append((command.id, command.group_id))
        elif command.package_count > 1 and answer.message_id == GENERAL_RESPONSE and answer.result == 0:
            package = ((answer.request_serial_no or 0) - command.serial_no) % 65536 + 1
            confirmed.setdefault(command.id, (command, set()))[1].add(package)
        elif (now := _outcome(answer, state)) is not None:
            await _store_answer(connection, command.id, answer, now)
            states[command.id] = now
            changed.append((command.id, command.group_id))
    for command, packages in confirmed.values():
        if await _confirm(connection, command, packages, states.get(command.id, command.state)):
            changed.append((command.id, command.group_id))
    return _events(changed)


def _outcome(answer: CommandAnswer, state: str) -> str | None:
    """The state an answer leads to; None: it says nothing new."""
    if answer.message_id != GENERAL_RESPONSE:
        if state in ("answered", "refused"):
            return None
        return "refused" if answer.refusal else "answered"
    if state in ("acknowledged", "answered", "refused"):
        return None
    return "acknowledged" if answer.result == 0 else "refused"


_ACKNOWLEDGED: Final = (
    "answer_by = CASE WHEN answer_ids = '{}' THEN NULL ELSE now() + make_interval(secs => answer_within_s) END"
)


async def _store_answer(connection: AsyncConnection[Any], command_id: UUID, answer: CommandAnswer, state: str) -> None:
    reason = ""
    if state == "refused":
        said = answer.refusal or RESULT_TEXTS.get(answer.result or -1, f"result {answer.result}")
        reason = f"the terminal says: {said}"
    media_ids = (answer.answer or {}).get("media_ids")
    total = len(media_ids) if isinstance(media_ids, list) else None
    await connection.execute(
        "UPDATE commands SET state = %s, reason = %s, result = coalesce(%s, result),"
        " answer = coalesce(%s::jsonb, answer), updated_at = now(), progress = CASE WHEN progress ? 'arrived'"
        " AND %s::int IS NOT NULL THEN progress || jsonb_build_object('total', %s::int) ELSE progress END, "
        + (_ACKNOWLEDGED if state == "acknowledged" else "answer_by = NULL")
        + " WHERE id = %s",
        (state, reason, answer.result, None if answer.answer is None else Jsonb(answer.answer), total, total,
         command_id),
    )  # fmt: skip


# ---- long messages in packages


def ranges(packages: Iterable[int]) -> str:
    """Package numbers as the text of an int4multirange."""
    found: list[list[int]] = []
    for number in sorted(set(packages)):
        if found and found[-1][1] == number:
            found[-1][1] = number + 1
        else:
            found.append([number, number + 1])
    return "{" + ",".join(f"[{begin},{end})" for begin, end in found) + "}"


_COUNT: Final = "(SELECT coalesce(sum(upper(r) - lower(r)), 0)::int FROM unnest({}) r)"


async def _confirm(connection: AsyncConnection[Any], command: _Candidate, packages: set[int], state: str) -> bool:
    """0x0001s to packages. Some terminals answer each, some the whole message once (JT/T 808-2013 §7.12): it has
    arrived when all packages are confirmed, or when, all having been sent, any is.

    A message whose packages went out at once has no transfer: any confirmation is that of the whole."""
    cursor = await connection.execute(
        "UPDATE command_transfers SET acknowledged = acknowledged + %s::int4multirange,"
        " asked = asked - %s::int4multirange WHERE command_id = %s"
        f" RETURNING {_COUNT.format('acknowledged')}, next_package, isempty(asked)".encode(),
        (ranges(packages), ranges(packages), command.id),
    )
    row = await cursor.fetchone()
    count, next_package, has_all = row or (0, command.package_count + 1, True)
    is_there = count >= command.package_count or (next_package > command.package_count and has_all)
    if state in ("acknowledged", "answered", "refused"):
        is_there = False
    cursor = await connection.execute(
        "UPDATE commands SET progress = CASE WHEN %s THEN progress || jsonb_build_object('acknowledged', %s::int)"
        " ELSE progress END, updated_at = now()"
        + (", state = 'acknowledged', result = 0, reason = '', " + _ACKNOWLEDGED if is_there else "")
        + " WHERE id = %s",
        (row is not None, count, command.id),
    )
    return cursor.rowcount == 1


async def _ask_again(connection: AsyncConnection[Any], command: _Candidate, answer: CommandAnswer) -> bool:
    """0x0005, the terminal asks for packages: they go out once more, though all had been sent."""
    asked = (answer.answer or {}).get("package_nos")
    numbers = [n for n in asked if 1 <= n <= command.package_count] if isinstance(asked, list) else []
    if not numbers:
        return False
    cursor = await connection.execute(
        "UPDATE command_transfers SET asked = asked + %s::int4multirange,"
        " acknowledged = acknowledged - %s::int4multirange WHERE command_id = %s",
        (ranges(numbers), ranges(numbers), command.id),
    )
    if cursor.rowcount == 0:
        return False
    await connection.execute(
        "UPDATE commands SET state = 'sent', answer_by = NULL, updated_at = now(),"
        " retry_at = CASE WHEN state = 'sent' AND retry_at = 'infinity' THEN retry_at ELSE now() END"
        " WHERE id = %s AND state IN ('sent', 'acknowledged', 'timed_out')",
        (command.id,),
    )
    await connection.execute("SELECT pg_notify('roadwarden_commands', %s)", (str(command.id),))
    return True


class Transfer(NamedTuple):
    """How far the packages of a command have come."""

    next_package: int  # of this pass, from 1
    acknowledged: list[tuple[int, int]]  # ranges, the end not included
    asked: list[tuple[int, int]]


_LISTED: Final = (
    "ARRAY(SELECT lower(r) FROM unnest({0}) r ORDER BY 1), ARRAY(SELECT upper(r) FROM unnest({0}) r ORDER BY 1)"
)


async def begin_transfer(connection: AsyncConnection[Any], command_id: UUID, *, again: bool, window: int) -> None:
    """Before the packages of a pass go out. ``again``: a whole pass more; else it goes on, ``window`` packages back,
    since those may not have arrived."""
    await connection.execute(
        "INSERT INTO command_transfers AS t (command_id) VALUES (%s) ON CONFLICT (command_id) DO UPDATE"
        " SET next_package = CASE WHEN %s AND isempty(t.asked) THEN 1 ELSE greatest(t.next_package - %s, 1) END",
        (command_id, again, 0 if again else window),
    )


async def transfer(connection: AsyncConnection[Any], command_id: UUID) -> Transfer | None:
    """None: its command is not being sent any more."""
    cursor = await connection.execute(
        f"SELECT t.next_package, {_LISTED.format('t.acknowledged')}, {_LISTED.format('t.asked')}"
        " FROM command_transfers t JOIN commands c ON c.id = t.command_id AND c.state = 'sent'"
        " WHERE t.command_id = %s".encode(),
        (command_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Transfer(row[0], list(zip(row[1], row[2], strict=True)), list(zip(row[3], row[4], strict=True)))


async def advance(
    connection: AsyncConnection[Any], command_id: UUID, *, next_package: int, sent: Sequence[int]
) -> bool:
    """These packages are about to go out. False: the command is not being sent any more."""
    cursor = await connection.execute(
        "UPDATE commands SET progress = progress || jsonb_build_object('sent',"
        " greatest(coalesce((progress->>'sent')::int, 0), %s)), updated_at = now(), sent_at = now()"
        " WHERE id = %s AND state = 'sent'",
        (next_package - 1, command_id),
    )
    if cursor.rowcount == 0:
        return False
    await connection.execute(
        "UPDATE command_transfers SET next_package = %s, asked = asked - %s::int4multirange WHERE command_id = %s",
        (next_package, ranges(sent), command_id),
    )
    return True


async def finish_pass(connection: AsyncConnection[Any], command_id: UUID, retry_in_s: float) -> bool:
    """All packages went out: from now on the terminal's answer is waited for. False: it has just asked for some."""
    cursor = await connection.execute(
        "UPDATE commands c SET retry_at = now() + make_interval(secs => %s) FROM command_transfers t"
        " WHERE c.id = %s AND c.state = 'sent' AND t.command_id = c.id AND isempty(t.asked)",
        (retry_in_s, command_id),
    )
    return cursor.rowcount == 1


async def under_way(connection: AsyncConnection[Any]) -> list[QueuedCommand]:
    """Commands whose packages were going out when the desk stopped."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM commands WHERE state = 'sent' AND retry_at = 'infinity' ORDER BY created_at".encode()
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]

"""Long messages that go out in packages: how far they are, what was confirmed, what was asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from store.queries.command_queue import ANSWER_BY, COLUMNS, QueuedCommand


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


async def confirm(
    connection: AsyncConnection[Any], command_id: UUID, package_count: int, packages: set[int], state: str
) -> bool:
    """0x0001s to packages. Some terminals answer each, some the whole message once (JT/T 808-2013 §7.12): it has
    arrived when all packages are confirmed, or when, all having been sent, any is.

    A message whose packages went out at once has no transfer: any confirmation is that of the whole."""
    cursor = await connection.execute(
        "UPDATE command_transfers SET acknowledged = acknowledged + %s::int4multirange,"
        " asked = asked - %s::int4multirange WHERE command_id = %s"
        f" RETURNING {_COUNT.format('acknowledged')}, next_package, isempty(asked)".encode(),
        (ranges(packages), ranges(packages), command_id),
    )
    row = await cursor.fetchone()
    count, next_package, has_all = row or (0, package_count + 1, True)
    is_there = count >= package_count or (next_package > package_count and has_all)
    if state == "acknowledged":
        is_there = False
    cursor = await connection.execute(
        "UPDATE commands SET progress = CASE WHEN %s THEN progress || jsonb_build_object('acknowledged', %s::int)"
        " ELSE progress END, updated_at = now()"
        + (", state = 'acknowledged', result = 0, reason = '', answer_by = " + ANSWER_BY if is_there else "")
        + " WHERE id = %s",
        (row is not None, count, command_id),
    )
    return cursor.rowcount == 1


async def ask_again(
    connection: AsyncConnection[Any], command_id: UUID, package_count: int, answer: Mapping[str, Any] | None
) -> bool:
    """0x0005, the terminal asks for packages: they go out once more, though all had been sent."""
    asked = (answer or {}).get("package_nos")
    numbers = [n for n in asked if 1 <= n <= package_count] if isinstance(asked, list) else []
    if not numbers:
        return False
    cursor = await connection.execute(
        "UPDATE command_transfers SET asked = asked + %s::int4multirange,"
        " acknowledged = acknowledged - %s::int4multirange WHERE command_id = %s",
        (ranges(numbers), ranges(numbers), command_id),
    )
    if cursor.rowcount == 0:
        return False
    await connection.execute(
        "UPDATE commands SET state = 'sent', answer_by = NULL, updated_at = now(),"
        " retry_at = CASE WHEN state = 'sent' AND retry_at = 'infinity' THEN retry_at ELSE now() END"
        " WHERE id = %s AND state IN ('sent', 'acknowledged', 'timed_out')",
        (command_id,),
    )
    await connection.execute("SELECT pg_notify('roadwarden_commands', %s)", (str(command_id),))
    return True


class Transfer(NamedTuple):
    """How far the packages of a command have come."""

    next_package: int  # of this pass, from 1
    acknowledged: list[tuple[int, int]]  # ranges, the end not included
    asked: list[tuple[int, int]]


_LISTED: Final = (
    "ARRAY(SELECT lower(r) FROM unnest({0}) r ORDER BY 1), ARRAY(SELECT upper(r) FROM unnest({0}) r ORDER BY 1)"
)


async def begin(connection: AsyncConnection[Any], command_id: UUID, *, again: bool, window: int) -> None:
    """Before the packages of a pass go out. ``again``: a whole pass more; else it goes on, ``window`` packages back,
    since those may not have arrived."""
    await connection.execute(
        "INSERT INTO command_transfers AS t (command_id) VALUES (%s) ON CONFLICT (command_id) DO UPDATE"
        " SET next_package = CASE WHEN %s AND isempty(t.asked) THEN 1 ELSE greatest(t.next_package - %s, 1) END",
        (command_id, again, 0 if again else window),
    )


async def get(connection: AsyncConnection[Any], command_id: UUID) -> Transfer | None:
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


async def postpone(connection: AsyncConnection[Any], command_id: UUID, seconds: float, reason: str) -> None:
    """The next pass has to wait: look again then."""
    await connection.execute(
        "UPDATE commands SET retry_at = now() + make_interval(secs => %s), reason = %s"
        " WHERE id = %s AND state = 'sent'",
        (seconds, reason, command_id),
    )


async def under_way(connection: AsyncConnection[Any]) -> list[QueuedCommand]:
    """Commands whose packages were going out when the desk stopped."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM commands WHERE state = 'sent' AND retry_at = 'infinity' ORDER BY created_at".encode()
    )
    return [QueuedCommand(*row) for row in await cursor.fetchall()]

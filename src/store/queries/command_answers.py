"""What terminals answer to commands, written to their rows in the pipeline's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from fleet import CommandAnswer, CommandChanged
from store.queries import command_transfers
from store.queries.command_queue import ANSWER_BY, events_of
from store.values import json_text

RESULT_TEXTS: Final = {1: "failed", 2: "message wrong", 3: "not supported"}

MAX_ANSWER_AGE: Final = "1 day"
"""Serial numbers wrap after 65,536 messages; what was sent longer ago is not what an answer means."""

OPEN: Final = ("queued", "sent", "acknowledged", "timed_out", "cancelled")
"""States that an answer may change. `queued`: it was sent, and its terminal was away when it was to be sent again;
`cancelled`: it was taken back then, and had arrived."""

GENERAL_RESPONSE: Final = 0x0001
PACKAGES_REQUEST: Final = 0x0005

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
        AND sent_at > now() - interval '{MAX_ANSWER_AGE}' AND state IN {OPEN}
     ORDER BY sent_at DESC LIMIT 1)
) c
WHERE (c.attempts > 0 OR c.package_count > 1) AND c.sent_at > now() - interval '{MAX_ANSWER_AGE}'
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


class Applied(NamedTuple):
    """What answers came to: what to tell, and how many fitted no command, by the message id of the answer."""

    events: list[CommandChanged]
    unmatched: Counter[int]


async def apply_answers(connection: AsyncConnection[Any], answers: Sequence[CommandAnswer]) -> Applied:
    """What terminals answered, in the pipeline's transaction.

    An answer belongs to the newest command of its terminal with that serial number; one that carries none, to the
    newest open command that it can answer. 0x0001 must name the message, too; a dedicated answer is one of those that
    the command waits for. Late answers still count (`timed_out` becomes what was answered), a repeated one changes
    nothing. What fits none is counted: serial numbers of before, other systems' commands, what terminals say unasked.
    """
    if not answers:
        return Applied([], Counter())
    cursor = await connection.execute(
        _CANDIDATES.encode(),
        {
            "phones": [a.phone for a in answers],
            "serials": [a.request_serial_no for a in answers],
            "ids": [a.message_id for a in answers],
        },
    )
    meant: dict[int, _Candidate] = {}
    for number, *columns in await cursor.fetchall():
        command = _Candidate(*columns)
        if number - 1 not in meant and command.is_meant(answers[number - 1]):
            meant[number - 1] = command
    changed: list[tuple[UUID, UUID | None]] = []
    states: dict[UUID, str] = {}
    rows: list[dict[str, Any]] = []
    confirmed: dict[UUID, tuple[_Candidate, set[int]]] = {}
    for number, command in sorted(meant.items()):
        answer, state = answers[number], states.get(command.id, command.state)
        if state not in OPEN:
            continue  # said before
        if answer.message_id == PACKAGES_REQUEST:
            if await command_transfers.ask_again(connection, command.id, command.package_count, answer.answer):
                changed.append((command.id, command.group_id))
        elif command.package_count > 1 and answer.message_id == GENERAL_RESPONSE and answer.result == 0:
            package = ((answer.request_serial_no or 0) - command.serial_no) % 65536 + 1
            confirmed.setdefault(command.id, (command, set()))[1].add(package)
        elif (now := _outcome(answer, state)) != state:
            rows.append(_row(command.id, answer, now))
            states[command.id] = now
            changed.append((command.id, command.group_id))
    if rows:
        await connection.cursor().executemany(_STORE.encode(), rows)  # in one go: many may answer at once
    for command, packages in confirmed.values():
        state = states.get(command.id, command.state)
        if state in OPEN and await command_transfers.confirm(
            connection, command.id, command.package_count, packages, state
        ):
            changed.append((command.id, command.group_id))
    unmatched = Counter(a.message_id for number, a in enumerate(answers) if number not in meant)
    return Applied(events_of(changed), unmatched)


def _outcome(answer: CommandAnswer, state: str) -> str:
    """The state that an answer to an open command leads to; the same: it says nothing new."""
    if answer.message_id != GENERAL_RESPONSE:
        return "refused" if answer.refusal else "answered"
    if state == "acknowledged":
        return state
    return "acknowledged" if answer.result == 0 else "refused"


_STORE: Final = (
    "UPDATE commands SET state = %(state)s, reason = %(reason)s, result = coalesce(%(result)s, result),"
    " answer = coalesce(%(answer)s::jsonb, answer), updated_at = now(), progress = CASE WHEN progress ? 'arrived'"
    " AND %(total)s::int IS NOT NULL THEN progress || jsonb_build_object('total', %(total)s::int) ELSE progress END,"
    f" answer_by = CASE WHEN %(state)s = 'acknowledged' THEN {ANSWER_BY} END WHERE id = %(id)s"
)


def _row(command_id: UUID, answer: CommandAnswer, state: str) -> dict[str, Any]:
    """For `_STORE`."""
    said = answer.refusal or RESULT_TEXTS.get(answer.result or -1, f"result {answer.result}")
    media_ids = (answer.answer or {}).get("media_ids")
    return {
        "id": command_id,
        "state": state,
        "reason": f"the terminal says: {said}" if state == "refused" else "",
        "result": answer.result,
        "answer": None if answer.answer is None else json_text(answer.answer),
        "total": len(media_ids) if isinstance(media_ids, list) else None,
    }

"""store.writer: everything but positions and alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import store
from fleet import CommandAnswer, CommandChanged, SessionChange, TerminalMessage
from store.values import to_datetime
from tests.store.batches import NOON_US, SECOND, make_commit
from tests.store.rows import add_vehicles, count, fetch, quarantined


def session(phone: str, online: bool, peer: str, at_s: int = 0, **more: Any) -> SessionChange:
    plain = SessionChange(NOON_US + at_s * SECOND, phone, online, peer, "tcp", "2019", "" if online else "closed")
    return replace(plain, **more)


async def presence(database: store.Database) -> dict[str, tuple[bool, str]]:
    rows = await fetch(database, "SELECT phone, online, peer FROM terminal_presence")
    return {phone: (online, peer) for phone, online, peer in rows}


async def test_quarantine_and_messages_keep_their_bytes(database: store.Database, writer: store.Writer) -> None:
    message = TerminalMessage(NOON_US, "139", "2013", 0x0900, 8, b"\x00\xff")
    odd = quarantined(detail="odd \0 text", body=b"")
    await writer.commit(make_commit(1, quarantined=[quarantined(), odd], messages=[message]))
    assert await fetch(database, "SELECT received_at, phone, body, detail FROM quarantine ORDER BY id") == [
        (to_datetime(NOON_US), "139", b"\x01\x00", "too short"),
        (to_datetime(NOON_US), "139", b"", "odd \N{REPLACEMENT CHARACTER} text"),
    ]
    assert await fetch(database, "SELECT message_id, serial_no, body FROM terminal_messages") == [
        (0x0900, 8, b"\x00\xff")
    ]


async def test_presence_follows_the_links(database: store.Database, writer: store.Writer) -> None:
    changes = [
        session("1", True, "a"),
        session("2", True, "b"),
        session("1", False, "a", 1),
        session("1", True, "c", 2),
    ]
    await writer.commit(make_commit(1, sessions=changes))
    assert await presence(database) == {"1": (True, "c"), "2": (True, "b")}
    assert await count(database, "session_log") == 4


@pytest.mark.parametrize("in_one_commit", [True, False])
async def test_the_end_of_a_displaced_link_puts_nobody_off_line(
    database: store.Database, writer: store.Writer, in_one_commit: bool
) -> None:
    changes = [session("1", True, "old"), session("1", True, "new", 1), session("1", False, "old", 2)]
    for offset, part in enumerate([changes] if in_one_commit else [[item] for item in changes], 1):
        await writer.commit(make_commit(offset, sessions=part))
    assert await presence(database) == {"1": (True, "new")}
    await writer.commit(make_commit(9, sessions=[session("1", False, "new", 3)]))
    assert await presence(database) == {"1": (False, "new")}


async def test_a_new_gateway_knows_no_link_of_before(database: store.Database, writer: store.Writer) -> None:
    everybody = SessionChange(NOON_US + 5 * SECOND, "", False, "", "", "", "gateway started")
    changes = [session("1", True, "a"), session("2", True, "b"), everybody, session("2", True, "c", 6)]
    await writer.commit(make_commit(1, sessions=changes))
    assert await presence(database) == {"1": (False, "a"), "2": (True, "c")}
    log = await fetch(database, "SELECT phone, online, reason FROM session_log ORDER BY id")
    assert sorted(log[2:4]) == [("1", False, "gateway started"), ("2", False, "gateway started")]
    assert log[4] == ("2", True, "")


async def test_what_terminals_say_of_themselves_is_noted(database: store.Database, writer: store.Writer) -> None:
    async with database.connection() as connection:
        await connection.execute("INSERT INTO terminals (phone, imei) VALUES ('1', 'known')")
    await writer.commit(make_commit(1, sessions=[session("1", True, "a", software_version="V2")]))
    assert await fetch(database, "SELECT imei, software_version FROM terminals") == [("known", "V2")]
    changed = "SELECT imei, former_imei, imei_changed_at IS NOT NULL FROM terminals"
    for offset, imei, expected in ((2, "known", ("known", "", False)), (3, "new", ("new", "known", True)),
                                   (4, "", ("new", "known", True))):  # fmt: skip
        await writer.commit(make_commit(offset, sessions=[session("1", True, "a", imei=imei)]))
        assert await fetch(database, changed) == [expected]


async def test_answers_change_their_commands_in_the_same_transaction(
    database: store.Database, writer: store.Writer
) -> None:
    await add_vehicles(database, 1)
    async with database.connection() as connection:
        cursor = await connection.execute(
            "INSERT INTO commands (vehicle_id, phone, kind, state, expires_at, sent_at, attempts, message_id, "
            "serial_no) VALUES (1, '139', 'text', 'sent', now(), now(), 1, 33536, 7) RETURNING id"
        )
        row = await cursor.fetchone()
    assert row is not None
    answer = CommandAnswer(NOON_US, "139", 7, 0x8300, 0x0001, 0, None)
    stored = await writer.commit(make_commit(1, answers=[answer, answer]))
    assert stored.command_events() == [CommandChanged(row[0])]
    assert await fetch(database, "SELECT state, result FROM commands") == [("acknowledged", 0)]

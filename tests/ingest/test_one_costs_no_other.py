"""A bug of ours on one link, or a connection to the disk that broke, costs no other terminal its answer (P4)."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.counters import Counters
from ingest.deadlines import Deadlines
from ingest.journal import JournalFile, journal_path
from ingest.turns import WORK_S_PER_TURN, Turns
from jt808.connection import TerminalConnection
from tests.ingest.terminals import REPORT, Site
from tests.ingest.waiting import until


async def test_who_cannot_be_answered_costs_no_other_of_its_group_the_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminals = [await site.terminal(phone) for phone in ("1", "2", "3")]
    for terminal in terminals:
        await terminal.log_in()
    unlucky = site.gateway.sessions.get("2")
    assert unlucky is not None
    reply = TerminalConnection.reply_stored

    def broken(connection: TerminalConnection, *what: Any) -> None:
        if connection is unlucky.connection:
            raise RuntimeError("a bug")
        reply(connection, *what)

    gate = site.hold_journal()
    messages = site.counters["messages_received"]
    for terminal in terminals:
        terminal.send(0x0200, REPORT)
    await until(lambda: site.counters["messages_received"] == messages + 3)
    monkeypatch.setattr(TerminalConnection, "reply_stored", broken)
    gate.set()
    for terminal in (terminals[0], terminals[2]):
        assert (await terminal.general())[1:] == (0x0200, 0)
    assert site.counters["answer_failures"] == 1
    assert terminals[1].waiting == 0
    assert await terminals[1].ask(0x0002) == 0  # its link goes on


@dataclass(eq=False)
class Waiting:
    is_broken: bool
    due_slot: int | None = None
    is_served: bool = False

    def on_due(self) -> None:
        self.is_served = True
        if self.is_broken:
            raise RuntimeError("a bug")


async def test_a_deadline_that_fails_costs_no_other_its_own() -> None:
    deadlines = Deadlines(step_s=0.001)
    deadlines.open(asyncio.get_running_loop())
    waiting = [Waiting(is_broken=True) for _ in range(5)] + [Waiting(is_broken=False) for _ in range(5)]
    for one in waiting:
        deadlines.set(one, deadlines.now())
    await until(lambda: all(one.is_served for one in waiting))
    later = Waiting(is_broken=False)
    deadlines.set(later, deadlines.now())
    await until(lambda: later.is_served)
    deadlines.close()


class Stale:
    """A connection whose file's handle is of a disk that was away meanwhile."""

    in_transaction = False
    is_closed = False

    def __init__(self, code: int) -> None:
        self.error = sqlite3.OperationalError("disk I/O error")
        self.error.sqlite_errorcode = code

    def execute(self, *_: Any) -> Any:
        raise self.error

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CORRUPT])
def test_a_journal_whose_connection_broke_is_written_through_a_new_one(tmp_path: Path, code: int) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    assert file.write(1, [bytes(32)]) == 1
    assert file._connection is not None
    file._connection.close()
    stale: Any = Stale(code)
    for use in (lambda: file.write(1, [bytes(32)]), file.trim):
        file._connection, stale.is_closed = stale, False
        with pytest.raises(sqlite3.OperationalError):
            use()
        assert stale.is_closed
    assert file.write(1, [bytes(32)]) == 2
    file.close()


def test_on_a_full_disk_the_connection_is_kept(tmp_path: Path) -> None:
    file = JournalFile(journal_path(tmp_path))
    file.open()
    assert file._connection is not None
    file._connection.close()
    full: Any = Stale(sqlite3.SQLITE_FULL)
    file._connection = full
    with pytest.raises(sqlite3.OperationalError):
        file.write(1, [bytes(32)])
    assert not full.is_closed
    file.close()


async def test_between_two_turns_those_that_are_served_outside_have_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.turns.PAUSE_S", 3600.0)
    clock = iter(range(10**6))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock) * WORK_S_PER_TURN / 10)
    done: list[int] = []
    turns = Turns(Counters())
    turns.has_company = True
    for number in range(100):
        turns.add(partial(done.append, number))
    for _ in range(50):
        await asyncio.sleep(0)
    assert 5 < len(done) < 15  # and the next turn is after the pause
    assert not turns.has_company  # asked anew each time

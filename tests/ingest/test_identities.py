"""Who may register and log in, and how the mirror and the database agree."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.identities import (
    APPROVED,
    BLOCKED,
    PENDING,
    Identities,
    Identity,
    IdentityFile,
    admit,
    code_matches,
    hash_auth_code,
    merge,
    new_auth_code,
)

PHONE = "13912345678"


def identity(phone: str = PHONE, **values: object) -> Identity:
    return replace(Identity(phone, APPROVED), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "terminal_id", "is_open", "result", "reason"),
    [
        (None, "A1", True, 0, ""),
        (None, "A1", False, 4, "unknown"),
        (identity(), "A1", False, 0, ""),  # made by an administrator, without a maker's id yet
        (identity(terminal_id="A1"), "A1", False, 0, ""),
        (identity(terminal_id="A1"), "B2", False, 3, "other_terminal"),
        (identity(terminal_id="A1"), "B2", True, 0, ""),
        (identity(standing=PENDING), "A1", False, 4, "pending"),
        (identity(standing=PENDING), "A1", True, 0, ""),
        (identity(standing=BLOCKED), "A1", False, 4, "blocked"),
        (identity(standing=BLOCKED), "A1", True, 4, "blocked"),
    ],
)
def test_admission(known: Identity | None, terminal_id: str, is_open: bool, result: int, reason: str) -> None:
    admission = admit(known, terminal_id, is_open=is_open)
    assert (admission.result, admission.reason) == (result, reason)


def test_codes() -> None:
    code = new_auth_code()
    assert len(code) == 16
    assert code != new_auth_code()
    known = identity(auth_code_hash=hash_auth_code(code))
    assert code_matches(known, code)
    assert not code_matches(known, code + "0")
    assert not code_matches(known, "")
    assert not code_matches(None, code)
    assert not code_matches(identity(), code)
    assert not code_matches(known, "鉴权码\udcff")


def test_the_newest_code_wins_and_the_rest_is_the_databases() -> None:
    ours = identity(terminal_id="NEW", edition="2019", auth_code_hash=b"new", auth_issued_us=20)
    theirs = identity(standing=BLOCKED, terminal_id="OLD", edition="2013", auth_code_hash=b"old", auth_issued_us=10)
    assert merge(ours, theirs) == replace(ours, standing=BLOCKED, in_database=True)
    newer = replace(theirs, auth_issued_us=30)
    assert merge(ours, newer) == replace(newer, in_database=True)
    assert merge(None, theirs) == replace(theirs, in_database=True)
    # Never registered with the database: the edition known here stays.
    assert merge(replace(ours, auth_issued_us=0), identity()).edition == "2019"


@asynccontextmanager
async def opened(file: IdentityFile, changed: list[str] | None = None) -> AsyncIterator[Identities]:
    identities = Identities(file, on_changed=None if changed is None else changed.append)
    await identities.open()
    try:
        yield identities
    finally:
        await identities.close()


async def saved(identities: Identities, one: Identity) -> bool:
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    identities.save(one, done.set_result)
    return await done


async def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "identities.sqlite"
    one = identity(terminal_id="A1", edition="2011", auth_code_hash=b"h" * 32, auth_issued_us=5)
    async with opened(IdentityFile(path)) as identities:
        assert await saved(identities, one)
        with sqlite3.connect(path) as connection:  # on disk when it is said, not at the end
            assert connection.execute("SELECT phone, auth_issued_us FROM identities").fetchall() == [(PHONE, 5)]
        connection.close()
    async with opened(IdentityFile(path)) as identities:
        assert identities.get(PHONE) == one
        assert len(identities) == 1


async def test_many_registrations_share_a_transaction(tmp_path: Path) -> None:
    writes: list[int] = []

    class Counting(IdentityFile):
        def write(self, changed: Iterable[Identity], removed: Iterable[str]) -> None:
            changed = list(changed)
            writes.append(len(changed))
            super().write(changed, removed)

    async with opened(Counting(tmp_path / "identities.sqlite")) as identities:
        assert all(await asyncio.gather(*(saved(identities, identity(str(number))) for number in range(500))))
    assert sum(writes) == 500
    assert len(writes) == 2


async def test_a_failing_disk_is_said_and_tried_again_with_the_next(tmp_path: Path) -> None:
    class Failing(IdentityFile):
        error: Exception | None = sqlite3.OperationalError("disk I/O error")

        def write(self, changed: Iterable[Identity], removed: Iterable[str]) -> None:
            if self.error is not None:
                raise self.error
            super().write(changed, removed)

    file = Failing(tmp_path / "identities.sqlite")
    async with opened(file) as identities:
        assert not await saved(identities, identity("1"))
        file.error = None
        assert await saved(identities, identity("2"))
    async with opened(IdentityFile(file.path)) as identities:
        assert identities.get("1") is not None
        assert identities.get("2") is not None


async def test_synchronise_takes_over_and_tells(tmp_path: Path) -> None:
    changed: list[str] = []
    path = tmp_path / "identities.sqlite"
    async with opened(IdentityFile(path), changed) as identities:
        await saved(identities, identity("1", auth_code_hash=b"x" * 32, auth_issued_us=9))
        assert identities.synchronise([identity("1"), identity("2", standing=BLOCKED)], is_all=True) == 2
        assert changed == ["1", "2"]
        one = identities.get("1")
        assert one is not None
        assert one.auth_issued_us == 9
        assert identities.synchronise([identity("1"), identity("2", standing=BLOCKED)], is_all=True) == 0
    async with opened(IdentityFile(path)) as identities:
        two = identities.get("2")
        assert two is not None
        assert two.standing == BLOCKED


async def test_what_the_database_deleted_goes_and_what_it_never_had_stays(tmp_path: Path) -> None:
    changed: list[str] = []
    path = tmp_path / "identities.sqlite"
    async with opened(IdentityFile(path), changed) as identities:
        identities.save(identity("new"))  # registered here, still on its way through the pipeline
        identities.synchronise([identity("kept"), identity("deleted")], is_all=True)
        changed.clear()
        identities.synchronise([identity("kept")], is_all=False)  # a part says nothing about the others
        assert changed == []
        identities.synchronise([identity("kept")], is_all=True)
        assert changed == ["deleted"]
    async with opened(IdentityFile(path)) as identities:
        assert {phone for phone in ("new", "kept", "deleted") if identities.get(phone)} == {"new", "kept"}


async def test_a_file_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "identities.sqlite"
    with sqlite3.connect(path) as connection:  # as it was made then
        connection.execute(
            "CREATE TABLE identities (phone TEXT PRIMARY KEY, standing TEXT NOT NULL, terminal_id TEXT NOT NULL,"
            " edition TEXT NOT NULL, auth_code_hash BLOB, auth_issued_us INTEGER NOT NULL,"
            " in_database INTEGER NOT NULL) WITHOUT ROWID"
        )
        connection.execute("INSERT INTO identities VALUES (?, 'approved', 'A1', '2011', ?, 5, 1)", (PHONE, b"h" * 32))
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    one = identity(terminal_id="A1", edition="2011", auth_code_hash=b"h" * 32, auth_issued_us=5, in_database=True)
    async with opened(IdentityFile(path)) as identities:
        assert identities.get(PHONE) == one
        assert await saved(identities, replace(one, idle_s=30.0))
    async with opened(IdentityFile(path)) as identities:
        assert identities.get(PHONE) == replace(one, idle_s=30.0)


async def test_a_file_of_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identities.sqlite"
    async with opened(IdentityFile(path)):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(sqlite3.DatabaseError, match="format 9"):
        IdentityFile(path).open()


async def test_closing_writes_what_waits_and_tells_those_who_wait(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(IdentityFile):
        def write(self, changed: Iterable[Identity], removed: Iterable[str]) -> None:
            assert gate.wait(60)
            super().write(changed, removed)

    path = tmp_path / "identities.sqlite"
    told: list[bool] = []
    identities = Identities(Slow(path))
    await identities.open()
    identities.save(identity("1"), told.append)
    identities.save(identity("2"), told.append)  # behind the one that is being written
    closing = asyncio.create_task(identities.close())
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert told == [True, True]
    identities.save(identity("3"), told.append)  # too late, and harmless
    assert told == [True, True]
    async with opened(IdentityFile(path)) as again:
        assert {phone for phone in ("1", "2", "3") if again.get(phone)} == {"1", "2"}

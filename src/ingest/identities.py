"""Who may log in: the gateway's own mirror of the terminals, so that it needs no database to let one in.

The mirror is a SQLite file (`synchronous=FULL`) and a dict. The database is the record of truth for standing and
maker's id; the gateway is first with a new authentication code. Whichever side issued a code last is right
(`auth_issued_us`), so a registration that the pipeline has not stored yet is not undone by an older row.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

APPROVED: Final = "approved"
PENDING: Final = "pending"
BLOCKED: Final = "blocked"

FORMAT: Final = 2
_SCHEMA: Final = """
CREATE TABLE identities (
    phone TEXT PRIMARY KEY,
    standing TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    edition TEXT NOT NULL,
    auth_code_hash BLOB,
    auth_issued_us INTEGER NOT NULL,
    in_database INTEGER NOT NULL,
    idle_s REAL
) WITHOUT ROWID
"""
_FROM_1: Final = "ALTER TABLE identities ADD COLUMN idle_s REAL"
_COLUMNS: Final = "phone, standing, terminal_id, edition, auth_code_hash, auth_issued_us, idle_s, in_database"
_UPSERT: Final = f"""
INSERT INTO identities ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (phone) DO UPDATE SET standing = excluded.standing, terminal_id = excluded.terminal_id,
    edition = excluded.edition, auth_code_hash = excluded.auth_code_hash, auth_issued_us = excluded.auth_issued_us,
    idle_s = excluded.idle_s, in_database = excluded.in_database
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the gateway must know of a terminal."""

    phone: str  # canonical
    standing: str  # approved | pending | blocked
    terminal_id: str = ""  # the maker's (终端 ID)
    edition: str = ""  # as of its last registration; "" when it never registered here
    auth_code_hash: bytes | None = None  # sha256; None: has to register
    auth_issued_us: int = 0  # when the code was issued or revoked
    idle_s: float | None = None  # how long it may be silent; None: as configured
    in_database: bool = False  # the database has shown it; when it no longer does, it was deleted there


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a registration. `result` is that of 0x8100."""

    result: int
    reason: str = ""  # unknown, pending, blocked, other_terminal; "" when it is taken in


TAKEN_IN: Final = Admission(0)


def admit(identity: Identity | None, terminal_id: str, *, is_open: bool) -> Admission:
    """May a terminal register? The rules, in one place.

    Args:    identity: what is known of its phone; None: nothing.
             terminal_id: the maker's id that it claims.
             is_open: enrolment takes in whoever asks.
    """
    if identity is not None and identity.standing == BLOCKED:
        return Admission(4, "blocked")
    if is_open:
        return TAKEN_IN
    if identity is None:
        return Admission(4, "unknown")
    if identity.standing != APPROVED:
        return Admission(4, "pending")
    if identity.terminal_id not in ("", terminal_id):
        return Admission(3, "other_terminal")
    return TAKEN_IN


def new_auth_code() -> str:
    """16 hex digits: fits every edition's field, and 64 random bits cannot be guessed over a link with three tries."""
    return secrets.token_hex(8)


def hash_auth_code(code: str) -> bytes:
    """What is kept of a code. A plain hash does, because the code is random and not chosen by a person."""
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()


def code_matches(identity: Identity | None, code: str) -> bool:
    """Is this the terminal's code? Takes the same time whatever is wrong, also for an unknown terminal."""
    expected = identity.auth_code_hash if identity is not None else None
    matches = hmac.compare_digest(hash_auth_code(code), expected or bytes(32))
    return matches and expected is not None


def merge(ours: Identity | None, theirs: Identity) -> Identity:
    """One terminal as known here and as the database has it: the newest code wins, the rest is the database's."""
    if ours is not None and ours.auth_issued_us > theirs.auth_issued_us:
        return replace(ours, standing=theirs.standing, idle_s=theirs.idle_s, in_database=True)
    return replace(theirs, edition=theirs.edition or (ours.edition if ours else ""), in_database=True)


class IdentityFile:
    """The SQLite file: blocking calls, from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection

    def open(self) -> list[Identity]:
        """Open or create; gives what is in it. Raises sqlite3.Error."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found in (0, 1):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_FROM_1 if found else _SCHEMA)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        elif found != FORMAT:
            raise sqlite3.DatabaseError(f"{self.path}: format {found}, this version reads {FORMAT}")
        rows = connection.execute(f"SELECT {_COLUMNS} FROM identities")
        return [
            Identity(phone, standing, terminal_id, edition, code_hash, issued_us, idle_s, bool(in_database))
            for phone, standing, terminal_id, edition, code_hash, issued_us, idle_s, in_database in rows
        ]

    def write(self, changed: Iterable[Identity], removed: Iterable[str]) -> None:
        """Make changes durable, in one transaction. Raises sqlite3.Error: nothing was written."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                _UPSERT,
                [
                    (
                        i.phone,
                        i.standing,
                        i.terminal_id,
                        i.edition,
                        i.auth_code_hash,
                        i.auth_issued_us,
                        i.idle_s,
                        i.in_database,
                    )
                    for i in changed
                ],
            )
            connection.executemany("DELETE FROM identities WHERE phone = ?", [(phone,) for phone in removed])
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()


Done = Callable[[bool], None]
"""Called in the event loop: True: on disk; False: it could not be written."""


class Identities:
    """All terminals, in memory; what changes is written behind, many registrations with one fsync."""

    def __init__(self, file: IdentityFile, *, on_changed: Callable[[str], None] | None = None) -> None:
        """Args:  on_changed: called with the phone of a terminal that the database has changed, blocked or deleted."""
        self._file = file
        self._on_changed = on_changed
        self._known: dict[str, Identity] = {}
        self._executor = ThreadPoolExecutor(1, "identities")
        self._changed: dict[str, Identity] = {}  # waits to be written
        self._removed: set[str] = set()
        self._waiting: list[Done] = []
        self._writing = False
        self._is_open = False
        self._quiet: asyncio.Future[None] | None = None  # of whoever waits for all that is being written
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Load the mirror. Raises sqlite3.Error."""
        self._loop = asyncio.get_running_loop()
        for identity in await self._loop.run_in_executor(self._executor, self._file.open):
            self._known[identity.phone] = identity
        self._is_open = True

    def __len__(self) -> int:
        return len(self._known)

    def get(self, phone: str) -> Identity | None:
        return self._known.get(phone)

    def save(self, identity: Identity, done: Done | None = None) -> None:
        """Know this from now on, and write it; `done` is called when it is on disk or could not be written."""
        self._known[identity.phone] = identity
        self._changed[identity.phone] = identity
        self._removed.discard(identity.phone)
        if done is not None:
            self._waiting.append(done)
        self._write()

    def synchronise(self, rows: Iterable[Identity], *, is_all: bool) -> int:
        """Take over what the database says; returns how many terminals that changed.

        Args:    is_all: the rows are all there are: who was there before and is not now was deleted.
        """
        before = len(self._changed) + len(self._removed)
        touched: list[str] = []
        seen: set[str] = set()
        for theirs in rows:
            ours = self._known.get(theirs.phone)
            merged = merge(ours, theirs)
            seen.add(theirs.phone)
            if merged != ours:
                self._known[theirs.phone] = self._changed[theirs.phone] = merged
                self._removed.discard(theirs.phone)
                touched.append(theirs.phone)
        if is_all:
            for phone in [phone for phone, ours in self._known.items() if ours.in_database and phone not in seen]:
                del self._known[phone]
                self._changed.pop(phone, None)
                self._removed.add(phone)
                touched.append(phone)
        if len(self._changed) + len(self._removed) > before:
            self._write()
        if self._on_changed is not None:
            for phone in touched:
                self._on_changed(phone)
        return len(touched)

    def _write(self) -> None:
        if self._writing or not self._is_open or not (self._changed or self._removed):
            return
        self._writing = True
        changed, self._changed = self._changed, {}
        removed, self._removed = self._removed, set()
        waiting, self._waiting = self._waiting, []
        future = self._executor.submit(self._file.write, changed.values(), removed)

        def wrote(future: Future[None]) -> None:
            self._loop.call_soon_threadsafe(self._finish, future, changed, removed, waiting)

        future.add_done_callback(wrote)

    def _finish(
        self, future: Future[None], changed: dict[str, Identity], removed: set[str], waiting: list[Done]
    ) -> None:
        self._writing = False
        error = future.exception()
        if error is not None:
            log.error("terminals' codes cannot be written, registrations are not answered: %s", error)
            # What is newer by now stands; the rest is written with the next change.
            self._changed = {p: i for p, i in changed.items() if p not in self._removed} | self._changed
            self._removed |= {phone for phone in removed if phone not in self._changed}
        for done in waiting:
            done(error is None)
        if error is None:
            self._write()
        if self._quiet is not None and not self._writing:
            self._quiet.set_result(None)

    async def close(self) -> None:
        """Write what waits, tell those who wait for it, and close; nothing when it is not open."""
        if not self._is_open:
            return
        self._write()
        if self._writing:
            self._quiet = self._loop.create_future()
            await self._quiet
        self._is_open = False
        await self._loop.run_in_executor(self._executor, self._file.close)
        self._executor.shutdown(wait=True)

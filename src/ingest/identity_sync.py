"""Keeps the gateway's mirror of the terminals equal to the database, whenever there is one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

import psycopg

from ingest.identities import Identities, Identity
from store import Database, Listener
from store.queries.identities import read_identities

log = logging.getLogger(__name__)

FLEET_CHANNEL: Final = "roadwarden_fleet"
READ_ALL_EVERY_S: Final = 60.0  # finds what was deleted, or changed by someone who left updated_at alone
READ_AGAIN_AFTER_S: Final = 1.0  # a fleet that registers changes the table with every transaction
NOT_MADE_YET: Final = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""A first start, or the first one of a new version: the core is just making the schema, migration by migration."""
OVERLAP_S: Final = 30.0  # a row carries the time its transaction began, and may become visible later


class IdentitySync:
    """`await run()` in a task; cancel it to end. The database may be away for as long as it likes."""

    def __init__(
        self,
        dsn: str,
        identities: Identities,
        *,
        read_all_every_s: float = READ_ALL_EVERY_S,
        read_again_after_s: float = READ_AGAIN_AFTER_S,
    ) -> None:
        self._identities = identities
        self._read_all_every_s = read_all_every_s
        self._read_again_after_s = read_again_after_s
        self._database = Database(dsn, 0, 1, name="roadwarden gateway")
        self._listener = Listener(dsn, (FLEET_CHANNEL,), self._heard, self._connected)
        self._changed = asyncio.Event()
        self._needs_all = True
        self._all_due = 0.0  # loop time: changes may come all the time, and deletions are seen only among all
        self._was_told = False

    async def _connected(self) -> None:
        self._needs_all = True
        self._changed.set()

    async def _heard(self, channel: str, payload: str) -> None:
        if payload == "link_limits":  # it may be every terminal's, and stands in no terminal's row
            self._needs_all = True
        if payload in ("terminals", "link_limits"):
            self._changed.set()

    async def run(self) -> None:
        await self._database.open(wait=False)
        self._all_due = asyncio.get_running_loop().time() + self._read_all_every_s
        listening = asyncio.create_task(self._listener.run(), name="identity listener")
        try:
            while True:
                await self._read()
                await asyncio.sleep(self._read_again_after_s)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await self._database.close()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._all_due):
                await self._changed.wait()
        if loop.time() >= self._all_due:
            self._needs_all = True
        self._changed.clear()
        is_all, self._needs_all = self._needs_all, False
        try:
            async with self._database.connection() as connection:
                rows = await read_identities(connection, changed_within_s=None if is_all else OVERLAP_S)
        except psycopg.Error as error:
            self._try_again()
            if not self._was_told and not isinstance(error, NOT_MADE_YET):
                log.warning("terminals cannot be read from the database; those known here go on: %s", error)
                self._was_told = True
            return
        if self._was_told:
            log.info("terminals are read from the database again")
            self._was_told = False
        if is_all:
            self._all_due = loop.time() + self._read_all_every_s
        try:
            self._identities.synchronise([Identity(*row) for row in rows], is_all=is_all)
        except Exception:  # a bug of ours on one terminal must not leave all others as they are for ever
            log.exception("terminals could not be taken over from the database")
            self._try_again()

    def _try_again(self) -> None:
        self._needs_all = True
        self._changed.set()

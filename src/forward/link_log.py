"""When links came up and went down, as rows of ``platform_link_log``: a month's connectivity is reckoned from them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from typing import Final

import psycopg

from store import Database
from store.queries import forwarding

ROWS: Final = 1024  # that wait for the database
LAST_S: Final = 0.5  # to write what is left when the server stops


class LinkLog:
    """``add`` from anywhere; ``run()`` in a task writes, and ``finish()`` what is left when that was cancelled.

    Args: counts: gets ``link_log_dropped``, rows that were not written: too many waited, or their platform is gone.
    """

    def __init__(self, database: Database, counts: Counter[str], retry_s: float) -> None:
        self._database = database
        self._counts = counts
        self._retry_s = retry_s
        self._rows: deque[tuple[int, int, str, str, str]] = deque()
        self._wake = asyncio.Event()

    def add(self, platform_id: int, link: str, event: str, detail: str) -> None:
        """Args: link: "main" or "sub". event: "up", "down" or "refused". It happened now."""
        if len(self._rows) >= ROWS:
            self._counts["link_log_dropped"] += 1
        else:
            self._rows.append((platform_id, time.time_ns() // 1000, link, event, detail))
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._rows:
                try:
                    await self._write()
                except psycopg.OperationalError:
                    await asyncio.sleep(self._retry_s)

    async def finish(self) -> None:
        """Write what is left, as far as ``LAST_S`` and the database allow."""
        with contextlib.suppress(psycopg.OperationalError, TimeoutError):
            async with asyncio.timeout(LAST_S):
                await self._write()
        self._counts["link_log_dropped"] += len(self._rows)
        self._rows.clear()

    async def _write(self) -> None:
        """Raises: psycopg.OperationalError: the database is away; the rows that are left wait."""
        while self._rows:
            try:
                async with self._database.connection() as connection:
                    await forwarding.log_link(connection, *self._rows[0])
            except psycopg.IntegrityError:  # the platform is deleted in this very moment
                self._counts["link_log_dropped"] += 1
            self._rows.popleft()

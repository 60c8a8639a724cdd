"""LISTEN on a connection of its own that comes back after every loss."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql

from store.errors import in_short
from store.pool import describe_dsn, liveness

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
QUIET_S: Final = 30.0


class Listener:
    """Calls back for every notification on some channels.

    Args:  dsn: the database.
           channels: ``roadwarden_fleet`` (payload: a table's name), ``roadwarden_commands`` (payload: a command's id).
           on_notify: called (and awaited, when it is async) with (channel, payload), in the order of the commits.
           on_connect: called after every LISTEN that took hold, the first one included. What was notified before is
                lost for us: read anew there whatever the channels speak of.
           quiet_s: after so long without a notification the connection is tried out.

    An exception out of a callback is logged and the listening goes on. ``await run()`` in a task; cancel it to end.
    """

    def __init__(
        self,
        dsn: str,
        channels: Iterable[str],
        on_notify: Callable[[str, str], Awaitable[None] | None],
        on_connect: Callable[[], Awaitable[None] | None] | None = None,
        *,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.connected = False
        self.connects = 0  # how often the LISTEN took hold
        self._dsn = dsn
        self._channels = tuple(channels)
        self._on_notify = on_notify
        self._on_connect = on_connect
        self._quiet_s = quiet_s

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = FIRST_PAUSE_S
        was_told = False
        while True:
            connects = self.connects
            try:
                await self._listen()
            except (psycopg.OperationalError, OSError) as error:
                if not was_told:
                    logger.warning(
                        "the listening connection to %s is away: %s", describe_dsn(self._dsn), in_short(error)
                    )
                was_told = self.connects == connects
            finally:
                self.connected = False
            pause_s = FIRST_PAUSE_S if self.connects > connects else min(pause_s * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _listen(self) -> None:
        connection = await AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=5, application_name="roadwarden listener", **liveness(self._dsn)
        )
        try:
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.connected = True
            self.connects += 1
            if self._on_connect is not None:
                await self._call(self._on_connect)
            while True:
                async for notification in connection.notifies(timeout=self._quiet_s):
                    await self._call(self._on_notify, notification.channel, notification.payload)
                await connection.execute("SELECT 1")
        finally:
            await connection.close()

    async def _call(self, callback: Callable[..., Awaitable[None] | None], *arguments: str) -> None:
        try:
            result = callback(*arguments)
            if result is not None:
                await result
        except Exception:
            logger.exception("a callback of the listener failed")

"""Connections to the database, from a pool that outlives the database's absences."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from store.errors import DatabaseUnavailable, in_short

logger = logging.getLogger(__name__)
# The pool warns at every attempt while the database is away; we tell once when it goes and once when it is back.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

LIVENESS: Final = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""Of connections over TCP: that the server's host is gone without a word is found out in half a minute; Linux alone
takes a quarter of an hour, in which nothing would be stored although another server may have taken its place."""

# The server, too, has to find out that we are gone: else our last transaction keeps its locks from our next one for two
# hours. And "committed" must mean on disk, whatever the database's default: the journal forgets what is committed.
_SESSION: Final = """
SELECT set_config(name, value, false) FROM (VALUES ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'),
    ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '60000'), ('synchronous_commit', 'on')) AS s(name, value)
WHERE name <> 'synchronous_commit' OR current_setting(name) = 'off'
"""


def liveness(dsn: str) -> dict[str, Any]:
    """LIVENESS, but for what the DSN itself says."""
    try:
        said = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        said = {}
    return {name: value for name, value in LIVENESS.items() if name not in said}


async def _configure(connection: AsyncConnection) -> None:
    await connection.execute(_SESSION)
    await connection.commit()


def describe_dsn(dsn: str) -> str:
    """Where a DSN points, without its password: ``database roadwarden at HOST:PORT``."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database (its DSN cannot be read)"
    host = parts.get("host") or "the local socket"
    return f"database {parts.get('dbname') or parts.get('user') or '?'} at {host}:{parts.get('port') or 5432}"


class Database:
    """A pool of connections. ``await open()`` first, ``await close()`` last.

    Args:  dsn: connection URL or keywords.
           min_size, max_size: connections kept, and at most.
           timeout_s: how long ``connection()`` waits for one.
           name: shown by the server for our connections (application_name).
    """

    def __init__(
        self, dsn: str, min_size: int = 1, max_size: int = 8, *, timeout_s: float = 5.0, name: str = "roadwarden"
    ) -> None:
        self.dsn = dsn
        self.timeout_s = timeout_s
        self._where = describe_dsn(dsn)
        self._is_up = False
        self._was_told_down = False
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            open=False,
            timeout=timeout_s,
            # Short, so that the pause between its attempts (it doubles) stays short too; the next who asks starts anew.
            reconnect_timeout=3.0,
            check=AsyncConnectionPool.check_connection,
            configure=_configure,
            kwargs={"application_name": name, "connect_timeout": max(2, int(timeout_s)), **liveness(dsn)},
            name=name,
        )

    @property
    def is_up(self) -> bool:
        """True when the last one who wanted a connection got a working one."""
        return self._is_up

    async def open(self, *, wait: bool = True) -> None:
        """Open the pool; with ``wait`` also see that the database answers.

        Raises:  DatabaseUnavailable: with ``wait``; the pool is then closed again.
        """
        await self._pool.open()
        if wait:
            try:
                await self.ping()
            except DatabaseUnavailable:
                await self.close()
                raise

    async def close(self) -> None:
        await self._pool.close()
        self._is_up = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection with a transaction around the block: committed at its end, rolled back by an exception.

        Raises:  DatabaseUnavailable (a psycopg.OperationalError): none to be had within ``timeout_s``.
                 psycopg.OperationalError: from inside the block, when the server goes away meanwhile.
        """
        # psycopg waits with asyncio.wait_for, which in Python 3.11 forgets a cancellation that comes in the same turn
        # as what it waits for: then the task would go on for ever, and whoever ends it would wait for it.
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        try:
            connection = await self._pool.getconn()
        except PoolTimeout as error:
            raise DatabaseUnavailable(await self._why_not()) from error
        except PoolClosed as error:
            raise DatabaseUnavailable(f"the pool of {self._where} is closed") from error
        self._note_up()
        try:
            async with connection:
                yield connection
                if connection.closed:  # psycopg would leave silently, without a commit
                    raise psycopg.OperationalError("the connection was lost before the commit")
        finally:
            if connection.closed:
                self._note_down("the connection was lost")
            await self._pool.putconn(connection)
        if task is not None and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError

    async def ping(self) -> None:
        """See that the database answers.

        Raises:  DatabaseUnavailable: it does not.
        """
        async with self.connection():
            pass

    async def _why_not(self) -> str:
        """Why there is no connection: ask once more by ourselves, since the pool keeps the reason to itself."""
        try:
            async with asyncio.timeout(2.0):
                connection = await AsyncConnection.connect(self.dsn, connect_timeout=2)
            await connection.close()
        except (psycopg.OperationalError, TimeoutError) as error:
            reason = in_short(error)
        else:
            # The pool counts those that it tries to make, too: only a server that answers shows that they are busy.
            if self._is_up and self._pool.get_stats().get("pool_size", 0) >= self._pool.max_size:
                return f"all {self._pool.max_size} connections to {self._where} were busy for {self.timeout_s:g} s"
            reason = "it answers again"
        self._note_down(reason)
        return f"{self._where} gave no connection within {self.timeout_s:g} s: {reason}"

    def _note_up(self) -> None:
        if self._was_told_down:
            logger.info("%s is back", self._where)
        self._is_up, self._was_told_down = True, False

    def _note_down(self, reason: str) -> None:
        self._is_up = False
        if not self._was_told_down:
            logger.warning("%s is away: %s", self._where, reason)
            self._was_told_down = True

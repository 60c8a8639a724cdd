"""What events of the bus only name: read by its id from the database, and told of once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

import psycopg

from store import Database

Id = TypeVar("Id")
Read = Callable[[psycopg.AsyncConnection, list[Id]], Awaitable[Mapping[Id, dict[str, Any]]]]

MAX_NAMED: Final = 5000
READ_AT_ONCE: Final = 1000


class Named(Generic[Id]):
    """Things of one kind. ``len()`` counts those that wait to be read.

    Args:  read: what to tell of these, by their ids; once_a_tick: that reads much, so not oftener, however fast events
           come.
    """

    def __init__(self, read: Read[Id], *, once_a_tick: bool = False) -> None:
        self._read = read
        self._once_a_tick = once_a_tick
        self._ids: set[Id] = set()
        self._items: dict[Id, dict[str, Any]] = {}
        self._read_in = -1  # the tick of the last read

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Iterable[Id]) -> bool:
        """These are to be read. False: too many are, it is better to read everything again and to `forget` them."""
        self._ids.update(ids)
        return len(self._ids) <= MAX_NAMED

    def forget(self) -> None:
        self._ids.clear()

    async def read(self, database: Database, tick: int) -> None:
        """Read some of them, if there are any and it is time.

        Raises:  psycopg.Error: they wait still.
        """
        if not self._ids or (self._once_a_tick and self._read_in == tick):
            return
        self._read_in = tick
        ids = [self._ids.pop() for _ in range(min(READ_AT_ONCE, len(self._ids)))]
        try:
            async with database.connection() as connection:
                items = await self._read(connection, ids)
        except psycopg.Error:
            self._ids.update(ids)
            raise
        self._items |= items

    def take_items(self) -> list[dict[str, Any]]:
        """What was read since the last call."""
        items, self._items = self._items, {}
        return list(items.values())

"""A bounded fan-out inside one process: publishing never blocks; a slow listener loses, is told, and catches up."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, Self

DEFAULT_CAPACITY: Final = 1024


class Subscription:
    """One listener's queue. Iterate over it, or ``await next()``.

    When the queue was full since the last ``next()``, the oldest events went: ``lost`` counts them in all, and
    ``take_lost()`` gives and clears the number since it was last asked, so the listener can catch up from the store.
    """

    def __init__(self, bus: Bus, name: str, kinds: tuple[type, ...], capacity: int) -> None:
        self.name = name
        self.lost = 0
        self._lost_since_asked = 0
        self._bus = bus
        self._kinds = kinds
        self._capacity = capacity
        self._queue: deque[object] = deque()
        self._wake = asyncio.Event()

    def offer(self, event: object) -> None:
        """Called by the bus: queue the event when this listener wants its kind."""
        if self._kinds and not isinstance(event, self._kinds):
            return
        if len(self._queue) >= self._capacity:
            self._queue.popleft()
            self.lost += 1
            self._lost_since_asked += 1
        self._queue.append(event)
        self._wake.set()

    def take_lost(self) -> int:
        lost, self._lost_since_asked = self._lost_since_asked, 0
        return lost

    def __len__(self) -> int:
        return len(self._queue)

    async def next(self) -> object:
        """The oldest event waiting; waits for one."""
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        return await self.next()

    def close(self) -> None:
        self._bus.drop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Bus:
    """Events out to whoever subscribed. One event loop, no threads."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self, name: str, *kinds: type, capacity: int = DEFAULT_CAPACITY) -> Subscription:
        """Listen to events of the given kinds (all, when none is named); close the subscription when done."""
        subscription = Subscription(self, name, kinds, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, event: object) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)

    def drop(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(self._subscriptions)

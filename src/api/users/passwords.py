"""Passwords: argon2id in a thread, few at a time, and a wait that grows with wrong guesses."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.problems import ProblemError

T = TypeVar("T")

AT_ONCE: Final = 2  # a hash costs about 50 ms of one core and 64 MiB
MAX_WAITING: Final = 64
FREE_FAILURES: Final = 5
MAX_WAIT_S: Final = 60.0
FORGET_AFTER_S: Final = 900.0


class Passwords:
    """Hash and verify without holding up the event loop; more than ``MAX_WAITING`` callers are turned away."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        # Verified against when there is no such user, so that the answer takes as long as for a wrong password.
        self._decoy = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password belongs to the stored hash; None (no such user) is never right and as slow."""
        return await self._run(self._verify, stored, password)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._decoy, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """The hash was made with weaker parameters than today's; make it again while the password is at hand."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        if self._waiting >= MAX_WAITING:
            raise ProblemError(503, "busy", "Too many sign-ins at once; try again.", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(function, *args)
        finally:
            self._waiting -= 1


@dataclass(slots=True)
class _Failures:
    count: int
    last: float  # seconds on the throttle's clock


class Throttle:
    """Wrong guesses by (user name, address): from the sixth on each must wait, 1 s doubling to 60 s.

    The table is bounded: beyond ``capacity`` the entry touched longest ago goes (``evicted`` counts them).
    """

    def __init__(self, capacity: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._capacity = capacity
        self._clock = clock
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, username: str, address: str) -> float:
        """Seconds until this pair may try again; 0 when it may now."""
        entry = self._failures.get((username, address))
        if entry is None or entry.count < FREE_FAILURES:
            return 0.0
        passed = self._clock() - entry.last
        if passed >= FORGET_AFTER_S:
            return 0.0
        penalty = min(2.0 ** (entry.count - FREE_FAILURES), MAX_WAIT_S)
        return max(0.0, penalty - passed)

    def failed(self, username: str, address: str) -> None:
        key = (username, address)
        now = self._clock()
        entry = self._failures.pop(key, None)
        if entry is None or now - entry.last >= FORGET_AFTER_S:
            entry = _Failures(0, now)
        entry.count = min(entry.count + 1, FREE_FAILURES + 10)
        entry.last = now
        self._failures[key] = entry
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)
            self.evicted += 1

    def take_back(self, username: str, address: str) -> None:
        """What ``failed`` counted last was no wrong guess after all."""
        entry = self._failures.get((username, address))
        if entry is not None:
            entry.count -= 1

    def succeeded(self, username: str, address: str) -> None:
        self._failures.pop((username, address), None)

"""What reports are judged by, kept in memory: as the last committed transaction left it, restored from the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Final

from psycopg import AsyncConnection

from alarms import AlarmEngine
from ingest.directory import Directory
from ingest.newest import Newest
from store import Deduplicator
from store.queries import engine as queries

WHO: Final = frozenset({"vehicles", "terminals"})  # tables that say whose a report is
RULES: Final = frozenset({"vehicles", "geofences"})  # tables that say what rules go by


class Remembered:
    """Who is in which vehicle, each vehicle's newest fix, recent fixes, what the rules know.

    Bounded by the fleet (directory, newest fixes, engine) or by a number (recent fixes).
    """

    def __init__(self, directory: Directory, make_engine: Callable[[], AlarmEngine]) -> None:
        self.directory = directory
        self.engine = make_engine()
        self.newest = Newest()
        self.repeats = Deduplicator()
        self._make_engine = make_engine
        self._failures: Mapping[str, int] = {}  # of engines before this one
        self._ignored: Mapping[str, int] = {}

    def rule_failures(self) -> Mapping[str, int]:
        """Exceptions that rules have cost so far, by rule."""
        return _sum(self._failures, self.engine.failures)

    def not_judged(self) -> Mapping[str, int]:
        """Reports kept from the rules, by reason: repeated, older than what was judged."""
        return _sum(self._ignored, self.engine.ignored)

    async def restore(self, connection: AsyncConnection) -> None:
        """Read all of it; recent fixes are forgotten, they can be asked for. Do it again when this fails."""
        self._failures, self._ignored = self.rule_failures(), self.not_judged()
        self.engine, self.newest = self._make_engine(), Newest()
        self.repeats.forget()
        await self.directory.load(connection)
        for vehicle_id, time_us in await queries.load_latest_times(connection):
            self.newest.load(vehicle_id, time_us)
        await self._load_rules(connection)
        self.engine.load(
            await queries.load_rule_states(connection),
            await queries.load_running_alarms(connection),
            await queries.load_latest(connection),
        )

    async def reload(self, connection: AsyncConnection, changed: Set[str]) -> None:
        """Read what these tables say once more."""
        if changed & WHO:
            await self.directory.load(connection)
        if changed & RULES:
            await self._load_rules(connection)

    async def _load_rules(self, connection: AsyncConnection) -> None:
        self.engine.set_limits(await queries.load_limits(connection))
        self.engine.set_fences(await queries.load_fences(connection))


def _sum(some: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    return {name: some.get(name, 0) + more.get(name, 0) for name in (*some, *more)}

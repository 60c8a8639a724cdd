"""The live hub: what the consoles see, kept in memory, told once a second to all of them with one message.

Three tasks. ``_listen`` takes events from the bus into memory and never waits. ``_read`` gets from the database what
events only name (alarms, commands), and everything when the memory may have holes: at the start, after lost events, and
when the database is back. ``_tick`` sends what changed and never waits, so the stream lives on, stale but honest, while
the database is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg

from api.commands.schemas import Command, CommandGroup
from api.fields import iso
from api.live_named import Named
from api.live_state import POSITION_COLUMNS, AlarmBoard, Presence, columns_of, row_of
from api.media.schemas import as_json as media_as_json
from api.services import Services
from fleet import (
    AlarmStepped,
    BatchStored,
    CommandChanged,
    CommandGroupChanged,
    FleetChanged,
    MediaStored,
    PositionBatch,
    PositionsSeen,
    SessionsChanged,
)
from store.queries import alarms, command_groups, commands, media, platforms, terminals, tracks, vehicles

log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
RETRY_S: Final = 1.0
CHECK_EVERY: Final = 5  # ticks between looks at whether the database is there
RATE_WINDOW_S: Final = 10
HANDLED_SHOWN: Final = timedelta(minutes=10)

TOO_SLOW: Final = 4008


class Client:
    """One console's queue of frames. ``overrun`` is set when it fell too far behind and is to be cut off."""

    def __init__(self, capacity: int) -> None:
        self.overrun = asyncio.Event()
        self._frames: asyncio.Queue[str] = asyncio.Queue(capacity)

    def offer(self, frame: str) -> None:
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.overrun.set()

    async def next(self) -> str:
        return await self._frames.get()


class LiveHub:
    """See the module. ``start()``, then ``attach()`` per console; ``stop()`` at the end.

    Args:  now: seconds since 1970, for the times told and the rate; sleep: waits that long. Tests hand in their own.
    """

    def __init__(
        self,
        services: Services,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._services = services
        self._now = now
        self._sleep = sleep
        self._subscription = services.bus.subscribe(
            "live",
            BatchStored,
            PositionsSeen,
            SessionsChanged,
            CommandChanged,
            CommandGroupChanged,
            AlarmStepped,
            MediaStored,
            FleetChanged,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: set[Client] = set()

        self.seq = 0
        self._positions: dict[int, list[Any]] = {}  # vehicle_id -> row of POSITION_COLUMNS
        self._presence = Presence()
        self._board = AlarmBoard()
        self._vehicles = 0
        self._retired: set[int] = set()
        self._platform_names: dict[int, str] = {}
        self._reports: deque[tuple[float, int]] = deque()
        self._snapshot: tuple[int, str] | None = None

        # what the next delta tells
        self._moved: set[int] = set()
        self._alarms = Named(self._read_alarms, once_a_tick=True)
        self._commands = Named(_read_commands)
        self._groups = Named(_read_groups, once_a_tick=True)
        self._media = Named(_read_media)
        self._named: tuple[Named[Any], ...] = (self._alarms, self._commands, self._groups, self._media)
        self._lists: set[str] = set()
        self._tell_all = False

        # what is to be read
        self._work = asyncio.Event()
        self._must_prime = True
        self._must_identify = False
        self._identified_at = -1  # seq
        self._must_check = False
        self._is_database_up = False
        self.is_reading = False

        self.too_slow = 0
        self.turned_away = 0
        self.primed = 0

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._tasks = [asyncio.create_task(task(), name=f"live{task.__name__}")
                       for task in (self._listen, self._read, self._run_ticks)]  # fmt: skip

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._subscription.close()

    # -- consoles -----------------------------------------------------------------------------------------------

    def attach(self) -> Client | None:
        """A new console's queue, the snapshot in it; None when there are as many as there may be."""
        settings = self._services.settings
        if len(self._clients) >= settings.max_live_clients:
            self.turned_away += 1
            return None
        client = Client(settings.live_client_queue)
        client.offer(self._snapshot_frame())
        self._clients.add(client)
        return client

    def detach(self, client: Client) -> None:
        self._clients.discard(client)
        if client.overrun.is_set():
            self.too_slow += 1

    def counters(self) -> dict[str, float]:
        return {
            "clients": len(self._clients), "too_slow_total": self.too_slow, "turned_away_total": self.turned_away,
            "primed_total": self.primed, "positions": len(self._positions), "online": len(self._presence),
            "alarms": len(self._board), "seq": self.seq,
        }  # fmt: skip

    # -- events into memory -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for event in self._subscription:
            if self._subscription.take_lost():
                self._must_prime = True
            try:
                self.take(event)
            except Exception:  # the stream must go on; what this event said is read anew
                log.exception("live hub: an event could not be taken in")
                self._must_prime = True
                self._work.set()

    def take(self, event: object) -> None:
        """Bring memory up to date with an event; what it only names is left to be read."""
        match event:
            case BatchStored():
                self._take_batch(event)
            case PositionsSeen():
                self._take_positions(event.positions)
            case SessionsChanged():
                for change in event.changes:
                    if not self._presence.change(change.phone, change.online):
                        self._must_identify = True
            case AlarmStepped():
                self._name(self._alarms, event.alarm_id)
            case CommandChanged(group_id=None):
                self._name(self._commands, event.command_id)
            case CommandChanged(group_id=group_id) | CommandGroupChanged(group_id=group_id) if group_id is not None:
                self._name(self._groups, group_id)
            case MediaStored():
                self._name(self._media, *event.ids)
            case FleetChanged():
                self._lists.add(event.what)
                self._must_identify = True
        if self._must_prime or self._must_identify or any(self._named):
            self._work.set()

    def _name(self, named: Named[Any], *ids: UUID | int) -> None:
        if not named.add(ids):  # the consoles are given a snapshot, and ask for their lists themselves
            for each in self._named:
                each.forget()
            self._must_prime = True

    def _take_batch(self, event: BatchStored) -> None:
        batch = event.positions
        if len(batch):
            self._reports.append((self._now(), len(batch)))
        self._take_positions(batch)
        self._name(self._alarms, *(change.id for change in event.alarm_changes))

    def _take_positions(self, batch: PositionBatch) -> None:
        for row in columns_of(batch, batch.newest_per_vehicle()):
            self._move(row)

    def _move(self, row: list[Any]) -> None:
        """Take a position in, unless a newer one is known."""
        known = self._positions.get(row[0])
        if row[0] in self._retired:
            return
        if known is None or row[1:3] > known[1:3]:
            self._positions[row[0]] = row
            self._moved.add(row[0])

    # -- from the database --------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            if not self._must_prime:
                self.is_reading = False
                await self._work.wait()
            self.is_reading = True
            self._work.clear()
            try:
                await self._read_once()
                self._is_database_up = True
            except Exception as error:  # the stream must go on, and this task with it
                if not isinstance(error, psycopg.OperationalError):
                    log.exception("live hub: the database could not be read")
                # What was being read is lost to memory, and meanwhile more may have changed unseen: begin anew.
                self._is_database_up = False
                self._must_prime = True
                await self._sleep(RETRY_S)

    async def _read_once(self) -> None:
        """Read what is named. Identities at most once a tick, however fast events come: they are many."""
        if self._must_prime:
            await self._prime()
            return
        if self._must_identify and self._identified_at != self.seq:
            self._must_identify = False
            self._identified_at = self.seq
            await self._identify()
        for named in self._named:
            await named.read(self._services.database, self.seq)
        if self._must_check:
            self._must_check = False
            await self._services.database.ping()

    async def _read_alarms(self, connection: psycopg.AsyncConnection, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
        rows = await alarms.by_ids(connection, ids)
        self._board.counts = await alarms.open_counts(connection)
        return self._board.take(rows, self._handled_since())

    async def _prime(self) -> None:
        """Read everything; the next frame is a snapshot for all."""
        async with self._services.database.connection() as connection:
            self._must_prime = self._must_identify = False
            self._alarms.forget()  # what is named from here on is read after this
            positions = await tracks.latest(connection, after_id=0, limit=None)
            queue = await alarms.queue(connection, handled_since=self._handled_since(), limit=AlarmBoard.CAPACITY)
            counts = await alarms.open_counts(connection)
        await self._identify()
        for position in positions:
            self._move(row_of(position))
        self._board.replace(queue, counts)
        self._snapshot = None  # whoever joins within this tick must not be given the one from before
        self.primed += 1
        self._tell_all = bool(self._clients)  # consoles that joined before this have a picture with holes

    async def _identify(self) -> None:
        """Who is in which vehicle, who is on-line, which vehicles are in service."""
        self._presence.begin_read()
        async with self._services.database.connection() as connection:
            seats = await terminals.presence(connection)
            in_service = await vehicles.in_service(connection)
            self._platform_names = await platforms.names(connection)
        self._presence.replace(seats)
        self._retired = {vehicle_id for vehicle_id, is_in in in_service.items() if not is_in}
        self._vehicles = len(in_service) - len(self._retired)
        for vehicle_id in self._positions.keys() & self._retired:
            del self._positions[vehicle_id]

    def _handled_since(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC) - HANDLED_SHOWN

    # -- out to the consoles ------------------------------------------------------------------------------------

    async def _run_ticks(self) -> None:
        while True:
            await self._sleep(PERIOD_S)
            try:
                self.tick()
            except Exception:
                log.exception("live hub: a tick failed")

    def tick(self) -> None:
        """Tell every console what changed since the last time; a snapshot when memory was read anew."""
        if not self._services.database.is_up and self._is_database_up:
            self._is_database_up = False
            self._must_prime = True
            self._work.set()
        self.seq += 1
        self._must_check = self._must_check or self.seq % CHECK_EVERY == 0
        if self._must_check or self._must_identify or any(self._named):
            self._work.set()
        self._board.forget(self._handled_since())
        told = {"type": "delta", "seq": self.seq, **self._head(), **self._changes()}
        if self._tell_all:
            self._tell_all = False
            frame = self._snapshot_frame()
        else:
            frame = orjson.dumps(told).decode()
        for client in self._clients:
            client.offer(frame)

    def _changes(self) -> dict[str, Any]:
        """What the next delta tells; afterwards nothing is left to tell."""
        changes = {
            "positions": [self._positions[vehicle_id] for vehicle_id in self._moved if vehicle_id in self._positions],
            "online": self._presence.take_changes(),
            "alarms": self._alarms.take_items(),
            "commands": self._commands.take_items(),
            "command_groups": self._groups.take_items(),
            "media": self._media.take_items(),
            "fleet": sorted(self._lists),
        }
        self._moved.clear()
        self._lists.clear()
        return changes

    def _snapshot_frame(self) -> str:
        """Everything, as of now: deltas after ``seq`` bring it forward. Built once however many consoles ask."""
        if self._snapshot is None or self._snapshot[0] != self.seq:
            told = {
                "type": "snapshot", "seq": self.seq, **self._head(), "position_columns": POSITION_COLUMNS,
                "positions": list(self._positions.values()), "online": self._presence.online(),
                "alarms": self._board.items(),
            }  # fmt: skip
            self._snapshot = (self.seq, orjson.dumps(told).decode())
        return self._snapshot[1]

    def _head(self) -> dict[str, Any]:
        now = self._now()
        return {"time": iso(datetime.fromtimestamp(now, UTC)), "stats": self._stats(now)}

    def _stats(self, now: float) -> dict[str, Any]:
        while self._reports and self._reports[0][0] <= now - RATE_WINDOW_S:
            self._reports.popleft()
        return {
            "online": len(self._presence),
            "vehicles": self._vehicles,
            "reports_per_s": round(sum(count for _, count in self._reports) / RATE_WINDOW_S, 1),
            "alarms": {str(severity): self._board.counts.get(severity, 0) for severity in (1, 2, 3, 4)},
            "database": "up" if self._is_database_up else "down",
            "journal_lag_s": round(self._services.journal_lag_s(), 1),
            "notices": self._services.notices(),
            "platforms": [
                {
                    "id": status["id"], "name": self._platform_names.get(status["id"], ""),
                    "main": status.get("main", "down"), "sub": status.get("sub", "down"),
                    "sent_live": status.get("sent_live", 0), "sent_history": status.get("sent_history", 0),
                    "backlog": status.get("backlog", 0),
                }
                for status in self._services.link_status()
            ],
        }  # fmt: skip


async def _read_commands(connection: psycopg.AsyncConnection, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    rows = await commands.by_ids(connection, ids)
    return {row["id"]: Command.model_validate(row).model_dump(mode="json") for row in rows}


async def _read_groups(connection: psycopg.AsyncConnection, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """With their counts."""
    rows = await command_groups.by_ids(connection, ids)
    return {row["id"]: CommandGroup.model_validate(row).model_dump(mode="json") for row in rows}


async def _read_media(connection: psycopg.AsyncConnection, ids: list[int]) -> dict[int, dict[str, Any]]:
    return {row["id"]: media_as_json(row) for row in await media.by_ids(connection, ids)}

"""Commands to many: the pace holds, single commands pass, all are accounted for, a restart goes on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from fleet import Bus, CommandChanged
from ingest.commands import CommandDesk, DeskLimits
from ingest.commands.pace import Paces
from store import Database
from store.queries import command_groups, command_queue, commands
from store.queries.command_groups import Target

COUNT = 2000


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gateway:
    """Everybody is on-line, but for some; keeps to whom it sent, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[tuple[float, str]] = []
        self.offline: set[str] = set()
        self._serial_no = 0

    async def request(self, op: str, **values: Any) -> dict[str, Any]:
        if values["phone"] in self.offline:
            return {"state": "offline"}
        if op == "prepare":
            self._serial_no = (self._serial_no + 1) & 0xFFFF
            return {"state": "ready", "serial_no": self._serial_no, "edition": "2013"}
        assert op == "send"
        self.sent.append((self.clock.now, values["phone"]))
        return {"state": "sent", "serial_no": values["serial_no"], "edition": "2013"}


def desk_of(database: Database, gateway: Gateway, clock: Clock) -> CommandDesk:
    return CommandDesk(database, gateway, Bus(), DeskLimits(timeout_s=3600), clock=clock)


async def give_all(database: Database, rate_per_s: float) -> uuid.UUID:
    async with database.connection() as connection:
        group_id, count, skipped = await command_groups.insert(
            connection, kind="locate", payload={}, target=Target(everyone=True), target_shown={"all": True},
            rate_per_s=rate_per_s, created_by=None, expires_in_s=3600,
        )  # fmt: skip
    assert skipped == 0
    assert count > 0
    return group_id


async def counts(database: Database, group_id: uuid.UUID) -> dict[str, int]:
    async with database.connection() as connection:
        group = await command_groups.get(connection, group_id)
    assert group is not None
    found: dict[str, int] = group["counts"]
    return found


@pytest.fixture
async def fleet(postgresql_database: Database) -> Database:
    """2,000 vehicles with a terminal each, on-line as far as the database knows."""
    async with postgresql_database.connection() as connection:
        for statement in (
            f"INSERT INTO vehicles (plate, plate_color) SELECT 'A' || n, 2 FROM generate_series(1, {COUNT}) n",
            "INSERT INTO terminals (phone, vehicle_id) SELECT (139000000 + id)::text, id FROM vehicles",
            "INSERT INTO terminal_presence SELECT phone, true, now(), '', 'tcp', '2013', '' FROM terminals",
            "ANALYZE",
        ):
            await connection.execute(statement.encode())
    return postgresql_database


def test_a_bucket_fills_by_time_and_is_bounded() -> None:
    clock = Clock()
    paces, group = Paces(clock), uuid.uuid4()
    assert paces.allowed(group, 50) == 1
    paces.took(group, 1)
    assert paces.allowed(group, 50) == 0
    assert paces.pause_s(group, 50) == pytest.approx(0.1)
    clock.now += 0.1
    assert paces.allowed(group, 50) == 5
    clock.now += 3600
    assert paces.allowed(group, 50) == 25  # half a second's worth
    slow = uuid.uuid4()
    paces.allowed(slow, 0.5)
    paces.took(slow, 1)
    assert paces.pause_s(slow, 0.5) == pytest.approx(2)
    paces.keep([group])
    assert paces.allowed(slow, 0.5) == 1


@pytest.mark.postgres
async def test_two_thousand_at_their_pace_through_a_restart(fleet: Database) -> None:
    clock = Clock()
    gateway = Gateway(clock)
    desk = desk_of(fleet, gateway, clock)
    group_id = await give_all(fleet, rate_per_s=200)
    began = clock.now
    seconds = 0.0
    while len(gateway.sent) < COUNT and seconds < 30:
        await desk.look()
        allowed = 1 + 200 * (clock.now - began)
        assert len(gateway.sent) <= allowed, f"{len(gateway.sent)} after {clock.now - began:.2f} s"
        clock.now += 0.2
        seconds += 0.2
        if seconds == pytest.approx(4.0):
            desk = desk_of(fleet, gateway, clock)  # as after a crash: all it knows stands in the rows
    assert clock.now - began == pytest.approx(COUNT / 200, rel=0.15)
    assert len({phone for _, phone in gateway.sent}) == COUNT == len(gateway.sent)
    assert await counts(fleet, group_id) == {"sent": COUNT}


@pytest.mark.postgres
async def test_a_single_command_does_not_wait_for_a_group(fleet: Database) -> None:
    clock = Clock()
    gateway = Gateway(clock)
    desk = desk_of(fleet, gateway, clock)
    await give_all(fleet, rate_per_s=1000)
    await desk.look()
    clock.now += 1
    async with fleet.connection() as connection:
        await commands.insert(
            connection, vehicle_id=1, phone="single", kind="locate", payload={}, created_by=None, expires_in_s=60
        )
    before = len(gateway.sent)
    await desk.look()
    assert gateway.sent[before][1] == "single"  # first, though the group has many that wait
    assert len(gateway.sent) - before <= 101  # and the group no more than a look's share


@pytest.mark.postgres
async def test_many_groups_share_a_look_and_take_turns(fleet: Database) -> None:
    clock = Clock()
    gateway = Gateway(clock)
    desk = desk_of(fleet, gateway, clock)
    groups = [await give_all(fleet, rate_per_s=1000) for _ in range(130)]  # more than a look has room for
    await desk.look()
    clock.now += 1
    before = len(gateway.sent)
    await desk.look()
    assert len(gateway.sent) - before == 100
    for _ in range(3):
        await desk.look()
    assert min([(await counts(fleet, group_id)).get("sent", 0) for group_id in groups]) >= 1


@pytest.mark.postgres
async def test_a_group_that_may_be_fast_is_not_held_up_by_pauses(fleet: Database) -> None:
    clock = Clock()
    desk = desk_of(fleet, Gateway(clock), clock)
    await give_all(fleet, rate_per_s=1000)
    await desk.look()
    clock.now += 1
    assert await desk.look() == 0.0  # more is allowed than the look had room for


@pytest.mark.postgres
async def test_those_off_line_are_parked_until_they_come(fleet: Database) -> None:
    clock = Clock()
    gateway = Gateway(clock)
    desk = desk_of(fleet, gateway, clock)
    async with fleet.connection() as connection:
        await connection.execute("UPDATE terminal_presence SET online = (phone::bigint <= 139000010)")
    group_id = await give_all(fleet, rate_per_s=50)
    gateway.offline = {"139000001"}  # the presence is behind: the gateway knows better
    for _ in range(10):
        await desk.look()
        clock.now += 1
    assert await counts(fleet, group_id) == {"sent": 9, "queued": COUNT - 9}
    async with fleet.connection() as connection:
        assert await command_queue.running_groups(connection) == []  # nothing is looked at any more
    gateway.offline.clear()
    desk._online |= {"139000001", "139001000"}
    for _ in range(3):
        await desk.look()
        clock.now += 1
    assert {phone for _, phone in gateway.sent[-2:]} == {"139000001", "139001000"}


@pytest.mark.postgres
async def test_taken_back_in_the_middle(fleet: Database) -> None:
    clock = Clock()
    gateway = Gateway(clock)
    desk = desk_of(fleet, gateway, clock)
    group_id = await give_all(fleet, rate_per_s=20)
    for _ in range(5):
        await desk.look()
        clock.now += 0.5
    sent = len(gateway.sent)
    async with fleet.connection() as connection:
        assert await command_groups.cancel(connection, group_id, 1, "enough") == COUNT - sent
    await desk.look()
    assert len(gateway.sent) == sent
    assert await counts(fleet, group_id) == {"sent": sent, "cancelled": COUNT - sent}


@pytest.mark.postgres
async def test_changes_of_a_group_are_told_as_the_group(fleet: Database) -> None:
    clock = Clock()
    desk = desk_of(fleet, Gateway(clock), clock)
    group_id = await give_all(fleet, rate_per_s=50)
    async with fleet.connection() as connection:
        await connection.execute("UPDATE commands SET expires_at = now()")
        events = await command_queue.expire(connection)
    assert [event.group_id for event in events] == [group_id]
    assert await counts(fleet, group_id) == {"expired": COUNT}
    await desk.look()


def test_events_of_single_commands_are_their_own() -> None:
    one, other, group = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    events = command_queue.events_of([(one, None), (other, group), (uuid.uuid4(), group)])
    assert events == [CommandChanged(one), CommandChanged(other, group)]

"""store.queries.enrolment and store.queries.engine: who registered, and where everybody was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

import store
from fleet import Fence, FenceShape, FenceTrigger, RefusedRegistration, Registration, VehicleLimits
from store.queries import engine, enrolment
from store.values import to_datetime
from tests.store.batches import DAY, NOON_US, SECOND

PLAIN = Registration(
    received_us=NOON_US,
    phone="13900000001",
    edition="2019",
    province_id=21,
    city_id=101,
    manufacturer_id="70111",
    terminal_model="BD-1",
    terminal_id="A000001",
    plate_color=2,
    plate="辽A12345",
    auth_code_hash=b"\x01" * 32,
    auth_issued_us=NOON_US,
)
REFUSED = RefusedRegistration(
    received_us=NOON_US,
    phone="13900000009",
    edition="2013",
    manufacturer_id="70111",
    terminal_model="BD-9",
    terminal_id="Z000009",
    plate_color=2,
    plate="辽A99999",
    peer="10.0.0.9:4000",
    reason="unknown",
)


def later(at_s: int, **changes: Any) -> Registration:
    us = NOON_US + at_s * SECOND
    return replace(PLAIN, received_us=us, auth_issued_us=us, **changes)


async def enrol(database: store.Database, *registrations: Registration) -> None:
    async with database.connection() as connection:
        await enrolment.enrol(connection, list(registrations))


async def refuse(database: store.Database, *refused: RefusedRegistration) -> int:
    async with database.connection() as connection:
        return await enrolment.list_refused(connection, list(refused))


async def execute(database: store.Database, statement: str) -> list[Any]:
    async with database.connection() as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def residents(database: store.Database) -> dict[str, engine.TerminalRow]:
    async with database.connection() as connection:
        return {row.phone: row async for piece in engine.each_terminal(connection) for row in piece}


async def plates(database: store.Database) -> list[Any]:
    return await execute(database, "SELECT plate, plate_color FROM vehicles ORDER BY id")


async def test_a_new_terminal_in_a_new_vehicle(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN)
    terminal = (await residents(postgresql_database))["13900000001"]
    assert terminal.standing == "approved"
    assert terminal.bindings == [(0, terminal.vehicle_id)]  # what it saved up before counts as well
    assert await plates(postgresql_database) == [("辽A12345", 2)]
    assert await execute(
        postgresql_database,
        "SELECT edition, province_id, city_id, manufacturer_id, terminal_model, terminal_id, claimed_plate, "
        "claimed_plate_color, auth_code_hash, auth_issued_us FROM terminals",
    ) == [("2019", 21, 101, "70111", "BD-1", "A000001", "辽A12345", 2, b"\x01" * 32, NOON_US)]


async def test_doing_it_again_changes_nothing(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN)
    before = await execute(postgresql_database, "SELECT * FROM terminals"), await residents(postgresql_database)
    await enrol(postgresql_database, PLAIN, PLAIN)
    assert before == (
        await execute(postgresql_database, "SELECT * FROM terminals"),
        await residents(postgresql_database),
    )
    assert await plates(postgresql_database) == [("辽A12345", 2)]


async def test_the_newest_code_wins_in_whatever_order(postgresql_database: store.Database) -> None:
    newer, older = later(5, auth_code_hash=b"\x05" * 32), later(1, auth_code_hash=b"\x02" * 32, plate="辽B1")
    await enrol(postgresql_database, newer)
    await enrol(postgresql_database, older)
    assert await execute(postgresql_database, "SELECT auth_code_hash, claimed_plate FROM terminals") == [
        (b"\x05" * 32, "辽A12345")
    ]


async def test_a_terminal_moves_to_another_vehicle(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN)
    await enrol(postgresql_database, later(60, plate="辽B1"))
    terminal = (await residents(postgresql_database))["13900000001"]
    (first_us, first), (second_us, second) = terminal.bindings
    assert (first_us, second_us) == (0, NOON_US + 60 * SECOND)
    assert first != second == terminal.vehicle_id
    await enrol(postgresql_database, later(120))  # and back: the vehicle is there already
    assert [vehicle for _, vehicle in (await residents(postgresql_database))["13900000001"].bindings] == [
        first,
        second,
        first,
    ]


async def test_moves_inside_one_call_keep_their_order(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN, later(1, plate="辽B1"), later(2, plate="辽C1"))
    terminal = (await residents(postgresql_database))["13900000001"]
    assert [from_us for from_us, _ in terminal.bindings] == [0, NOON_US + SECOND, NOON_US + 2 * SECOND]
    assert terminal.vehicle_id == terminal.bindings[-1][1]


async def test_two_terminals_in_one_vehicle(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN, replace(PLAIN, phone="13900000002"))
    found = await residents(postgresql_database)
    assert found["13900000001"].vehicle_id == found["13900000002"].vehicle_id
    assert await plates(postgresql_database) == [("辽A12345", 2)]


async def test_the_same_plate_in_another_colour_is_another_vehicle(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN, replace(PLAIN, phone="13900000002", plate_color=1))
    assert await plates(postgresql_database) == [("辽A12345", 1), ("辽A12345", 2)]


async def test_a_retired_vehicle_does_not_come_back(postgresql_database: store.Database) -> None:
    await execute(
        postgresql_database, "INSERT INTO vehicles (plate, plate_color, retired_at) VALUES ('辽A12345', 2, now())"
    )
    await enrol(postgresql_database, PLAIN)
    assert (await residents(postgresql_database))["13900000001"].vehicle_id == 2


async def test_without_a_plate_each_has_a_vehicle_of_its_own(postgresql_database: store.Database) -> None:
    nameless = replace(PLAIN, plate="", plate_color=0)
    await enrol(postgresql_database, nameless, replace(nameless, phone="13900000002"))
    found = await residents(postgresql_database)
    assert found["13900000001"].vehicle_id != found["13900000002"].vehicle_id
    assert await plates(postgresql_database) == [("", 0), ("", 0)]
    await enrol(postgresql_database, later(9, plate="", plate_color=0))
    assert await residents(postgresql_database) == found


async def test_a_vehicle_known_by_its_vin(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, replace(PLAIN, plate="LFV2A21K6F4000001", plate_color=0))
    assert await execute(postgresql_database, "SELECT plate, vin FROM vehicles") == [("LFV2A21K6F4000001",) * 2]


@pytest.mark.parametrize("plate", ["", "辽A12345"])
async def test_where_an_administrator_put_it_it_stays_until_it_claims_something_new(
    postgresql_database: store.Database, plate: str
) -> None:
    claim = {"plate": plate, "plate_color": 2 if plate else 0}
    await enrol(postgresql_database, later(0, **claim))
    await execute(postgresql_database, "INSERT INTO vehicles (plate, plate_color) VALUES ('辽K1', 2)")
    await execute(
        postgresql_database, "UPDATE terminals SET vehicle_id = (SELECT id FROM vehicles WHERE plate = '辽K1')"
    )
    await enrol(postgresql_database, later(60, **claim))
    vehicle = (await execute(postgresql_database, "SELECT id FROM vehicles WHERE plate = '辽K1'"))[0][0]
    assert (await residents(postgresql_database))["13900000001"].vehicle_id == vehicle
    await enrol(postgresql_database, later(120, plate="辽Z9"))
    assert (await residents(postgresql_database))["13900000001"].vehicle_id not in (None, vehicle)


async def test_a_blocked_terminal_stays_blocked(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, PLAIN)
    await execute(postgresql_database, "UPDATE terminals SET standing = 'blocked'")
    await enrol(postgresql_database, later(60))
    assert (await residents(postgresql_database))["13900000001"].standing == "blocked"


async def test_many_at_once(postgresql_database: store.Database) -> None:
    many = [replace(PLAIN, phone=f"139{i:08}", plate=f"辽A{i:05}" if i % 5 else "") for i in range(500)]
    await enrol(postgresql_database, *many)
    found = await residents(postgresql_database)
    assert len({row.vehicle_id for row in found.values()}) == 500
    rows = await execute(
        postgresql_database, "SELECT phone, plate FROM terminals t JOIN vehicles v ON v.id = t.vehicle_id"
    )
    assert dict(rows) == {item.phone: item.plate for item in many}


async def test_text_that_the_server_cannot_hold(postgresql_database: store.Database) -> None:
    await enrol(postgresql_database, replace(PLAIN, plate="辽A\0 ", terminal_model="\ud800", terminal_id="\0"))
    assert await plates(postgresql_database) == [("辽A\N{REPLACEMENT CHARACTER}", 2)]


async def test_a_refused_terminal_is_listed_for_approval(postgresql_database: store.Database) -> None:
    assert await refuse(postgresql_database, REFUSED) == 0
    assert await execute(
        postgresql_database,
        "SELECT standing, vehicle_id, claimed_plate, terminal_id, last_refused_at, last_refusal FROM terminals",
    ) == [("pending", None, "辽A99999", "Z000009", to_datetime(NOON_US), "unknown")]
    await enrol(postgresql_database, replace(PLAIN, phone=REFUSED.phone))
    assert (await residents(postgresql_database))[REFUSED.phone].standing == "approved"


@pytest.mark.parametrize("standing", ["approved", "blocked"])
async def test_a_refusal_changes_nobodys_standing(postgresql_database: store.Database, standing: str) -> None:
    await enrol(postgresql_database, PLAIN)
    await execute(postgresql_database, f"UPDATE terminals SET standing = '{standing}'")
    await refuse(postgresql_database, replace(REFUSED, phone=PLAIN.phone, reason="wrong code"))
    assert await execute(
        postgresql_database, "SELECT standing, terminal_id, claimed_plate, last_refusal FROM terminals"
    ) == [(standing, "A000001", "辽A12345", "wrong code")]


async def test_who_asks_again_and_again_is_noted_now_and_then(postgresql_database: store.Database) -> None:
    async def noted() -> datetime:
        rows = await execute(postgresql_database, "SELECT last_refused_at FROM terminals")
        return rows[0][0]  # type: ignore[no-any-return]

    await refuse(postgresql_database, REFUSED)
    await refuse(postgresql_database, replace(REFUSED, received_us=NOON_US + 5 * SECOND))
    assert await noted() == to_datetime(NOON_US)
    await refuse(postgresql_database, replace(REFUSED, received_us=NOON_US + 6 * SECOND, reason="another"))
    assert await noted() == to_datetime(NOON_US + 6 * SECOND)
    await refuse(postgresql_database, replace(REFUSED, received_us=NOON_US + 90 * SECOND, reason="another"))
    assert await noted() == to_datetime(NOON_US + 90 * SECOND)


async def test_the_list_of_the_refused_is_bounded(
    postgresql_database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolment, "MAX_PENDING", 3)
    many = [replace(REFUSED, phone=str(i)) for i in range(5)]
    assert await refuse(postgresql_database, *many) == 2
    again = [replace(item, received_us=NOON_US + DAY) for item in many]
    assert await refuse(postgresql_database, *again) == 2
    assert await execute(
        postgresql_database, "SELECT count(*) FROM terminals WHERE last_refused_at > to_timestamp(0)"
    ) == [(3,)]


async def test_who_unregistered_has_to_register_again(postgresql_database: store.Database) -> None:
    async def hashes() -> list[Any]:
        return await execute(postgresql_database, "SELECT auth_code_hash, auth_issued_us FROM terminals")

    async def unregister(at_us: int) -> None:
        async with postgresql_database.connection() as connection:
            await enrolment.unregister(connection, [(PLAIN.phone, at_us), (PLAIN.phone, at_us - 1), ("unknown", 5)])

    await enrol(postgresql_database, PLAIN)
    await unregister(NOON_US - SECOND)  # before the code was issued
    assert await hashes() == [(b"\x01" * 32, NOON_US)]
    await unregister(NOON_US + SECOND)
    assert await hashes() == [(None, NOON_US + SECOND)]
    await enrol(postgresql_database, later(9))
    assert await hashes() == [(b"\x01" * 32, NOON_US + 9 * SECOND)]


# ---- what the engine reads


async def test_limits_and_fences_are_read(postgresql_database: store.Database) -> None:
    await execute(
        postgresql_database,
        "INSERT INTO vehicles (plate, speed_limit_kmh, offline_after_s) VALUES ('', NULL, NULL), ('', 80.5, 600)",
    )
    await execute(
        postgresql_database,
        """INSERT INTO geofences (name, shape, trigger, points, center, radius_m, vehicle_ids, enabled) VALUES
           ('p', 'polygon', 'enter', '[[1, 2], [3, 4], [5, 6.5]]', NULL, NULL, '{1,2}', true),
           ('c', 'circle', 'both', '[]', '[41.5, 123]', 500, NULL, true),
           ('off', 'circle', 'both', '[]', '[41.5, 123]', 500, NULL, false),
           ('broken', 'polygon', 'both', '[[1, "x"]]', NULL, NULL, NULL, true)""",
    )
    async with postgresql_database.connection() as connection:
        assert await engine.load_limits(connection) == [VehicleLimits(2, 80.5, None, 600.0)]
        await connection.execute("UPDATE vehicles SET retired_at = now() WHERE id IN (1, 2)")
        retired = [VehicleLimits(1, None, None, 1e9), VehicleLimits(2, 80.5, None, 1e9)]
        assert await engine.load_limits(connection) == retired
        polygon, circle = await engine.load_fences(connection)
    assert polygon == Fence(
        1,
        "p",
        FenceShape.POLYGON,
        FenceTrigger.ENTER,
        points=((1.0, 2.0), (3.0, 4.0), (5.0, 6.5)),
        vehicle_ids=frozenset({1, 2}),
    )
    assert circle == Fence(2, "c", FenceShape.CIRCLE, FenceTrigger.BOTH, center=(41.5, 123.0), radius_m=500.0)

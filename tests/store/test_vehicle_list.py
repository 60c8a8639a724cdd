"""store.queries.vehicles.page: the page is chosen first, only its own rows are filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import store
from store.queries import vehicles

FLEET = 2_000


@pytest.fixture
async def fleet(postgresql_database: store.Database) -> store.Database:
    """Vehicles with a terminal each; every hundredth is on-line."""
    async with postgresql_database.connection() as connection:
        await connection.execute(
            "INSERT INTO vehicles (plate, plate_color) SELECT 'A' || n, 2 FROM generate_series(1, %s) n", (FLEET,)
        )
        await connection.execute(
            "INSERT INTO terminals (phone, vehicle_id) SELECT (13900000000 + id)::text, id FROM vehicles"
        )
        await connection.execute(
            "INSERT INTO terminal_presence (phone, online, since, peer, transport, edition, reason) "
            "SELECT phone, vehicle_id %% 100 = 0, now(), '', 'tcp', '2013', '' FROM terminals",
            (),
        )
    async with postgresql_database.connection() as connection:
        await connection.execute("ANALYZE vehicles, terminals, terminal_presence")
    return postgresql_database


class Explaining:
    """A connection that explains what it is asked."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plan: dict[str, Any] = {}

    def cursor(self, **_: Any) -> Explaining:
        return self

    async def execute(self, query: str, values: Any) -> None:
        cursor = await self._connection.execute("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query, values)
        self.plan = (await cursor.fetchone())[0][0]["Plan"]

    async def fetchall(self) -> list[Any]:
        return []


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize(("online", "first"), [(True, 100), (False, 1), (None, 1)])
async def test_a_page_costs_its_own_rows_not_the_fleet(fleet: store.Database, online: bool | None, first: int) -> None:
    async with fleet.connection() as connection:
        rows = await vehicles.page(connection, after_id=0, limit=10, online=online)
        assert (len(rows), rows[0]["id"]) == (10, first)
        assert {row["online"] for row in rows} <= ({online} if online is not None else {True, False})
        explaining = Explaining(connection)
        await vehicles.page(explaining, after_id=0, limit=10, online=online)  # type: ignore[arg-type]
    filled_in = [node["Actual Loops"] for node in nodes(explaining.plan) if node["Node Type"] == "Aggregate"]
    assert max(filled_in) <= 10


async def test_pages_follow_one_another(fleet: store.Database) -> None:
    seen, after_id = [], 0
    async with fleet.connection() as connection:
        while rows := await vehicles.page(connection, after_id=after_id, limit=7, online=True):
            seen += [row["id"] for row in rows]
            after_id = seen[-1]
    assert seen == list(range(100, FLEET + 1, 100))

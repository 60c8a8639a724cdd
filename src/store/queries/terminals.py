"""Terminals (终端): listed, approved, bound to vehicles, blocked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

_SELECT = """
SELECT t.id, t.phone, t.vehicle_id, v.plate, t.standing, t.manufacturer_id, t.terminal_model, t.terminal_id, t.edition,
       t.imei, t.software_version, t.claimed_plate, t.claimed_plate_color, coalesce(p.online, false) AS online,
       t.last_refusal, t.created_at, t.idle_s, t.former_imei, t.imei_changed_at,
       (SELECT max(l.time) FROM session_log l WHERE l.phone = t.phone AND l.reason = 'duplicate_identity'
        AND l.time > now() - interval '1 day') AS duplicate_identity_at
FROM terminals t
LEFT JOIN vehicles v ON v.id = t.vehicle_id
LEFT JOIN terminal_presence p ON p.phone = t.phone"""


async def page(
    connection: AsyncConnection[Any],
    *,
    after_id: int,
    limit: int,
    standing: str | None = None,
    vehicle_id: int | None = None,
    phone_like: str | None = None,
) -> list[dict[str, Any]]:
    """In order of id, from behind ``after_id`` on."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _SELECT + " WHERE t.id > %(after_id)s AND (%(standing)s::text IS NULL OR t.standing = %(standing)s)"
        " AND (%(vehicle_id)s::int IS NULL OR t.vehicle_id = %(vehicle_id)s)"
        " AND (%(phone)s::text IS NULL OR t.phone LIKE %(phone)s) ORDER BY t.id LIMIT %(limit)s",
        {"after_id": after_id, "standing": standing, "vehicle_id": vehicle_id, "phone": phone_like, "limit": limit},
    )
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], terminal_id: int) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " WHERE t.id = %s", (terminal_id,))
    return await cursor.fetchone()


async def lock(
    connection: AsyncConnection[Any], *, terminal_id: int | None = None, phone: str | None = None
) -> dict[str, Any] | None:
    """A terminal by id or phone, with its vehicle's plate; its row is locked until the transaction ends."""
    # In two statements: one that waited for the lock would show the vehicle as it was before the wait.
    cursor = await connection.execute(
        "SELECT id FROM terminals WHERE id = %s OR phone = %s FOR UPDATE", (terminal_id, phone)
    )
    row = await cursor.fetchone()
    return await get(connection, row[0]) if row else None


async def insert(connection: AsyncConnection[Any], *, phone: str, standing: str = "approved") -> int | None:
    """The new terminal's id, bound to no vehicle; None when the phone is known already."""
    cursor = await connection.execute(
        "INSERT INTO terminals (phone, standing) VALUES (%s, %s) ON CONFLICT (phone) DO NOTHING RETURNING id",
        (phone, standing),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(connection: AsyncConnection[Any], terminal_id: int, values: Mapping[str, Any]) -> None:
    """Change the given columns: standing, manufacturer_id, terminal_model, terminal_id, idle_s."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values
    )
    await connection.execute(
        sql.SQL("UPDATE terminals SET {}, updated_at = now() WHERE id = {}").format(assignments, sql.Placeholder()),
        [*values.values(), terminal_id],
    )


async def bind(connection: AsyncConnection[Any], terminal_ids: list[int], vehicle_ids: list[int | None]) -> None:
    """Put terminals into vehicles (None: into stock) from now on.

    A terminal's first place also holds for all time before: reports it saved up before it was bound belong there.
    """
    await connection.execute(
        "UPDATE terminals t SET vehicle_id = b.vehicle_id, standing = 'approved', updated_at = now()"
        " FROM unnest(%s::int[], %s::int[]) AS b (terminal_id, vehicle_id) WHERE t.id = b.terminal_id",
        (terminal_ids, vehicle_ids),
    )
    await connection.execute(
        "INSERT INTO terminal_bindings (terminal_id, from_time, vehicle_id)"
        " SELECT b.terminal_id, CASE WHEN EXISTS (SELECT FROM terminal_bindings e WHERE e.terminal_id = b.terminal_id)"
        " THEN now() ELSE to_timestamp(0) END, b.vehicle_id"
        " FROM unnest(%s::int[], %s::int[]) AS b (terminal_id, vehicle_id) WHERE b.vehicle_id IS NOT NULL"
        " ON CONFLICT (terminal_id, from_time) DO UPDATE SET vehicle_id = excluded.vehicle_id",
        (terminal_ids, vehicle_ids),
    )


async def delete(connection: AsyncConnection[Any], terminal_id: int) -> None:
    """Forget the terminal and where it was; the positions it reported stay with the vehicles."""
    await connection.execute("DELETE FROM terminals WHERE id = %s", (terminal_id,))


async def by_phone(connection: AsyncConnection[Any], phones: list[str]) -> dict[str, dict[str, Any]]:
    """Terminals with these phones: id, vehicle_id, standing and the vehicle's plate."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT t.phone, t.id, t.vehicle_id, t.standing, v.plate FROM terminals t"
        " LEFT JOIN vehicles v ON v.id = t.vehicle_id WHERE t.phone = ANY (%s)",
        (phones,),
    )
    return {row["phone"]: row for row in await cursor.fetchall()}


async def insert_many(connection: AsyncConnection[Any], phones: list[str]) -> dict[str, int]:
    """New approved terminals; their ids by phone."""
    cursor = await connection.execute(
        "INSERT INTO terminals (phone) SELECT unnest(%s::text[]) RETURNING phone, id", (phones,)
    )
    return dict(await cursor.fetchall())


async def for_command(connection: AsyncConnection[Any], vehicle_id: int) -> str | None:
    """The phone of the terminal a command to this vehicle goes to: approved, on-line before off-line, newest first."""
    cursor = await connection.execute(
        "SELECT t.phone FROM terminals t LEFT JOIN terminal_presence p ON p.phone = t.phone"
        " WHERE t.vehicle_id = %s AND t.standing = 'approved'"
        " ORDER BY coalesce(p.online, false) DESC, t.id DESC LIMIT 1",
        (vehicle_id,),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def edition_of(connection: AsyncConnection[Any], phone: str) -> str:
    """The edition a terminal speaks, as last seen: "2011", "2013", "2019"; "" while it is not known."""
    cursor = await connection.execute(
        "SELECT coalesce(nullif(p.edition, ''), t.edition) FROM terminals t"
        " LEFT JOIN terminal_presence p ON p.phone = t.phone WHERE t.phone = %s",
        (phone,),
    )
    row = await cursor.fetchone()
    return row[0] if row else ""


async def presence(connection: AsyncConnection[Any]) -> list[tuple[str, int, bool]]:
    """(phone, vehicle_id, online) of every terminal that is in a vehicle in service."""
    cursor = await connection.execute(
        "SELECT t.phone, t.vehicle_id, coalesce(p.online, false) FROM terminals t"
        " JOIN vehicles v ON v.id = t.vehicle_id AND v.retired_at IS NULL"
        " LEFT JOIN terminal_presence p ON p.phone = t.phone"
    )
    return await cursor.fetchall()

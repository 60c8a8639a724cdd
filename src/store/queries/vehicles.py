"""Vehicles: listed with their terminals, created, changed, retired, imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg import AsyncConnection, errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

COLUMNS: Final = (
    "plate", "plate_color", "vin", "vehicle_type", "organization_id", "speed_limit_kmh", "overspeed_duration_s",
    "offline_after_s", "note",
)  # fmt: skip
"""What may be set from outside."""

_SELECT = """
SELECT v.id, v.plate, v.plate_color, v.vehicle_type, v.vin, v.organization_id, o.name AS organization,
       v.speed_limit_kmh, v.overspeed_duration_s, v.offline_after_s, v.note,
       t.phone, coalesce(t.online, false) AS online, coalesce(t.terminals, '[]') AS terminals, l.time AS last_time
FROM vehicles v
LEFT JOIN organizations o ON o.id = v.organization_id
LEFT JOIN latest_positions l ON l.vehicle_id = v.id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('id', t.id, 'phone', t.phone, 'standing', t.standing, 'terminal_model',
                                        t.terminal_model, 'edition', t.edition) ORDER BY t.id) AS terminals,
           bool_or(p.online) AS online,
           (array_agg(t.phone ORDER BY t.standing = 'approved' DESC, coalesce(p.online, false) DESC, t.id DESC))[1]
               AS phone
    FROM terminals t LEFT JOIN terminal_presence p ON p.phone = t.phone WHERE t.vehicle_id = v.id
) t ON true
WHERE v.retired_at IS NULL"""

_WHO_IS_ONLINE = "SELECT x.vehicle_id FROM terminal_presence p JOIN terminals x USING (phone) WHERE p.online"
_ONLINE: Final[Mapping[bool | None, str]] = {
    None: "",
    True: f" AND v.id IN ({_WHO_IS_ONLINE})",
    False: f" AND NOT EXISTS ({_WHO_IS_ONLINE} AND x.vehicle_id = v.id)",
}


async def page(
    connection: AsyncConnection[Any],
    *,
    after_id: int,
    limit: int,
    plate_like: str | None = None,
    phone_like: str | None = None,
    organization_id: int | None = None,
    online: bool | None = None,
) -> list[dict[str, Any]]:
    """Vehicles in service, in order of id, from behind ``after_id`` on.

    ``plate_like`` and ``phone_like`` are LIKE patterns (see ``contains``); one of them matching is enough. Plates are
    compared without their dot.
    """
    cursor = connection.cursor(row_factory=dict_row)
    # The page is chosen first, from vehicles and presence alone; only its own rows are then filled in.
    await cursor.execute(
        f"WITH chosen AS MATERIALIZED (SELECT v.id FROM vehicles v WHERE v.retired_at IS NULL AND v.id > %(after_id)s"
        f"{_ONLINE[online]}"
        " AND (%(organization_id)s::int IS NULL OR v.organization_id = %(organization_id)s)"
        " AND (%(plate)s::text IS NULL OR replace(v.plate, '·', '') ILIKE %(plate)s"
        " OR %(phone)s::text IS NOT NULL"
        " AND EXISTS (SELECT FROM terminals x WHERE x.vehicle_id = v.id AND x.phone LIKE %(phone)s))"
        f" ORDER BY v.id LIMIT %(limit)s) {_SELECT} AND v.id IN (SELECT id FROM chosen) ORDER BY v.id",
        {"after_id": after_id, "organization_id": organization_id, "plate": plate_like, "phone": phone_like,
         "limit": limit},
    )  # fmt: skip
    return await cursor.fetchall()


def contains(text: str) -> str:
    """A LIKE pattern: the text stands somewhere, its own wildcards taken literally."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


async def get(connection: AsyncConnection[Any], vehicle_id: int) -> dict[str, Any] | None:
    """A vehicle in service."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT + " AND v.id = %s", (vehicle_id,))
    return await cursor.fetchone()


async def exists(connection: AsyncConnection[Any], vehicle_id: int) -> bool:
    """In service or retired: history of either can be asked for."""
    cursor = await connection.execute("SELECT FROM vehicles WHERE id = %s", (vehicle_id,))
    return await cursor.fetchone() is not None


async def missing(connection: AsyncConnection[Any], vehicle_ids: list[int]) -> list[int]:
    """Which of these are no vehicles in service."""
    cursor = await connection.execute(
        "SELECT wanted FROM unnest(%s::int[]) AS wanted"
        " WHERE NOT EXISTS (SELECT FROM vehicles WHERE id = wanted AND retired_at IS NULL) ORDER BY wanted",
        (vehicle_ids,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def find(connection: AsyncConnection[Any], plate: str, plate_color: int) -> int | None:
    """The vehicle in service with this plate, locked against being retired meanwhile."""
    cursor = await connection.execute(
        "SELECT id FROM vehicles WHERE plate = %s AND plate_color = %s AND retired_at IS NULL FOR SHARE",
        (plate, plate_color),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def lock(connection: AsyncConnection[Any], vehicle_id: int) -> dict[str, Any] | None:
    """The bare row of a vehicle in service, locked until the transaction ends."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        f"SELECT id, {', '.join(COLUMNS)} FROM vehicles WHERE id = %s AND retired_at IS NULL FOR UPDATE", (vehicle_id,)
    )
    return await cursor.fetchone()


async def insert(connection: AsyncConnection[Any], values: Mapping[str, Any]) -> int | None:
    """The new vehicle's id; None when plate and colour are taken."""
    names = [name for name in COLUMNS if name in values]
    query = sql.SQL(
        "INSERT INTO vehicles ({}) VALUES ({})"
        " ON CONFLICT (plate, plate_color) WHERE plate <> '' AND retired_at IS NULL DO NOTHING RETURNING id"
    ).format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(sql.Placeholder() * len(names)))
    cursor = await connection.execute(query, [values[name] for name in names])
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(connection: AsyncConnection[Any], vehicle_id: int, values: Mapping[str, Any]) -> bool:
    """Change the given columns. False when plate and colour are taken."""
    names = [name for name in COLUMNS if name in values]
    query = sql.SQL("UPDATE vehicles SET {}, updated_at = now() WHERE id = {}").format(
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in names),
        sql.Placeholder(),
    )
    if not names:
        return True
    try:
        async with connection.transaction():
            await connection.execute(query, [*(values[name] for name in names), vehicle_id])
    except errors.UniqueViolation:
        return False
    return True


async def retire(connection: AsyncConnection[Any], vehicle_id: int) -> None:
    """Take it out of service: its history stays, its terminals go back to stock."""
    await connection.execute("UPDATE vehicles SET retired_at = now(), updated_at = now() WHERE id = %s", (vehicle_id,))
    await connection.execute(
        "UPDATE terminals SET vehicle_id = NULL, updated_at = now() WHERE vehicle_id = %s", (vehicle_id,)
    )


async def in_service(connection: AsyncConnection[Any]) -> dict[int, bool]:
    """Every vehicle there ever was, and whether it is in service."""
    cursor = await connection.execute("SELECT id, retired_at IS NULL FROM vehicles")
    return dict(await cursor.fetchall())


async def lock_all(connection: AsyncConnection[Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """All vehicles in service by plate and colour; nobody else changes vehicles until the transaction ends."""
    await connection.execute("LOCK TABLE vehicles, terminals IN SHARE ROW EXCLUSIVE MODE")
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT id, {', '.join(COLUMNS)} FROM vehicles WHERE retired_at IS NULL AND plate <> ''")
    return {(row["plate"], row["plate_color"]): row for row in await cursor.fetchall()}


_RECORD = (
    "(id int, plate text, plate_color smallint, vin text, vehicle_type text, organization_id int, speed_limit_kmh real)"
)


async def insert_many(connection: AsyncConnection[Any], rows: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """Many at once, in one statement; their ids by plate and colour."""
    cursor = await connection.execute(
        "INSERT INTO vehicles (plate, plate_color, vin, vehicle_type, organization_id, speed_limit_kmh)"
        " SELECT plate, plate_color, vin, vehicle_type, organization_id, speed_limit_kmh"
        f" FROM jsonb_to_recordset(%s) AS r {_RECORD} RETURNING plate, plate_color, id",
        (Jsonb(rows),),
    )
    return {(plate, color): vehicle_id for plate, color, vehicle_id in await cursor.fetchall()}


async def update_many(connection: AsyncConnection[Any], rows: list[dict[str, Any]]) -> None:
    """Set vin, type, organization and speed limit of many at once; each row whole, with its id."""
    await connection.execute(
        "UPDATE vehicles v SET vin = r.vin, vehicle_type = r.vehicle_type, organization_id = r.organization_id,"
        " speed_limit_kmh = r.speed_limit_kmh, updated_at = now()"
        f" FROM jsonb_to_recordset(%s) AS r {_RECORD} WHERE v.id = r.id",
        (Jsonb(rows),),
    )

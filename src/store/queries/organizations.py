"""Organizations (所属企业)."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, errors
from psycopg.rows import dict_row

_SELECT = (
    "SELECT id, name, parent_id,"
    " (SELECT count(*) FROM vehicles v WHERE v.organization_id = o.id AND v.retired_at IS NULL) AS vehicles"
    " FROM organizations o"
)


async def page(connection: AsyncConnection[Any], *, after_id: int, limit: int) -> list[dict[str, Any]]:
    """In order of id, from behind ``after_id`` on; ``vehicles`` counts those in service."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"{_SELECT} WHERE id > %s ORDER BY id LIMIT %s", (after_id, limit))
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], organization_id: int) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"{_SELECT} WHERE id = %s", (organization_id,))
    return await cursor.fetchone()


async def exists(connection: AsyncConnection[Any], organization_id: int) -> bool:
    cursor = await connection.execute("SELECT FROM organizations WHERE id = %s FOR KEY SHARE", (organization_id,))
    return await cursor.fetchone() is not None


async def lock(connection: AsyncConnection[Any]) -> None:
    """One change at a time, so that two cannot make a circle, a name twice, or part of what is being deleted."""
    await connection.execute("LOCK TABLE organizations IN SHARE ROW EXCLUSIVE MODE")


async def ancestors(connection: AsyncConnection[Any], organization_id: int) -> set[int]:
    """The organization itself and all it is part of; empty when there is none."""
    cursor = await connection.execute(
        "WITH RECURSIVE up (id, parent_id) AS (SELECT id, parent_id FROM organizations WHERE id = %s"
        " UNION SELECT o.id, o.parent_id FROM organizations o JOIN up ON o.id = up.parent_id) SELECT id FROM up",
        (organization_id,),
    )
    return {row[0] for row in await cursor.fetchall()}


async def insert(connection: AsyncConnection[Any], *, name: str, parent_id: int | None) -> int | None:
    """The new id; None when the name is taken."""
    cursor = await connection.execute(
        "INSERT INTO organizations (name, parent_id) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING RETURNING id",
        (name, parent_id),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(connection: AsyncConnection[Any], organization_id: int, *, name: str, parent_id: int | None) -> bool:
    """False when the name is taken."""
    try:
        async with connection.transaction():
            await connection.execute(
                "UPDATE organizations SET name = %s, parent_id = %s WHERE id = %s", (name, parent_id, organization_id)
            )
    except errors.UniqueViolation:
        return False
    return True


async def use_of(connection: AsyncConnection[Any], organization_id: int) -> str:
    """What keeps it from being deleted, in words; '' when nothing does."""
    cursor = await connection.execute(
        "SELECT (SELECT count(*) FROM vehicles WHERE organization_id = %(id)s AND retired_at IS NULL),"
        " (SELECT count(*) FROM organizations WHERE parent_id = %(id)s)",
        {"id": organization_id},
    )
    row = await cursor.fetchone()
    vehicles, children = row or (0, 0)
    parts = []
    if vehicles:
        parts.append(f"{vehicles} vehicles")
    if children:
        parts.append(f"{children} organizations under it")
    return " and ".join(parts)


async def delete(connection: AsyncConnection[Any], organization_id: int) -> None:
    """Remove it; vehicles out of service lose the mention."""
    await connection.execute(
        "UPDATE vehicles SET organization_id = NULL WHERE organization_id = %s AND retired_at IS NOT NULL",
        (organization_id,),
    )
    await connection.execute("DELETE FROM organizations WHERE id = %s", (organization_id,))


async def ids_by_name(connection: AsyncConnection[Any]) -> dict[str, int]:
    cursor = await connection.execute("SELECT name, id FROM organizations")
    return dict(await cursor.fetchall())


async def insert_many(connection: AsyncConnection[Any], names: list[str]) -> dict[str, int]:
    """New organizations without a parent; their ids by name."""
    cursor = await connection.execute(
        "INSERT INTO organizations (name) SELECT unnest(%s::text[]) RETURNING name, id", (names,)
    )
    return dict(await cursor.fetchall())

"""The quarantine: reports that became no position, with their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

_COLUMNS: Final = "id, received_at, phone, edition, message_id, serial_no, reason, detail, body"
_FILTER: Final = (
    "(%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(phone)s::text IS NULL OR phone = %(phone)s) "
    "AND (%(message_id)s::integer IS NULL OR message_id = %(message_id)s)"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One row. ``body`` is a whole message body of ``message_id``; of a fact of the gateway's own, JSON."""

    id: int
    received_at: datetime
    phone: str
    edition: str
    message_id: int
    serial_no: int
    reason: str
    detail: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """None: any."""

    reason: str | None = None
    phone: str | None = None
    message_id: int | None = None

    def values(self) -> dict[str, Any]:
        return {"reason": self.reason, "phone": self.phone, "message_id": self.message_id}


async def find(connection: AsyncConnection[Any], wanted: Filter, *, before_id: int | None, limit: int) -> list[Kept]:
    """The newest rows, newest first; ``before_id``: the next page begins below the last id of the one before."""
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE {_FILTER} AND (%(before)s::bigint IS NULL OR id < %(before)s) "
            "ORDER BY id DESC LIMIT %(limit)s",
            wanted.values() | {"before": before_id, "limit": limit},
        )
        return await cursor.fetchall()


async def count(connection: AsyncConnection[Any], wanted: Filter) -> dict[str, int]:
    """How many rows there are, by reason."""
    cursor = await connection.execute(
        f"SELECT reason, count(*) FROM quarantine WHERE {_FILTER} GROUP BY reason ORDER BY reason", wanted.values()
    )
    return dict(await cursor.fetchall())


async def by_id(connection: AsyncConnection[Any], row_id: int) -> Kept | None:
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM quarantine WHERE id = %s", (row_id,))
        return await cursor.fetchone()


async def newest_id(connection: AsyncConnection[Any]) -> int:
    """0 when there is none."""
    row = await (await connection.execute("SELECT coalesce(max(id), 0) FROM quarantine")).fetchone()
    return int(row[0]) if row is not None else 0


async def lock(
    connection: AsyncConnection[Any],
    wanted: Filter,
    *,
    ids: Sequence[int] | None,
    message_ids: Sequence[int],
    after_id: int,
    upto_id: int,
    limit: int,
) -> list[Kept]:
    """The oldest rows with ``after_id`` < id <= ``upto_id``, ours until the end of the transaction; what somebody else
    has is left out."""
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE {_FILTER} AND id > %(after)s AND id <= %(upto)s "
            "AND message_id = ANY (%(known)s) AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) "
            "ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
            wanted.values()
            | {
                "after": after_id,
                "upto": upto_id,
                "known": list(message_ids),
                "ids": None if ids is None else list(ids),
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def remove(connection: AsyncConnection[Any], ids: Sequence[int]) -> None:
    await connection.execute("DELETE FROM quarantine WHERE id = ANY (%s)", (list(ids),))

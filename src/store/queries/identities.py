"""Terminals as the gateway must know them, to let them in without asking the database."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection


class IdentityRow(NamedTuple):
    """One terminal's part in logging in."""

    phone: str
    standing: str
    terminal_id: str
    edition: str
    auth_code_hash: bytes | None
    auth_issued_us: int
    idle_s: float | None  # how long it may be silent; None: nobody has said


_COLUMNS: Final = """
t.phone, t.standing, t.terminal_id, t.edition, t.auth_code_hash, t.auth_issued_us,
coalesce(t.idle_s, (
    SELECT l.idle_s FROM link_limits l
    WHERE l.manufacturer_id IN ('', t.manufacturer_id) AND l.terminal_model IN ('', t.terminal_model)
    ORDER BY l.terminal_model = '', l.manufacturer_id = '' LIMIT 1
))"""


async def read_identities(
    connection: AsyncConnection[Any], *, changed_within_s: float | None = None
) -> list[IdentityRow]:
    """All terminals; with `changed_within_s` those whose row was changed since then, by the server's clock."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM terminals t"
        " WHERE %(s)s::float8 IS NULL OR t.updated_at > now() - %(s)s::float8 * interval '1 s'",
        {"s": changed_within_s},
    )
    return [IdentityRow(*row) for row in await cursor.fetchall()]

"""Terminals as the gateway must know them, to let them in without asking the database."""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import AsyncConnection


class IdentityRow(NamedTuple):
    """One terminal's part in logging in."""

    phone: str
    standing: str
    terminal_id: str
    edition: str
    auth_code_hash: bytes | None
    auth_issued_us: int


async def read_identities(
    connection: AsyncConnection[Any], *, changed_within_s: float | None = None
) -> list[IdentityRow]:
    """All terminals; with `changed_within_s` those whose row was changed since then, by the server's clock."""
    cursor = await connection.execute(
        "SELECT phone, standing, terminal_id, edition, auth_code_hash, auth_issued_us FROM terminals"
        " WHERE %(s)s::float8 IS NULL OR updated_at > now() - %(s)s::float8 * interval '1 s'",
        {"s": changed_within_s},
    )
    return [IdentityRow(*row) for row in await cursor.fetchall()]

"""Taking a terminal in and putting it into a vehicle, for every route that does so."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from api.problems import conflict
from store.queries import terminals


async def put_into(connection: AsyncConnection[Any], phone: str, vehicle_id: int) -> int:
    """Put the terminal with this phone into a vehicle: taken in when it is new, approved when it waits for it.

    Returns:  the terminal's id.
    Raises:   ProblemError: 409, it is in another vehicle, or blocked.
    """
    terminal_id = await terminals.insert(connection, phone=phone)
    if terminal_id is None:
        known = await terminals.lock(connection, phone=phone)
        assert known is not None, "a terminal that cannot be inserted exists"
        terminal_id = int(known["id"])
        if known["vehicle_id"] == vehicle_id:
            return terminal_id
        if known["vehicle_id"] is not None:
            detail = f"Terminal {phone} is in vehicle {known['plate']} (id {known['vehicle_id']}); move it from there."
            raise conflict("terminal-elsewhere", detail, existing_id=terminal_id, vehicle_id=known["vehicle_id"])
        if known["standing"] == "blocked":
            raise conflict(
                "terminal-blocked", f"Terminal {phone} is blocked; approve it first.", existing_id=terminal_id
            )
    await terminals.bind(connection, [terminal_id], [vehicle_id])
    return terminal_id

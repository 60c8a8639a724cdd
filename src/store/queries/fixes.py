"""Which fixes are stored already."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

from fleet import PositionBatch
from store.arrays import Int4, Int8, Timestamptz
from store.partitions import US_PER_DAY
from store.values import to_datetime

# LATERAL with LIMIT keeps it a look into the unique index per row, whatever the planner thinks of the number of rows;
# the bounds of the day leave one partition to look into.
_STORED: Final = """
SELECT c.n FROM unnest(%s, %s, %s, %s, %s) AS c(n, vehicle_id, time, terminal_id, fix_hash)
CROSS JOIN LATERAL (
    SELECT FROM positions p WHERE p.vehicle_id = c.vehicle_id AND p.time = c.time AND p.terminal_id = c.terminal_id
    AND p.fix_hash = c.fix_hash AND p.time >= %s AND p.time < %s LIMIT 1
) AS found
"""


async def stored(connection: AsyncConnection[Any], batch: PositionBatch) -> NDArray[np.bool_]:
    """One bool a row: True where the database has this fix. A look into an index each, a statement for each day."""
    is_stored = np.zeros(len(batch), np.bool_)
    days = batch.time_us // US_PER_DAY
    for day in np.unique(days).tolist():
        rows = np.flatnonzero(days == day)
        cursor = await connection.execute(
            _STORED,
            (
                Int4(rows.astype(np.int32)),
                Int4(batch.vehicle_id[rows]),
                Timestamptz(batch.time_us[rows]),
                Int4(batch.terminal_id[rows]),
                Int8(batch.fix_hash[rows]),
                to_datetime(day * US_PER_DAY),
                to_datetime((day + 1) * US_PER_DAY),
            ),
        )
        is_stored[[row[0] for row in await cursor.fetchall()]] = True
    return is_stored

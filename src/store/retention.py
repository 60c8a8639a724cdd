"""What is taken out of the database with age, and what bounds the tables that only grow. Positions go by whole days
(``partitions.drop_before``), everything else here, in bites that are each committed: one delete of millions of rows
would hold its locks and its WAL for minutes.

Logs      what was heard and done, row by row: old rows go, and the oldest also when there are too many.
Records   what people did and have to answer for: kept for years, as the law asks; what still runs stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection, sql

from store.values import to_datetime

LOGS: Final = {
    "quarantine": "received_at",
    "terminal_messages": "received_at",
    "session_log": "time",
    "platform_link_log": "time",
}
"""Tables with an ascending ``id``, and the column of their time."""

RECORDS: Final = {
    "alarms": ("begin_time", "end_time IS NOT NULL"),
    "commands": ("created_at", "state NOT IN ('awaiting_confirmation', 'queued', 'sent') AND answer_by IS NULL"),
    "command_groups": ("created_at", "NOT EXISTS (SELECT FROM commands c WHERE c.group_id = command_groups.id)"),
    "audit": ("time", "true"),
}
"""Tables, the column of their time (it has an index), and which rows are over."""

_ROWS_A_DELETE: Final = 20_000

# Rows come in the order of their time, so the oldest are found by the key and no index of the time is needed.
_OLD_LOGS: Final = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM (SELECT id, {column} FROM {table} ORDER BY id LIMIT %(rows)s) o "
    "WHERE o.{column} < %(before)s)"
)
_TOO_MANY: Final = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - %(keep)s "
    "ORDER BY id LIMIT %(rows)s)"
)
_OLD_RECORDS: Final = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {column} < %(before)s AND {over} "
    "ORDER BY {column} LIMIT %(rows)s)"
)


@dataclass(frozen=True, slots=True)
class Keep:
    """Microseconds since 1970: logs and records from before go. None: records are kept for ever."""

    logs_from_us: int
    records_from_us: int | None
    log_rows: int  # of each table, about


async def drop_old(connection: AsyncConnection[Any], keep: Keep) -> Mapping[str, int]:
    """Delete what is over; returns the number of rows by "TABLE,REASON", the reason being "age" or "number".

    The connection must hold no work of the caller's: it is committed again and again.
    """
    deleted: dict[str, int] = {}
    for table, column in LOGS.items():
        values = {"before": to_datetime(keep.logs_from_us), "keep": keep.log_rows}
        deleted[f"{table},age"] = await _in_bites(connection, _OLD_LOGS, table, column, values)
        deleted[f"{table},number"] = await _in_bites(connection, _TOO_MANY, table, column, values)
    if keep.records_from_us is not None:
        before = {"before": to_datetime(keep.records_from_us)}
        for table, (column, over) in RECORDS.items():
            deleted[f"{table},age"] = await _in_bites(connection, _OLD_RECORDS, table, column, before, over)
    return {what: rows for what, rows in deleted.items() if rows}


async def _in_bites(
    connection: AsyncConnection[Any],
    template: str,
    table: str,
    column: str,
    values: Mapping[str, Any],
    over: str = "true",
) -> int:
    statement = sql.SQL(template).format(
        table=sql.Identifier(table), column=sql.Identifier(column), over=sql.SQL(over)
    )  # fmt: skip
    deleted = 0
    while True:
        cursor = await connection.execute(statement, {**values, "rows": _ROWS_A_DELETE})
        await connection.commit()
        deleted += cursor.rowcount
        if cursor.rowcount < _ROWS_A_DELETE:
            return deleted

"""`roadwarden quarantine`: look at the reports that became no position, and try them again after a fix of ours."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from typing import Any, TypeVar

import psycopg

import store
from fleet import CHINA
from ingest.digest import Digester
from ingest.directory import Directory
from jt808 import Edition
from jt808.explain import Explanation, explain_body
from roadwarden.maintenance import database
from roadwarden.parts import engine_defaults, plausible
from roadwarden.replay import REPORTS, replay
from roadwarden.settings import Settings
from store.queries import quarantine
from store.queries.quarantine import Filter, Kept

T = TypeVar("T")


class _Failed(Exception):
    """With a message for people."""


def _run(settings: Settings, work: Callable[[store.Database], Awaitable[T]]) -> T:
    async def opened(dsn: str) -> T:
        pool = store.Database(dsn, max_size=2, name="roadwarden quarantine")
        await pool.open()
        try:
            return await work(pool)
        finally:
            await pool.close()

    try:
        with database(settings) as dsn:
            return asyncio.run(opened(dsn))
    except psycopg.errors.UndefinedTable:
        raise _Failed("the database has no schema yet: run `roadwarden migrate`") from None
    except (store.StoreError, psycopg.Error) as error:
        raise _Failed(str(error).strip()) from error


def _explain(row: Kept) -> Explanation | None:
    """What the bytes say; None when they are no message's (JSON of a fact of the gateway's own)."""
    if not row.message_id or row.edition not in set(Edition) or row.body[:1] == b"{":
        return None
    return explain_body(row.message_id, Edition(row.edition), row.body, phone=row.phone, serial_no=row.serial_no)


def _as_json(row: Kept) -> dict[str, Any]:
    explanation = _explain(row)
    told = {
        "id": row.id,
        "received_at": row.received_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reason": row.reason,
        "detail": row.detail,
        "raw": row.body.hex(),
    }
    if explanation is not None:
        return told | explanation.as_json() | {"header": None}
    return told | {"message_id": f"0x{row.message_id:04X}", "phone": row.phone, "edition": row.edition}


def listing(settings: Settings, wanted: Filter, before_id: int | None, limit: int, as_json: bool) -> int:
    async def read(pool: store.Database) -> tuple[dict[str, int], list[Kept]]:
        async with pool.connection() as connection:
            return (
                await quarantine.count(connection, wanted),
                await quarantine.find(connection, wanted, before_id=before_id, limit=limit),
            )

    try:
        counts, rows = _run(settings, read)
    except _Failed as error:
        return _fail(error)
    if as_json:
        for row in rows:
            print(json.dumps(_as_json(row), ensure_ascii=False))
        return 0
    for row in rows:
        received = row.received_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
        message = f"0x{row.message_id:04X} {len(row.body):>5} bytes"
        print(f"{row.id:>8}  {received}  {row.phone:<12} {row.edition:<4} {message}  {row.reason}: {row.detail}")
    total = sum(counts.values())
    print(f"{total:,} in quarantine" + "".join(f"; {count:,} {reason}" for reason, count in counts.items()))
    if len(rows) == limit and rows:
        print(f"older ones: --before {rows[-1].id}")
    return 0


def show(settings: Settings, row_id: int, as_json: bool) -> int:
    async def read(pool: store.Database) -> Kept | None:
        async with pool.connection() as connection:
            return await quarantine.by_id(connection, row_id)

    try:
        row = _run(settings, read)
    except _Failed as error:
        return _fail(error)
    if row is None:
        return _fail(f"there is no row {row_id} in quarantine (moved by a replay, or dropped with age)")
    if as_json:
        print(json.dumps(_as_json(row), ensure_ascii=False))
        return 0
    received = row.received_at.astimezone(CHINA).isoformat(" ", "milliseconds")
    print(f"row {row.id}, phone {row.phone}, serial number {row.serial_no}, received {received}")
    print(f"kept because: {row.reason}: {row.detail}\n")
    explanation = _explain(row)
    print(explanation.as_tree() if explanation is not None else row.body.decode("utf-8", "replace"))
    return 0


def again(settings: Settings, wanted: Filter, ids: Sequence[int] | None) -> int:
    digester = Digester(Directory(), plausible(settings))
    try:
        done = _run(settings, lambda pool: replay(pool, digester, wanted, ids, engine_defaults(settings)))
    except _Failed as error:
        return _fail(error)
    kinds = ", ".join(f"0x{message_id:04X}" for message_id in REPORTS)
    print(
        f"{done.tried:,} reports ({kinds}) tried: {done.moved:,} left the quarantine with {done.positions:,} new "
        f"positions ({done.repeats:,} were stored already) and {done.alarms:,} late alarms, "
        f"{done.tried - done.moved:,} stay"
    )
    if ids and (lacking := len(set(ids)) - done.tried) > 0:
        return _fail(f"{lacking} of the rows that were named are no such reports, or not in quarantine any more")
    return 0


def _fail(error: object) -> int:
    print(f"roadwarden: {error}", file=sys.stderr)
    return 1

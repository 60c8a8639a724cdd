"""A pipeline with what it stands between: a real journal, written by the test, and a real database."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from psycopg import sql

from alarms import AlarmEngine, EngineDefaults
from fleet import CHINA, Bus, Registration, SessionChange
from ingest.digest import Digester
from ingest.directory import Directory
from ingest.journal import (
    EDITION_CODES,
    HEADER_DTYPE,
    RECORD_HEADER,
    Fact,
    Group,
    JournalFile,
    Kind,
    SqliteJournalReader,
    encode_fact,
    journal_path,
)
from ingest.pipeline import Pipeline
from ingest.plausible import Plausible
from store import Database
from tests.ingest.waiting import until
from tests.wire import location_body

T0 = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)  # 12:00 in China
PHONE = "13900000001"


def us(at: float) -> int:
    """``at`` seconds after T0, in microseconds."""
    return int((T0 + timedelta(seconds=at)).timestamp() * 1_000_000)


def bcd(at: float) -> str:
    return f"{(T0 + timedelta(seconds=at)).astimezone(CHINA):%y%m%d%H%M%S}"


def fix(at: float, **parts: Any) -> bytes:
    """A 0x0200 body whose time is ``at`` seconds after T0; ``parts`` as of ``tests.wire.location_body``."""
    return location_body(bcd(at), **parts)


def bulk(kind: int, *bodies: bytes) -> bytes:
    """A 0x0704 body."""
    return struct.pack(">HB", len(bodies), kind) + b"".join(struct.pack(">H", len(body)) + body for body in bodies)


@dataclass(frozen=True)
class Rec:
    """One record of the journal."""

    body: bytes
    message_id: int = 0x0200
    phone: str = PHONE
    received: float | None = None  # seconds after T0; None: a second after the time of the report
    kind: int = Kind.MESSAGE
    edition: str = "2013"
    serial_no: int = 7

    @property
    def received_us(self) -> int:
        return us(10_000.0) if self.received is None else us(self.received)


def report(at: float, phone: str = PHONE, *, received: float | None = None, **parts: Any) -> Rec:
    """A 0x0200, received a second after its time unless said otherwise."""
    return Rec(fix(at, **parts), phone=phone, received=at + 1 if received is None else received)


def fact(what: Fact, kind: Kind) -> Rec:
    phone = getattr(what, "phone", "") or "0"
    return Rec(encode_fact(what), 0, phone, (what.received_us - us(0)) / 1e6, kind)


def registered(phone: str = PHONE, plate: str = "辽A10001", at: float = -60.0, **parts: Any) -> Rec:
    values: dict[str, Any] = {
        "received_us": us(at), "phone": phone, "edition": "2013", "province_id": 21, "city_id": 100,
        "manufacturer_id": "70111", "terminal_model": "SIM", "terminal_id": "T1", "plate_color": 2, "plate": plate,
        "auth_code_hash": bytes(32), "auth_issued_us": us(at),
    }  # fmt: skip
    return fact(Registration(**values | parts), Kind.REGISTERED)


def session(online: bool, at: float, phone: str = PHONE, reason: str = "") -> Rec:
    change = SessionChange(us(at), phone, online, "10.0.0.1:1234", "tcp", "2013", reason)
    return fact(change, Kind.SESSION_BEGIN if online else Kind.SESSION_END)


def group_parts(records: Sequence[Rec]) -> tuple[bytes, bytes]:
    """The headers and the bodies of a group, as the journal stores them."""
    headers, at = [], 0
    for rec in records:
        phone_field = bytes.fromhex(rec.phone.zfill(20))
        headers.append(
            RECORD_HEADER.pack(
                rec.received_us, at, len(rec.body), rec.message_id, rec.serial_no, rec.kind,
                EDITION_CODES.get(rec.edition, 99), phone_field,
            )
        )  # fmt: skip
        at += len(rec.body)
    return b"".join(headers), b"".join(rec.body for rec in records)


def group_of(*records: Rec, offset: int = 1) -> Group:
    headers, bodies = group_parts(records)
    return Group(offset, us(0), np.frombuffer(headers, HEADER_DTYPE), memoryview(bodies))


class World:
    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        self.now_us = us(60.0)
        self.file = JournalFile(journal_path(folder))
        self.file.open()
        self.reader = SqliteJournalReader(journal_path(folder))
        self.bus = Bus()
        self.heard = self.bus.subscribe("test", capacity=100_000)
        self.pipeline = self.begin()

    def begin(self, **options: Any) -> Pipeline:
        """A new pipeline with an empty memory, as after a restart."""
        self.digester = Digester(Directory(), Plausible())
        self.pipeline = Pipeline(
            self.reader, self.database, lambda: AlarmEngine(EngineDefaults()), self.bus, self.digester,
            **{"clock_us": lambda: self.now_us, "retry_s": 0.01, "reload_s": 0.0} | options,
        )  # fmt: skip
        return self.pipeline

    def write(self, *records: Rec) -> int:
        """A group to the journal; its offset."""
        return self.file.write(len(records), group_parts(records))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pipeline]:
        task = asyncio.create_task(self.pipeline.run())
        try:
            yield self.pipeline
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(results[0], asyncio.CancelledError):
                raise AssertionError("the pipeline ended by itself") from results[0]

    async def drain(self) -> Pipeline:
        """Run until all that was written is stored."""
        async with self.running() as pipeline:
            await until(lambda: pipeline.status.running and pipeline.status.offset == self.file.last_offset)
        return pipeline

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(sql.SQL(statement), values or None)  # type: ignore[arg-type]
            return await cursor.fetchall()

    async def positions(self, columns: str = "extract(epoch FROM time)::bigint") -> list[Any]:
        """Of every position, by time: its time in seconds after T0 when it is left at that."""
        rows = await self.rows(f"SELECT {columns} FROM positions ORDER BY time, fix_hash")
        if columns.startswith("extract"):
            return [row[0] - us(0) // 1_000_000 for row in rows]
        return rows

    async def quarantine(self) -> list[tuple[str, str, int, bytes]]:
        return await self.rows("SELECT reason, phone, message_id, body FROM quarantine ORDER BY id")  # type: ignore[return-value]

    def close(self) -> None:
        self.reader.close()
        self.file.close()


def events(world: World, kind: type) -> list[Any]:
    """What was published of this kind, in order."""
    return [event for event in world.heard._queue if isinstance(event, kind)]

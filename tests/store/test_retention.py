"""What goes with age and by number, in bites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import store
from store import retention
from store.retention import Keep, drop_old
from store.values import to_us

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ALL = 10**9


def days_ago(days: float) -> int:
    return to_us(NOW - timedelta(days=days))


@pytest.fixture
async def filled(postgresql_database: store.Database, monkeypatch: pytest.MonkeyPatch) -> store.Database:
    """Ten rows of each table, 9 to 0 days old, in the order of their time."""
    monkeypatch.setattr(retention, "_ROWS_A_DELETE", 3)
    age = f"timestamptz '{NOW.isoformat()}' - (9 - n) * interval '1 day'"
    ten = "FROM generate_series(0, 9) AS n"
    async with postgresql_database.connection() as connection:
        for statement in (
            f"INSERT INTO session_log (time, phone, online, peer, transport, edition, reason) "
            f"SELECT {age}, '1', true, '', '', '', '' {ten}",
            f"INSERT INTO quarantine (received_at, phone, edition, message_id, serial_no, reason, detail, body) "
            f"SELECT {age}, '1', '2013', 512, 0, 'undecodable', '', '' {ten}",
            f"INSERT INTO terminal_messages (received_at, phone, edition, message_id, serial_no, body) "
            f"SELECT {age}, '1', '2013', 512, 0, '' {ten}",
            "INSERT INTO vehicles (plate) VALUES ('A')",
            f"INSERT INTO alarms (id, vehicle_id, rule, severity, source, begin_time, end_time, updated_time) "
            f"SELECT gen_random_uuid(), v.id, 'offline', 3, 'platform', {age}, CASE n WHEN 2 THEN NULL ELSE {age} END,"
            f" {age} FROM vehicles v, generate_series(0, 9) AS n",
            "INSERT INTO alarm_steps (alarm_id, action, from_state, to_state) "
            "SELECT id, 'claim', 'open', 'claimed' FROM alarms",
            f"INSERT INTO commands (vehicle_id, phone, kind, state, created_at, expires_at) "
            f"SELECT v.id, '1', 'text', CASE n WHEN 2 THEN 'queued' WHEN 3 THEN 'acknowledged' ELSE 'answered' END,"
            f" {age}, {age} FROM vehicles v, generate_series(0, 9) AS n",
            f"INSERT INTO command_groups (kind, rate_per_s, created_at, expires_at) "
            f"SELECT 'text', 1, {age}, {age} {ten}",
            "UPDATE commands SET group_id = (SELECT id FROM command_groups ORDER BY created_at LIMIT 1) "
            "WHERE state = 'queued'",
            f"INSERT INTO audit (time, action) SELECT {age}, 'test' {ten}",
        ):
            await connection.execute(statement.encode())
    return postgresql_database


async def counts(database: store.Database, *tables: str) -> list[int]:
    async with database.connection() as connection:
        found: list[Any] = []
        for table in tables:
            found += await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchall()
    return [row[0] for row in found]


async def test_old_logs_go_and_records_stay_longer(filled: store.Database) -> None:
    async with filled.connection() as connection:
        dropped = await drop_old(connection, Keep(days_ago(1.5), None, ALL))
    assert dropped == {"quarantine,age": 8, "terminal_messages,age": 8, "session_log,age": 8}
    assert await counts(filled, "quarantine", "session_log", "alarms", "audit") == [2, 2, 10, 10]


async def test_old_records_go_but_for_what_still_runs(filled: store.Database) -> None:
    async with filled.connection() as connection:
        dropped = await drop_old(connection, Keep(days_ago(100), days_ago(1.5), ALL))
    assert dropped == {"alarms,age": 7, "commands,age": 7, "command_groups,age": 7, "audit,age": 8}
    assert await counts(filled, "alarms", "alarm_steps", "commands", "audit", "session_log") == [3, 3, 3, 2, 10]
    assert await counts(filled, "command_groups") == [3], "one of a command that still waits"


async def test_too_many_rows_lose_the_oldest(filled: store.Database) -> None:
    async with filled.connection() as connection:
        dropped = await drop_old(connection, Keep(days_ago(100), None, 4))
        assert dropped == {"quarantine,number": 6, "terminal_messages,number": 6, "session_log,number": 6}
        oldest = await (await connection.execute("SELECT min(time) FROM session_log")).fetchone()
    assert oldest == (NOW - timedelta(days=3),)

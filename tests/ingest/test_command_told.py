"""Whoever is told of a change reads the row at once: it has to be there by then."""

from __future__ import annotations

import psycopg
import pytest

from fleet import CommandChanged
from tests.ingest.command_desk import Bench


@pytest.fixture
def seen(bench: Bench, postgresql_dsn: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The state that others see when they are told."""
    states: list[str] = []

    def publish(event: object) -> None:
        assert isinstance(event, CommandChanged)
        with psycopg.connect(postgresql_dsn) as connection:
            row = connection.execute("SELECT state FROM commands WHERE id = %s", (event.command_id,)).fetchone()
        assert row is not None
        states.append(row[0])

    monkeypatch.setattr(bench.bus, "publish", publish)
    return states


@pytest.mark.postgres
async def test_of_an_expired_one(bench: Bench, seen: list[str]) -> None:
    await bench.give()
    await bench.age(301)
    await bench.desk.look()
    assert seen == ["expired"]


@pytest.mark.postgres
async def test_of_one_whose_terminal_goes_while_it_is_sent(bench: Bench, seen: list[str]) -> None:
    await bench.come_online()
    await bench.give()

    async def go() -> None:
        bench.control.online.clear()

    bench.control.before_send = go
    await bench.desk.look()
    assert seen == ["queued"]

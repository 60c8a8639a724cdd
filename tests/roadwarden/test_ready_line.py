"""When the server says that it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from roadwarden import core as core_module
from roadwarden.core import Core
from roadwarden.settings import load_settings

ADDRESSES = {"http": "127.0.0.1:8080", "jt809": "127.0.0.1:6809"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(core_module, "tell_parent", lambda **message: said.append(message))
    monkeypatch.setattr(core_module, "READY_POLL_S", 0.001)
    return said


async def test_it_is_said_when_every_part_is_ready(
    tmp_path: Path, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    answers: list[Mapping[str, bool | str]] = [
        {"database": "the database is away", "schema": "the schema is not there yet"},
        {"database": True, "schema": "the schema is not there yet"},
        {"database": True, "schema": True},
    ]

    async def readiness() -> Mapping[str, bool | str]:
        assert not told
        return answers.pop(0)

    monkeypatch.setattr(core, "_readiness", readiness)
    async with asyncio.timeout(60):
        await core._tell_when_ready(ADDRESSES)
    assert not answers
    assert told == [{"ready": ADDRESSES}]


async def test_without_a_database_it_is_said_late(
    tmp_path: Path, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "READY_WAIT_S", 0.02)
    core = Core(load_settings(data_dir=tmp_path, database_url=f"postgresql:///nothing?host={tmp_path}"))
    async with asyncio.timeout(60):
        await core._tell_when_ready(ADDRESSES)
    assert told == [{"ready": ADDRESSES}]
    assert (await core._readiness())["schema"] is not True

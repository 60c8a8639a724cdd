"""A registration is answered when both the gateway's own mirror and the journal have it: a code that the gateway would
not know after its next start would lock the terminal out."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fleet import Registration
from ingest.identities import IdentityFile
from tests.ingest.terminals import register_body, running
from tests.ingest.waiting import until


async def test_a_code_that_could_not_be_written_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, is_broken = IdentityFile.write, True

    def full(self: IdentityFile, *changes: Any) -> None:
        if is_broken:
            raise sqlite3.OperationalError("database or disk is full")
        write(self, *changes)

    monkeypatch.setattr(IdentityFile, "write", full)
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        terminal.send(0x0100, register_body())
        await until(lambda: site.counters["registrations_refused{reason=disk}"] == 1)
        assert terminal.waiting == 0
        assert not [fact for fact in await site.facts() if isinstance(fact, Registration)]
        is_broken = False
        await terminal.log_in()  # it asks again on the same link
        assert site.counters["registrations"] == 1
    async with running(tmp_path) as site:
        identity = site.gateway._identities.get("13912345678")
        assert identity is not None
        assert identity.auth_code_hash is not None


async def test_a_code_that_the_journal_does_not_take_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        with monkeypatch.context() as full:
            full.setattr(site.gateway, "append", lambda *_, **__: False)
            terminal.send(0x0100, register_body())
            await until(lambda: site.counters["registrations_refused{reason=disk}"] == 1)
        assert terminal.waiting == 0
        await terminal.log_in()

"""Answered means on disk: nothing before, and what happens while the journal is slow or the disk full."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleet import Registration, SessionChange
from ingest.journal import GatewayStarted
from tests.ingest.terminals import PHONE, REPORT, Site, register_body, running
from tests.ingest.waiting import until


async def test_a_report_is_answered_when_it_is_on_disk_and_not_before(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    gate = site.hold_journal()
    report = terminal.send(0x0200, REPORT)
    assert await terminal.ask(0x0002) == 0  # the heartbeat behind it is answered at once
    assert terminal.waiting == 0
    assert await site.journaled() == []
    gate.set()
    assert await terminal.general() == (report, 0x0200, 0)
    assert await site.journaled() == [(PHONE, 0x0200, REPORT)]


async def test_a_registration_is_answered_when_it_is_on_disk_and_not_before(site: Site) -> None:
    gate = site.hold_journal()
    terminal = await site.terminal()
    serial_no = terminal.send(0x0100, register_body())
    again = terminal.send(0x0100, register_body())  # impatient
    assert await terminal.ask(0x0002) == 1  # refused, but answered: what came before it was read
    assert terminal.waiting == 0
    gate.set()
    header, body = await terminal.receive()
    assert (header.message_id, body[:3]) == (0x8100, struct.pack(">HB", serial_no, 0))
    assert await terminal.ask(0x0002) == 1
    assert terminal.waiting == 0  # one registration, one answer, one code
    assert again == serial_no + 1
    assert len([fact for fact in await site.facts() if isinstance(fact, Registration)]) == 1


async def test_a_slow_journal_stops_the_reading_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, max_pending_bytes=100_000) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        gate = site.hold_journal()
        sent = [terminal.send(0x0200, REPORT + bytes(900)) for _ in range(60)]
        await until(lambda: site.gateway.is_pressed)
        late = [terminal.send(0x0200, REPORT + bytes(900)) for _ in range(30)]
        gate.set()
        assert [(await terminal.general())[0] for _ in range(90)] == sent + late
        assert not site.gateway.is_pressed
        assert len(await site.journaled()) == 90
        assert not any(name.startswith("journal_dropped") for name in site.counters)


async def test_a_full_disk_keeps_the_links_and_promises_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, max_pending_bytes=20_000, max_displacements_per_minute=100) as site:
        terminal = await site.terminal()
        code = await terminal.log_in()
        await site.gateway._journal.flush()
        file: Any = site.gateway._journal._file
        write = file.write

        def full(records: int, parts: Sequence[bytes]) -> int:
            raise OSError(28, "No space left on device")

        file.write = full
        for _ in range(40):
            terminal.send(0x0200, REPORT + bytes(900))
        assert await terminal.ask(0x0002) == 0  # heartbeats go on
        await until(lambda: site.gateway._journal.is_failing)
        for _ in range(40):
            terminal.send(0x0200, REPORT + bytes(900))
        assert await terminal.ask(0x0002) == 0
        assert site.counters["journal_dropped{reason=full}"] > 0
        # Link ends are facts that nobody sends again: enough of them use the reserve up.
        for _ in range(40):
            newer = await site.terminal()
            assert await newer.authenticate(code) == 0
        file.write = write
        await site.gateway._journal.flush()
        facts = await site.facts()
        assert site.counters["journal_dropped{reason=urgent}"] > 0
        assert [type(fact) for fact in facts[-2:]] == [GatewayStarted, SessionChange]  # how things stand, told anew
        assert len(await site.journaled()) < 80

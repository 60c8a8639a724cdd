"""A gateway's beginning and end: it cannot start, it is closed, its process is killed."""

from __future__ import annotations

import asyncio
import signal
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from fleet import Registration, SessionChange
from ingest.gateway import GatewayConfig, run_gateway
from ingest.journal import JournalError
from tests.ingest.processes import gateway_process
from tests.ingest.terminals import PHONE, REPORT, Site, Terminal, facts_in, messages_in, register_body, running
from tests.ingest.waiting import until


async def test_a_gateway_that_cannot_start_says_why_and_leaves_nothing_open(site: Site, tmp_path: Path) -> None:
    port = int(site.address.rsplit(":", 1)[1])
    with pytest.raises(JournalError, match="another process is writing"):
        await run_gateway(GatewayConfig(tmp_path, "127.0.0.1", 0), stop=asyncio.Event())
    other = tmp_path / "other"
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        await run_gateway(GatewayConfig(other, "127.0.0.1", port), stop=asyncio.Event())
    async with running(other) as second:
        await (await second.terminal()).log_in()
    await (await site.terminal()).log_in()  # the first one never noticed


async def test_what_runs_beside_and_fails_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(every_s: float) -> None:
        raise RuntimeError("no such memory")

    monkeypatch.setattr("ingest.gateway.give_back_for_ever", fail)
    async with running(tmp_path):
        await until(lambda: "give memory back has failed" in caplog.text)
        assert "no such memory" in caplog.text


async def test_closing_answers_what_is_under_way_and_logs_everybody_off(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        sent = [terminal.send(0x0200, REPORT) for _ in range(50)]
        await until(lambda: site.counters["messages_received"] == 50)
        await site.gateway.close()
        assert [(await terminal.general())[0] for _ in range(50)] == sent
        await terminal.until_closed()
    end = facts_in(tmp_path)[-1]
    assert isinstance(end, SessionChange)
    assert (end.online, end.reason) == (False, "gateway_stopped")


async def test_a_registration_under_way_at_the_end_is_journaled(tmp_path: Path) -> None:
    gate = threading.Event()
    async with running(tmp_path) as site:
        file: Any = site.gateway._identities._file
        write = file.write
        file.write = lambda changed, removed: gate.wait(60) and write(changed, removed)
        terminal = await site.terminal()
        terminal.send(0x0100, register_body())
        await until(lambda: site.gateway._identities._writing)
        closing = asyncio.create_task(site.gateway.close())
        await terminal.until_closed()
        gate.set()
        await closing
    assert [fact.phone for fact in facts_in(tmp_path) if isinstance(fact, Registration)] == [PHONE]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_answered_outlives_the_process(tmp_path: Path, number: signal.Signals) -> None:
    async with gateway_process(tmp_path) as (process, address):
        terminals = [await Terminal.connect(address, str(13900000000 + i)) for i in range(10)]
        for terminal in terminals:
            await terminal.log_in()
        for round_no in range(30):
            for terminal in terminals:
                terminal.send(0x0200, REPORT + struct.pack(">H", round_no))
        for terminal in terminals:
            for _ in range(10):
                await terminal.general()
        process.send_signal(number)
        for terminal in terminals:
            await terminal.until_closed()
        answered: set[tuple[str, int]] = set()
        for terminal in terminals:
            count = 10
            while terminal.waiting:
                await terminal.general()
                count += 1
            answered |= {(terminal.phone, round_no) for round_no in range(count)}
        code = await asyncio.to_thread(process.wait, 60)
    stored = {(phone, struct.unpack(">H", body[-2:])[0]) for phone, _, body in messages_in(tmp_path)}
    assert answered <= stored
    if number == signal.SIGTERM:
        assert code == 0
        assert len([f for f in facts_in(tmp_path) if isinstance(f, SessionChange) and not f.online]) == 10
    # and the next process goes on with it
    async with gateway_process(tmp_path) as (process, address):
        terminal = await Terminal.connect(address)
        await terminal.log_in()
        assert await terminal.ask(0x0200, REPORT) == 0
        terminal.close()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    assert len(messages_in(tmp_path)) == len(stored) + 1

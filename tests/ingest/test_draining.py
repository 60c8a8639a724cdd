"""The gateway's end: links are closed over a window, answered what is on disk, and nothing else."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from fleet import SessionChange
from ingest import draining
from ingest.draining import close_spread
from tests.ingest.processes import gateway_process
from tests.ingest.terminals import REPORT, Terminal, facts_in, messages_in, running
from tests.ingest.waiting import until


async def test_links_are_closed_a_few_at_a_time_and_nobody_is_answered_falsely(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=3.0) as site:
        terminals = [await site.terminal(str(13900000000 + number)) for number in range(300)]
        for begin in range(0, 300, 50):
            await asyncio.gather(*(terminal.log_in() for terminal in terminals[begin : begin + 50]))
        closing = asyncio.create_task(site.gateway.close())
        await until(lambda: site.counters["links_ended{reason=gateway_stopped}"])
        left = site.gateway.sessions.links()
        assert len(left) > 150  # most are served as before
        with pytest.raises(OSError):  # nobody new is
            await Terminal.connect(site.address)
        sent = {terminal.phone: terminal.send(0x0200, REPORT) for terminal in terminals}
        await closing
        await asyncio.gather(*(terminal.until_closed() for terminal in terminals))
        answered = set()
        for terminal in terminals:
            while terminal.waiting:
                assert await terminal.general() == (sent[terminal.phone], 0x0200, 0)
                answered.add(terminal.phone)
    stored = {phone for phone, message_id, _ in messages_in(tmp_path) if message_id == 0x0200}
    assert answered
    assert answered <= stored
    ends = [fact for fact in facts_in(tmp_path) if isinstance(fact, SessionChange) and not fact.online]
    assert len({end.phone for end in ends}) == len(ends) == 300
    assert ends[-1].received_us - ends[0].received_us > 500_000  # spread


async def test_datagrams_are_served_until_it_is_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "STEP_S", 3600.0)  # until it is hastened
    monkeypatch.setattr(draining, "LINKS_PER_S", 1e-6)
    async with running(tmp_path, drain_s=1e6) as site:
        first = await site.terminal("13900000001")
        await first.log_in()
        last = await site.udp_terminal("13900000002")
        await last.log_in()
        closing = asyncio.create_task(site.gateway.close())
        await first.until_closed()
        assert await last.ask(0x0200, REPORT) == 0
        (await site.udp_terminal("13900000003")).send(0x0100, b"too late")
        await until(lambda: site.counters["datagrams_dropped{reason=closing}"] == 1)
        site.gateway.hasten()
        await closing
        assert site.counters["links_ended{reason=gateway_stopped}"] == 2


async def test_a_second_signal_hastens_the_end(tmp_path: Path) -> None:
    async with gateway_process(tmp_path, "drain_s=3600.0,", "LINKS_PER_S=0.001") as (process, address):
        terminals = [await Terminal.connect(address, str(13900000000 + number)) for number in range(3)]
        for terminal in terminals:
            await terminal.log_in()
        process.send_signal(signal.SIGTERM)
        await until(lambda: any(terminal.closed.is_set() for terminal in terminals))
        assert not all(terminal.closed.is_set() for terminal in terminals)
        process.send_signal(signal.SIGTERM)
        for terminal in terminals:
            await terminal.until_closed()
        assert await asyncio.to_thread(process.wait, 60) == 0


class Link:
    def __init__(self, log: list[str]) -> None:
        self.is_ended = False
        self.log = log

    def press(self, paused: bool) -> None:
        self.log.append("press")

    def end(self, reason: str) -> None:
        self.is_ended = True
        self.log.append("end")


async def test_each_share_is_on_disk_before_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "STEP_S", 0.001)
    log: list[str] = []

    async def flush() -> None:
        log.append("flush")

    links = [Link(log) for _ in range(9)]
    links[4].is_ended = True  # left by itself
    await close_spread(links, 0.003, asyncio.Event(), flush, "over")
    assert all(link.is_ended for link in links)
    assert (log.count("press"), log.count("end")) == (8, 8)
    story = "".join(step[0] for step in log).replace("pp", "p")
    while "pp" in story or "ee" in story:
        story = story.replace("pp", "p").replace("ee", "e")
    assert story == "pfe" * (len(story) // 3)


async def test_nobody_to_close_takes_no_time() -> None:
    async def flush() -> None:
        raise AssertionError

    await close_spread([], 3600.0, asyncio.Event(), flush, "over")

"""Bounds of a link and of what is remembered of terminals, each by itself: where another bound would hide that it is
not held."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.links import TcpLink
from ingest.login import REFUSED_PER_S, REFUSED_REMEMBERED, RefusalGate
from tests.ingest.terminals import PHONE, Site, running
from tests.ingest.waiting import until

HOUR_US = 3600 * 1_000_000


class Stuck:
    """A transport whose peer reads nothing."""

    def __init__(self) -> None:
        self.unsent = 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...

    def abort(self) -> None:
        self.is_aborted = True


async def test_answers_that_are_not_read_have_a_bound_in_bytes_before_that_in_time(tmp_path: Path) -> None:
    async with running(tmp_path, write_max_bytes=8_000, write_stall_s=3600.0) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        (link,) = site.gateway.sessions.links()
        assert isinstance(link, TcpLink)
        stuck: Any = Stuck()
        real, link._transport = link._transport, stuck
        assert real is not None
        link.pause_writing()  # as asyncio says it above the high-water mark
        text = {"phone": PHONE, "message_id": 0x8300, "body": bytes(900).hex()}
        for _ in range(20):
            await site.gateway._sending.send(text)
        assert stuck.is_aborted
        assert 8_000 < stuck.unsent < 10_000
        assert site.counters["links_ended{reason=answers_not_read}"] == 1
        real.abort()


async def test_who_was_silent_for_long_has_no_more_than_the_burst(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=100.0, burst=10) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        (link,) = site.gateway.sessions.links()
        link._allowance = -1
        link._allowed_at -= 1000.0
        link._overdrawn()
        assert link._allowance == 10
        assert site.counters["links_throttled"] == 0


def test_refused_phones_are_remembered_up_to_a_bound() -> None:
    gate = RefusalGate()
    for number in range(REFUSED_REMEMBERED + 3 * REFUSED_PER_S):
        assert gate.passes(str(number), number // REFUSED_PER_S * 1_000_000)
    assert len(gate._journaled) == REFUSED_REMEMBERED


async def test_a_code_is_newer_than_the_one_before_though_the_clock_was_set_back(site: Site) -> None:
    """Else the database's older row would win over it, and void it."""
    identities = site.gateway._identities
    terminal = await site.terminal()
    await terminal.log_in()
    known = identities.get(PHONE)
    assert known is not None
    ahead_us = time.time_ns() // 1000 + HOUR_US
    identities.save(replace(known, auth_issued_us=ahead_us))
    again = await site.terminal()
    await again.log_in()
    anew = identities.get(PHONE)
    assert anew is not None
    assert anew.auth_issued_us == ahead_us + 1
    again.send(0x0003)
    await again.general()
    await until(lambda: site.counters["unregistrations"] == 1)
    void = identities.get(PHONE)
    assert void is not None
    assert (void.auth_code_hash, void.auth_issued_us) == (None, ahead_us + 2)

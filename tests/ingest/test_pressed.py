"""While the journal cannot keep up nothing is taken in: not from newcomers, not of what was read already."""

from __future__ import annotations

import asyncio

from tests.ingest.terminals import REPORT, Site, register_body
from tests.ingest.waiting import until


async def some_turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_newcomer_is_not_read_from_either(site: Site) -> None:
    gateway = site.gateway
    gateway._press(True)
    newcomer = await site.terminal()
    await until(lambda: len(gateway._links) == 1)
    newcomer.send(0x0100, register_body())
    await some_turns()
    assert site.counters["bytes_received"] == 0
    gateway._press(False)
    header, _ = await newcomer.receive()
    assert header.message_id == 0x8100


async def test_what_was_read_already_waits_and_is_taken_in_then(site: Site) -> None:
    gateway = site.gateway
    terminal = await site.terminal()
    await terminal.log_in()
    read = site.counters["bytes_received"]
    gateway.turns._is_due = True  # nobody's turn comes
    terminal.write(b"".join(terminal.frame(0x0200, REPORT) for _ in range(40)))
    await until(lambda: site.counters["bytes_received"] > read)
    gateway._press(True)
    gateway.turns._is_due = False
    gateway.turns.add(lambda: None)
    await until(lambda: not gateway.turns._waiting)
    await some_turns()
    assert site.counters["messages_received"] == 0
    gateway._press(False)
    for _ in range(40):
        assert (await terminal.general())[2] == 0

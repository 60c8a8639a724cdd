"""Sub-packaged messages over real sockets: put together, answered each package, asked for when some are missing."""

from __future__ import annotations

import struct

from jt808.header import Edition
from tests.ingest.terminals import PHONE, REPORT, Site


async def test_a_sub_packaged_message_is_one_record(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    first = terminal.serial_no
    frames = [terminal.frame(0x0704, bytes([number]) * 500, package=(3, number)) for number in (1, 2, 3)]
    for frame in (frames[2], frames[0], frames[1]):
        terminal.write(frame)
    answers = {await terminal.general() for _ in range(3)}
    assert answers == {(first + number, 0x0704, 0) for number in range(3)}
    assert await site.journaled() == [(PHONE, 0x0704, b"\1" * 500 + b"\2" * 500 + b"\3" * 500)]


async def test_missing_packages_are_asked_for_when_nothing_more_comes(site: Site) -> None:
    """Two messages of one id at once; and behind their packages, in the same read, a report."""
    terminal = await site.terminal()
    await terminal.log_in()
    firsts = terminal.serial_no, terminal.serial_no + 3
    frames = [terminal.frame(0x0704, bytes([number]) * 500, package=(3, number % 3 + 1)) for number in range(6)]
    terminal.write(b"".join(frames[i] for i in (3, 0, 2, 5)))
    terminal.write(frames[3] + terminal.frame(0x0200, REPORT))  # a package once more
    assert (await terminal.general())[1] == 0x0200
    asked = [await terminal.receive() for _ in range(2)]
    assert {(header.message_id, body) for header, body in asked} == {
        (0x8003, struct.pack(">HBH", first, 1, 2)) for first in firsts
    }
    terminal.write(frames[1] + frames[4])
    answers = {await terminal.general() for _ in range(6)}
    assert answers == {(firsts[0] + number, 0x0704, 0) for number in range(6)}
    bodies = [b"".join(bytes([first + number]) * 500 for number in range(3)) for first in (0, 3)]
    assert [body for _, message_id, body in await site.journaled() if message_id == 0x0704] == bodies


async def test_a_deadline_is_set_for_packages_that_came_with_a_report(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    frames = [terminal.frame(0x0704, b"part", package=(3, number)) for number in (1, 2, 3)]
    terminal.write(frames[0] + frames[2] + terminal.frame(0x0200, REPORT))  # in one read; then silence
    assert (await terminal.general())[1] == 0x0200
    assert (await terminal.receive())[0].message_id == 0x8003


async def test_a_demand_for_packages_that_are_gone_is_counted(site: Site) -> None:
    terminal = await site.terminal(edition=Edition.V2019)
    await terminal.log_in()
    terminal.send(0x0005, struct.pack(">HHHH", 7, 2, 1, 3))
    assert await terminal.ask(0x0002) == 0  # what came before it was read
    assert site.gateway.counters["packages_asked"] == 1
    assert site.gateway.counters["packages_sent_again"] == 0

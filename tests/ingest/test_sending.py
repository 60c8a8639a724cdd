"""The gateway's side of commands: serial numbers taken together, packages of long messages, requests for them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ingest.control import ControlClient
from jt808.header import Edition
from tests.ingest.terminals import PHONE, Site, Terminal, control, running

LONG = 0x8108


@asynccontextmanager
async def linked(data_dir: Path) -> AsyncIterator[tuple[Site, ControlClient, Terminal]]:
    """A gateway, the core's link to it, and a terminal of 2019 that is logged in."""
    async with running(data_dir) as site, control(data_dir) as client:
        terminal = await site.terminal(edition=Edition.V2019)
        await terminal.log_in()
        yield site, client, terminal


async def test_serial_numbers_are_taken_together(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, client, terminal):
        first = (await client.request("prepare", phone=PHONE, count=5))["serial_no"]
        await terminal.ask(0x0002)  # its answer takes one of its own
        assert (await client.request("prepare", phone=PHONE))["serial_no"] == first + 6
        assert await client.request("prepare", phone="999", count=5) == {"state": "offline"}


async def test_packages_go_out_as_of_one_message(tmp_path: Path) -> None:
    async with linked(tmp_path) as (site, client, terminal):
        first = (await client.request("prepare", phone=PHONE, count=3))["serial_no"]
        assert await client.request("room", phone=PHONE) == {"state": "ready"}
        packages = {"3": b"cc".hex(), "1": b"aa".hex()}
        values = {"phone": PHONE, "message_id": LONG, "serial_no": first, "total": 3}
        assert await client.request("packages", **values, packages=packages) == {"state": "ready"}
        for number, part in ((3, b"cc"), (1, b"aa")):
            header, body = await terminal.receive()
            assert (header.message_id, header.serial_no, body) == (LONG, first + number - 1, part)
            assert (header.package_total, header.package_no) == (3, number)
        assert site.counters["packages_sent"] == 2
        too_many = await client.request("packages", **values, packages={"4": "00"})
        assert too_many == {"state": "offline"}
        assert await client.request("packages", **values | {"phone": "999"}, packages={}) == {"state": "offline"}


async def test_packages_that_the_link_does_not_have_are_asked_of_the_core(tmp_path: Path) -> None:
    async with linked(tmp_path) as (site, _, terminal):
        body = struct.pack(">HHH", 700, 1, 2)
        terminal.send(0x0005, body)
        assert await terminal.ask(0x0002) == 0
        await site.gateway._journal.flush()
        assert (PHONE.zfill(20)[-11:], 0x0005, body) in [
            (phone.zfill(20)[-11:], message_id, content) for phone, message_id, content in await site.journaled()
        ]


async def test_packages_that_the_link_has_are_not(tmp_path: Path) -> None:
    async with linked(tmp_path) as (site, client, terminal):
        sent = await client.request("send", phone=PHONE, message_id=0x8604, body=bytes(2500).hex(), serial_no=None)
        for _ in range(3):
            await terminal.receive()
        terminal.send(0x0005, struct.pack(">HHH", sent["serial_no"], 1, 2))
        header, _ = await terminal.receive()
        assert header.package_no == 2
        await site.gateway._journal.flush()
        assert 0x0005 not in [message_id for _, message_id, _ in await site.journaled()]

"""Who is no superior platform and comes to the sub link's port all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fleet import FleetChanged
from jt809 import Deframer, LinkSettings, SuperiorSubLink, parse_header
from jt809.header import Edition
from store import Database
from tests.forward.world import CODE, QUICK, eventually, world

pytestmark = pytest.mark.postgres


async def test_sub_link_with_a_wrong_code_is_refused(postgresql_database: Database) -> None:
    async with world(postgresql_database, connects_back=False) as w:
        await w.add_platform()
        await w.forwarder.start()
        await eventually(lambda: [s["main"] for s in w.forwarder.status()] == ["up"])
        link = SuperiorSubLink(LinkSettings(access_code=CODE), 1)
        link.connected(0.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", w.forwarder.port)
        writer.write(link.data_to_send())
        (content,) = Deframer().feed(await reader.read())
        assert isinstance(content, bytes)
        header, body = parse_header(content, Edition.V2011)
        assert (header.message_id, body) == (0x9002, b"\x01")
        writer.close()
        await writer.wait_closed()
        assert +w.forwarder.counts == {"sub_links_refused": 1}
        assert w.status["sub"] == "down"


async def test_strangers_on_the_sub_link_port_are_few(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, max_unknown_links=2, login_timeout_s=3600.0)) as w:
        await w.forwarder.start()
        links = [await asyncio.open_connection("127.0.0.1", w.forwarder.port) for _ in range(5)]
        for reader, _ in links[:3]:
            assert await reader.read() == b""
        assert w.forwarder.counts["sub_links_too_many"] == 3
        assert len(w.forwarder._unknown) == 2
        for _, writer in links:
            writer.close()
            await writer.wait_closed()
        await eventually(lambda: not w.forwarder._unknown)
        assert +w.forwarder.counts == {"sub_links_too_many": 3, "sub_links_without_login": 2}


async def test_strangers_on_the_sub_link_port_are_short_lived(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, login_timeout_s=0.1)) as w:
        await w.forwarder.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", w.forwarder.port)
        assert await reader.read() == b""
        writer.close()
        await eventually(lambda: not w.forwarder._unknown)
        assert +w.forwarder.counts == {"sub_links_without_login": 1}


async def test_strangers_that_say_nothing_keep_no_superior_out(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, max_unknown_links=2, login_timeout_s=3600.0)) as w:
        await w.forwarder.start()
        links = [await asyncio.open_connection("127.0.0.1", w.forwarder.port) for _ in range(2)]
        await eventually(lambda: len(w.forwarder._unknown) == 2)
        await w.add_platform()
        w.bus.publish(FleetChanged("platforms"))
        await w.up()
        assert await links[0][0].read() == b""  # the oldest had to go
        assert w.forwarder.counts["sub_links_too_many"] == 1
        assert w.superior.counts["sub links up"] == 1
        for _, writer in links:
            writer.close()


async def test_strangers_that_talk_something_else_are_cut(
    postgresql_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(postgresql_database, replace(QUICK, login_timeout_s=3600.0)) as w:
        await w.forwarder.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", w.forwarder.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + b"\x5bx\x5d" * 7)
        assert await reader.read() == b""
        writer.close()
        await eventually(lambda: not w.forwarder._unknown)
        assert +w.forwarder.counts == {"sub_links_unreadable": 8, "sub_links_without_login": 1}
        assert len([record for record in caplog.records if "instead of logging in" in record.getMessage()]) == 1

"""Main and sub link: how they end, what comes over them, and one carrying everything."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from forward import link_log
from jt809.messages import DownCloseLinkInform, DownDisconnectInform, TotalReceived, UnknownMessage
from store import Database
from tests.forward.world import CODE, batch_of, eventually, world

pytestmark = pytest.mark.postgres


async def test_one_link_carries_everything(postgresql_database: Database) -> None:
    """The main link cannot come back for a while; the sub link is alive, so positions go over it, and are confirmed."""
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        w.superior.refuse_with = 5
        (main,) = w.superior.main_links
        main.link.stop = lambda now: None  # type: ignore[method-assign]
        main.abort()
        await eventually(lambda: w.status["main"] == "down" and w.status["sub"] == "up")
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.superior.logins == [CODE]
        await w.confirmed()
        assert w.superior.main_links == [] or not w.superior.main_links[0].link.is_up
        w.superior.refuse_with = None
        await w.up()
        await w.store(batch_of([(1, 2)]))
        await w.arrived()


async def test_9007_and_9008(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link()
        w.superior.send(DownDisconnectInform(0), over_main=True)
        await w.logged(("sub", "down"))
        w.superior.send(DownCloseLinkInform(0), over_main=True)
        await eventually(lambda: len(w.superior.logins) == 2)
        await w.up()


async def test_without_a_main_link_the_sub_link_says_goodbye(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link()
        w.superior.refuse_with = 5
        (main,) = w.superior.main_links
        main.abort()
        await eventually(lambda: (w.status["main"], w.status["sub"]) == ("down", "up"))
        await w.forwarder.stop()
        await w.superior.until(lambda: w.superior.counts["PeerCloses"] == 1)


async def test_the_end_of_the_links_is_on_record(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_log, "LAST_S", 60.0)  # a busy machine may take longer than a server that stops waits
    async with world(postgresql_database) as w:
        await w.link()
        await w.forwarder.stop()
        rows = await w.log()
        assert [row[1] for row in rows] == ["up", "up", "down", "down"]
        assert {row[0] for row in rows[2:]} == {"main", "sub"}


async def test_both_links_closed_at_once_is_no_accident(postgresql_database: Database) -> None:
    accidents: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: accidents.append(context))
    async with world(postgresql_database) as w:
        await w.link()
        for socket in [*w.superior.main_links, *w.superior.sub_links]:  # both ends are read in one turn
            assert socket.transport is not None
            socket.transport.close()
        await eventually(lambda: len(w.superior.logins) == 2)
        await w.up()
    assert accidents == []


async def test_garbage_from_the_superior_costs_only_itself(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        for socket in w.superior.sockets:
            assert socket.transport is not None
            socket.transport.write(b"\x5bgarbage\x5d" + bytes(100))
        await eventually(lambda: sum(w.status["bad_frames"].values()) == 4)
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.status["logins"] == 1


async def test_downlink_business_is_counted_and_not_answered(
    postgresql_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(postgresql_database) as w:
        await w.link("辽A00001")
        inquiry = (
            bytes.fromhex("9301") + (9).to_bytes(4, "big") + (1).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"?"
        )
        for _ in range(3):
            w.superior.send(UnknownMessage(0x9300, 0x9301, inquiry))
        w.superior.send(UnknownMessage(0x9500, 0x9501, b"\x00" * 22 + b"\x95\x01" + bytes(4)), over_main=True)
        now = datetime.now(UTC)
        w.superior.send(TotalReceived(3, now, now))
        await eventually(lambda: sum(w.status["unhandled"].values()) == 4)
        assert w.status["unhandled"] == {"0x9300/0x9301": 3, "0x9500/0x9501": 1}
        await w.store(batch_of([(1, 1)]))
        await w.confirmed()
        assert not [name for name in w.superior.counts if name.startswith(("0x1300", "0x1500"))]
        warned = [record.getMessage() for record in caplog.records if "0x9300/0x9301" in record.getMessage()]
        assert len(warned) == 1  # one in ten seconds; the count has them all
        row = await w.execute("SELECT (SELECT count(*) FROM terminal_messages) + (SELECT count(*) FROM quarantine)")
        assert row == (0,)

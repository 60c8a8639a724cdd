"""The forwarder against the simulated superior platform, over loopback, on a real database."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from fleet import BatchStored, FleetChanged, PositionBatch
from forward import Forwarder, translate
from jt809 import Cipher, LinkSettings
from jt809.messages import DownCloseLinkInform, DownDisconnectInform, TotalReceived, UnknownMessage
from simulators.superior import Account, Fix, Superior
from store import Database
from tests.forward.world import CODE, QUICK, after, batch_of, eventually, eventually_async, world

pytestmark = pytest.mark.postgres

SILENT = replace(QUICK, barrier_s=3600.0, first_barrier_s=3600.0)
"""Never asks what was received."""


async def test_positions_go_out_as_they_are_stored(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for second in range(10):
            await w.store(batch_of([(1, second), (2, second)]))
        await w.arrived()
        assert w.superior.counts["0x1200/0x1202"] == 20
        assert w.superior.counts["0x1200/0x1203"] == 0
        assert set(w.superior.registered) == {("辽A00001", 2), ("辽B00002", 2)}
        assert w.superior.counts["0x1200/0x1201"] == 2
        registered = w.superior.registered["辽A00001", 2]
        assert (registered.platform_id, registered.producer_id, registered.terminal_model) == (
            "21010000001", "70111", "RW-200",
        )  # fmt: skip
        assert (registered.terminal_id, registered.sim) == ("ABC1234", "013900000001")
        fix = w.superior.positions["辽A00001", 2, after(9)]
        assert fix == Fix(123400090, 41801009, 9, 0, 1, 9, 43, 3, 0)
        await w.confirmed()
        status = w.status
        assert (status["sent_live"], status["sent_history"], status["backlog"]) == (20, 0, 0)
        assert status["cursor"] == 10
        await eventually_async(lambda: _log_has(w, {("main", "up"), ("sub", "up")}))
        assert w.superior.bad == {}


async def _log_has(w: object, wanted: set[tuple[str, str]]) -> bool:
    return {(link, event) for link, event, _ in await w.log()} >= wanted  # type: ignore[attr-defined]


async def test_a_new_platform_gets_no_history(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.store(batch_of([(1, second) for second in range(50)]), publish=False)
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        assert await w.cursor() == 1
        await w.store(batch_of([(1, 100)]))
        await eventually(lambda: len(w.superior.positions) == 1)
        assert list(w.superior.positions) == [("辽A00001", 2, after(100))]


async def test_late_data_goes_as_history(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        rows = [(1, 100), *((1, s) for s in (20, 10, 30, 40, 60, 50)), (2, 5), (2, 101)]
        await w.store(batch_of(rows, late=[False, *[True] * 7, False]))
        await w.arrived()
        assert {key[2] for key in w.superior.live} == {after(100), after(101)}
        assert len(w.superior.history) == 7
        assert w.superior.counts["0x1200/0x1203"] == 3  # five and one of the first, one of the second
        assert w.superior.bad == {}


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_skipped_over_broken_links(postgresql_database: Database, seed: int) -> None:
    """Links break at random moments and what was sent last is lost in flight; the account still becomes whole."""
    chance = random.Random(seed)
    async with world(postgresql_database) as w:
        vehicles = await w.add_vehicles(*(f"辽A{n:05d}" for n in range(20)))
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for second in range(120):
            await w.store(batch_of([(v, second) for v in vehicles if chance.random() < 0.7] or [(1, second)]))
            if chance.random() < 0.06 or second == 60:
                swallow = chance.choice((0, 1, 5, 40))
                (w.superior.drop_all if chance.random() < 0.7 else w.superior.drop_main)(swallow=swallow)
            await asyncio.sleep(0)
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 0.02)
        await w.store(batch_of([(v, 500) for v in vehicles]))
        for _ in range(30):  # a swallowing link breaks only when frames come
            if all(socket.swallow < 0 for socket in w.superior.main_links):
                break
            await w.store(batch_of([(v, 501 + _) for v in vehicles]))
            await asyncio.sleep(0.01)
        await w.arrived()
        assert len(w.superior.logins) >= 2
        await w.confirmed()
        assert w.superior.bad == {}


async def test_what_was_sent_but_not_confirmed_is_sent_again(postgresql_database: Database) -> None:
    async with world(postgresql_database, SILENT) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        w.superior.drop_all(swallow=3)
        for second in range(4):
            await w.store(batch_of([(1, second)]))
        await w.arrived()
        assert len(w.superior.history) >= 3
        assert w.status["cursor"] == 0  # nobody asked yet


async def test_a_restart_goes_on_where_it_stood(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 0)]))
        await w.confirmed()
        await w.forwarder.stop()
        assert await w.cursor() == 1
        assert w.superior.main_links == []
        for second in range(1, 30):
            await w.store(batch_of([(1, second)]))
        w.__post_init__()
        await w.forwarder.start()
        await w.arrived()
        assert w.superior.by_vehicle["辽A00001", 2] == 30  # none twice: all before was confirmed
        assert w.superior.counts["0x1200/0x1203"] == 6
        await w.confirmed()


async def test_the_answer_to_the_logout_confirms_what_was_sent(postgresql_database: Database) -> None:
    async with world(postgresql_database, SILENT) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 0)]))
        await w.arrived()
        assert await w.cursor() == 0
        await w.forwarder.stop()
        assert await w.cursor() == 1
        w.__post_init__()
        await w.forwarder.start()
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.superior.counts["positions"] == 2  # none twice


async def test_a_young_link_is_asked_soon(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(SILENT, first_barrier_s=0.02)) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 0)]))
        await w.confirmed()


async def test_history_is_by_vehicle_in_order_and_at_most_five(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, window_rows=40)) as w:
        vehicles = await w.add_vehicles("辽A00001", "辽B00002", "辽C00003")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.forwarder.stop()
        for second in range(100):
            await w.store(batch_of([(v, second) for v in vehicles]))
        w.superior.order = []
        w.__post_init__()
        await w.forwarder.start()
        await w.arrived()
        assert w.superior.order is not None
        for v in vehicles:
            times = [key[2] for key in w.superior.order if key[0] == w.plates[v]]
            assert times == sorted(times)
        assert w.superior.counts["0x1200/0x1202"] == 0
        assert w.superior.counts["0x1200/0x1203"] < 300 / 3
        assert w.superior.bad == {}


async def test_live_goes_on_beside_the_history(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, history_per_s=300.0)) as w:
        await w.add_vehicles("辽A00001", "辽B00002")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.forwarder.stop()
        await w.store(batch_of([(1, second) for second in range(600)]))
        w.__post_init__()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(2, 1000)]))
        await eventually(lambda: ("辽B00002", 2, after(1000)) in w.superior.live)
        assert len(w.superior.history) < 600  # two seconds' work at that pace
        await eventually(lambda: w.status["backlog"] > 0)
        await w.arrived()
        await eventually(lambda: w.status["backlog"] == 0)


async def test_what_the_bus_lost_is_read_from_the_database(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, queue_batches=4)) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        events = [await w.store(batch_of([(1, second)]), publish=False, groups=3) for second in range(50)]
        for event in events:  # in one go: the sender cannot take any in between
            w.bus.publish(event)
        await w.arrived()
        assert w.status["lost_batches"] == 46
        assert len(w.superior.live) == 4
        assert len(w.superior.history) == 46
        await w.confirmed()


async def test_gaps_in_offsets_alone_are_not_read(postgresql_database: Database) -> None:
    """Transactions without positions are not told; that is no loss."""
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for second in range(5):
            w.offset += 7
            await w.store(batch_of([(1, second)]))
            w.bus.publish(BatchStored("local", w.offset + 1, w.offset, PositionBatch.empty()))
        await w.arrived()
        await w.confirmed()
        assert w.superior.by_vehicle["辽A00001", 2] == 5
        assert w.status["lost_batches"] == 0


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_journal_that_was_made_anew_follows_the_old_one(postgresql_database: Database, is_up: bool) -> None:
    """It counts its groups from 1 again; the superior platform misses nothing for that."""
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for second in range(5):
            await w.store(batch_of([(1, second)]), groups=10)
        await w.confirmed()
        if not is_up:
            await w.forwarder.stop()
        w.journal, w.offset = "made anew", 0
        for second in range(5, 8):
            await w.store(batch_of([(1, second)]))
        if not is_up:
            w.forwarder = Forwarder(w.database, w.bus, w.config)
            await w.forwarder.start()
        await w.arrived()
        await w.confirmed()
        assert w.superior.by_vehicle["辽A00001", 2] == 8
        assert await w.cursor() == 53


async def test_vehicles_that_cannot_be_named_are_counted(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("", "LVIN0000000000001", color=0)
        await w.add_vehicles("辽A00001")
        await w.add_vehicles("😀12345")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(v, 1) for v in (1, 2, 3, 4)]))
        await w.confirmed()
        assert set(w.superior.positions) == {("辽A00001", 2, after(1))}
        assert w.status["skipped"] == {"no_plate": 2, "bad_plate": 1}
        await w.execute("UPDATE vehicles SET plate = '辽A00009', plate_color = 2 WHERE id = 1")
        w.bus.publish(FleetChanged("vehicles"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2)]))
        await eventually(lambda: ("辽A00009", 2, after(2)) in w.superior.positions)


async def test_a_new_plate_is_registered_anew(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform(supplement=False)
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 1)]))
        await eventually(lambda: len(w.superior.positions) == 1)
        await w.execute("UPDATE vehicles SET plate = '辽A88888' WHERE id = 1")
        w.bus.publish(FleetChanged("vehicles"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2)]))
        await eventually(lambda: len(w.superior.positions) == 2)
        assert list(w.superior.registered) == [("辽A00001", 2), ("辽A88888", 2)]


async def test_a_new_terminal_in_the_vehicle_is_registered(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.superior.registered["辽A00001", 2].sim == "013900000001"
        await w.execute("UPDATE terminals SET vehicle_id = NULL WHERE id = 1")
        await w.execute("INSERT INTO terminals (phone, vehicle_id) VALUES ('13900000002', 1)")
        w.bus.publish(FleetChanged("terminals"))
        await eventually(lambda: w.forwarder._facts._is_stale)
        await w.store(batch_of([(1, 2), (1, 3)], terminal_id=np.array([2, 1], np.int32)))
        await w.arrived()
        assert w.superior.registered["辽A00001", 2].sim == "013900000002"
        assert w.superior.counts["0x1200/0x1201"] == 2  # and not again for what the old one left


@pytest.mark.parametrize(
    ("columns", "result", "words"),
    [
        ({"password": "wrong"}, 4, "登录被拒绝:密码错误 (login refused: password wrong)"),
        ({"user_id": 1}, 3, "用户没注册"),
        ({"access_code": 1}, 2, "接入码不正确"),
    ],
)
async def test_refused(postgresql_database: Database, columns: dict[str, object], result: int, words: str) -> None:
    accounts = {CODE: Account(888888, "passwd01")}
    async with world(postgresql_database, accounts=accounts) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform(**columns)
        await w.forwarder.start()
        await eventually(lambda: len(w.superior.refused) >= 3)
        assert set(w.superior.refused) == {result}
        assert words in w.status["detail"]
        assert (w.status["main"], w.status["sub"]) == ("down", "down")
        await w.store(batch_of([(1, 1)]))
        await eventually(lambda: w.status["backlog"] == 1)
        await eventually_async(lambda: _log_has(w, {("main", "refused")}))
        await eventually(lambda: len(w.superior.refused) >= 6)
        assert [row[:2] for row in await w.log()] == [("main", "refused")]  # told once, not at every try

        await w.execute("UPDATE platforms SET password = 'passwd01', user_id = 888888, access_code = %s", CODE)
        w.bus.publish(FleetChanged("platforms"))
        await w.arrived()


async def test_a_platform_that_cannot_be_right_says_so_and_harms_no_other(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.add_platform("错平台", password="much too long")
        await w.add_platform("负平台", encrypt=True, m1=-1)
        await w.forwarder.start()
        await eventually(lambda: [s["main"] for s in w.forwarder.status()] == ["up", "down", "down"])
        details = [s["detail"] for s in w.forwarder.status()]
        assert "the field has 8" in details[1]
        assert "m1 is -1" in details[2]
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        await w.execute("UPDATE platforms SET password = 'passwd02', access_code = 5 WHERE name = '错平台'")
        w.bus.publish(FleetChanged("platforms"))
        await eventually(lambda: w.superior.logins == [CODE, 5])


async def test_a_host_that_cannot_be_is_no_accident(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_platform(host="platform..example")
        await w.forwarder.start()
        await eventually(lambda: [s["detail"][:30] for s in w.forwarder.status()] == ["cannot connect to platform..ex"])
        assert w.forwarder.counts["platform_failures"] == 0


async def test_the_end_of_the_links_is_on_record(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.forwarder.stop()
        rows = await w.log()
        assert [row[1] for row in rows] == ["up", "up", "down", "down"]
        assert {row[0] for row in rows[2:]} == {"main", "sub"}


async def test_without_a_main_link_the_sub_link_says_goodbye(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        w.superior.refuse_with = 5
        (main,) = w.superior.main_links
        main.abort()
        await eventually(lambda: (w.status["main"], w.status["sub"]) == ("down", "up"))
        await w.forwarder.stop()
        await w.superior.until(lambda: w.superior.counts["PeerCloses"] == 1)


async def test_platforms_come_and_go(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.forwarder.start()
        await w.add_vehicles("辽A00001")
        assert w.forwarder.status() == []
        first = await w.add_platform()
        w.bus.publish(FleetChanged("platforms"))
        await w.up()
        await w.add_platform("市平台", access_code=22)
        w.bus.publish(FleetChanged("platforms"))
        await eventually(lambda: [s["main"] + s["sub"] for s in w.forwarder.status()] == ["upup", "upup"])
        assert sorted(w.superior.logins) == [22, CODE]
        await w.execute("UPDATE platforms SET enabled = false WHERE id = %s", first)
        w.bus.publish(FleetChanged("platforms"))
        await eventually(lambda: [s["name"] for s in w.forwarder.status()] == ["市平台"])
        await eventually(lambda: len(w.superior.main_links) == 1)


async def test_an_encrypted_link(postgresql_database: Database) -> None:
    accounts = {CODE: Account(cipher=Cipher(10000000, 20000000, 30000000), is_encrypting=True)}
    async with world(postgresql_database, accounts=accounts) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform(encrypt=True, m1=10000000, ia1=20000000, ic1=30000000)
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, second) for second in range(5)]))
        await w.arrived()
        await w.confirmed()
        assert w.status["bad_frames"] == {}


async def test_two_encrypting_platforms_that_gave_us_the_same_access_code(postgresql_database: Database) -> None:
    keys = {"省平台": (10000000, 20000000, 30000000), "市平台": (7, 20000003, 30000005)}
    accounts = [{CODE: Account(cipher=Cipher(*key), is_encrypting=True)} for key in keys.values()]
    other = Superior(sub_link_pause_s=0.02, accounts=accounts[1])
    await other.start()
    try:
        async with world(postgresql_database, accounts=accounts[0]) as w:
            for (name, (m1, ia1, ic1)), port in zip(keys.items(), (w.superior.port, other.port), strict=True):
                await w.add_platform(name, port=port, encrypt=True, m1=m1, ia1=ia1, ic1=ic1)
            await w.forwarder.start()
            await eventually(lambda: [s["main"] + s["sub"] for s in w.forwarder.status()] == ["upup", "upup"])
            assert w.superior.counts["sub links refused"] == other.counts["sub links refused"] == 0
    finally:
        await other.stop()


async def test_an_unread_link_does_not_fill_memory(postgresql_database: Database) -> None:
    """The superior platform stops reading: sending pauses, the queue drops, later everything comes from the store."""
    config = replace(QUICK, queue_batches=4, write_buffer_bytes=16 * 1024)
    async with world(postgresql_database, config) as w:
        vehicles = await w.add_vehicles(*(f"辽A{n:05d}" for n in range(100)))
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        w.superior.stop_reading()
        second = 0
        while w.status["lost_batches"] < 5:
            rows = [(v, second + n) for v in vehicles for n in range(50)]
            await w.store(batch_of(rows))
            second += 50
            await asyncio.sleep(0)
            assert second < 5000, "the sockets took everything"
        connection = w.sender._outlet
        assert connection._transport.get_write_buffer_size() < 16 * 1024 + 130 * 200
        assert len(w.sender._subscription) <= 4
        w.superior.resume_reading()
        await w.arrived()
        await w.confirmed()
        assert w.superior.bad == {}


async def test_one_link_carries_everything(postgresql_database: Database) -> None:
    """The main link cannot come back for a while; the sub link is alive, so positions go over it, and are confirmed."""
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
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


async def test_sub_link_with_a_wrong_code_is_refused(postgresql_database: Database) -> None:
    async with world(postgresql_database, connects_back=False) as w:
        await w.add_platform()
        await w.forwarder.start()
        await eventually(lambda: [s["main"] for s in w.forwarder.status()] == ["up"])
        from jt809 import Deframer, SuperiorSubLink, parse_header
        from jt809.header import Edition

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


async def test_strangers_on_the_sub_link_port_are_few_and_short_lived(postgresql_database: Database) -> None:
    async with world(postgresql_database, replace(QUICK, max_unknown_links=2, login_timeout_s=0.1)) as w:
        await w.forwarder.start()
        links = [await asyncio.open_connection("127.0.0.1", w.forwarder.port) for _ in range(5)]
        for reader, writer in links:
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        assert w.forwarder.counts["sub_links_too_many"] >= 1
        await eventually(lambda: not w.forwarder._unknown)


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


async def test_downlink_business_is_counted_and_not_answered(
    postgresql_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
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


async def test_9007_and_9008(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        w.superior.send(DownDisconnectInform(0), over_main=True)
        await eventually_async(lambda: _log_has(w, {("sub", "down")}))
        w.superior.send(DownCloseLinkInform(0), over_main=True)
        await eventually(lambda: len(w.superior.logins) == 2)
        await w.up()


async def test_garbage_from_the_superior_costs_only_itself(postgresql_database: Database) -> None:
    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for socket in w.superior.sockets:
            assert socket.transport is not None
            socket.transport.write(b"\x5bgarbage\x5d" + bytes(100))
        await eventually(lambda: sum(w.status["bad_frames"].values()) == 4)
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.status["logins"] == 1


async def test_the_database_goes_away_and_comes_back(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import asynccontextmanager

    import psycopg

    async with world(postgresql_database) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()

        @asynccontextmanager
        async def away():  # type: ignore[no-untyped-def]
            raise psycopg.OperationalError("away")
            yield

        await w.store(batch_of([(1, 1)]), publish=False)
        with monkeypatch.context() as patch:
            patch.setattr(w.database, "connection", away)
            w.bus.publish(BatchStored("local", 1, 1, batch_of([(1, 1)])))
            w.superior.drop_all()
            await eventually(lambda: len(w.superior.logins) == 2)
            await eventually(lambda: w.status["main"] == "up")
            assert w.superior.positions == {}
        await w.arrived()
        await w.confirmed()
        assert w.status["failures"] == 0


async def test_an_error_of_ours_costs_a_pause(postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def position_blocks(batch: PositionBatch) -> list[bytes]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise RuntimeError("a bug")
        return blocks_of(batch)

    blocks_of = translate.position_blocks
    monkeypatch.setattr(translate, "position_blocks", position_blocks)
    async with world(postgresql_database, replace(QUICK, failed_s=0.02)) as w:
        await w.add_vehicles("辽A00001")
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        await w.store(batch_of([(1, 1)]))
        await w.arrived()
        assert w.status["failures"] == 2
        assert w.status["logins"] == 1


async def test_both_links_closed_at_once_is_no_accident(postgresql_database: Database) -> None:
    accidents: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: accidents.append(context))
    async with world(postgresql_database) as w:
        await w.add_platform()
        await w.forwarder.start()
        await w.up()
        for socket in [*w.superior.main_links, *w.superior.sub_links]:  # both ends are read in one turn
            assert socket.transport is not None
            socket.transport.close()
        await eventually(lambda: len(w.superior.logins) == 2)
        await w.up()
    assert accidents == []

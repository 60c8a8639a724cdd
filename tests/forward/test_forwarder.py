"""Which platforms the forwarder serves: rows that come, go, change, cannot be right, are refused by the other side."""

from __future__ import annotations

import pytest

from fleet import FleetChanged
from jt809 import Cipher
from simulators.superior import Account, Superior
from store import Database
from tests.forward.world import CODE, batch_of, eventually, world

pytestmark = pytest.mark.postgres


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
        await w.logged(("main", "refused"))
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


async def test_an_encrypted_link(postgresql_database: Database) -> None:
    accounts = {CODE: Account(cipher=Cipher(10000000, 20000000, 30000000), is_encrypting=True)}
    async with world(postgresql_database, accounts=accounts) as w:
        await w.link("辽A00001", encrypt=True, m1=10000000, ia1=20000000, ic1=30000000)
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

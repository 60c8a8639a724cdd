"""The simulated superior platform against a hand-driven subordinate one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jt809 import Credentials, LinkSettings, MainLink, SerialCounter, State, SubLink
from jt809.events import LoginAsked
from jt809.messages import HistoryLocation, LinkTest, Message, Position, RealLocation, UnknownMessage, VehicleRegister
from simulators.arrivals import Fix
from simulators.superior import Account, Superior, run

CODE = 12345678
NOON = datetime(2024, 5, 1, 4, 0, 0, tzinfo=UTC)


def position(second: int) -> Position:
    return Position(NOON + timedelta(seconds=second), 123.4, 41.8, 60, 58, 12345, 90, 43, state=3, alarm=1)


class Low:
    """A subordinate platform on streams: a main link, and a server that takes the sub link."""

    def __init__(self, superior: Superior, user_id: int = 888888, password: str = "passwd01") -> None:
        self.superior, self.user_id, self.password = superior, user_id, password
        self.sub_logins: list[int] = []
        self.writer: asyncio.StreamWriter | None = None
        self.server: asyncio.Server | None = None

    async def connect(self) -> None:
        """Log in and wait for the answer."""
        self.server = await asyncio.start_server(self._sub, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        who = Credentials(self.user_id, self.password, "127.0.0.1", port)
        self.link = MainLink(LinkSettings(access_code=CODE), who)
        self.link.start(0.0)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.superior.port)
        self.link.connected(0.0)
        self.flush()
        while self.link.state is State.LOGGING_IN:
            self.link.receive_data(await self.reader.read(4096), 0.0)

    def flush(self) -> None:
        assert self.writer is not None
        self.writer.write(self.link.data_to_send())

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.link.send_message(message, 0.0)
        self.flush()

    async def close(self) -> None:
        assert self.writer is not None
        assert self.server is not None
        self.server.close()
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def _sub(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = SubLink(LinkSettings(), 0.0)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                for event in link.receive_data(data, 0.0):
                    if isinstance(event, LoginAsked):
                        self.sub_logins.append(event.request.verify_code)  # type: ignore[attr-defined]
                        link.accept(LinkSettings(access_code=CODE), SerialCounter(), 0.0)
                writer.write(link.data_to_send())
        writer.close()


@pytest.fixture
async def superior() -> AsyncIterator[Superior]:
    made = Superior(accounts={CODE: Account(888888, "passwd01")}, sub_link_pause_s=0.01)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def low(superior: Superior) -> AsyncIterator[Low]:
    made = Low(superior)
    await made.connect()
    yield made
    await made.close()


async def test_login_and_sub_link(superior: Superior, low: Low) -> None:
    await superior.until(lambda: superior.counts["sub links up"] == 1)
    assert superior.logins == [CODE]
    assert low.sub_logins == [low.link.verify_code]


async def test_the_account(superior: Superior, low: Low) -> None:
    low.send(
        VehicleRegister("辽A12345", 2, "21010000001", "70111", "M", "T", "013912345678"),
        RealLocation("辽A12345", 2, position(10)),
        RealLocation("辽A12345", 2, position(10)),
        HistoryLocation("辽A12345", 2, (position(1), position(2), position(10))),
        RealLocation("辽A12345", 1, position(10)),
        UnknownMessage(0x1300, None, bytes(6)),
    )
    await superior.until(lambda: superior.counts["0x1300/0x0000"] == 1)
    assert superior.counts["0x1200/0x1202"] == 3
    assert superior.counts["0x1200/0x1203"] == 1
    assert superior.counts["positions"] == 6
    assert superior.by_vehicle == {("辽A12345", 2): 5, ("辽A12345", 1): 1}
    ten = ("辽A12345", 2, NOON + timedelta(seconds=10))
    assert len(superior.positions) == 4
    assert superior.positions[ten] == Fix(123400000, 41800000, 60, 58, 12345, 90, 43, 3, 1)
    assert ten in superior.live & superior.history
    assert superior.registered["辽A12345", 2].terminal_model == "M"
    assert superior.bad == {}
    assert "distinct 4" in superior.report()


async def test_what_is_wrong_is_noticed(superior: Superior, low: Low) -> None:
    low.send(HistoryLocation("辽A12345", 2, (position(2), position(1))))
    for sub_id in (b"\x12\x02", b"\x12\x03"):  # nothing behind the head
        low.send(UnknownMessage(0x1200, None, bytes(22) + sub_id + bytes(4)))
    assert low.writer is not None
    low.writer.write(b"rubbish")
    await superior.until(lambda: sum(superior.bad.values()) == 4)
    assert superior.positions.keys() == {("辽A12345", 2, NOON + timedelta(seconds=2))}


async def test_the_account_is_bounded() -> None:
    superior = Superior(remember=10, connects_back=False)
    await superior.start()
    low = Low(superior)
    await low.connect()
    low.send(*(RealLocation("辽A12345", 2, position(second)) for second in range(25)))
    await superior.until(lambda: superior.counts["positions"] == 25)
    assert (len(superior.positions), len(superior.live), superior.forgotten) == (10, 10, 15)
    assert "distinct 25" in superior.report()
    await low.close()
    await superior.stop()


@pytest.mark.parametrize(
    ("user_id", "password", "result"), [(888888, "wrong", 4), (1, "passwd01", 3), (888888, "passwd01", 0)]
)
async def test_who_may_log_in(superior: Superior, user_id: int, password: str, result: int) -> None:
    low = Low(superior, user_id, password)
    await low.connect()
    assert low.link.is_up == (result == 0)
    assert superior.refused == ([result] if result else [])
    await low.close()


async def test_refusing_on_demand(superior: Superior) -> None:
    superior.refuse_with = 5
    low = Low(superior)
    await low.connect()
    assert superior.refused == [5]
    await low.close()


async def test_swallowing_before_a_drop(superior: Superior, low: Low) -> None:
    superior.drop_main(swallow=3)
    low.send(LinkTest(), *(RealLocation("辽A12345", 2, position(second)) for second in range(2)))
    assert await low.reader.read(4096) == b""  # no answer, then the end
    assert superior.positions == {}


async def test_not_reading(superior: Superior, low: Low) -> None:
    superior.stop_reading()
    low.send(RealLocation("辽A12345", 2, position(1)), LinkTest())
    for _ in range(20):
        await asyncio.sleep(0)
    assert superior.positions == {}
    superior.resume_reading()
    await superior.until(lambda: len(superior.positions) == 1)


async def test_gives_up_a_sub_link_that_does_not_come(superior: Superior, low: Low) -> None:
    assert low.server is not None
    low.server.close()
    for socket in superior.sub_links:
        socket.abort()
    await superior.until(lambda: superior.counts["sub links given up"] == 1)
    assert superior.main_links[0].link.is_up


async def test_running_prints_where_it_listens_and_its_counts(capsys: pytest.CaptureFixture[str]) -> None:
    task = asyncio.create_task(run("127.0.0.1", 0, report_s=0.01))
    lines: list[str] = []
    async with asyncio.timeout(60):
        while len(lines) < 2:
            await asyncio.sleep(0.01)
            lines += capsys.readouterr().out.splitlines()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lines[0].startswith("listening jt809=127.0.0.1:")
    assert "positions 0" in lines[1]

"""Upgrades: packages written down before they go, confirmed, asked for again, gone on with after a lost link."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from downlink.firmware import UpgradeBody
from fleet import Bus, CommandAnswer
from ingest.commands import CommandDesk, DeskLimits
from ingest.commands.transfers import WINDOW, _next
from ingest.control import ControlUnavailable
from jt808.header import MAX_BODY_BYTES, Edition
from jt808.messages import UpgradePackage, decode_body
from store import Database
from store.queries import command_answers, commands
from store.queries.command_transfers import Transfer
from tests.ingest.waiting import until

PHONE = "13912345678"
CONTENT = bytes(index * 7 % 251 for index in range(100_000))
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PAYLOAD: dict[str, Any] = {
    "firmware_id": 1, "upgrade_type": 0, "manufacturer_id": "MAKER", "version": "2.0", "size_bytes": len(CONTENT),
    "sha256": DIGEST,
}  # fmt: skip
TOTAL = -(-(len(CONTENT) + 14) // MAX_BODY_BYTES)
FIRST = 65_500  # the serial numbers run over the end


@pytest.fixture(autouse=True)
def no_bugs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The desk outlives a bug of ours and goes on; here it must not."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.exc_info] == []


class Terminal:
    """A gateway with one terminal, which keeps the packages it was sent."""

    def __init__(self) -> None:
        self.edition = "2019"
        self.is_online = True
        self.leaves_after: int | None = None  # packages, then the link is lost
        self.packages: list[int] = []
        self.parts: dict[int, bytes] = {}
        self.serial_nos: set[int] = set()
        self.busy = 0
        self.away_after: int | None = None  # packages, then the gateway does not answer so many times
        self.away_times = 0

    async def request(self, op: str, **values: Any) -> dict[str, Any]:
        if self.away_after is not None and len(self.packages) >= self.away_after and self.away_times:
            self.away_times -= 1
            raise ControlUnavailable("away")
        if not self.is_online:
            return {"state": "offline"}
        if op == "prepare":
            return {"state": "ready", "serial_no": FIRST, "edition": self.edition}
        if op == "room":
            self.busy -= 1
            return {"state": "busy" if self.busy >= 0 else "ready"}
        assert (op, values["message_id"], values["total"]) == ("packages", 0x8108, TOTAL)
        self.serial_nos.add(values["serial_no"])
        for number, part in values["packages"].items():
            self.packages.append(int(number))
            self.parts[int(number)] = bytes.fromhex(part)
        if self.leaves_after is not None and len(self.packages) >= self.leaves_after:
            self.is_online, self.leaves_after = False, None
        return {"state": "ready"}

    def body(self) -> bytes:
        return b"".join(self.parts[number] for number in range(1, TOTAL + 1))


class Bench:
    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.terminal = Terminal()
        self.folder = folder
        self.desk = self.new_desk()

    def new_desk(self) -> CommandDesk:
        limits = DeskLimits(upgrade_bytes_per_s=1e9, firmware_dir=self.folder, attempts=2)
        return CommandDesk(self.database, self.terminal, Bus(), limits)

    async def give(self) -> UUID:
        async with self.database.connection() as connection:
            await connection.execute("INSERT INTO vehicles (plate, plate_color) VALUES ('A1', 2)")
            return await commands.insert(
                connection, vehicle_id=1, phone=PHONE, kind="upgrade", payload=PAYLOAD, created_by=None,
                expires_in_s=3600,
            )  # fmt: skip

    async def row(self, command_id: UUID) -> dict[str, Any]:
        async with self.database.connection() as connection:
            row = await commands.get(connection, command_id)
        assert row is not None
        return row

    async def look(self) -> None:
        """A look, and whatever it began to its end."""
        await self.desk.look()
        await until(lambda: not self.desk._transfers._tasks)

    async def answer(self, message_id: int = 0x0001, serial_no: int | None = FIRST, **values: Any) -> None:
        defaults: dict[str, Any] = {"request_message_id": 0x8108, "result": 0, "answer": None}
        if message_id != 0x0001:
            defaults |= {"request_message_id": None, "result": None}
        answer = CommandAnswer(0, PHONE, serial_no, message_id=message_id, **defaults | values)
        async with self.database.connection() as connection:
            await command_answers.apply_answers(connection, [answer])

    async def execute(self, statement: str) -> None:
        async with self.database.connection() as connection:
            await connection.execute(statement.encode())


@pytest.fixture
def bench(postgresql_database: Database, tmp_path: Path) -> Bench:
    (tmp_path / DIGEST).write_bytes(CONTENT)
    return Bench(postgresql_database, tmp_path)


def test_a_body_is_read_a_package_at_a_time(tmp_path: Path) -> None:
    (tmp_path / DIGEST).write_bytes(CONTENT)
    body = UpgradeBody(tmp_path, PAYLOAD)
    assert body.package_count == TOTAL
    whole = b"".join(body.package(number) for number in range(1, TOTAL + 1))
    assert decode_body(0x8108, Edition.V2013, whole) == UpgradePackage(0, "MAKER", "2.0", CONTENT)


@pytest.mark.parametrize(
    ("transfer", "numbers", "following"),
    [
        (Transfer(1, [], []), list(range(1, 9)), 9),
        (Transfer(5, [(5, 7)], []), [7, 8, 9, 10], 11),
        (Transfer(9, [], [(2, 4), (7, 8)]), [2, 3, 7], 9),
        (Transfer(1, [(1, 11)], []), [], 11),
        (Transfer(11, [], []), [], 11),
        (Transfer(11, [], [(1, 11)]), list(range(1, 9)), 11),
    ],
)
def test_which_packages_are_next(transfer: Transfer, numbers: list[int], following: int) -> None:
    assert _next(transfer, 10) == (numbers, following)


@pytest.mark.postgres
async def test_whole_then_acknowledged_then_done(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.busy = 1  # once there is no room
    await bench.look()
    assert bench.terminal.packages == list(range(1, TOTAL + 1))
    assert bench.terminal.serial_nos == {FIRST}
    assert decode_body(0x8108, Edition.V2019, bench.terminal.body()) == UpgradePackage(0, "MAKER", "2.0", CONTENT)
    row = await bench.row(command)
    assert (row["state"], row["progress"]) == ("sent", {"sent": TOTAL, "acknowledged": 0, "total": TOTAL})
    await bench.answer(serial_no=(FIRST + TOTAL - 1) & 0xFFFF)  # once for all, naming the last
    row = await bench.row(command)
    assert (row["state"], row["is_open"]) == ("acknowledged", True)
    await bench.answer(0x0108, None, answer={"outcome": 0})
    row = await bench.row(command)
    assert (row["state"], row["answer"], row["is_open"]) == ("answered", {"outcome": 0}, False)


@pytest.mark.postgres
async def test_a_lost_link_goes_on_where_the_terminal_confirmed(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.leaves_after = 80
    await bench.look()
    row = await bench.row(command)
    assert (row["state"], row["progress"]["sent"]) == ("queued", 80)
    for number in (*range(1, 70), 75):
        await bench.answer(serial_no=(FIRST + number - 1) & 0xFFFF)
    assert (await bench.row(command))["progress"]["acknowledged"] == 70
    bench.terminal.packages.clear()
    bench.terminal.is_online = True
    bench.desk._online.add(PHONE)
    await bench.look()
    assert bench.terminal.packages == [n for n in range(1, TOTAL + 1) if n >= 70 and n != 75]
    assert bench.terminal.serial_nos == {FIRST}
    for number in range(1, TOTAL + 1):
        await bench.answer(serial_no=(FIRST + number - 1) & 0xFFFF)
    row = await bench.row(command)
    assert (row["state"], row["progress"]["acknowledged"]) == ("acknowledged", TOTAL)


@pytest.mark.postgres
async def test_without_confirmations_it_goes_back_a_window(bench: Bench) -> None:
    await bench.give()
    bench.terminal.leaves_after = 80
    await bench.look()
    bench.terminal.packages.clear()
    bench.terminal.is_online = True
    bench.desk._online.add(PHONE)
    await bench.look()
    assert bench.terminal.packages == list(range(81 - WINDOW, TOTAL + 1))


@pytest.mark.postgres
async def test_packages_asked_for_go_out_again(bench: Bench) -> None:
    command = await bench.give()
    await bench.look()
    await bench.answer()
    assert (await bench.row(command))["state"] == "acknowledged"
    bench.terminal.packages.clear()
    await bench.answer(0x0005, answer={"package_nos": [3, 7, TOTAL + 1]})
    assert (await bench.row(command))["state"] == "sent"
    await bench.look()
    assert bench.terminal.packages == [3, 7]
    await bench.answer(serial_no=FIRST + 2)
    assert (await bench.row(command))["state"] == "acknowledged"


@pytest.mark.postgres
async def test_a_restart_goes_on(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.busy = 10**6  # never any room
    await bench.desk.look()
    await until(lambda: bench.terminal.busy < 10**6)
    await bench.desk._transfers.stop()
    bench.terminal.busy = 0
    bench.desk = bench.new_desk()
    await bench.look()
    assert bench.terminal.packages == list(range(1, TOTAL + 1))
    assert (await bench.row(command))["attempts"] == 1


@pytest.mark.postgres
async def test_a_gateway_that_is_away_for_long_costs_one_window(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.commands.transfers.RETRY_S", 0.001)
    command = await bench.give()
    bench.terminal.away_after, bench.terminal.away_times = 80, 20
    await bench.look()
    assert bench.terminal.packages[80:] == list(range(81 - WINDOW, TOTAL + 1))
    assert (await bench.row(command))["attempts"] == 1


@pytest.mark.postgres
async def test_a_restart_without_the_file_ends_it(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.busy = 10**6
    await bench.desk.look()
    await until(lambda: bench.terminal.busy < 10**6)
    await bench.desk._transfers.stop()
    (bench.folder / DIGEST).unlink()
    bench.desk = bench.new_desk()
    await bench.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("failed", "the firmware's file cannot be read: No such file or directory")


@pytest.mark.postgres
async def test_another_pass_waits_for_other_upgrades_and_is_whole(bench: Bench) -> None:
    command = await bench.give()
    await bench.look()
    bench.terminal.packages.clear()
    await bench.execute("UPDATE commands SET retry_at = now()")
    bench.desk._office.limits = DeskLimits(transfers=0, firmware_dir=bench.folder)
    await bench.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"], row["reason"]) == ("sent", 1, "waits for other upgrades to be through")
    bench.desk = bench.new_desk()
    await bench.execute("UPDATE commands SET retry_at = now()")
    await bench.look()
    assert bench.terminal.packages == list(range(1, TOTAL + 1))
    assert (await bench.row(command))["attempts"] == 2


@pytest.mark.postgres
async def test_no_answer_another_pass_then_given_up(bench: Bench) -> None:
    command = await bench.give()
    await bench.look()
    bench.terminal.packages.clear()
    await bench.execute("UPDATE commands SET retry_at = now()")
    await bench.look()
    assert bench.terminal.packages == list(range(1, TOTAL + 1))
    await bench.execute("UPDATE commands SET retry_at = now()")
    await bench.look()
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("timed_out", 2)
    await bench.answer(0x0108, None, answer={"outcome": 1}, refusal="upgrade: failed")  # late, and the truth
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("refused", "the terminal says: upgrade: failed")


@pytest.mark.postgres
async def test_refused_in_the_middle_stops(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.busy = 10**6
    await bench.desk.look()
    await bench.answer(result=3)
    bench.terminal.busy = 0
    await until(lambda: not bench.desk._transfers._tasks)
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("refused", "the terminal says: not supported")
    assert len(bench.terminal.packages) <= 8


@pytest.mark.postgres
@pytest.mark.parametrize("what", ["edition", "file"])
async def test_what_cannot_be_sent(bench: Bench, what: str) -> None:
    if what == "edition":
        bench.terminal.edition = "2011"
    else:
        (bench.folder / DIGEST).unlink()
    command = await bench.give()
    await bench.look()
    row = await bench.row(command)
    assert row["state"] == "failed"
    assert ("2011" if what == "edition" else "firmware's file") in row["reason"]


@pytest.mark.postgres
async def test_taken_back_in_the_middle(bench: Bench) -> None:
    command = await bench.give()
    bench.terminal.busy = 10**6
    await bench.desk.look()
    async with bench.database.connection() as connection:
        assert await commands.cancel(connection, command, "enough")
    bench.terminal.busy = 0
    await until(lambda: not bench.desk._transfers._tasks)
    await bench.look()
    assert len(bench.terminal.packages) <= 8
    assert (await bench.row(command))["state"] == "cancelled"

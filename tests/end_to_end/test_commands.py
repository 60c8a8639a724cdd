"""Commands through a whole server to simulated terminals: set and asked, to many, confirmed, an upgrade cut in two."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from simulators.client import Address
from simulators.client import Client as Unit
from simulators.driving import Behaviour, Vehicle
from simulators.ledger import Ledger
from simulators.link import LinkFaults
from simulators.terminal import FAST, Terminal
from simulators.wire import Identity
from tests.server import Client, Server, running_server

FIRMWARE = bytes(index * 31 % 253 for index in range(250_000))
FOR_A_LINK = ("2011", "2013", "2019")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    settings = {"ROADWARDEN_UPGRADE_BYTES_PER_S": "60000"}
    with running_server(tmp_path_factory.mktemp("commands") / "data", **settings) as both:
        yield both


class Fleet:
    """Simulated terminals on the server, and the API beside them."""

    def __init__(self, server: Server, client: Client) -> None:
        self.client = client
        self.terminals: dict[str, Terminal] = {}
        self.units: dict[str, Unit] = {}
        self.vehicle_ids: dict[str, int] = {}
        self._address = Address(*server.jt808())
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, phones: dict[str, str]) -> None:
        for index, (phone, edition) in enumerate(phones.items()):
            identity = Identity(phone, f"辽C{phone[-5:]}", 2, 100, f"C{index:06}")
            vehicle = Vehicle("Dalian", phone, time.time(), Behaviour())
            terminal = Terminal(identity, edition, vehicle, Ledger(), FAST, random.Random(phone))
            self.terminals[phone] = terminal
            self.units[phone] = unit = Unit(terminal, self._address, LinkFaults(), udp=False, seed=phone)
            self._tasks.append(asyncio.create_task(unit.run()))
        for phone in phones:
            self.vehicle_ids[phone] = await until("the vehicle on-line", lambda phone=phone: self._vehicle(phone))

    async def _vehicle(self, phone: str) -> int | None:
        items = (await self.call("GET", f"vehicles?q={phone}"))["items"]
        return items[0]["id"] if items and items[0]["online"] else None

    async def stop(self) -> None:
        transports = [unit._link.transport for unit in self.units.values() if unit._link is not None]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in transports:
            if transport is not None:
                transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)  # the loop closes them in its next turns
        await asyncio.sleep(0)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self.client.call, method, path, body)

    async def give(self, phone: str, kind: str, **payload: Any) -> dict[str, Any]:
        body = {"vehicle_id": self.vehicle_ids[phone], "kind": kind, **payload}
        command: dict[str, Any] = await self.call("POST", "commands", body)
        return command

    async def outcome(self, command: dict[str, Any]) -> dict[str, Any]:
        """The command when nothing more will happen to it."""

        async def find() -> dict[str, Any] | None:
            now: dict[str, Any] = await self.call("GET", f"commands/{command['id']}")
            return None if now["is_open"] else now

        return await until(f"the end of {command['kind']}", find)

    async def confirm(self, command: dict[str, Any]) -> None:
        assert command["state"] == "awaiting_confirmation"
        await self.call("POST", f"commands/{command['id']}/confirm", {"plate": command["plate"]})

    def lose_link(self, phone: str) -> None:
        link = self.units[phone]._link
        assert link is not None
        self.units[phone]._close(link)


async def until(what: str, find: Callable[[], Awaitable[Any]], timeout_s: float = 90.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := await find()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        await asyncio.sleep(0.05)
    return found


@pytest.fixture
async def fleet(served: tuple[Server, Client]) -> AsyncIterator[Fleet]:
    fleet = Fleet(*served)
    try:
        yield fleet
    finally:
        await fleet.stop()


@pytest.mark.slow
async def test_kinds_answered_and_refused(fleet: Fleet) -> None:
    await fleet.start({"13800000001": "2013", "13800000002": "2019", "13800000003": "2011"})
    new, old = "13800000002", "13800000003"
    done = await fleet.outcome(
        await fleet.give(new, "parameters_set", parameters=[{"id": 0x55, "value": 77}, {"id": 0x29, "value": 30}])
    )
    assert (done["state"], done["result"]) == ("acknowledged", 0)
    assert fleet.terminals[new].unit.parameters[0x55] == (77).to_bytes(4, "big")
    told = await fleet.outcome(await fleet.give(new, "parameters_query", ids=[0x55]))
    assert (told["state"], told["answer"]["parameters"][0]["value"]) == ("answered", 77)
    for phone, kind, payload, answer in (
        ("13800000001", "attributes", {}, ("firmware_version", "1.0")),
        (new, "attributes", {}, ("firmware_version", "1.0")),
        ("13800000001", "driver", {}, ("driver_name", "王师傅")),
        (new, "tachograph", {"command": 5}, ("command", 5)),
        (old, "tachograph", {"command": 5}, ("command", 5)),
        ("13800000001", "question", {"text": "到了吗", "answers": [{"id": 4, "text": "到了"}]}, ("answer_id", 4)),
    ):
        ended = await fleet.outcome(await fleet.give(phone, kind, **payload))
        assert ended["state"] == "answered", ended
        assert ended["answer"][answer[0]] == answer[1]
    ended = await fleet.outcome(await fleet.give(new, "vehicle_control", doors="lock"))
    assert (ended["state"], fleet.terminals[new].unit.locked) == ("answered", True)
    area = {"shape": "circle", "latitude_deg": 38.9, "longitude_deg": 121.6, "radius_m": 500}
    await fleet.outcome(await fleet.give(new, "area_set", area_id=9, area=area))
    held = await fleet.outcome(await fleet.give(new, "area_query", shape="circle"))
    assert held["answer"]["data"][0]["areas"][0]["area_id"] == 9
    with pytest.raises(urllib.error.HTTPError) as refused:
        await fleet.give(old, "attributes")
    refused.value.close()
    assert refused.value.code == 422


@pytest.mark.slow
async def test_a_group_and_a_second_word(fleet: Fleet) -> None:
    phones = {f"1381000000{n}": FOR_A_LINK[n % 3] for n in range(6)}
    await fleet.start(phones)
    ids = list(fleet.vehicle_ids.values())
    group = await fleet.call(
        "POST", "command-groups", {"vehicle_ids": ids, "kind": "text", "text": "收车", "rate_per_s": 20}
    )
    assert group["vehicles"] == len(phones)

    async def ended(group_id: str) -> dict[str, Any] | None:
        now: dict[str, Any] = await fleet.call("GET", f"command-groups/{group_id}")
        return now if now["state"] == "done" else None

    done = await until("the group", lambda: ended(group["id"]))
    await until("the last answer", lambda: all_in(fleet, group["id"], "acknowledged", len(phones)))
    assert done["skipped"] == 0
    reset = await fleet.call("POST", "command-groups", {"vehicle_ids": ids, "kind": "control", "command": "reset"})
    assert reset["state"] == "awaiting_confirmation"
    await fleet.call("POST", f"command-groups/{reset['id']}/confirm", {"vehicles": len(phones)})
    await until("the resets", lambda: all_in(fleet, reset["id"], "acknowledged", len(phones)))
    assert [fleet.terminals[phone].unit.resets for phone in phones] == [1] * len(phones)


async def all_in(fleet: Fleet, group_id: str, state: str, count: int) -> bool:
    group = await fleet.call("GET", f"command-groups/{group_id}")
    return bool(group["counts"] == {state: count})


@pytest.mark.slow
@pytest.mark.parametrize("confirms", [True, False])
async def test_an_upgrade_goes_on_after_a_lost_link(fleet: Fleet, confirms: bool) -> None:
    phone = "13820000001" if confirms else "13820000002"
    await fleet.start({phone: "2019"})
    unit = fleet.terminals[phone].unit
    unit.confirms_packages = confirms
    package = await asyncio.to_thread(upload, fleet.client, "3.0" if confirms else "3.1")
    assert package["sha256"] == hashlib.sha256(FIRMWARE).hexdigest()
    command = await fleet.give(phone, "upgrade", firmware_id=package["id"])
    await fleet.confirm(command)
    total = -(-(len(FIRMWARE) + 14) // 1023)

    async def some_went_out() -> bool:
        now = await fleet.call("GET", f"commands/{command['id']}")
        return bool(now["progress"]) and now["progress"]["sent"] >= 100

    await until("a good part of it", some_went_out)
    fleet.lose_link(phone)
    ended = await fleet.outcome(command)
    assert ended["state"] == "answered", ended
    assert ended["answer"]["outcome"] == 0
    assert (unit.firmware, unit.firmware_version) == (FIRMWARE, package["version"])
    assert (ended["progress"]["sent"], ended["progress"]["total"]) == (total, total)
    received = fleet.terminals[phone].ledger.counts["packages_received"]
    assert total <= received < 2 * total  # it went on; it did not begin anew
    attributes = await fleet.outcome(await fleet.give(phone, "attributes"))
    assert attributes["answer"]["firmware_version"] == package["version"]


def upload(client: Client, version: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{client.root}/api/v1/firmware?name=RW&version={version}&manufacturer_id=RWSIM", method="POST",
        data=FIRMWARE, headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    with client._opener.open(request, timeout=30) as response:
        answer: dict[str, Any] = json.loads(response.read())
        return answer

"""Many terminals over real sockets on loopback, with links that do everything wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.driving import CALM, Behaviour
from simulators.fleet import Fleet
from simulators.link import TERRIBLE
from simulators.terminal import FAST
from tests.simulators.platform import Platform, PlatformServer


async def come_true(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  (what is waited for happens in another task)
            await asyncio.sleep(0.02)


def fleet(port: int, terminals: int, **more: object) -> Fleet:
    more = {"timing": FAST, "behaviour": CALM, "seed": 5} | more
    return Fleet("127.0.0.1", port, terminals=terminals, **more)  # type: ignore[arg-type]


async def test_everything_answered_is_stored_however_bad_the_links() -> None:
    async with PlatformServer(Platform()) as server:
        busy = Behaviour(overspeed=60, emergency=20, offline=20)
        async with fleet(server.port, 30, faults=TERRIBLE, behaviour=busy, udp_share=0.3) as many:
            await come_true(lambda: many.ledger.counts["answered"] > 600 and many.ledger.counts["link_cut"] > 3)
            server.hang_up()
            assert await many.drain(30)
        verdict = many.ledger.compare(list(server.platform.stored))
        assert verdict.is_right, str(verdict)
        assert verdict.answered == verdict.sent == verdict.stored
        assert server.platform.bad_frames
        counts = many.ledger.counts
        assert all(counts[f"link_{name}"] for name in ("lose", "repeat", "swap", "damage", "junk", "cut"))
        assert counts["resent"]
        assert counts["sent_0x0704"]


async def test_comes_back_when_the_platform_does() -> None:
    async with PlatformServer(Platform()) as first:
        many = fleet(first.port, 5)
        await many.start()
        await come_true(lambda: many.online == 5)
    await come_true(lambda: many.ledger.counts["connect_failed"] > 2 and many.online == 0)
    codes = first.platform.codes
    async with PlatformServer(Platform(codes=codes)) as second:
        many.address.port = second.port
        await come_true(lambda: many.online == 5)
        assert 0x0100 not in second.platform.ids()
        assert await many.drain(20)
        await many.stop()
        stored = first.platform.stored | second.platform.stored
        assert many.ledger.compare(list(stored)).is_right


async def test_a_second_run_goes_on_with_the_first_ones_codes_and_places(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "fleet.json"
    async with PlatformServer(Platform()) as server:
        async with fleet(server.port, 4, state=state) as first:
            await come_true(lambda: first.online == 4)
        server.platform.received.clear()
        async with fleet(server.port, 4, state=state) as second:
            await come_true(lambda: second.online == 4)
        assert 0x0100 not in server.platform.ids()
    for before, after in zip(first.terminals, second.terminals, strict=True):
        assert after.vehicle.odometer_km == pytest.approx(before.vehicle.odometer_km, abs=1)


def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    state = tmp_path / "fleet.json"
    state.write_text("{")
    with pytest.raises(ValueError, match="delete it to begin anew"):
        fleet(1, 1, state=state)


def test_the_same_seed_is_the_same_fleet_of_any_size() -> None:
    small, large = fleet(1, 50).vehicles, fleet(1, 2000).vehicles
    assert large[:50] == small
    assert fleet(1, 50, seed=6).vehicles != small
    assert len({v.plate for v in large}) == len({v.phone for v in large}) == 2000
    assert {v.edition for v in large} == {"2011", "2013", "2019"}
    assert {len(v.plate) for v in large} == {7, 8}
    for v in large:
        assert v.plate_color in ({1, 2, 93} if v.edition == "2019" else {1, 2})


async def test_stopping_leaves_no_task_and_no_link() -> None:
    async with PlatformServer(Platform()) as server:
        async with fleet(server.port, 10, udp_share=0) as many:
            await come_true(lambda: many.online > 0)
        await come_true(lambda: not server.links)
        assert asyncio.all_tasks() == {asyncio.current_task()}

"""What can wait, done a little in each turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from ingest import turns as turns_module
from tests.ingest.terminals import Site
from tests.ingest.waiting import until


async def test_what_can_wait_is_done_in_turns_and_a_failure_costs_no_other_its_own(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(turns_module.time, "perf_counter", lambda: next(clock) * turns_module.WORK_S_PER_TURN / 10)
    gateway, done = site.gateway, list[int]()

    def work(number: int) -> Callable[[], None]:
        return lambda: done.append(number // (number != 30))  # one fails

    for number in range(100):
        gateway.turns.add(work(number))
    await asyncio.sleep(0)
    assert 5 < len(done) < 15
    await until(lambda: len(done) == 99)
    assert done == [number for number in range(100) if number != 30]
    assert site.counters["link_failures"] == 1
    gateway.turns.add(work(0))
    await until(lambda: done[-1] == 0)


@pytest.mark.parametrize("is_reset", [False, True])
async def test_terminals_that_all_hang_up_at_once_are_logged_off_in_turns(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_reset: bool
) -> None:
    terminals = [await site.terminal(f"139{number:08d}") for number in range(40)]
    for terminal in terminals:
        await terminal.log_in()
    clock = iter(range(10**9))
    monkeypatch.setattr(turns_module.time, "perf_counter", lambda: next(clock) * turns_module.WORK_S_PER_TURN / 10)
    monkeypatch.setattr(turns_module, "PAUSE_S", 0.0)
    for terminal in terminals:
        terminal.close(reset=is_reset)
    left = [40]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(len(site.gateway.sessions))
    assert max(before - after for before, after in pairwise(left)) <= 10
    reason = "connection_lost" if is_reset else "closed_by_terminal"
    assert site.counters[f"links_ended{{reason={reason}}}"] == 40

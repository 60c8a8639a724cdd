"""One timer for many deadlines."""

from __future__ import annotations

import asyncio

import pytest

from ingest.deadlines import Deadlines
from tests.ingest.waiting import until


class Link:
    def __init__(self, deadlines: Deadlines, again: float | None = None) -> None:
        self.due_slot: int | None = None
        self.rung: list[float] = []
        self.deadlines = deadlines
        self.again = again

    def on_due(self) -> None:
        now = asyncio.get_running_loop().time()
        self.rung.append(now)
        if self.again is not None:
            self.deadlines.set(self, now + self.again)


async def make() -> tuple[Deadlines, float]:
    deadlines = Deadlines(step_s=0.01)
    loop = asyncio.get_running_loop()
    deadlines.open(loop)
    return deadlines, loop.time()


async def test_never_early_each_once_and_the_past_at_once() -> None:
    deadlines, now = await make()
    links = [Link(deadlines) for _ in range(5)]
    for number, link in enumerate(links):
        deadlines.set(link, now + (number - 1) * 0.03)
    await until(lambda: all(link.rung for link in links))
    for number, link in enumerate(links):
        assert len(link.rung) == 1
        assert link.rung[0] >= now + (number - 1) * 0.03
        assert link.due_slot is None
    deadlines.close()


async def test_a_deadline_moves_and_is_forgotten() -> None:
    deadlines, now = await make()
    moved, forgotten, last = Link(deadlines), Link(deadlines), Link(deadlines)
    deadlines.set(moved, now + 0.02)
    deadlines.set(forgotten, now + 0.02)
    deadlines.set(last, now + 0.08)
    deadlines.set(moved, now + 0.05)
    deadlines.set(forgotten, None)
    await until(lambda: last.rung)
    assert moved.rung[0] >= now + 0.05
    assert forgotten.rung == []
    deadlines.close()


async def test_it_goes_on_after_a_rest() -> None:
    deadlines, now = await make()
    link = Link(deadlines, again=0.02)
    deadlines.set(link, now)
    await until(lambda: len(link.rung) >= 3)
    link.again = None
    seen = len(link.rung)
    await until(lambda: len(link.rung) > seen)
    deadlines.set(link, asyncio.get_running_loop().time())
    seen = len(link.rung)
    await until(lambda: len(link.rung) > seen)
    deadlines.close()


async def test_one_that_fails_costs_no_other_its_deadline(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Link):
        def on_due(self) -> None:
            super().on_due()
            raise ZeroDivisionError

    deadlines, now = await make()
    links = [(Failing if number % 2 else Link)(deadlines) for number in range(8)]
    for link in links:
        deadlines.set(link, now)
    await until(lambda: all(link.rung for link in links))
    assert caplog.text.count("could not be kept") == 4
    after = Link(deadlines)
    deadlines.set(after, now)
    await until(lambda: after.rung)
    deadlines.close()

"""A shuffled, repeated, late stream against a model in plain Python: what is stored, what is late, what rings.

ROADWARDEN_STREAM_FIXES=100000 makes it long; ROADWARDEN_STREAM_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import BatchStored
from ingest.newest import Newest
from store import Database
from tests.ingest.waiting import until
from tests.ingest.world import Rec, World, bulk, events, fix, registered, us
from tests.store.batches import make_batch

FIXES = int(os.environ.get("ROADWARDEN_STREAM_FIXES", "3000"))
SEED = int(os.environ.get("ROADWARDEN_STREAM_SEED", "20261122"))
VEHICLES = 40


# -- marking late, alone


@settings(max_examples=300, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12), st.booleans()), max_size=12), min_size=1, max_size=5
    )
)
def test_marking_late_is_what_a_loop_would_do(batches: list[list[tuple[int, int, bool]]]) -> None:
    newest = Newest()
    model: dict[int, int] = {}
    for rows in batches:
        vehicle_id, at, is_blind = (np.array(column) for column in (zip(*rows, strict=True) if rows else ([], [], [])))
        batch = make_batch(len(rows), vehicle_id=vehicle_id, time_us=us(0) + at * 1_000_000)
        newest.mark_late(batch, is_blind.astype(bool))
        expected = []
        for vehicle, second, blind in rows:
            expected.append(blind or second < model.get(vehicle, -1))
            if not blind:
                model[vehicle] = max(model.get(vehicle, -1), second)
        assert batch.late.tolist() == expected


def test_vehicles_beyond_what_there_was_room_for() -> None:
    newest = Newest()
    newest.load(5_000, us(9))
    batch = make_batch(3, vehicle_id=[5_000, 70_000, 5_000], time_us=[us(8), us(1), us(9)])
    newest.mark_late(batch, np.zeros(3, bool))
    assert batch.late.tolist() == [True, False, False]


# -- the whole pipeline


@dataclass
class Fix:
    phone: str
    at: int
    alarm: bool
    body: bytes = b""

    def __post_init__(self) -> None:
        self.body = fix(self.at, alarm=int(self.alarm))


@dataclass
class Model:
    """What ought to be stored, from the stream alone."""

    stored: dict[tuple[str, int], bool] = field(default_factory=dict)  # phone, second -> late
    newest: dict[str, int] = field(default_factory=dict)
    ringing: dict[str, bool] = field(default_factory=dict)
    rung: set[tuple[str, int]] = field(default_factory=set)  # emergencies of today: phone, begin

    def take(self, fixes: Sequence[Fix], is_blind: bool) -> None:
        """One message: its fixes count in the order of their time."""
        for one in sorted(fixes, key=lambda one: one.at):
            key = one.phone, one.at
            if key in self.stored:
                continue
            late = is_blind or one.at < self.newest.get(one.phone, -1)
            self.stored[key] = late
            if not is_blind:
                self.newest[one.phone] = max(self.newest.get(one.phone, -1), one.at)
            if not late:
                if one.alarm and not self.ringing.get(one.phone):
                    self.rung.add(key)
                self.ringing[one.phone] = one.alarm


def phones() -> list[str]:
    return [f"139000{number:05}" for number in range(VEHICLES)]


def make_stream(rng: random.Random, count: int) -> list[tuple[list[Fix], bool, float]]:
    """Messages as (fixes, backfill, received): plain reports and bulk reports of both kinds, some delayed by much, some
    sent again, the order of arrival shaken."""
    per_vehicle = count // VEHICLES
    messages: list[tuple[float, list[Fix], bool]] = []
    for phone in phones():
        alarm, at = False, rng.randrange(30)
        pending: list[Fix] = []
        for _ in range(per_vehicle):
            at += rng.randrange(1, 8)  # a second never twice: then the model needs no order within it
            alarm = rng.random() < 0.2 if rng.random() < 0.2 else alarm
            pending.append(Fix(phone, at, alarm))
            if len(pending) < (rng.randrange(2, 9) if rng.random() < 0.15 else 1):
                continue
            is_blind = len(pending) > 1 and rng.random() < 0.5
            delay = rng.expovariate(1 / 300) if rng.random() < 0.2 else rng.random() * 3
            rng.shuffle(pending)
            messages.append((at + delay, pending, is_blind))
            while rng.random() < 0.15:
                messages.append((at + delay + rng.expovariate(1 / 60), pending, is_blind))
            pending = []
    messages.sort(key=lambda message: message[0])
    return [(fixes, is_blind, received) for received, fixes, is_blind in messages]


def record(fixes: list[Fix], is_blind: bool, received: float) -> Rec:
    if len(fixes) == 1 and not is_blind:
        return Rec(fixes[0].body, phone=fixes[0].phone, received=received)
    return Rec(bulk(int(is_blind), *(one.body for one in fixes)), 0x0704, fixes[0].phone, received)


@pytest.mark.slow
async def test_a_shuffled_repeated_late_stream(tmp_path: Path, database: Database) -> None:
    print(f"seed {SEED}: ROADWARDEN_STREAM_SEED={SEED} repeats this stream; {FIXES} fixes")
    rng = random.Random(SEED)
    stream = make_stream(rng, FIXES)
    model = Model()
    world = World(tmp_path, database)
    try:
        world.write(*(registered(phone, f"辽S{number:05}") for number, phone in enumerate(phones())))
        await world.drain()
        newest: dict[int, int] = {}
        while stream:
            # A run of the process: some groups, written while it works or before, then it begins anew.
            count = rng.randrange(1, FIXES // 4)
            run, stream = stream[:count], stream[count:]
            async with world.running() as pipeline:
                while run:
                    size = rng.randrange(1, 200)
                    messages, run = run[:size], run[size:]
                    for fixes, is_blind, _ in messages:
                        model.take(fixes, is_blind)
                    world.write(*(record(*message) for message in messages))
                    if rng.random() < 0.3:
                        await until(lambda: pipeline.status.offset == world.file.last_offset)
                await until(lambda: pipeline.status.offset == world.file.last_offset, 120.0)
            for vehicle_id, second in await world.rows(
                "SELECT vehicle_id, extract(epoch FROM time)::bigint FROM latest_positions"
            ):
                assert second >= newest.get(vehicle_id, 0), "the newest position went back"
                newest[vehicle_id] = second
            world.begin()
        rows = await world.rows(
            "SELECT t.phone, extract(epoch FROM p.time)::bigint - %s, p.late FROM positions p "
            "JOIN terminals t ON t.id = p.terminal_id", us(0) // 1_000_000,
        )  # fmt: skip
        assert len(rows) == len({row[:2] for row in rows}), "a fix is stored twice"
        assert {(phone, at): late for phone, at, late in rows} == model.stored
        latest = await world.rows(
            "SELECT t.phone, extract(epoch FROM l.time)::bigint - %s FROM latest_positions l "
            "JOIN terminals t ON t.id = l.terminal_id", us(0) // 1_000_000,
        )  # fmt: skip
        assert dict(latest) == model.newest
        alarms = await world.rows(
            "SELECT t.phone, extract(epoch FROM a.begin_time)::bigint - %s, a.late FROM alarms a "
            "JOIN terminals t ON t.id = a.terminal_id WHERE rule = 'terminal.emergency'", us(0) // 1_000_000,
        )  # fmt: skip
        assert {(phone, at) for phone, at, late in alarms if not late} == model.rung
        assert len(model.rung) > VEHICLES
        assert any(model.stored.values())
        assert sum(late for _, _, late in alarms) > 0
        told = [
            (event.positions.vehicle_id.tolist(), event.positions.time_us.tolist())
            for event in events(world, BatchStored)
        ]
        assert sum(len(vehicles) for vehicles, _ in told) == len(model.stored)
    finally:
        world.close()

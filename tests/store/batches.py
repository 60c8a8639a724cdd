"""Made-up reports for tests of the store."""

from __future__ import annotations

from typing import Any

import numpy as np

from fleet import ITEM_COLUMNS, Commit, PositionBatch

NOON_US = 1_780_000_000_000_000
"""Some time in 2026."""
SECOND = 1_000_000
DAY = 86_400 * SECOND


def make_batch(count: int, **columns: Any) -> PositionBatch:
    """``count`` reports of vehicles 1..count, one second apart; name a column to set it (a scalar fills it)."""
    plain: dict[str, Any] = {
        "terminal_id": np.arange(1, count + 1),
        "vehicle_id": np.arange(1, count + 1),
        "time_us": NOON_US + np.arange(count) * SECOND,
        "received_us": NOON_US + np.arange(count) * SECOND + SECOND // 2,
        "latitude_deg": 41.8 + np.arange(count) / 1000,
        "longitude_deg": 123.4,
        "altitude_m": 50,
        "speed_kmh": 60.5,
        "heading_deg": 90,
        "alarm_flags": 0,
        "status_flags": 3,
        "late": False,
        "fix_hash": np.arange(count) * 7919 - 5,
        "message_id": 0x0200,
    }
    lists = {name: columns.pop(name) for name in ("items", "present", "other_items") if name in columns}
    empty = PositionBatch.empty()
    for name, value in (plain | columns).items():
        setattr(empty, name, np.broadcast_to(value, count).astype(getattr(empty, name).dtype))
    for name, value in lists.items():
        setattr(empty, name, value)
    return empty


def typical_batch(count: int) -> PositionBatch:
    """Reports as terminals send them: eight items each, some bytes of another."""
    names = list(ITEM_COLUMNS)[:4] + list(ITEM_COLUMNS)[-4:]
    rng = np.random.default_rng(7)
    return make_batch(
        count,
        items={name: rng.integers(0, 99, count).astype(ITEM_COLUMNS[name]) for name in names},
        present={name: rng.random(count) < 0.9 for name in names},
        other_items=[b"\xe1\x02ab" if row % 2 else None for row in range(count)],
    )


def make_commit(offset: int, positions: PositionBatch | None = None, **parts: Any) -> Commit:
    commit = Commit("main", offset, **parts)
    if positions is not None:
        commit.positions = positions
    return commit

"""What the live hub remembers: who is on-line, the alarms on the board."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.live_state import AlarmBoard, Presence
from tests.api.support import T0


def test_presence_of_a_vehicle_with_two_terminals() -> None:
    presence = Presence()
    presence.replace([("1", 7, False), ("2", 7, False)])
    assert presence.take_changes() == []
    assert presence.change("1", True)
    assert presence.change("2", True)
    assert presence.take_changes() == [(7, True)]
    presence.change("1", False)
    assert presence.take_changes() == []
    presence.change("2", False)
    presence.change("2", False)
    assert presence.take_changes() == [(7, False)]
    assert not presence.change("3", True)


def test_presence_changes_during_a_read_win_over_it() -> None:
    presence = Presence()
    presence.replace([("1", 7, False), ("2", 8, True)])
    presence.take_changes()
    presence.begin_read()
    presence.change("1", True)
    presence.change("9", True)  # not known yet, but in what is being read
    presence.replace([("1", 7, False), ("2", 8, False), ("9", 9, False)])
    assert presence.online() == [7, 9]
    assert presence.take_changes() == [(7, True), (8, False), (9, True)]
    presence.replace([("1", 17, True)])  # moved to another vehicle
    assert presence.take_changes() == [(7, False), (9, False), (17, True)]


def test_a_full_board_keeps_what_presses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlarmBoard, "CAPACITY", 3)
    board = AlarmBoard()

    def row(number: int, **columns: Any) -> dict[str, Any]:
        return {
            "id": UUID(int=number), "vehicle_id": 1, "plate": "辽A1", "plate_color": 2, "phone": None, "rule": "gone",
            "severity": 3, "source": "platform", "state": "open", "late": False,
            "begin_time": T0 + timedelta(seconds=number), "end_time": None, "updated_time": T0, "latitude_deg": None,
            "longitude_deg": None, "speed_kmh": None, "facts": {}, "claimed_by": None, "claimed_by_name": None,
            "claimed_at": None, "handled_by": None, "handled_by_name": None, "handled_at": None, "handle_code": None,
            "handle_text": None,
        } | columns  # fmt: skip

    since = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [row(1), row(2), row(3, severity=1), row(4, late=True), row(5, state="handled", handled_at=T0), row(6)]
    told = board.take(rows, since)
    assert len(told) == 6
    assert {item["id"] for item in board.items()} == {str(UUID(int=n)) for n in (2, 3, 6)}
    assert board.dropped == 3
    assert board.items()[0]["rule_name"] == "gone"  # a rule nobody knows any more keeps its key

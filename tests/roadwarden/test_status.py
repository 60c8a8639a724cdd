"""What operators are told about the server itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadwarden.status import Seen, crash_loops, notices, read_roles

NOW = 1_000_000.0
WELL = {
    "gateway_journal_failing": 0.0, "gateway_journal_level": 0.0, "gateway_journal_size_bytes": 72.0,
    "gateway_journal_bound_bytes": 100.0, "gateway_disk_low": 0.0, "gateway_disk_free_bytes": 2.0**20 * 700,
    "gateway_identities_contested": 0.0,
}  # fmt: skip


def told(
    *, up: bool = True, lag_s: float = 0.0, roles: dict[str, dict[str, float]] | None = None, **gauges: float
) -> list[tuple[str, str]]:
    gateway = WELL | {f"gateway_{name}": value for name, value in gauges.items()}
    return [(one["code"], one["severity"]) for one in notices(Seen(up, lag_s, gateway, roles or {}), NOW)]


def test_nothing_is_told_when_all_is_well() -> None:
    assert told(lag_s=59.0) == []


@pytest.mark.parametrize(
    ("expected", "what"),
    [
        ([("journal_filling", "warning")], {"journal_level": 1.0}),
        ([("journal_filling", "error")], {"journal_level": 2.0}),
        ([("journal_failing", "error")], {"journal_failing": 1.0}),
        ([("disk_low", "error")], {"disk_low": 1.0}),
        ([("database_away", "error")], {"up": False, "lag_s": 300.0}),  # one cause, one notice
        ([("pipeline_behind", "warning")], {"lag_s": 61.0}),
        ([("duplicate_identity", "warning")], {"identities_contested": 2.0}),
        ([("database_away", "error"), ("journal_filling", "warning")], {"up": False, "journal_level": 1.0}),
    ],
)
def test_what_is_wrong_is_told_the_worst_first(expected: list[tuple[str, str]], what: dict[str, float]) -> None:
    assert told(**what) == expected  # type: ignore[arg-type]


def test_it_is_told_in_words() -> None:
    (filling,) = notices(Seen(True, 0.0, WELL | {"gateway_journal_level": 1.0}), NOW)
    assert "72% full" in filling["detail"]
    (low,) = notices(Seen(True, 0.0, WELL | {"gateway_disk_low": 1.0}), NOW)
    assert "700 MiB" in low["detail"]


def test_a_gateway_that_does_not_answer_is_told() -> None:
    assert [one["code"] for one in notices(Seen(True, 0.0), NOW)] == ["gateway_away"]


def test_a_role_that_keeps_ending_is_told_until_it_holds() -> None:
    role = {"starts": 9.0, "crashes": 4.0, "started": NOW - 5.0}
    assert told(roles={"gateway": role}) == [("role_failing", "error")]
    assert "4 times in a row" in crash_loops({"gateway": role}, NOW)["gateway"]
    assert crash_loops({"gateway": role}, NOW + 60.0) == {}
    assert crash_loops({"gateway": role | {"crashes": 2.0}}, NOW) == {}


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_what_the_supervisor_did_not_write_is_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "roles.json").write_text(content)
    assert read_roles(tmp_path) == {}

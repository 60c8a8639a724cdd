"""bench.jt808: the floor reads what the library reads, and every number is taken."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bench import jt808 as bench
from jt808 import Edition, encode_body


@pytest.mark.parametrize("number", [0, 1, 999])
def test_the_floor_reads_the_same(number: int) -> None:
    report = bench.location(number)
    body = encode_body(report, Edition.V2019)
    found = bench.by_hand(body)
    assert (found["latitude"], found["longitude"]) == (report.latitude_deg, report.longitude_deg)
    assert (found["alarm"], found["status"], found["altitude"]) == (1, 3, 50)
    assert (found["speed"], found["heading"], found["time"]) == (62.3, 90, report.time)
    assert [found[f"item {item.id}"] for item in report.items] == [item.value for item in report.items]
    assert bench.declared(body) == [report, *[item.value for item in report.items]]


def test_the_best_of_rounds_counts_each() -> None:
    assert bench.best(lambda: timedelta(), each=10, seconds=0) >= 0


def test_the_messages_are_read_as_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "best", lambda work, *_: 0.0)
    found = bench.messages()
    assert len(found) == len(bench.MESSAGES)
    assert found["0x0200 location report, 6 items"][0] == 54


@pytest.mark.parametrize(("declared", "by_hand", "kept"), [(40.0, 1.0, True), (39.0, 4.0, False), (50.0, 0.9, False)])
def test_what_is_asked_can_be_missed(declared: float, by_hand: float, kept: bool) -> None:
    group = {"declarative": declared, "struct and loop": by_hand, "columnar": 1.0}
    assert bench.verdict(bench.ratios(group)).is_kept is kept

from __future__ import annotations

from pathlib import Path

import pytest

import alarms
from alarms import ALARM_BITS, RULES, STATUS_BITS, VIDEO_ALARM_BITS, EngineDefaults
from fleet import AlarmSource, Severity

DOCS = Path(alarms.__file__).parents[2] / "docs" / "alarms.md"


def test_every_bit_of_the_alarm_word_has_a_name() -> None:
    assert [bit.bit for bit in ALARM_BITS] == list(range(32))
    assert [bit.bit for bit in VIDEO_ALARM_BITS] == list(range(7))


def test_names_are_unique_and_complete() -> None:
    assert len(RULES) == len(ALARM_BITS) + len(VIDEO_ALARM_BITS) + 4
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.chinese
        assert rule.english
        assert rule.severity in set(Severity)
        assert (rule.source == AlarmSource.TERMINAL) == name.startswith("terminal.")
    assert len({rule.chinese for rule in RULES.values()}) == len(RULES)


def test_status_bits_do_not_overlap() -> None:
    taken = [bit.bit + n for bit in STATUS_BITS for n in range(bit.width)]
    assert taken == list(range(23))
    for bit in STATUS_BITS:
        assert len(bit.values) == 2**bit.width


def test_the_manual_lists_every_rule() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| `{rule.name}` | {rule.chinese} | {rule.english} | {int(rule.severity)} |" in text


def test_the_manual_lists_every_default() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in EngineDefaults.__dataclass_fields__:
        value = getattr(EngineDefaults(), name)
        assert f"| `{name}` | {value:g} |" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed_limit_kmh": 0}, {"offline_after_s": -1}, {"late_idle_s": 0}, {"overspeed_duration_s": -0.1},
        {"implausible_speed_kmh": float("nan")},
    ],
)  # fmt: skip
def test_defaults_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EngineDefaults(**wrong)
    assert EngineDefaults(speed_limit_kmh=None, overspeed_duration_s=0).speed_limit_kmh is None

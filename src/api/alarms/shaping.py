"""An alarm's row as the API tells it."""

from __future__ import annotations

from typing import Any

from alarms import RULES
from api.alarms.schemas import Alarm


def shape(row: dict[str, Any]) -> dict[str, Any]:
    """Add what the rule is called; a rule of an older version keeps its key as its name."""
    rule = RULES.get(row["rule"])
    return row | {
        "rule_name": rule.chinese if rule else row["rule"],
        "rule_name_en": rule.english if rule else row["rule"],
    }


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """The row as it goes out over the live stream, equal to what ``GET alarms/{id}`` answers."""
    return Alarm.model_validate(shape(row)).model_dump(mode="json")

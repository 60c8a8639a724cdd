"""What operators have to be told about the server itself, in words: from the gateway's gauges, the pipeline's lag, the
database's answer and what the supervisor writes down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

STATUS_FILE: Final = "roles.json"
"""In the run directory, by the supervisor: of each role `starts`, `crashes` in a row, `started` (s since 1970)."""

STEADY_S: Final = 30.0  # who ran this long is no crash loop
LOOPS_FROM: Final = 3  # crashes in a row
LOOKS_LIKE_LOOP_S: Final = STEADY_S + 10.0  # after a start: it may be waiting for the next one
BEHIND_S: Final = 60.0  # how old what waits in the journal may be

Notice = dict[str, str]
"""`code`, `severity` ("warning" | "error"), `detail`: a sentence."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the server."""

    is_database_up: bool
    lag_s: float  # age of the oldest report that is not stored
    gateway: Mapping[str, float] = field(default_factory=dict)  # its gauges; {}: it does not answer
    roles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unfiled_bytes: int = 0  # of media that could not be written to their files
    is_media_failing: bool = False


def read_roles(run_dir: Path) -> dict[str, dict[str, float]]:
    """What the supervisor wrote; {} when there is none."""
    try:
        found: Any = json.loads((run_dir / STATUS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def crash_loops(roles: Mapping[str, Mapping[str, float]], now_s: float) -> dict[str, str]:
    """The roles that keep ending soon after their start, each with a sentence."""
    return {
        name: f"the {name} process has ended {role['crashes']:.0f} times in a row soon after its start; see the log"
        for name, role in roles.items()
        if role["crashes"] >= LOOPS_FROM and now_s - role["started"] < LOOKS_LIKE_LOOP_S
    }


def notices(seen: Seen, now_s: float) -> list[Notice]:
    """What is wrong, the worst first."""
    found: list[Notice] = []

    def say(code: str, severity: str, detail: str) -> None:
        found.append({"code": code, "severity": severity, "detail": detail})

    gateway = seen.gateway
    for detail in crash_loops(seen.roles, now_s).values():
        say("role_failing", "error", detail)
    if not gateway:
        say("gateway_away", "error", "the gateway process does not answer: no terminal can report")
    if gateway.get("gateway_journal_failing"):
        say("journal_failing", "error", "the journal cannot be written: no report is answered until it can")
    if level := gateway.get("gateway_journal_level", 0):
        share = gateway["gateway_journal_size_bytes"] / max(gateway["gateway_journal_bound_bytes"], 1)
        detail = f"the journal is {share:.0%} full; at its bound reports are no longer taken"
        say("journal_filling", "error" if level >= 2 else "warning", detail)
    if gateway.get("gateway_disk_low"):
        free = gateway["gateway_disk_free_bytes"] / 2**20
        say("disk_low", "error", f"the disk of the journal has only {free:,.0f} MiB left")
    if seen.is_media_failing:
        waiting = seen.unfiled_bytes / 2**20
        detail = f"photos and films cannot be written to their folder; {waiting:,.1f} MiB wait in the database"
        say("media_failing", "error", detail)
    if not seen.is_database_up:
        say("database_away", "error", "the database does not answer: reports wait in the journal")
    elif seen.lag_s > BEHIND_S:
        say("pipeline_behind", "warning", f"reports are stored {seen.lag_s:,.0f} s after they came in")
    if pairs := gateway.get("gateway_identities_contested", 0):
        detail = f"{pairs:.0f} phone number(s) are used by two terminals each; the newer ones are turned away"
        say("duplicate_identity", "warning", detail)
    return sorted(found, key=lambda notice: notice["severity"] != "error")

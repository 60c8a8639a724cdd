"""What an alarm is: an episode of one rule on one vehicle, with a begin, peak facts and an end."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any


class Severity(IntEnum):
    """How much it matters; the console's shapes and sounds follow it."""

    CRITICAL = 1  # emergency, collision
    HIGH = 2  # fatigue, gross overspeed
    MEDIUM = 3  # overspeed, region, power cut
    LOW = 4  # device faults, data quality


class AlarmState(StrEnum):
    """Where the handling stands: open -> claimed -> handled, or false. ``closed`` ends the life of a handled one."""

    OPEN = "open"  # 未认领
    CLAIMED = "claimed"  # 已认领
    HANDLED = "handled"  # 已处理
    FALSE = "false"  # 误报
    CLOSED = "closed"  # 已归档


class AlarmSource(StrEnum):
    """Who says so."""

    TERMINAL = "terminal"  # the terminal's alarm bits and items
    PLATFORM = "platform"  # our own rules
    SUPERIOR = "superior"  # the superior platform


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of alarm. ``name`` is the stable key (``terminal.emergency``, ``overspeed``, ``fence.enter``, ...)."""

    name: str
    chinese: str
    english: str
    severity: Severity
    source: AlarmSource


def alarm_id(vehicle_id: int, rule: str, begin_us: int, detail: str = "") -> uuid.UUID:
    """The alarm's identity, from what it is: the same facts replayed make the same id, never a twin.

    ``detail`` separates episodes of one rule that may run side by side (the fence's id).
    """
    key = f"{vehicle_id}|{rule}|{detail}|{begin_us}".encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=16, person=b"roadwarden-alarm").digest())
    # RFC 9562 version 8 (made from the application's own data), set by hand: uuid.UUID takes version=8 from 3.14 on.
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return uuid.UUID(int=number)


class ChangeKind(StrEnum):
    BEGIN = "begin"
    UPDATE = "update"  # peak facts changed
    END = "end"


@dataclass(slots=True)
class AlarmChange:
    """What the engine found: an episode begins, its facts change, it ends. Applied in order, idempotently by ``id``."""

    kind: ChangeKind
    id: uuid.UUID
    vehicle_id: int
    terminal_id: int
    rule: str
    severity: int
    source: str
    begin_us: int
    time_us: int  # of this change
    late: bool  # judged from late data: rings no bell
    end_us: int | None = None  # set on END
    latitude_deg: float | None = None  # where this change happened
    longitude_deg: float | None = None
    speed_kmh: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # e.g. limit_kmh, max_speed_kmh, fence_id, fence_name


@dataclass(frozen=True, slots=True)
class RuleState:
    """What a rule must remember of a vehicle between batches, stored in the same transaction as the batch.

    ``state`` None means: nothing to remember any more, delete the row.
    """

    vehicle_id: int
    rule: str  # the rule's module, not the alarm kind
    is_late: bool  # the late lane remembers separately, so that backfill cannot disturb the live episodes
    state: dict[str, Any] | None

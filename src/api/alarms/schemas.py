"""Alarms on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.fields import Body, Id, Text, Time

MAX_AT_ONCE: Final = 200

State = Literal["open", "claimed", "handled", "false", "closed"]


class Alarm(BaseModel):
    """An episode of one rule on one vehicle, and how far its handling is."""

    id: UUID
    vehicle_id: int
    plate: str
    plate_color: int
    phone: str | None
    rule: str
    rule_name: str
    rule_name_en: str
    severity: int
    source: str
    state: State
    late: bool
    begin_time: Time
    end_time: Time | None
    updated_time: Time
    latitude_deg: float | None
    longitude_deg: float | None
    speed_kmh: float | None
    facts: dict[str, Any]
    claimed_by: int | None
    claimed_by_name: str | None
    claimed_at: Time | None
    handled_by: int | None
    handled_by_name: str | None
    handled_at: Time | None
    handle_code: str | None
    handle_text: str | None


class AlarmStep(BaseModel):
    """One step of the handling: who, when, from where to where."""

    time: Time
    user: str | None
    action: str
    from_state: str
    to_state: str
    code: str | None
    text: str | None


class AlarmWithSteps(Alarm):
    steps: list[AlarmStep]


class Handling(Body):
    """What was done about it. The code ``false_alarm`` (误报) marks the alarm false."""

    code: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[\w.-]+$")]
    text: Annotated[Text, Field(max_length=2000)] = ""


class Closing(Body):
    text: Annotated[Text, Field(max_length=2000)] = ""


class AlarmRule(BaseModel):
    """A kind of alarm: stable name, Chinese and English, severity 1 (critical) to 4 (low)."""

    name: str
    chinese: str
    english: str
    severity: int
    source: str


class Transfer(Body):
    """To whom; null: to oneself."""

    user_id: Id | None = None
    text: Annotated[Text, Field(max_length=2000)] = ""


class Many(Body):
    """Several alarms for one step; one that is named twice counts once."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_AT_ONCE)]


class HandlingMany(Many, Handling):
    pass


class ClosingMany(Many, Closing):
    pass


class TransferMany(Many, Transfer):
    pass


class RefusedStep(BaseModel):
    """An alarm that did not allow the step, and why: mostly because somebody was faster."""

    id: UUID
    detail: str
    state: State | None = None  # null: there is no such alarm
    by: str | None = None


class AlarmsStepped(BaseModel):
    """The alarms that took the step, as they are now, and those that did not."""

    items: list[Alarm]
    refused: list[RefusedStep]

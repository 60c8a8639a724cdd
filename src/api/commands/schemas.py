"""Commands on the wire. What each kind has to be told stands in `downlink`; here it meets its target."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, create_model, model_validator

from api.fields import Body, Id, Line, Time
from downlink import KINDS

MAX_EXPIRES_S: Final = 7 * 86400
MAX_GROUP: Final = 100_000
MAX_RATE_PER_S: Final = 1000.0


class _Single(BaseModel):
    """To one vehicle. ``expires_in_s``: how long it waits for the terminal; absent: the server's default."""

    vehicle_id: Id
    expires_in_s: Annotated[float, Field(ge=1, le=MAX_EXPIRES_S)] | None = None


class _Group(BaseModel):
    """To many: exactly one of ``vehicle_ids``, ``organization_id`` (with those below it), ``q`` (part of a plate or
    phone), ``all``. ``rate_per_s``: how many are sent in a second; absent: the server's default."""

    vehicle_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_GROUP)] | None = None
    organization_id: Id | None = None
    q: Annotated[Line, Field(min_length=1, max_length=50)] | None = None
    all: Literal[True] | None = None
    rate_per_s: Annotated[float, Field(ge=0.1, le=MAX_RATE_PER_S)] | None = None
    expires_in_s: Annotated[float, Field(ge=1, le=MAX_EXPIRES_S)] | None = None

    @model_validator(mode="after")
    def _one_target(self) -> _Group:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(TARGETS)} is needed, not {len(given)}")
        return self


TARGETS: Final = ("vehicle_ids", "organization_id", "q", "all")


def _variants(base: type[BaseModel], suffix: str) -> Any:
    """A model for each kind: its payload and the base's members, told apart by ``kind``."""
    models: list[Any] = [
        create_model(f"New{kind.payload.__name__}{suffix}", __base__=(base, kind.payload), __doc__=kind.payload.__doc__)
        for kind in KINDS.values()
    ]
    return Annotated[reduce(or_, models), Field(discriminator="kind")]


NewCommand = _variants(_Single, "Command")
NewCommandGroup = _variants(_Group, "Group")

CommandState = Literal[
    "awaiting_confirmation",
    "queued",
    "sent",
    "acknowledged",
    "answered",
    "refused",
    "timed_out",
    "expired",
    "failed",
    "cancelled",
]
GroupState = Literal["awaiting_confirmation", "running", "done", "cancelled", "expired"]


class CommandProgress(BaseModel):
    """How far it has come. Of an upgrade in packages: ``sent``, ``acknowledged`` (by the terminal, if it confirms
    packages one by one), ``total``. Of what arrives as media: ``arrived`` of ``total`` (null: not known)."""

    sent: int | None = None
    acknowledged: int | None = None
    total: int | None = None
    arrived: int | None = None
    media_ids: list[int] | None = None


class Command(BaseModel):
    """A command to a vehicle's terminal. ``result`` is of its 0x0001: 0 done, 1 failed, 2 wrong, 3 unsupported.

    ``is_open``: its state may still change by itself; an ``acknowledged`` one that waits for a dedicated answer is.
    ``confirm_by``: until when it waits for its second word.
    """

    id: UUID
    vehicle_id: int
    plate: str
    phone: str
    kind: str
    payload: dict[str, Any]
    state: CommandState
    reason: str
    created_by: int | None
    created_by_name: str | None
    created_at: Time
    updated_at: Time
    expires_at: Time
    sent_at: Time | None
    attempts: int
    result: int | None
    answer: dict[str, Any] | None
    group_id: UUID | None
    confirm_by: Time | None
    confirmed_by_name: str | None
    confirmed_at: Time | None
    progress: CommandProgress | None
    is_open: bool


class CommandConfirmation(Body):
    """The second word: the vehicle's plate once more."""

    plate: Line


class CommandGroup(BaseModel):
    """Commands to many vehicles. ``vehicles``: how many commands there are; ``skipped``: vehicles without a terminal.

    ``counts``: commands by state; a state with none is left out.
    """

    id: UUID
    kind: str
    payload: dict[str, Any]
    target: dict[str, Any]
    vehicles: int
    skipped: int
    rate_per_s: float
    state: GroupState
    counts: dict[str, int]
    created_by: int | None
    created_by_name: str | None
    created_at: Time
    expires_at: Time
    confirm_by: Time | None
    confirmed_by_name: str | None
    confirmed_at: Time | None
    cancelled_at: Time | None


class GroupConfirmation(Body):
    """The second word: how many vehicles it goes to (``vehicles`` of the group)."""

    vehicles: int


class CommandKind(BaseModel):
    """What may be asked. ``editions``: terminals that know it. ``dangerous``: needs the permission
    ``dangerous_commands`` and a second word. ``media``: what it makes arrives as media."""

    kind: str
    chinese: str
    message_ids: list[str]
    answers: list[str]
    editions: list[str]
    dangerous: bool
    admin_only: bool
    media: bool

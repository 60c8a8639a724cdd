"""Terminals on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from api.fields import Body, Id, Line, Phone, Plate, PlateColor, Time, left_out

Standing = Literal["approved", "pending", "blocked"]
Short = Annotated[Line, Field(max_length=50)]
IdleS = Annotated[float, Field(ge=10, le=86400, description="seconds without a whole message")]


class Terminal(BaseModel):
    """A terminal (终端), known by its phone number. ``claimed_*`` is what its last registration said.

    ``idle_s``: how long it may be silent; null: as the limits by model have it. ``former_imei``: before it logged in
    with another one, at ``imei_changed_at``: another unit uses its number. ``duplicate_identity_at``: when, within the
    last day, two units were last seen logging in with its number in turns.
    """

    id: int
    phone: str
    vehicle_id: int | None
    plate: str | None
    standing: Standing
    manufacturer_id: str
    terminal_model: str
    terminal_id: str
    edition: str
    imei: str
    software_version: str
    claimed_plate: str
    claimed_plate_color: int
    online: bool
    last_refusal: str
    created_at: Time
    idle_s: float | None
    former_imei: str
    imei_changed_at: Time | None
    duplicate_identity_at: Time | None


class NewTerminal(Body):
    """A terminal that is approved before it ever called; without a vehicle it lies in stock."""

    phone: Phone
    vehicle_id: Id | None = None
    manufacturer_id: Short = ""
    terminal_model: Short = ""
    terminal_id: Short = ""


class TerminalChange(Body):
    """What is left out stays. Another ``vehicle_id`` moves the terminal from now on; null puts it into stock."""

    vehicle_id: Id | None = None
    manufacturer_id: Short = left_out()
    terminal_model: Short = left_out()
    terminal_id: Short = left_out()
    idle_s: IdleS | None = None


class NewLinkLimit(Body):
    """How long terminals of this make and model may be silent; empty: of every make, of every model."""

    manufacturer_id: Short = ""
    terminal_model: Short = ""
    idle_s: IdleS
    note: Annotated[Line, Field(max_length=200)] = ""


class LinkLimit(BaseModel):
    id: int
    manufacturer_id: str
    terminal_model: str
    idle_s: float
    note: str


class Approval(Body):
    """Where the terminal goes: a vehicle by id, or by plate (created when new); neither: the plate it claimed."""

    vehicle_id: Id | None = None
    plate: Plate | None = None
    plate_color: PlateColor | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Approval:
        if self.vehicle_id is not None and self.plate is not None:
            raise ValueError("give vehicle_id or plate, not both")
        return self

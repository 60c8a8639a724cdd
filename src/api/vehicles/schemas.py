"""Vehicles on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.fields import YELLOW, Body, Id, Line, Phone, Plate, PlateColor, Text, Time, left_out

Vin = Annotated[str, Field(max_length=17, pattern=r"^[0-9A-Za-z]*$")]
VehicleType = Annotated[Line, Field(max_length=50)]
SpeedLimit = Annotated[float, Field(gt=0, le=300)]
Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=366 * 86400)]
Note = Annotated[Text, Field(max_length=2000)]


class VehicleTerminal(BaseModel):
    id: int
    phone: str
    standing: str
    terminal_model: str
    edition: str


class Vehicle(BaseModel):
    """A vehicle in service. Limits that are null take the alarm engine's defaults."""

    id: int
    plate: str
    plate_color: int
    plate_color_name: str
    phone: str | None
    online: bool
    vehicle_type: str | None
    vin: str | None
    organization_id: int | None
    organization: str | None
    speed_limit_kmh: float | None
    overspeed_duration_s: float | None
    offline_after_s: float | None
    note: str
    terminals: list[VehicleTerminal]
    last_time: Time | None


class NewVehicle(Body):
    """``phone`` takes a terminal in, approved, and puts it into the vehicle."""

    plate: Plate
    plate_color: PlateColor = YELLOW
    phone: Phone | None = None
    vehicle_type: VehicleType | None = None
    vin: Vin | None = None
    organization_id: Id | None = None
    speed_limit_kmh: SpeedLimit | None = None
    overspeed_duration_s: Seconds | None = None
    offline_after_s: PositiveSeconds | None = None
    note: Note = ""


class VehicleChange(Body):
    """What is left out stays; null clears."""

    plate: Plate = left_out()
    plate_color: PlateColor = left_out()
    vehicle_type: VehicleType | None = None
    vin: Vin | None = None
    organization_id: Id | None = None
    speed_limit_kmh: SpeedLimit | None = None
    overspeed_duration_s: Seconds | None = None
    offline_after_s: PositiveSeconds | None = None
    note: Note = left_out()


class ImportResult(BaseModel):
    """What an import did, or with ``dry_run`` would do. Vehicles are counted once each."""

    created: int
    updated: int
    unchanged: int
    organizations_created: list[str]
    dry_run: bool

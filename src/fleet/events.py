"""What parts tell each other over the bus, after it is stored (but for PositionsSeen, which says so)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from fleet.alarms import AlarmChange
from fleet.commit import SessionChange
from fleet.positions import PositionBatch


@dataclass(frozen=True, slots=True)
class BatchStored:
    """A transaction of the pipeline was committed. ``positions`` holds what was new: repeats are already taken out."""

    journal: str
    first_offset: int  # the transaction covers journal groups first_offset..offset, counted through all journals
    offset: int
    positions: PositionBatch
    alarm_changes: list[AlarmChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PositionsSeen:
    """The database is away: these fixes are in the journal and will be stored. For eyes only: they come again, in a
    ``BatchStored``, and may be repeats or late."""

    positions: PositionBatch


@dataclass(frozen=True, slots=True)
class SessionsChanged:
    changes: list[SessionChange]


@dataclass(frozen=True, slots=True)
class CommandChanged:
    """A command's row has a new state; read the row for it. Those of a group are told as their group."""

    command_id: uuid.UUID
    group_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class CommandGroupChanged:
    """Commands of a group have new states; read its counts."""

    group_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AlarmStepped:
    """An operator claimed or handled an alarm; read the row for it."""

    alarm_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class MediaStored:
    """Media were stored with these ids; read the rows for them."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FleetChanged:
    """Vehicles, terminals, limits or fences changed: whoever caches them reads them again."""

    what: str  # "vehicles" | "terminals" | "limits" | "geofences" | "platforms"

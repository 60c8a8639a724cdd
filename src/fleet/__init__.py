"""The nouns that all parts share, and the bus that carries them. No sockets, no SQL, no wire formats.

What stands here is already in our units: signed WGS-84 degrees, km/h, metres, aware UTC or int64 microseconds UTC.
"""

from fleet.alarms import (
    AlarmChange,
    AlarmSource,
    AlarmState,
    ChangeKind,
    Rule,
    RuleState,
    Severity,
    alarm_id,
)
from fleet.bus import Bus, Subscription
from fleet.commit import (
    CommandAnswer,
    Commit,
    Quarantined,
    RefusedRegistration,
    Registration,
    SessionChange,
    TerminalMessage,
)
from fleet.events import (
    AlarmStepped,
    BatchStored,
    CommandChanged,
    CommandGroupChanged,
    FleetChanged,
    MediaStored,
    PositionsSeen,
    SessionsChanged,
)
from fleet.limits import Fence, FenceShape, FenceTrigger, VehicleLimits
from fleet.media import Media, MediaReport
from fleet.positions import ITEM_COLUMNS, PositionBatch
from fleet.vehicles import CHINA, PLATE_COLORS, canonical_phone, plate_color_name

__all__ = [
    "CHINA",
    "ITEM_COLUMNS",
    "PLATE_COLORS",
    "AlarmChange",
    "AlarmSource",
    "AlarmState",
    "AlarmStepped",
    "BatchStored",
    "Bus",
    "ChangeKind",
    "CommandAnswer",
    "CommandChanged",
    "CommandGroupChanged",
    "Commit",
    "Fence",
    "FenceShape",
    "FenceTrigger",
    "FleetChanged",
    "Media",
    "MediaReport",
    "MediaStored",
    "PositionBatch",
    "PositionsSeen",
    "Quarantined",
    "RefusedRegistration",
    "Registration",
    "Rule",
    "RuleState",
    "SessionChange",
    "SessionsChanged",
    "Severity",
    "Subscription",
    "TerminalMessage",
    "VehicleLimits",
    "alarm_id",
    "canonical_phone",
    "plate_color_name",
]

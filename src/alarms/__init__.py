"""Alarms: from positions to episodes, and what people do with them. Pure: numpy in, dataclasses out.

``AlarmEngine`` judges batches; ``RULES`` is the catalogue of what it can find; ``lifecycle`` is the operator's state
table; ``bits`` names the bits of a location report. docs/alarms.md says what each rule does exactly.
"""

from alarms.bits import ALARM_BITS, STATUS_BITS, VIDEO_ALARM_BITS, AlarmBit, StatusBit
from alarms.catalogue import RULES
from alarms.defaults import EngineDefaults
from alarms.engine import AlarmEngine, Evaluation
from alarms.geofences import CompiledFence, FenceError
from alarms.lifecycle import Action, LifecycleError, step

__all__ = [
    "ALARM_BITS",
    "RULES",
    "STATUS_BITS",
    "VIDEO_ALARM_BITS",
    "Action",
    "AlarmBit",
    "AlarmEngine",
    "CompiledFence",
    "EngineDefaults",
    "Evaluation",
    "FenceError",
    "LifecycleError",
    "StatusBit",
    "step",
]

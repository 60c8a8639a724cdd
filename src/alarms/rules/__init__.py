"""The rules, one file each; ``base.LaneRule`` is what they have in common."""

from alarms.rules.base import Episode, LaneRule, Memory
from alarms.rules.fence import FenceRule
from alarms.rules.offline import OfflineRule
from alarms.rules.overspeed import OverspeedRule
from alarms.rules.terminal_flags import TerminalFlagsRule

__all__ = ["Episode", "FenceRule", "LaneRule", "Memory", "OfflineRule", "OverspeedRule", "TerminalFlagsRule"]

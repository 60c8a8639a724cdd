"""Every kind of alarm this server can raise by itself: the names others store, show and filter by."""

from __future__ import annotations

from typing import Final

from alarms.bits import ALARM_BITS, VIDEO_ALARM_BITS
from fleet import AlarmSource, Rule, Severity

OVERSPEED: Final = Rule("overspeed", "平台超速", "overspeed (platform)", Severity.MEDIUM, AlarmSource.PLATFORM)
FENCE_ENTER: Final = Rule("fence.enter", "驶入围栏", "fence entered", Severity.MEDIUM, AlarmSource.PLATFORM)
FENCE_LEAVE: Final = Rule("fence.leave", "驶出围栏", "fence left", Severity.MEDIUM, AlarmSource.PLATFORM)
OFFLINE: Final = Rule("offline", "行驶中离线", "off-line with ignition on", Severity.MEDIUM, AlarmSource.PLATFORM)

RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for rule in (
        *(
            Rule(bit.rule, bit.chinese, bit.english, bit.severity, AlarmSource.TERMINAL)
            for bit in (*ALARM_BITS, *VIDEO_ALARM_BITS)
        ),
        OVERSPEED,
        FENCE_ENTER,
        FENCE_LEAVE,
        OFFLINE,
    )
}
"""Rule name -> rule, the terminal's bits in wire order, then the platform's own."""

"""Message ids that are known by name and not by layout: their bodies stay bytes (`UnknownMessage`).

Reserved and makers' ranges are those of the standard's list of ids (2019: appendix B). The single ids are sent by
units, and stand in no text that we have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jt808.messages.registry import Direction

_UP, _DOWN = Direction.UPLINK, Direction.DOWNLINK


@dataclass(frozen=True, slots=True)
class WithoutLayout:
    """Ids ``first`` to ``last``; ``direction`` is None where nobody says."""

    first: int
    last: int
    direction: Direction | None
    name: str
    chinese: str
    why: str


def _seen(message_id: int, direction: Direction | None, name: str) -> WithoutLayout:
    return WithoutLayout(message_id, message_id, direction, name, "厂商自定义", "seen of some units; in no standard")


WITHOUT_LAYOUT: Final = (
    _seen(0x0109, _UP, "time request (a year of two bytes, then a byte each)"),
    _seen(0x0210, _UP, "bulk location report with lengths of one byte"),
    _seen(0x0506, _UP, "heartbeat of some maker's"),
    WithoutLayout(0x0F00, 0x0FFF, _UP, "reserved", "保留", "reserved by the standard"),
    _seen(0x1007, _UP, "time zone request"),
    _seen(0x1300, _UP, "text answer (a serial number, then UTF-16)"),
    WithoutLayout(
        0x1FC4, 0x1FC4, _UP, "upgrade progress", "终端升级进度上报", "Yue-biao (T/GDRTA 002-2020), whose text we lack"
    ),
    _seen(0x2070, _UP, "acceleration"),
    _seen(0x4401, None, "acknowledgement of electronic locks"),
    _seen(0x5501, _UP, "report of electronic locks, with a serial number of one byte"),
    _seen(0x5502, _UP, "report of electronic locks, with a serial number of one byte"),
    _seen(0x6006, _UP, "text report (an encoding, then GBK)"),
    _seen(0x8109, _DOWN, "time answer to a 0x0109"),
    _seen(0x8888, None, "photograph"),
    WithoutLayout(0x8F00, 0x8FFF, _DOWN, "reserved", "保留", "reserved by the standard"),
    WithoutLayout(0xE000, 0xEFFF, _UP, "maker's own", "厂商自定义", "makers' own by the standard, since 2019"),
    WithoutLayout(0xF000, 0xFFFF, _DOWN, "maker's own", "厂商自定义", "makers' own by the standard, since 2019"),
)
"""By id."""


def without_layout(message_id: int) -> WithoutLayout | None:
    """What is known of an id that is not registered; None: nothing."""
    return next((row for row in WITHOUT_LAYOUT if row.first <= message_id <= row.last), None)

"""Statistics (统计信息): 0x9101 of the 2011 edition. (In 2019 the same id goes upward and means positions sent.)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from construct import Int32ub

from jt809.fields import UTC_SECONDS
from jt809.header import Edition
from jt809.messages.registry import Direction, Message, register


@dataclass(frozen=True, slots=True)
class TotalReceived(Message):
    """0x9101: how many positions the superior platform received between two aware UTC times. No answer."""

    total: int
    start: datetime
    end: datetime


register(0x9101, None, Direction.DOWN, TotalReceived,
         {"total": Int32ub, "start": UTC_SECONDS, "end": UTC_SECONDS},
         name="DOWN_TOTAL_RECV_BACK_MSG", chinese="接收定位信息数量通知消息", editions=(Edition.V2011,))  # fmt: skip

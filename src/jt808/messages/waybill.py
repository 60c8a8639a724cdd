"""The electronic waybill (电子运单)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from construct import GreedyBytes, Int32ub, Struct

from jt808.fields import Label
from jt808.layouts import Window
from jt808.messages.registry import Direction, Message, register


@dataclass(frozen=True, slots=True)
class ElectronicWaybill(Message):
    """An electronic waybill (电子运单上报). No edition says what is in it: bytes. Units are seen to answer commands
    with a text in this message."""

    content: Annotated[bytes, Label("电子运单内容")]


register(
    0x0701,
    ElectronicWaybill,
    Struct("content" / Window(Int32ub, GreedyBytes)),
    name="electronic waybill",
    chinese="电子运单上报",
    clause="JT/T 808-2013 §8.46, -2019 §8.45",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)

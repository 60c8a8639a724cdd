"""The server's time (服务器时间), since 2019: the only time on the wire that is UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from construct import Struct

from jt808.fields import BcdTimeUtc, Label
from jt808.header import Edition
from jt808.messages.registry import Direction, Message, register


@dataclass(frozen=True, slots=True)
class ServerTimeQuery(Message):
    """Ask for the server's time (查询服务器时间请求); an empty body."""


@dataclass(frozen=True, slots=True)
class ServerTimeResponse(Message):
    """The server's time (查询服务器时间应答), aware UTC; None when the six bytes are no time.

    On the wire it is UTC, as the standard says. Platforms are seen that send their local time instead; nothing in the
    body tells.
    """

    time: Annotated[datetime | None, Label("服务器时间")]


register(
    0x0004,
    ServerTimeQuery,
    Struct(),
    name="server time query",
    chinese="查询服务器时间请求",
    clause="JT/T 808-2019 §8.4",
    direction=Direction.UPLINK,
    answer_id=0x8004,
    editions=(Edition.V2019,),
)
register(
    0x8004,
    ServerTimeResponse,
    Struct("time" / BcdTimeUtc),
    name="server time response",
    chinese="查询服务器时间应答",
    clause="JT/T 808-2019 §8.5",
    direction=Direction.DOWNLINK,
    answer_id=None,
    editions=(Edition.V2019,),
)

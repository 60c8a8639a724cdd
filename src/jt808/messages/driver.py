"""The driver's identity (驾驶员身份信息), read from the card of the qualification certificate (从业资格证IC卡)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Any, Final

from construct import Adapter, Byte, Bytes, Construct, Default, Struct

from jt808.fields import BcdTime, Label, TextByteLength, decode_bcd_time, padded_text
from jt808.header import Edition
from jt808.layouts import IfMore
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import When, by_fit, fits


class CardStatus(IntEnum):
    """What the driver did with the card (状态)."""

    INSERTED = 1  # 从业资格证IC卡插入(驾驶员上班)
    REMOVED = 2  # 从业资格证IC卡拔出(驾驶员下班)


class CardResult(IntEnum):
    """Whether the card could be read (IC卡读取结果)."""

    OK = 0  # IC卡读卡成功
    KEY_WRONG = 1  # 卡片密钥认证未通过
    LOCKED = 2  # 卡片已被锁定
    REMOVED = 3  # 卡片被拔出
    DATA_WRONG = 4  # 数据校验错误


@dataclass(frozen=True, slots=True)
class DriverIdentityQuery(Message):
    """Ask who drives (上报驾驶员身份信息请求), since 2013; an empty body."""


@dataclass(frozen=True, slots=True)
class DriverIdentity(Message):
    """Who drives (驾驶员身份信息采集上报): sent when the card is put in or taken out, and when it is asked for.

    Since 2013 the message ends where there is no more to say: behind the time when the card was removed, behind
    ``card_result`` when it could not be read; what is not there is None. Units are seen that say more than that.
    2011 has no status, time, result and validity, and its certificate number has 40 bytes. ``identity_no`` (身份证编码)
    is in 2011 and 2019. ``valid_until`` and ``time`` are None too when the digits are no date.
    """

    status: Annotated[int | None, Label("状态", values=CardStatus)] = None
    time: Annotated[datetime | None, Label("时间")] = None
    card_result: Annotated[int | None, Label("IC卡读取结果", values=CardResult)] = None
    driver_name: Annotated[str | None, Label("驾驶员姓名")] = None
    certificate_no: Annotated[str | None, Label("从业资格证编码")] = None
    authority: Annotated[str | None, Label("发证机构名称")] = None
    valid_until: Annotated[date | None, Label("证件有效期")] = None
    identity_no: Annotated[str | None, Label("驾驶员身份证编码")] = None


class _BcdDate(Adapter):  # type: ignore[misc]
    """BCD[4] YYYYMMDD."""

    def _decode(self, obj: bytes, context: Any, path: str) -> date | None:
        digits = obj.hex()
        try:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            return None

    def _encode(self, obj: date | None, context: Any, path: str) -> bytes:
        return bytes.fromhex(f"{obj.year:04}{obj:%m%d}") if obj else bytes(4)


def _of_card(subcon: Construct) -> Construct:
    """A field that is there when the name is."""
    return When(lambda context: context["driver_name"] is not None, subcon)


def _since_2013(*behind: Construct) -> Struct:
    return Struct(
        "status" / Byte,
        "time" / BcdTime,
        "card_result" / IfMore(Byte),
        "driver_name" / When(lambda context: context["card_result"] is not None, IfMore(TextByteLength)),
        "certificate_no" / _of_card(Default(padded_text(20), "")),
        "authority" / _of_card(Default(TextByteLength, "")),
        "valid_until" / _of_card(_BcdDate(Bytes(4))),
        *behind,
    )


_LAYOUTS: Final = {
    Edition.V2011: Struct(
        "driver_name" / TextByteLength,
        "identity_no" / padded_text(20),
        "certificate_no" / padded_text(40),
        "authority" / TextByteLength,
    ),
    Edition.V2013: _since_2013(),
    Edition.V2019: _since_2013("identity_no" / _of_card(Default(padded_text(20), ""))),
}
_choose_by_fit: Final = by_fit(_LAYOUTS)


def _edition(edition: Edition, body: bytes) -> Edition:
    """A body of 2011 begins with the length of a name; one of 2013 with a status of 1 or 2, and a time."""
    is_old = body[:1] not in (b"\1", b"\2") or decode_bcd_time(body[1:7]) is None
    if is_old and fits(_LAYOUTS[Edition.V2011], body):
        return Edition.V2011
    return _choose_by_fit(edition, body)


register(
    0x8702,
    DriverIdentityQuery,
    Struct(),
    name="driver identity query",
    chinese="上报驾驶员身份信息请求",
    clause="JT/T 808-2013 §8.47, -2019 §8.46",
    direction=Direction.DOWNLINK,
    answer_id=0x0702,
    editions=SINCE_2013,
)
register(
    0x0702,
    DriverIdentity,
    _LAYOUTS,
    name="driver identity",
    chinese="驾驶员身份信息采集上报",
    clause="JT/T 808-2013 §8.48, -2019 §8.47",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    choose=_edition,
)

"""What a terminal is (终端属性)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from construct import Byte, Construct, IfThenElse, Int16ub, Struct, this

from jt808.fields import Digits, Label, TextByteLength, padded_text
from jt808.header import Edition
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import by_fit

NARROW_MANUFACTURER: Final = 5
WIDE_MANUFACTURER: Final = 11
"""Bytes of the manufacturer id. 2019 prints 5 here and 11 in the registration: units of 2019 send either."""


@dataclass(frozen=True, slots=True)
class AttributesQuery(Message):
    """Ask what the terminal is (查询终端属性); an empty body."""


@dataclass(frozen=True, slots=True)
class TerminalAttributes(Message):
    """What the terminal is (查询终端属性应答).

    ``terminal_type`` bits: 0 passenger, 1 dangerous goods, 2 freight, 3 taxi vehicles, 6 disk recording, 7 split unit,
    8 trailers (2019). ``iccid`` is 20 digits. ``gnss_module`` bits: 0 GPS, 1 BeiDou, 2 GLONASS, 3 Galileo.
    ``radio_module`` bits: 0 GPRS, 1 CDMA, 2 TD-SCDMA, 3 WCDMA, 4 CDMA2000, 5 TD-LTE, 7 other.
    ``has_wide_manufacturer_id``: the id is written with 11 bytes instead of the 5 that the standard prints.
    """

    terminal_type: Annotated[int, Label("终端类型")]
    manufacturer_id: Annotated[str, Label("制造商ID")]
    terminal_model: Annotated[str, Label("终端型号")]
    terminal_id: Annotated[str, Label("终端ID")]
    iccid: Annotated[str, Label("终端SIM卡ICCID")]
    hardware_version: Annotated[str, Label("终端硬件版本号")]
    firmware_version: Annotated[str, Label("终端固件版本号")]
    gnss_module: Annotated[int, Label("GNSS模块属性")]
    radio_module: Annotated[int, Label("通信模块属性")]
    has_wide_manufacturer_id: Annotated[bool, Label("制造商ID为11字节")] = False


class _IsWide(Construct):  # type: ignore[misc]
    """Which width the id has: that with which two lengths of text and two bytes behind them end the body. Reads no
    byte; stands before the id. ``behind``: bytes from the id to the first of the two lengths."""

    def __init__(self, behind: int) -> None:
        super().__init__()
        self.behind = behind

    def _parse(self, stream: Any, context: Any, path: str) -> bool:
        here = stream.tell()
        rest = stream.read()
        stream.seek(here)
        return not self._ends(rest, NARROW_MANUFACTURER) and self._ends(rest, WIDE_MANUFACTURER)

    def _ends(self, rest: bytes, width: int) -> bool:
        at = width + self.behind
        for _ in range(2):
            if at >= len(rest):
                return False
            at += 1 + rest[at]
        return at + 2 == len(rest)

    def _build(self, obj: bool, stream: Any, context: Any, path: str) -> Any:
        return obj


def _layout(model: int, terminal: int) -> Struct:
    return Struct(
        "terminal_type" / Int16ub,
        "has_wide_manufacturer_id" / _IsWide(model + terminal + 10),
        "manufacturer_id"
        / IfThenElse(
            this.has_wide_manufacturer_id, padded_text(WIDE_MANUFACTURER), padded_text(NARROW_MANUFACTURER)
        ),
        "terminal_model" / padded_text(model),
        "terminal_id" / padded_text(terminal),
        "iccid" / Digits(10),
        "hardware_version" / TextByteLength,
        "firmware_version" / TextByteLength,
        "gnss_module" / Byte,
        "radio_module" / Byte,
    )


_BEFORE_2019 = _layout(20, 7)
_LAYOUTS: Final = {Edition.V2011: _BEFORE_2019, Edition.V2013: _BEFORE_2019, Edition.V2019: _layout(30, 30)}

register(
    0x8107,
    AttributesQuery,
    Struct(),
    name="attributes query",
    chinese="查询终端属性",
    clause="JT/T 808-2013 §8.14, -2019 §8.17",
    direction=Direction.DOWNLINK,
    answer_id=0x0107,
    editions=SINCE_2013,
)
register(
    0x0107,
    TerminalAttributes,
    _LAYOUTS,
    name="attributes",
    chinese="查询终端属性应答",
    clause="JT/T 808-2013 §8.15, -2019 §8.18",
    direction=Direction.UPLINK,
    answer_id=None,
    editions=SINCE_2013,
    choose=by_fit(_LAYOUTS),
)

"""What a terminal is (终端属性)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from construct import Byte, Construct, IfThenElse, Int16ub, Struct, this

from jt808.fields import Label, TextByteLength, bits, digits, padded_text
from jt808.header import Edition
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import by_fit

NARROW_MANUFACTURER: Final = 5
WIDE_MANUFACTURER: Final = 11
"""Bytes of the manufacturer id. 2019 prints 5 here and 11 in the registration: units of 2019 send either."""

_TYPES: Final = bits(
    "terminal_types",
    {
        0: ("passenger", "适用客运车辆"),
        1: ("dangerous_goods", "适用危险品车辆"),
        2: ("freight", "适用普通货运车辆"),
        3: ("taxi", "适用出租车辆"),
        6: ("disk_recording", "支持硬盘录像"),
        7: ("split_unit", "分体机"),
        8: ("trailer", "适用挂车"),  # since 2019
    },
    16,
)
GNSS_SYSTEMS: Final = bits(
    "gnss_systems", {0: ("gps", "GPS"), 1: ("beidou", "北斗"), 2: ("glonass", "GLONASS"), 3: ("galileo", "Galileo")}, 8
)
_RADIOS: Final = bits(
    "radios",
    {
        0: ("gprs", "GPRS"),
        1: ("cdma", "CDMA"),
        2: ("td_scdma", "TD-SCDMA"),
        3: ("wcdma", "WCDMA"),
        4: ("cdma2000", "CDMA2000"),
        5: ("td_lte", "TD-LTE"),
        7: ("other", "其他"),
    },
    8,
)


@dataclass(frozen=True, slots=True)
class AttributesQuery(Message):
    """Ask what the terminal is (查询终端属性); an empty body."""


@dataclass(frozen=True, slots=True)
class TerminalAttributes(Message):
    """What the terminal is (查询终端属性应答).

    ``iccid`` is 20 digits. ``has_wide_manufacturer_id``: the id is written with 11 bytes instead of the 5 that the
    standard prints.
    """

    terminal_type: Annotated[int, Label("终端类型", bits=_TYPES)]
    manufacturer_id: Annotated[str, Label("制造商ID")]
    terminal_model: Annotated[str, Label("终端型号")]
    terminal_id: Annotated[str, Label("终端ID")]
    iccid: Annotated[str, Label("终端SIM卡ICCID")]
    hardware_version: Annotated[str, Label("终端硬件版本号")]
    firmware_version: Annotated[str, Label("终端固件版本号")]
    gnss_module: Annotated[int, Label("GNSS模块属性", bits=GNSS_SYSTEMS)]
    radio_module: Annotated[int, Label("通信模块属性", bits=_RADIOS)]
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
        / IfThenElse(this.has_wide_manufacturer_id, padded_text(WIDE_MANUFACTURER), padded_text(NARROW_MANUFACTURER)),
        "terminal_model" / padded_text(model),
        "terminal_id" / padded_text(terminal),
        "iccid" / digits(10),
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

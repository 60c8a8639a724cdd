"""Vehicles and the terminals (终端) in them: how they are named and told apart."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Final

CHINA: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""The clock of the wire and of the console: GMT+8, no daylight saving since 1991. A fixed offset, so that a host
without a time-zone database shows the same times."""

PLATE_COLORS: Final[dict[int, tuple[str, str]]] = {
    0: ("none", "未上牌"),
    1: ("blue", "蓝色"),
    2: ("yellow", "黄色"),
    3: ("black", "黑色"),
    4: ("white", "白色"),
    5: ("green", "绿色"),
    9: ("other", "其他"),
    91: ("farm_yellow", "农黄色"),
    92: ("farm_green", "农绿色"),
    93: ("yellow_green", "黄绿色"),
    94: ("gradient_green", "渐变绿色"),
}
"""Plate colour code (车牌颜色) -> English name, Chinese name. JT/T 415-2006 5.4.12, JT/T 697.7-2014 and practice."""


def plate_color_name(code: int) -> str:
    """English name of a plate colour; codes nobody defined read ``other``."""
    return PLATE_COLORS.get(code, PLATE_COLORS[9])[0]


def canonical_phone(digits: str) -> str:
    """A terminal's phone number (终端手机号) without the padding of the header field.

    The 2011/2013 header has 12 digits and the 2019 header 20, both padded with zeros in front, so the same SIM reads
    ``013912345678`` or ``00000000013912345678``: one terminal, known here as ``13912345678``. A field that is all
    zeros is ``"0"``. Hex digits (units that send a binary IMEI there) are kept, in lower case.
    """
    return digits.strip().lower().lstrip("0") or "0"

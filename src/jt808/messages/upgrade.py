"""Upgrading a terminal (终端升级)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from construct import Byte, GreedyBytes, Int32ub, Prefixed, Struct

from jt808.fields import Label, TextByteLength, padded_text
from jt808.messages.registry import SINCE_2013, Direction, Message, register


class UpgradeType(IntEnum):
    """What is upgraded (升级类型). Source: JT/T 808-2013, 0x8108; from 0x64 on T/JSATL 12-2017."""

    TERMINAL = 0  # 终端
    IC_CARD_READER = 12  # 道路运输证IC卡读卡器
    SATELLITE_MODULE = 52  # 北斗卫星定位模块
    ADAS = 0x64
    DSM = 0x65
    TPMS = 0x66
    BSD = 0x67


class UpgradeOutcome(IntEnum):
    """What became of an upgrade (升级结果). Source: JT/T 808-2013, 0x0108; from 0x10 on T/JSATL 12-2017."""

    OK = 0  # 成功
    FAILED = 1  # 失败
    CANCELLED = 2  # 取消
    DEVICE_NOT_FOUND = 0x10
    HARDWARE_UNSUPPORTED = 0x11
    SAME_VERSION = 0x12
    VERSION_UNSUPPORTED = 0x13


@dataclass(frozen=True, slots=True)
class UpgradePackage(Message):
    """An upgrade (下发终端升级包), normally sub-packaged. ``upgrade_type`` is an :class:`UpgradeType` or another."""

    upgrade_type: Annotated[int, Label("升级类型", values=UpgradeType)]
    manufacturer_id: Annotated[str, Label("制造商ID")]
    version: Annotated[str, Label("版本号")]
    data: Annotated[bytes, Label("升级数据包")]


@dataclass(frozen=True, slots=True)
class UpgradeResult(Message):
    """What became of the upgrade (终端升级结果通知): ``outcome`` is an :class:`UpgradeOutcome` or another number."""

    upgrade_type: Annotated[int, Label("升级类型", values=UpgradeType)]
    outcome: Annotated[int, Label("升级结果", values=UpgradeOutcome)]


register(
    0x8108,
    UpgradePackage,
    Struct(
        "upgrade_type" / Byte,
        "manufacturer_id" / padded_text(5),
        "version" / TextByteLength,
        "data" / Prefixed(Int32ub, GreedyBytes),
    ),
    name="upgrade package",
    chinese="下发终端升级包",
    clause="JT/T 808-2013 §8.16, -2019 §8.19",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    editions=SINCE_2013,
)
register(
    0x0108,
    UpgradeResult,
    Struct("upgrade_type" / Byte, "outcome" / Byte),
    name="upgrade result",
    chinese="终端升级结果通知",
    clause="JT/T 808-2013 §8.17, -2019 §8.20",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    editions=SINCE_2013,
)

"""The bits of the alarm word (报警标志) and of the status word (状态) of a location report.

Source: JT/T 808-2011, -2013 and -2019, 0x0200, tables of alarm and status bits. The Chinese names are the latest
edition's that has the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jt808.header import Edition

SOUTH_BIT: Final = 2
WEST_BIT: Final = 3

_ALL = frozenset(Edition)
_SINCE_2013 = frozenset((Edition.V2013, Edition.V2019))
_UNTIL_2013 = frozenset((Edition.V2011, Edition.V2013))
_2013 = frozenset((Edition.V2013,))
_2019 = frozenset((Edition.V2019,))


@dataclass(frozen=True, slots=True)
class Bit:
    """One bit and what 1 means."""

    bit: int
    name: str
    chinese: str
    editions: frozenset[Edition] = _ALL
    cleared_by_answer: bool = False  # the terminal clears it once the platform answered; others stay until it ends


ALARM_BITS: Final = (
    Bit(0, "emergency", "紧急报警", cleared_by_answer=True),
    Bit(1, "overspeed", "超速报警"),
    Bit(2, "fatigue_driving", "疲劳驾驶报警"),
    Bit(3, "danger_warning", "危险预警", _UNTIL_2013, cleared_by_answer=True),
    Bit(3, "dangerous_driving", "危险驾驶行为报警", _2019),
    Bit(4, "gnss_fault", "GNSS模块发生故障报警"),
    Bit(5, "gnss_antenna_cut", "GNSS天线未接或被剪断报警"),
    Bit(6, "gnss_antenna_short", "GNSS天线短路报警"),
    Bit(7, "main_power_low", "终端主电源欠压报警"),
    Bit(8, "main_power_lost", "终端主电源掉电报警"),
    Bit(9, "display_fault", "终端LCD或显示器故障报警"),
    Bit(10, "tts_fault", "TTS模块故障报警"),
    Bit(11, "camera_fault", "摄像头故障报警"),
    Bit(12, "ic_card_fault", "道路运输证IC卡模块故障报警", _SINCE_2013),
    Bit(13, "overspeed_warning", "超速预警", _SINCE_2013),
    Bit(14, "fatigue_warning", "疲劳驾驶预警", _SINCE_2013),
    Bit(15, "forbidden_period_driving", "违规行驶报警", _2019),
    Bit(16, "tyre_pressure_warning", "胎压预警", _2019),
    Bit(17, "right_turn_blind_zone", "右转盲区异常报警", _2019),
    Bit(18, "daily_driving_exceeded", "当天累计驾驶超时报警"),
    Bit(19, "parked_too_long", "超时停车报警"),
    Bit(20, "area_in_out", "进出区域报警", cleared_by_answer=True),
    Bit(21, "route_in_out", "进出路线报警", cleared_by_answer=True),
    Bit(22, "segment_time", "路段行驶时间不足/过长报警", cleared_by_answer=True),
    Bit(23, "off_route", "路线偏离报警"),
    Bit(24, "vss_fault", "车辆VSS故障"),
    Bit(25, "abnormal_fuel", "车辆油量异常报警"),
    Bit(26, "stolen", "车辆被盗报警"),
    Bit(27, "illegal_ignition", "车辆非法点火报警", cleared_by_answer=True),
    Bit(28, "illegal_movement", "车辆非法位移报警", cleared_by_answer=True),
    Bit(29, "collision_warning", "碰撞预警", _2013),
    Bit(29, "collision_rollover", "碰撞侧翻报警", _2019),
    Bit(30, "rollover_warning", "侧翻预警", _SINCE_2013),
    Bit(31, "illegal_door_opening", "非法开门报警", _2013, cleared_by_answer=True),
)

STATUS_BITS: Final = (
    Bit(0, "acc_on", "ACC开"),
    Bit(1, "positioned", "定位"),
    Bit(SOUTH_BIT, "south", "南纬"),
    Bit(WEST_BIT, "west", "西经"),
    Bit(4, "out_of_service", "停运状态"),
    Bit(5, "coordinates_encrypted", "经纬度已经保密插件加密"),
    Bit(6, "forward_collision_warning", "紧急刹车系统采集的前撞预警", _2019),
    Bit(7, "lane_departure_warning", "车道偏移预警", _2019),
    Bit(10, "fuel_cut", "车辆油路断开"),
    Bit(11, "power_cut", "车辆电路断开"),
    Bit(12, "doors_locked", "车门加锁"),
    Bit(13, "door_1_open", "门1开(前门)", _SINCE_2013),
    Bit(14, "door_2_open", "门2开(中门)", _SINCE_2013),
    Bit(15, "door_3_open", "门3开(后门)", _SINCE_2013),
    Bit(16, "door_4_open", "门4开(驾驶席门)", _SINCE_2013),
    Bit(17, "door_5_open", "门5开(自定义)", _SINCE_2013),
    Bit(18, "gps", "使用GPS卫星进行定位", _SINCE_2013),
    Bit(19, "beidou", "使用北斗卫星进行定位", _SINCE_2013),
    Bit(20, "glonass", "使用GLONASS卫星进行定位", _SINCE_2013),
    Bit(21, "galileo", "使用Galileo卫星进行定位", _SINCE_2013),
    Bit(22, "moving", "车辆处于行驶状态", _2019),
)

LOAD: Final = {1: ("half_loaded", "半载"), 2: ("load_reserved", "保留"), 3: ("fully_loaded", "满载")}
"""Status bits 8 and 9 together, since 2013; 0 is empty (空车)."""


def _by_edition(bits: tuple[Bit, ...]) -> dict[Edition, dict[int, Bit]]:
    return {edition: {bit.bit: bit for bit in bits if edition in bit.editions} for edition in Edition}


_ALARMS = _by_edition(ALARM_BITS)
_STATUS = _by_edition(STATUS_BITS)


def _set_bits(flags: int, table: dict[int, Bit]) -> list[tuple[str, str]]:
    names = []
    for bit in range(32):
        if flags >> bit & 1:
            row = table.get(bit)
            names.append((row.name, row.chinese) if row else (f"bit_{bit}", "保留"))
    return names


def alarm_names(flags: int, edition: Edition = Edition.V2019) -> list[tuple[str, str]]:
    """(English, Chinese) of each alarm bit that is set, from bit 0; one without meaning reads ``bit_N``."""
    return _set_bits(flags, _ALARMS[edition])


def status_names(flags: int, edition: Edition = Edition.V2019) -> list[tuple[str, str]]:
    """(English, Chinese) of what the status word says, from bit 0; bits that are 0 say nothing."""
    if edition == Edition.V2011:
        return _set_bits(flags, _STATUS[edition])
    names = _set_bits(flags & ~0x300, _STATUS[edition])
    if load := flags >> 8 & 3:
        names.append(LOAD[load])
    return names

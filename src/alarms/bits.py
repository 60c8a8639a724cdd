"""The bits of a location report (位置信息汇报, 0x0200): names for engine, API and console, in one place.

Three words: the alarm word (报警标志) and the status word (状态) of the basic part, and the video alarm word of
additional item 0x14 (视频相关报警). The header does not tell a 2013 terminal from a 2011 one, and terminals with a 2019
header often keep 2013 bodies, so one name serves all editions: where they differ, the name says both readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fleet import Severity


@dataclass(frozen=True, slots=True)
class AlarmBit:
    """One bit of an alarm word, and the alarm rule it makes."""

    bit: int  # 0..31 in its own word
    rule: str  # the rule's name, a key of alarms.RULES
    chinese: str
    english: str
    severity: Severity
    is_cleared_by_answer: bool = False  # the terminal clears it once the platform answered; else when it is over


@dataclass(frozen=True, slots=True)
class StatusBit:
    """One bit, or one group of bits, of the status word."""

    bit: int  # the lowest bit
    width: int
    name: str
    chinese: str
    english: str
    values: tuple[tuple[str, str], ...]  # for value 0, 1, ...: Chinese, English
    since: str  # first edition that defines it


ALARM_BITS: Final[tuple[AlarmBit, ...]] = (
    AlarmBit(0, "terminal.emergency", "紧急报警", "emergency button", Severity.CRITICAL, True),
    AlarmBit(1, "terminal.overspeed", "超速报警", "overspeed", Severity.MEDIUM),
    AlarmBit(2, "terminal.fatigue", "疲劳驾驶", "fatigue driving", Severity.HIGH),
    # 2011 and 2013: 危险预警, cleared by the answer; 2019: 危险驾驶行为报警, stays.
    AlarmBit(3, "terminal.dangerous_driving", "危险预警/危险驾驶行为", "danger warning or dangerous driving behaviour",
             Severity.HIGH, True),
    AlarmBit(4, "terminal.gnss_fault", "GNSS模块故障", "GNSS module fault", Severity.LOW),
    AlarmBit(5, "terminal.gnss_antenna_cut", "GNSS天线未接或被剪断", "GNSS antenna not connected or cut", Severity.LOW),
    AlarmBit(6, "terminal.gnss_antenna_short", "GNSS天线短路", "GNSS antenna shorted", Severity.LOW),
    AlarmBit(7, "terminal.power_low", "终端主电源欠压", "main power undervoltage", Severity.LOW),
    AlarmBit(8, "terminal.power_lost", "终端主电源掉电", "main power lost", Severity.MEDIUM),
    AlarmBit(9, "terminal.display_fault", "终端显示器故障", "display fault", Severity.LOW),
    AlarmBit(10, "terminal.tts_fault", "TTS模块故障", "speech module fault", Severity.LOW),
    AlarmBit(11, "terminal.camera_fault", "摄像头故障", "camera fault", Severity.LOW),
    AlarmBit(12, "terminal.ic_card_fault", "道路运输证IC卡模块故障", "IC card module fault", Severity.LOW),
    AlarmBit(13, "terminal.overspeed_warning", "超速预警", "overspeed pre-warning", Severity.LOW),
    AlarmBit(14, "terminal.fatigue_warning", "疲劳驾驶预警", "fatigue pre-warning", Severity.MEDIUM),
    AlarmBit(15, "terminal.forbidden_driving", "违规行驶", "driving in a forbidden period", Severity.HIGH),  # 2019
    AlarmBit(16, "terminal.tyre_pressure", "胎压预警", "tyre pressure warning", Severity.MEDIUM),  # 2019
    AlarmBit(17, "terminal.right_turn_blind_zone", "右转盲区异常", "right-turn blind zone abnormal",
             Severity.MEDIUM),  # 2019
    AlarmBit(18, "terminal.daily_driving_time", "当天累计驾驶超时", "daily driving time exceeded", Severity.HIGH),
    AlarmBit(19, "terminal.parking_overtime", "超时停车", "parked too long", Severity.LOW),
    AlarmBit(20, "terminal.area", "进出区域", "area entered or left", Severity.MEDIUM, True),
    AlarmBit(21, "terminal.route", "进出路线", "route entered or left", Severity.MEDIUM, True),
    AlarmBit(22, "terminal.segment_time", "路段行驶时间不足/过长", "segment time too short or too long",
             Severity.MEDIUM, True),
    AlarmBit(23, "terminal.route_deviation", "路线偏离", "off the route", Severity.MEDIUM),
    AlarmBit(24, "terminal.speed_sensor_fault", "车辆VSS故障", "vehicle speed sensor fault", Severity.LOW),
    AlarmBit(25, "terminal.fuel", "车辆油量异常", "abnormal fuel level", Severity.MEDIUM),
    AlarmBit(26, "terminal.theft", "车辆被盗", "vehicle stolen", Severity.HIGH),
    AlarmBit(27, "terminal.illegal_ignition", "车辆非法点火", "illegal ignition", Severity.HIGH, True),
    AlarmBit(28, "terminal.illegal_movement", "车辆非法位移", "illegal movement", Severity.HIGH, True),
    # 2013: 碰撞预警; 2019: 碰撞侧翻报警.
    AlarmBit(29, "terminal.collision", "碰撞预警/碰撞侧翻", "collision pre-warning or collision", Severity.CRITICAL),
    AlarmBit(30, "terminal.rollover", "侧翻预警", "rollover pre-warning", Severity.HIGH),
    # 2013; reserved in 2019.
    AlarmBit(31, "terminal.illegal_door_open", "非法开门", "illegal door opening", Severity.MEDIUM, True),
)  # fmt: skip
"""The alarm word of 0x0200: JT/T 808-2011, -2013 and -2019, alarm flag bit table of the location report."""

VIDEO_ALARM_BITS: Final[tuple[AlarmBit, ...]] = (
    AlarmBit(0, "terminal.video_signal_lost", "视频信号丢失", "video signal lost", Severity.LOW),
    AlarmBit(1, "terminal.video_signal_covered", "视频信号遮挡", "video signal covered", Severity.LOW),
    AlarmBit(2, "terminal.video_storage_fault", "存储单元故障", "video storage fault", Severity.LOW),
    AlarmBit(3, "terminal.video_other_fault", "其他视频设备故障", "other video device fault", Severity.LOW),
    AlarmBit(4, "terminal.video_overload", "客车超员", "too many passengers", Severity.HIGH),
    AlarmBit(5, "terminal.video_abnormal_driving", "异常驾驶行为", "abnormal driving behaviour", Severity.HIGH),
    AlarmBit(6, "terminal.video_recording_full", "特殊报警录像达到存储阈值", "alarm recordings reached storage limit",
             Severity.LOW, True),
)  # fmt: skip
"""The video alarm word, additional item 0x14: JT/T 1078-2016, additional items of the location report."""

_CLOSED_OPEN: Final = (("关", "closed"), ("开", "open"))
_UNUSED_USED: Final = (("未使用", "not used"), ("使用", "used"))

STATUS_BITS: Final[tuple[StatusBit, ...]] = (
    StatusBit(0, 1, "acc", "ACC", "ACC", (("关", "off"), ("开", "on")), "2011"),
    StatusBit(1, 1, "fix", "定位", "fix", (("未定位", "no fix"), ("定位", "fix")), "2011"),
    StatusBit(2, 1, "south", "纬度", "latitude", (("北纬", "north"), ("南纬", "south")), "2011"),
    StatusBit(3, 1, "west", "经度", "longitude", (("东经", "east"), ("西经", "west")), "2011"),
    StatusBit(4, 1, "out_of_service", "运营", "service", (("运营", "in service"), ("停运", "out of service")), "2011"),
    StatusBit(5, 1, "encrypted", "经纬度加密", "coordinates", (("未加密", "plain"), ("已加密", "encrypted")), "2011"),
    StatusBit(6, 1, "forward_collision", "前撞预警", "forward-collision warning",
              (("无", "none"), ("预警", "warning")), "2019"),
    StatusBit(7, 1, "lane_departure", "车道偏移预警", "lane-departure warning",
              (("无", "none"), ("预警", "warning")), "2019"),
    StatusBit(8, 2, "load", "载重", "load",
              (("空车", "empty"), ("半载", "half"), ("保留", "reserved"), ("满载", "full")), "2013"),
    StatusBit(10, 1, "fuel_cut", "油路", "fuel circuit", (("正常", "normal"), ("断开", "cut")), "2011"),
    StatusBit(11, 1, "electric_cut", "电路", "electric circuit", (("正常", "normal"), ("断开", "cut")), "2011"),
    StatusBit(12, 1, "doors_locked", "车门锁", "door lock", (("解锁", "unlocked"), ("加锁", "locked")), "2011"),
    StatusBit(13, 1, "door_front", "前门", "front door", _CLOSED_OPEN, "2013"),
    StatusBit(14, 1, "door_middle", "中门", "middle door", _CLOSED_OPEN, "2013"),
    StatusBit(15, 1, "door_rear", "后门", "rear door", _CLOSED_OPEN, "2013"),
    StatusBit(16, 1, "door_driver", "驾驶席门", "driver's door", _CLOSED_OPEN, "2013"),
    StatusBit(17, 1, "door_other", "自定义门", "other door", _CLOSED_OPEN, "2013"),
    StatusBit(18, 1, "gps", "GPS", "GPS", _UNUSED_USED, "2013"),
    StatusBit(19, 1, "beidou", "北斗", "BeiDou", _UNUSED_USED, "2013"),
    StatusBit(20, 1, "glonass", "GLONASS", "GLONASS", _UNUSED_USED, "2013"),
    StatusBit(21, 1, "galileo", "Galileo", "Galileo", _UNUSED_USED, "2013"),
    StatusBit(22, 1, "moving", "行驶状态", "motion", (("停止", "stopped"), ("行驶", "moving")), "2019"),
)  # fmt: skip
"""The status word of 0x0200: JT/T 808-2011, -2013 and -2019, status bit table of the location report."""

STATUS_ACC_ON: Final = 1 << 0
STATUS_HAS_FIX: Final = 1 << 1

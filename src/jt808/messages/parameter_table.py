"""The parameters (参数项) of a terminal: one table for setting them (0x8103) and for reading them (0x0104).

Source: JT/T 808-2011, -2013 and -2019, 0x8103, tables of parameters; 0x0075 to 0x007C JT/T 1078-2016; 0xF364 to 0xF367
T/JSATL 12-2017 (Su-biao; 0xF364 is its table 4-10). The Chinese names are the latest edition's that has the parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from construct import Byte, Construct, ConstructError, Container, GreedyBytes, Int16ub, Int32ub

from jt808.fields import Bits, Tenths16, Tenths32, Text, bits
from jt808.header import Edition
from jt808.messages import parameter_values as values
from jt808.messages.attributes import GNSS_SYSTEMS
from jt808.messages.location_flags import alarm_names
from jt808.messages.session import PLATE_COLORS

_ALARMS: Final = Bits("alarms", alarm_names)
_VIDEO_ALARMS: Final = bits("video_alarms", {
    0: ("signal_lost", "视频信号丢失"), 1: ("signal_covered", "视频信号遮挡"), 2: ("storage_fault", "存储单元故障"),
    3: ("other_fault", "其他视频设备故障"), 4: ("passenger_overload", "客车超员"),
    5: ("abnormal_driving", "异常驾驶行为"), 6: ("special_recording_full", "特殊报警录像达到存储阈值"),
})  # fmt: skip


_BAUD_RATES: Final = {0: "4800", 1: "9600", 2: "19200", 3: "38400", 4: "57600", 5: "115200"}
_OUTPUT_PERIODS: Final = {0: "500 ms", 1: "1000 ms", 2: "2000 ms", 3: "3000 ms", 4: "4000 ms"}
_UPLOAD_MODES: Final = {
    0x00: "kept here", 0x01: "by time", 0x02: "by distance", 0x0B: "by accumulated time",
    0x0C: "by accumulated distance", 0x0D: "by count",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParameterType:
    """One row. ``layout`` writes the value, in 2011 ``old_layout`` where there is one. Reading tries these two and then
    ``seen_layout``, in which units are seen to send it: the value's length tells. ``values``: what numbers mean."""

    id: int
    name: str
    chinese: str
    layout: Construct
    unit: str = ""
    bits: Bits | None = None
    old_layout: Construct | None = None
    seen_layout: Construct | None = None
    values: Mapping[int, str] | None = None

    def read(self, raw: bytes) -> Any:
        """The value; None when its length is not right, or it cannot be read."""
        for layout in (self.layout, self.old_layout, self.seen_layout):
            if layout is not None:
                stream = BytesIO(raw)
                try:
                    value = layout._parsereport(stream, Container(), "")
                except ConstructError:
                    continue
                if stream.tell() == len(raw):
                    return value
        return None

    def write(self, value: Any, edition: Edition) -> bytes:
        """Raises:  ConstructError, TypeError, ValueError: the value does not fit."""
        layout = self.old_layout if edition == Edition.V2011 and self.old_layout is not None else self.layout
        raw: bytes = layout.build(value)
        return raw


_ROWS: Final[tuple[ParameterType, ...]] = (
    ParameterType(0x0001, "heartbeat interval", "终端心跳发送间隔", Int32ub, "s"),
    ParameterType(0x0002, "TCP answer timeout", "TCP消息应答超时时间", Int32ub, "s"),
    ParameterType(0x0003, "TCP retries", "TCP消息重传次数", Int32ub),
    ParameterType(0x0004, "UDP answer timeout", "UDP消息应答超时时间", Int32ub, "s"),
    ParameterType(0x0005, "UDP retries", "UDP消息重传次数", Int32ub),
    ParameterType(0x0006, "SMS answer timeout", "SMS消息应答超时时间", Int32ub, "s"),
    ParameterType(0x0007, "SMS retries", "SMS消息重传次数", Int32ub),
    ParameterType(0x0010, "main server APN", "主服务器APN", Text),
    ParameterType(0x0011, "main server dial user", "主服务器无线通信拨号用户名", Text),
    ParameterType(0x0012, "main server dial password", "主服务器无线通信拨号密码", Text),
    ParameterType(0x0013, "main server address", "主服务器地址", Text),
    ParameterType(0x0014, "backup server APN", "备份服务器APN", Text),
    ParameterType(0x0015, "backup server dial user", "备份服务器无线通信拨号用户名", Text),
    ParameterType(0x0016, "backup server dial password", "备份服务器无线通信拨号密码", Text),
    ParameterType(0x0017, "backup server address", "备份服务器地址", Text),
    ParameterType(0x0018, "server TCP port", "服务器TCP端口", Int32ub),  # until 2013; 2019 has it in the address
    ParameterType(0x0019, "server UDP port", "服务器UDP端口", Int32ub),
    ParameterType(0x001A, "IC card server address", "道路运输证IC卡认证主服务器IP地址或域名", Text),
    ParameterType(0x001B, "IC card server TCP port", "道路运输证IC卡认证主服务器TCP端口", Int32ub),
    ParameterType(0x001C, "IC card server UDP port", "道路运输证IC卡认证主服务器UDP端口", Int32ub),
    ParameterType(0x001D, "IC card backup server address", "道路运输证IC卡认证备份服务器IP地址或域名", Text),
    ParameterType(
        0x0020, "report strategy", "位置汇报策略", Int32ub, values={0: "by time", 1: "by distance", 2: "both"}
    ),
    ParameterType(0x0021, "report scheme", "位置汇报方案", Int32ub, values={0: "by ACC", 1: "by login, then ACC"}),
    ParameterType(0x0022, "report interval, no driver", "驾驶员未登录汇报时间间隔", Int32ub, "s"),
    ParameterType(0x0023, "slave server APN", "从服务器APN", Text),  # since 2019; reserved before, as 0x24 and 0x25
    ParameterType(0x0024, "slave server dial user", "从服务器无线通信拨号用户名", Text),
    ParameterType(0x0025, "slave server dial password", "从服务器无线通信拨号密码", Text),
    ParameterType(0x0026, "slave server address", "从服务器备份地址", Text),
    ParameterType(0x0027, "report interval, asleep", "休眠时汇报时间间隔", Int32ub, "s"),
    ParameterType(0x0028, "report interval, emergency", "紧急报警时汇报时间间隔", Int32ub, "s"),
    ParameterType(0x0029, "report interval", "缺省时间汇报间隔", Int32ub, "s"),
    ParameterType(0x002C, "report distance", "缺省距离汇报间隔", Int32ub, "m"),
    ParameterType(0x002D, "report distance, no driver", "驾驶员未登录汇报距离间隔", Int32ub, "m"),
    ParameterType(0x002E, "report distance, asleep", "休眠时汇报距离间隔", Int32ub, "m"),
    ParameterType(0x002F, "report distance, emergency", "紧急报警时汇报距离间隔", Int32ub, "m"),
    ParameterType(0x0030, "corner angle", "拐点补传角度", Int32ub, "°"),
    ParameterType(0x0031, "fence radius", "电子围栏半径", Int16ub, "m"),
    ParameterType(0x0032, "forbidden driving period", "违规行驶时段范围", values.FORBIDDEN_PERIOD),
    ParameterType(0x0040, "platform phone", "监控平台电话号码", Text),
    ParameterType(0x0041, "reset phone", "复位电话号码", Text),
    ParameterType(0x0042, "factory reset phone", "恢复出厂设置电话号码", Text),
    ParameterType(0x0043, "platform SMS number", "监控平台SMS电话号码", Text),
    ParameterType(0x0044, "alarm SMS number", "接收终端SMS文本报警号码", Text),
    ParameterType(
        0x0045, "call answering", "终端电话接听策略", Int32ub, values={0: "automatic", 1: "automatic while ACC is on"}
    ),
    ParameterType(0x0046, "longest call", "每次最长通话时间", Int32ub, "s"),
    ParameterType(0x0047, "longest calls of a month", "当月最长通话时间", Int32ub, "s"),
    ParameterType(0x0048, "listening number", "监听电话号码", Text),
    ParameterType(0x0049, "privileged SMS number", "监管平台特权短信号码", Text),
    ParameterType(0x0050, "alarm suppression", "报警屏蔽字", Int32ub, bits=_ALARMS),
    ParameterType(0x0051, "alarm SMS", "报警发送文本SMS开关", Int32ub, bits=_ALARMS),
    ParameterType(0x0052, "alarm photograph", "报警拍摄开关", Int32ub, bits=_ALARMS),
    ParameterType(0x0053, "alarm photograph storage", "报警拍摄存储标志", Int32ub, bits=_ALARMS),
    ParameterType(0x0054, "key alarms", "关键标志", Int32ub, bits=_ALARMS),
    ParameterType(0x0055, "top speed", "最高速度", Int32ub, "km/h"),
    ParameterType(0x0056, "overspeed duration", "超速持续时间", Int32ub, "s"),
    ParameterType(0x0057, "continuous driving limit", "连续驾驶时间门限", Int32ub, "s"),
    ParameterType(0x0058, "daily driving limit", "当天累计驾驶时间门限", Int32ub, "s"),
    ParameterType(0x0059, "minimum rest", "最小休息时间", Int32ub, "s"),
    ParameterType(0x005A, "longest parking", "最长停车时间", Int32ub, "s"),
    ParameterType(0x005B, "overspeed warning difference", "超速预警差值", Tenths16, "km/h"),
    ParameterType(0x005C, "fatigue warning difference", "疲劳驾驶预警差值", Int16ub, "s"),
    ParameterType(0x005D, "collision alarm", "碰撞报警参数设置", values.COLLISION_ALARM),
    ParameterType(0x005E, "rollover angle", "侧翻报警参数设置", Int16ub, "°"),
    ParameterType(0x0064, "timed photographs", "定时拍照控制", values.PHOTO_CONTROL),
    ParameterType(0x0065, "distance photographs", "定距拍照控制", values.PHOTO_CONTROL),
    ParameterType(0x0070, "image quality", "图像/视频质量", Int32ub),
    ParameterType(0x0071, "brightness", "亮度", Int32ub),
    ParameterType(0x0072, "contrast", "对比度", Int32ub),
    ParameterType(0x0073, "saturation", "饱和度", Int32ub),
    ParameterType(0x0074, "chroma", "色度", Int32ub),
    ParameterType(0x0075, "audio and video", "音视频参数设置", values.VIDEO),
    ParameterType(0x0076, "channel list", "音视频通道列表设置", values.CHANNELS),
    ParameterType(0x0077, "channel video", "单独视频通道参数设置", values.CHANNEL_VIDEO),
    ParameterType(0x0079, "special alarm recording", "特殊报警录像参数设置", values.ALARM_RECORDING),
    ParameterType(0x007A, "video alarm suppression", "视频相关报警屏蔽字", Int32ub, bits=_VIDEO_ALARMS),
    ParameterType(0x007B, "image analysis", "图像分析报警参数设置", values.IMAGE_ANALYSIS),
    ParameterType(0x007C, "sleep and wake", "终端休眠唤醒模式设置", values.SLEEP_WAKE),
    ParameterType(0x0080, "odometer", "车辆里程表读数", Tenths32, "km"),
    ParameterType(0x0081, "province", "车辆所在的省域ID", Int16ub, old_layout=Int32ub),
    ParameterType(0x0082, "city", "车辆所在的市域ID", Int16ub, old_layout=Int32ub),
    ParameterType(0x0083, "plate", "公安交通管理部门颁发的机动车号牌", Text),
    ParameterType(0x0084, "plate colour", "车牌颜色", Byte, old_layout=Int32ub, values=PLATE_COLORS),
    ParameterType(0x0090, "GNSS systems", "GNSS定位模式", Byte, bits=GNSS_SYSTEMS, seen_layout=Int32ub),
    ParameterType(0x0091, "GNSS baud rate", "GNSS波特率", Byte, values=_BAUD_RATES),
    ParameterType(0x0092, "GNSS output period", "GNSS模块详细定位数据输出频率", Byte, values=_OUTPUT_PERIODS),
    ParameterType(0x0093, "GNSS sampling", "GNSS模块详细定位数据采集频率", Int32ub, "s"),
    ParameterType(0x0094, "GNSS upload mode", "GNSS模块详细定位数据上传方式", Byte, values=_UPLOAD_MODES),
    ParameterType(0x0095, "GNSS upload setting", "GNSS模块详细定位数据上传设置", Int32ub),
    ParameterType(0x0100, "CAN1 sampling", "CAN总线通道1采集时间间隔", Int32ub, "ms"),
    ParameterType(0x0101, "CAN1 upload interval", "CAN总线通道1上传时间间隔", Int16ub, "s"),
    ParameterType(0x0102, "CAN2 sampling", "CAN总线通道2采集时间间隔", Int32ub, "ms"),
    ParameterType(0x0103, "CAN2 upload interval", "CAN总线通道2上传时间间隔", Int16ub, "s"),
    ParameterType(0xF364, "ADAS", "高级驾驶辅助系统参数", values.ADAS),
    ParameterType(0xF365, "driver monitoring", "驾驶员状态监测系统参数", values.DSM),
    ParameterType(0xF366, "tyre pressure monitoring", "胎压监测系统参数", values.TYRES),
    ParameterType(0xF367, "blind spot monitoring", "盲区监测系统参数", values.BLIND_SPOTS),
    # of Yue-biao, whose text we lack: no type is known
    ParameterType(0xF370, "intelligent video protocol version", "智能视频协议版本信息", GreedyBytes),
)

CAN_IDS: Final = range(0x0110, 0x0200)
"""Each of these sets one CAN id."""

_BY_ID: Final = {row.id: row for row in _ROWS} | {
    number: ParameterType(number, "CAN id collection", "CAN总线ID单独采集设置", values.CAN_COLLECTION)
    for number in CAN_IDS
}


def parameter_type(parameter_id: int) -> ParameterType | None:
    """The row of an id; None for makers' own and for those no edition has."""
    return _BY_ID.get(parameter_id)


def parameter_types() -> Iterator[ParameterType]:
    """All rows, by id; of those for single CAN ids the first."""
    return iter(sorted((*_ROWS, _BY_ID[CAN_IDS[0]]), key=lambda row: row.id))

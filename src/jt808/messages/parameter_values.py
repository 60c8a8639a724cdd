"""Parameters that are more than a number or a text: JT/T 808's own, JT/T 1078-2016's, T/JSATL 12-2017's (Su-biao).

In the Su-biao ones 0xFF, 0xFFFF and 0xFFFFFFFF mean: leave it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from construct import Adapter, Byte, Bytes, Computed, Construct, GreedyBytes, Int16ub, Int32ub, Struct, ValidationError

from jt808.fields import Label, Tenths8, bits, digits, padded_text
from jt808.layouts import Counted, Record, Repeated
from jt808.messages.can import CAN_FLAGS


@dataclass(frozen=True, slots=True)
class ForbiddenPeriod:
    """0x0032, since 2019: when driving is forbidden (违规行驶时段范围), each day in GMT+8. Binary, not BCD."""

    start_hour: Annotated[int, Label("开始小时")]
    start_minute: Annotated[int, Label("开始分钟")]
    end_hour: Annotated[int, Label("结束小时")]
    end_minute: Annotated[int, Label("结束分钟")]


@dataclass(frozen=True, slots=True)
class CollisionAlarm:
    """0x005D, since 2013: what a collision is (碰撞报警参数). ``duration`` counts 4 ms in 2013, 1 ms in 2019."""

    acceleration_g: Annotated[float, Label("碰撞加速度", "g")]
    duration: Annotated[int, Label("碰撞时间")]


@dataclass(frozen=True, slots=True)
class PhotoControl:
    """0x0064 and 0x0065, since 2013: photographs by time or distance (定时/定距拍照控制).

    ``interval`` counts seconds or minutes, metres or kilometres, as ``is_large_unit`` says. In ``channels`` (1 on) and
    ``upload_channels`` (1 upload, 0 store) bit 0 is channel 1.
    """

    interval: Annotated[int, Label("间隔")]
    is_large_unit: Annotated[bool, Label("单位为分/公里")]
    upload_channels: Annotated[int, Label("上传通道")]
    channels: Annotated[int, Label("开启通道")]


@dataclass(frozen=True, slots=True)
class CanCollection:
    """0x0110 to 0x01FF: collecting one CAN id (CAN总线ID单独采集设置), flags of the id as in 0x0705."""

    interval_ms: Annotated[int, Label("采集时间间隔", "ms")]
    can_id: Annotated[int, Label("CAN ID", bits=CAN_FLAGS)]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a stream is encoded. Modes: 0 CBR, 1 VBR, 2 ABR; resolutions: 0 QCIF, 1 CIF, 2 WCIF, 3 D1, 4 WD1, 5 720P,
    6 1080P; from 100 on makers' own."""

    encoding_mode: Annotated[int, Label("编码模式")]
    resolution: Annotated[int, Label("分辨率")]
    key_frame_interval: Annotated[int, Label("关键帧间隔", "frames")]
    frame_rate: Annotated[int, Label("目标帧率", "frames/s")]
    bit_rate_kbps: Annotated[int, Label("目标码率", "kbps")]


_OSD: Final = bits("osd_names", {
    0: ("time", "日期和时间"), 1: ("plate", "车牌号码"), 2: ("channel", "逻辑通道号"), 3: ("position", "经纬度"),
    4: ("recorder_speed", "行驶记录速度"), 5: ("gnss_speed", "卫星定位速度"), 6: ("driving_time", "连续驾驶时间"),
}, 16)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VideoParameters:
    """0x0075: sound and pictures (音视频参数)."""

    live: Annotated[StreamSettings, Label("实时流")]
    stored: Annotated[StreamSettings, Label("存储流")]
    osd: Annotated[int, Label("OSD字幕叠加设置", bits=_OSD)]
    has_audio_output: Annotated[int, Label("是否启用音频输出")]


@dataclass(frozen=True, slots=True)
class ChannelMapping:
    """A channel of 0x0076. ``kind``: 0 sound and picture, 1 sound, 2 picture."""

    physical_channel: Annotated[int, Label("物理通道号")]
    logical_channel: Annotated[int, Label("逻辑通道号")]
    kind: Annotated[int, Label("通道类型", values={0: "audio and video", 1: "audio", 2: "video"})]
    has_ptz: Annotated[int, Label("是否连接云台")]


@dataclass(frozen=True, slots=True)
class ChannelList:
    """0x0076: the channels (音视频通道列表设置), those of each kind in turn."""

    av_channels: Annotated[int, Label("音视频通道总数")]
    audio_channels: Annotated[int, Label("音频通道总数")]
    video_channels: Annotated[int, Label("视频通道总数")]
    channels: Annotated[tuple[ChannelMapping, ...], Label("音视频通道对照表")]


@dataclass(frozen=True, slots=True)
class ChannelVideoParameters:
    """A channel of 0x0077."""

    logical_channel: Annotated[int, Label("逻辑通道号")]
    live: Annotated[StreamSettings, Label("实时流")]
    stored: Annotated[StreamSettings, Label("存储流")]
    osd: Annotated[int, Label("OSD字幕叠加设置", bits=_OSD)]


@dataclass(frozen=True, slots=True)
class ChannelVideoList:
    """0x0077: pictures of single channels (单独视频通道参数设置)."""

    channels: Annotated[tuple[ChannelVideoParameters, ...], Label("单独通道视频参数设置列表")]


@dataclass(frozen=True, slots=True)
class AlarmRecording:
    """0x0079: recording special alarms (特殊报警录像参数)."""

    storage_threshold_percent: Annotated[int, Label("特殊报警录像存储阈值", "%")]
    duration_min: Annotated[int, Label("特殊报警录像持续时间", "min")]
    mark_before_min: Annotated[int, Label("特殊报警标识起始时间", "min")]


@dataclass(frozen=True, slots=True)
class ImageAnalysis:
    """0x007B: alarms by image analysis (图像分析报警参数设置)."""

    rated_passengers: Annotated[int, Label("车辆核载人数", "persons")]
    fatigue_threshold: Annotated[int, Label("疲劳程度阈值")]


@dataclass(frozen=True, slots=True)
class WakePeriod:
    """One period of 0x007C, digits HHMM."""

    wake: Annotated[str, Label("唤醒时间")]
    close: Annotated[str, Label("关闭时间")]


@dataclass(frozen=True, slots=True)
class SleepWake:
    """0x007C: how the terminal wakes from sleep (终端休眠唤醒模式设置)."""

    modes: Annotated[int, Label("休眠唤醒模式", bits=bits("mode_names", {
        0: ("conditional", "条件唤醒"), 1: ("timed", "定时唤醒"), 2: ("manual", "手动唤醒"),
    }, 8))]  # fmt: skip
    conditions: Annotated[int, Label("唤醒条件类型", bits=bits("condition_names", {
        0: ("emergency", "紧急报警"), 1: ("collision_rollover", "碰撞侧翻报警"), 2: ("door_opened", "车辆开门"),
    }, 8))]  # fmt: skip
    weekdays: Annotated[int, Label("定时唤醒日设置")]
    """Bit 0 is Monday, bit 6 Sunday."""
    periods_on: Annotated[int, Label("定时唤醒启用标志")]
    periods: Annotated[tuple[WakePeriod, ...], Label("时间段")]


@dataclass(frozen=True, slots=True)
class WarningSettings:
    """What a warning records, and from which speed it is of the second level."""

    speed_kmh: Annotated[int, Label("分级速度阈值", "km/h")]
    video_s: Annotated[int, Label("前后视频录制时间", "s")]
    photos: Annotated[int, Label("拍照张数")]
    photo_gap: Annotated[int, Label("拍照间隔", "0.1 s")]


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What ADAS and DSM have in common. ``strategy``: 0 off, 1 by time, 2 by distance, 3 at insertion of the card."""

    speed_threshold_kmh: Annotated[int, Label("报警判断速度阈值", "km/h")]
    volume: Annotated[int, Label("报警提示音量")]
    strategy: Annotated[int, Label("主动拍照策略")]
    photo_interval_s: Annotated[int, Label("主动定时拍照时间间隔", "s")]
    photo_distance_m: Annotated[int, Label("主动定距拍照距离间隔", "m")]
    photos: Annotated[int, Label("单次主动拍照张数")]
    photo_gap: Annotated[int, Label("单次主动拍照时间间隔", "0.1 s")]
    photo_resolution: Annotated[int, Label("拍照分辨率")]
    video_resolution: Annotated[int, Label("视频录制分辨率")]
    alarms_on: Annotated[int, Label("报警使能")]
    events_on: Annotated[int, Label("事件使能")]


@dataclass(frozen=True, slots=True)
class AdasParameters:
    """0xF364: driving assistance (高级驾驶辅助系统参数). ``reserved``: four bytes; other standards have more there."""

    camera: Annotated[CameraSettings, Label("通用设置")]
    reserved_byte: Annotated[int, Label("预留")]
    obstacle_distance: Annotated[int, Label("障碍物报警距离阈值", "0.1 s")]
    obstacle: Annotated[WarningSettings, Label("障碍物报警")]
    lane_change_window_s: Annotated[int, Label("频繁变道报警判断时间段", "s")]
    lane_change_count: Annotated[int, Label("频繁变道报警判断次数")]
    lane_change: Annotated[WarningSettings, Label("频繁变道报警")]
    lane_departure: Annotated[WarningSettings, Label("车道偏离报警")]
    forward_collision_time: Annotated[int, Label("前向碰撞报警时间阈值", "0.1 s")]
    forward_collision: Annotated[WarningSettings, Label("前向碰撞报警")]
    pedestrian_collision_time: Annotated[int, Label("行人碰撞报警时间阈值", "0.1 s")]
    pedestrian_collision: Annotated[WarningSettings, Label("行人碰撞报警")]
    too_close_distance: Annotated[int, Label("车距监控报警距离阈值", "0.1 s")]
    too_close: Annotated[WarningSettings, Label("车距过近报警")]
    road_sign_photos: Annotated[int, Label("道路标志识别拍照张数")]
    road_sign_photo_gap: Annotated[int, Label("道路标志识别拍照间隔", "0.1 s")]
    reserved: Annotated[bytes, Label("预留")]


@dataclass(frozen=True, slots=True)
class DsmParameters:
    """0xF365: watching the driver (驾驶员状态监测系统参数). ``reserved``: two bytes; other standards have more."""

    camera: Annotated[CameraSettings, Label("通用设置")]
    smoking_window_s: Annotated[int, Label("吸烟报警判断时间间隔", "s")]
    phone_window_s: Annotated[int, Label("接打电话报警判断时间间隔", "s")]
    reserved_bytes: Annotated[bytes, Label("预留")]
    fatigue: Annotated[WarningSettings, Label("疲劳驾驶报警")]
    phone: Annotated[WarningSettings, Label("接打电话报警")]
    smoking: Annotated[WarningSettings, Label("抽烟报警")]
    distraction: Annotated[WarningSettings, Label("分神驾驶报警")]
    abnormal: Annotated[WarningSettings, Label("驾驶行为异常")]
    identity_trigger: Annotated[int, Label("驾驶员身份识别触发")]
    reserved: Annotated[bytes, Label("预留")]


@dataclass(frozen=True, slots=True)
class TyreParameters:
    """0xF366: tyre pressure (轮胎压力监测系统参数). ``unit``: 0 kg/cm², 1 bar, 2 kPa, 3 PSI, of the pressures here."""

    tyre_model: Annotated[str, Label("轮胎规格型号")]
    unit: Annotated[int, Label("胎压单位", values={0: "kg/cm²", 1: "bar", 2: "kPa", 3: "PSI"})]
    normal_pressure: Annotated[int, Label("正常胎压值")]
    imbalance_percent: Annotated[int, Label("胎压不平衡门限", "%")]
    slow_leak_percent: Annotated[int, Label("慢漏气门限", "%")]
    low_pressure: Annotated[int, Label("低压阈值")]
    high_pressure: Annotated[int, Label("高压阈值")]
    high_temperature_c: Annotated[int, Label("高温阈值", "°C")]
    battery_percent: Annotated[int, Label("电压阈值", "%")]
    report_interval_s: Annotated[int, Label("定时上报时间间隔", "s")]
    reserved: Annotated[bytes, Label("预留")]


@dataclass(frozen=True, slots=True)
class BlindSpotParameters:
    """0xF367: blind spots (盲区监测系统参数)."""

    rear_time_s: Annotated[int, Label("后方接近报警时间阈值", "s")]
    side_rear_time_s: Annotated[int, Label("侧后方接近报警时间阈值", "s")]


class _AtLeast(Adapter):  # type: ignore[misc]
    """Bytes to the end, no fewer than ``length``."""

    def __init__(self, length: int) -> None:
        super().__init__(GreedyBytes)
        self.length = length

    def _decode(self, obj: bytes, context: Any, path: str) -> bytes:
        if len(obj) < self.length:
            raise ValidationError(f"{len(obj)} bytes, at least {self.length} are wanted", path=path)
        return obj

    def _encode(self, obj: bytes, context: Any, path: str) -> bytes:
        return self._decode(obj, context, path)


class _Photos(Adapter):  # type: ignore[misc]
    """The bits of a :class:`PhotoControl`."""

    def _decode(self, obj: int, context: Any, path: str) -> PhotoControl:
        return PhotoControl(obj >> 17, bool(obj >> 16 & 1), obj >> 8 & 0x1F, obj & 0x1F)

    def _encode(self, obj: PhotoControl, context: Any, path: str) -> int:
        if max(obj.upload_channels, obj.channels) > 0x1F:
            raise ValidationError("there are five channels", path=path)
        return obj.interval << 17 | obj.is_large_unit << 16 | obj.upload_channels << 8 | obj.channels


def _bytes_of(*names: str) -> list[Construct]:
    return [name / Byte for name in names]


FORBIDDEN_PERIOD: Final = Record(
    ForbiddenPeriod, Struct(*_bytes_of("start_hour", "start_minute", "end_hour", "end_minute"))
)
COLLISION_ALARM: Final = Record(CollisionAlarm, Struct("acceleration_g" / Tenths8, "duration" / Byte))
PHOTO_CONTROL: Final = _Photos(Int32ub)
CAN_COLLECTION: Final = Record(CanCollection, Struct("interval_ms" / Int32ub, "can_id" / Int32ub))
_STREAM: Final = Record(
    StreamSettings,
    Struct(
        "encoding_mode" / Byte,
        "resolution" / Byte,
        "key_frame_interval" / Int16ub,
        "frame_rate" / Byte,
        "bit_rate_kbps" / Int32ub,
    ),
)
VIDEO: Final = Record(
    VideoParameters, Struct("live" / _STREAM, "stored" / _STREAM, "osd" / Int16ub, "has_audio_output" / Byte)
)
_MAPPING: Final = Record(ChannelMapping, Struct(*_bytes_of("physical_channel", "logical_channel", "kind", "has_ptz")))
CHANNELS: Final = Record(
    ChannelList,
    Struct(*_bytes_of("av_channels", "audio_channels", "video_channels"), "channels" / Repeated(_MAPPING)),
)
CHANNEL_VIDEO: Final = Record(
    ChannelVideoList,
    Struct(
        "channels"
        / Counted(
            Byte,
            Record(
                ChannelVideoParameters,
                Struct("logical_channel" / Byte, "live" / _STREAM, "stored" / _STREAM, "osd" / Int16ub),
            ),
        )
    ),
)
ALARM_RECORDING: Final = Record(
    AlarmRecording, Struct(*_bytes_of("storage_threshold_percent", "duration_min", "mark_before_min"))
)
IMAGE_ANALYSIS: Final = Record(ImageAnalysis, Struct(*_bytes_of("rated_passengers", "fatigue_threshold")))
SLEEP_WAKE: Final = Record(
    SleepWake,
    Struct(
        *_bytes_of("modes", "conditions", "weekdays", "periods_on"),
        "periods" / Counted(Computed(4), Record(WakePeriod, Struct("wake" / digits(2), "close" / digits(2)))),
    ),
)
_WARNING: Final = Record(WarningSettings, Struct(*_bytes_of("speed_kmh", "video_s", "photos", "photo_gap")))
_CAMERA: Final = Record(
    CameraSettings,
    Struct(
        *_bytes_of("speed_threshold_kmh", "volume", "strategy"),
        "photo_interval_s" / Int16ub,
        "photo_distance_m" / Int16ub,
        *_bytes_of("photos", "photo_gap", "photo_resolution", "video_resolution"),
        "alarms_on" / Int32ub,
        "events_on" / Int32ub,
    ),
)
ADAS: Final = Record(
    AdasParameters,
    Struct(
        "camera" / _CAMERA,
        *_bytes_of("reserved_byte", "obstacle_distance"),
        "obstacle" / _WARNING,
        *_bytes_of("lane_change_window_s", "lane_change_count"),
        "lane_change" / _WARNING,
        "lane_departure" / _WARNING,
        "forward_collision_time" / Byte,
        "forward_collision" / _WARNING,
        "pedestrian_collision_time" / Byte,
        "pedestrian_collision" / _WARNING,
        "too_close_distance" / Byte,
        "too_close" / _WARNING,
        *_bytes_of("road_sign_photos", "road_sign_photo_gap"),
        "reserved" / _AtLeast(4),
    ),
)
DSM: Final = Record(
    DsmParameters,
    Struct(
        "camera" / _CAMERA,
        "smoking_window_s" / Int16ub,
        "phone_window_s" / Int16ub,
        "reserved_bytes" / Bytes(3),
        *(name / _WARNING for name in ("fatigue", "phone", "smoking", "distraction", "abnormal")),
        "identity_trigger" / Byte,
        "reserved" / _AtLeast(2),
    ),
)
_TYRE_WORDS: Final = (
    "unit", "normal_pressure", "imbalance_percent", "slow_leak_percent", "low_pressure", "high_pressure",
    "high_temperature_c", "battery_percent", "report_interval_s",
)  # fmt: skip
TYRES: Final = Record(
    TyreParameters,
    Struct("tyre_model" / padded_text(12), *(name / Int16ub for name in _TYRE_WORDS), "reserved" / Bytes(6)),
)
BLIND_SPOTS: Final = Record(BlindSpotParameters, Struct(*_bytes_of("rear_time_s", "side_rear_time_s")))

"""The table of kinds: what may be asked, by which message, what answers it, how long that may take, what is dangerous.

Which editions have it stands with the message (`jt808.messages.message_type`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from downlink import areas, basic, driver, media, terminal, vehicle
from downlink.payload import Payload
from jt808.header import Edition
from jt808.messages import message_type

HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One row. ``answers``: dedicated answers that close it, besides the 0x0001; ``answer_within_s``: how long after
    the 0x0001 they may take. ``media``: what it makes arrives as 0x0801 and counts as progress; where 0x0801 is the
    answer, each that arrives gives the next as much time, and a lost link has it asked for again."""

    name: str
    chinese: str
    payload: type[Payload]
    message_ids: tuple[int, ...]
    answers: tuple[int, ...] = ()
    answer_within_s: float = 60.0
    dangerous: bool = False
    admin_only: bool = False
    media: bool = False
    expires_in_s: float | None = None  # instead of the server's default

    @property
    def editions(self) -> tuple[Edition, ...]:
        """Those that have one of its messages; all for bytes as they are."""
        rows = [row for message_id in self.message_ids if (row := message_type(message_id)) is not None]
        if not rows:
            return tuple(Edition)
        return tuple(edition for edition in Edition if any(edition in row.editions for row in rows))


_ROWS: Final = (
    Kind("text", "文本信息下发", basic.Text, (0x8300,)),
    Kind("locate", "位置信息查询", basic.Locate, (0x8201,), (0x0201,)),
    Kind("track", "临时位置跟踪控制", basic.Track, (0x8202,)),
    Kind("alarm_confirm", "人工确认报警消息", basic.AlarmConfirm, (0x8203,)),
    Kind("link_test", "链路检测", basic.LinkTest, (0x8204,)),
    Kind("phone_call", "电话回拨", basic.PhoneCall, (0x8400,)),
    Kind("phonebook", "设置电话本", driver.PhoneBook, (0x8401,)),
    Kind("question", "提问下发", driver.Ask, (0x8302,), (0x0302,), HOUR_S),
    Kind("events", "事件设置", driver.SetDriverEvents, (0x8301,)),
    Kind("menu", "信息点播菜单设置", driver.SetMenu, (0x8303,)),
    Kind("parameters_set", "设置终端参数", terminal.ParametersSet, (0x8103,)),
    Kind("parameters_query", "查询终端参数", terminal.ParametersAsk, (0x8104, 0x8106), (0x0104,)),
    Kind("attributes", "查询终端属性", terminal.Attributes, (0x8107,), (0x0107,)),
    Kind("control", "终端控制", terminal.Control, (0x8105,), dangerous=True),
    Kind("upgrade", "下发终端升级包", terminal.Upgrade, (0x8108,), (0x0108,), HOUR_S, dangerous=True,
         expires_in_s=86400.0),
    Kind("raw", "透明指令", terminal.Raw, (), dangerous=True, admin_only=True),
    Kind("vehicle_control", "车辆控制", vehicle.Doors, (0x8500,), (0x0500,)),
    Kind("oil_power", "断油断电", vehicle.OilPower, (0x8105, 0x8500), dangerous=True),
    Kind("driver", "上报驾驶员身份信息请求", vehicle.Driver, (0x8702,), (0x0702,)),
    Kind("tachograph", "行驶记录数据采集命令", vehicle.Tachograph, (0x8700,), (0x0700,), 300.0),
    Kind("photo", "摄像头立即拍摄命令", media.Photo, (0x8801,), (0x0805,), media=True),
    Kind("media_search", "存储多媒体数据检索", media.MediaSearch, (0x8802,), (0x0802,)),
    Kind("media_upload", "存储多媒体数据上传命令", media.MediaUpload, (0x8803, 0x8805), (0x0801,), HOUR_S, media=True),
    Kind("recording", "录音开始命令", media.Recording, (0x8804,), media=True),
    Kind("area_set", "设置区域或路线", areas.AreaSet, (0x8600, 0x8602, 0x8604, 0x8606)),
    Kind("area_delete", "删除区域或路线", areas.AreaDelete, (0x8601, 0x8603, 0x8605, 0x8607)),
    Kind("area_query", "查询区域或线路数据", areas.AreaAsk, (0x8608,), (0x0608,)),
)  # fmt: skip

KINDS: Final[dict[str, Kind]] = {row.name: row for row in _ROWS}


def answers_to(kind: Kind, message_id: int, payload: dict[str, Any], edition: Edition) -> tuple[int, ...]:
    """The dedicated answers to wait for. 2011 answers a 0x8801 with 0x0001 alone; a maker's message says its own."""
    if kind.name == "raw":
        return (payload["answer_id"],) if payload.get("answer_id") else ()
    if kind.name == "oil_power" and message_id == 0x8500:
        return (0x0500,)
    return tuple(answer for answer in kind.answers if (row := message_type(answer)) is None or edition in row.editions)

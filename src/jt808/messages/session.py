"""How a terminal comes and goes: registration (注册), authentication (鉴权), heartbeat (心跳), unregistering (注销)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from construct import Byte, Computed, Default, IfThenElse, Int16ub, Struct, this

from jt808.fields import Label, Text, TextByteLength, padded_text
from jt808.header import Edition
from jt808.messages.registry import Direction, Message, register


class RegisterResult(IntEnum):
    """Result of a 0x8100."""

    OK = 0  # 成功
    VEHICLE_REGISTERED = 1  # 车辆已被注册
    NO_SUCH_VEHICLE = 2  # 数据库中无该车辆
    TERMINAL_REGISTERED = 3  # 终端已被注册
    NO_SUCH_TERMINAL = 4  # 数据库中无该终端


PLATE_COLORS: Final = {0: "no plate yet", 1: "blue", 2: "yellow", 3: "black", 4: "white", 9: "other"}
"""Colours of plates (车牌颜色), JT/T 415-2006 5.4.12; in 2019 JT/T 697.7-2014, which has more."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """Heartbeat (终端心跳), an empty body."""


@dataclass(frozen=True, slots=True)
class TerminalUnregister(Message):
    """The terminal is about to be removed or swapped (终端注销); an empty body."""


@dataclass(frozen=True, slots=True)
class TerminalRegister(Message):
    """Registration (终端注册).

    ``plate_color`` (车牌颜色): 0 none yet, 1 blue, 2 yellow, 3 black, 4 white, 9 other (JT/T 415-2006 5.4.12; 2019:
    JT/T 697.7-2014). ``plate`` is the VIN (车架号) when the vehicle has no plate. ``province_id`` and ``city_id`` are
    the first two and the last four digits of the GB/T 2260 code, 0 leaves them to the platform.
    """

    province_id: Annotated[int, Label("省域ID")]
    city_id: Annotated[int, Label("市县域ID")]
    manufacturer_id: Annotated[str, Label("制造商ID")]
    terminal_model: Annotated[str, Label("终端型号")]
    terminal_id: Annotated[str, Label("终端ID")]
    plate_color: Annotated[int, Label("车牌颜色", values=PLATE_COLORS)]
    plate: Annotated[str, Label("车辆标识")]


@dataclass(frozen=True, slots=True)
class RegisterResponse(Message):
    """Answer to a registration (终端注册应答). ``auth_code`` (鉴权码) only goes out when ``result`` is 0."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    result: Annotated[int, Label("结果", values=RegisterResult)]
    auth_code: Annotated[str, Label("鉴权码")] = ""


@dataclass(frozen=True, slots=True)
class TerminalAuthentication(Message):
    """Authentication (终端鉴权), the first message on every new link. ``imei`` and ``software_version`` since 2019,
    None before."""

    auth_code: Annotated[str, Label("鉴权码")]
    imei: Annotated[str | None, Label("终端IMEI")] = None
    software_version: Annotated[str | None, Label("软件版本号")] = None


def _register_layout(manufacturer: int, model: int, terminal: int) -> Struct:
    return Struct(
        "province_id" / Int16ub,
        "city_id" / Int16ub,
        "manufacturer_id" / padded_text(manufacturer),
        "terminal_model" / padded_text(model),
        "terminal_id" / padded_text(terminal),
        "plate_color" / Byte,
        "plate" / Text,
    )


REGISTER_FIXED_BYTES: Final = {Edition.V2011: 25, Edition.V2013: 37, Edition.V2019: 76}
"""Length of a 0x0100 before the plate."""


def _register_edition(edition: Edition, body: bytes) -> Edition:
    """The layout a 0x0100 has, by its length: a 2011 body is 25 bytes and a plate (8 or 9), one of 2013 at least 37.

    A longer one of 2011, with a VIN for a plate, has a colour at byte 24 and letters or digits behind it, where 2013
    has the padding of the model.
    """
    if edition == Edition.V2019 and len(body) >= REGISTER_FIXED_BYTES[Edition.V2019]:
        return Edition.V2019
    if len(body) < REGISTER_FIXED_BYTES[Edition.V2013]:
        return Edition.V2011
    is_old = body[24] in PLATE_COLORS and body[36:37].isalnum() and body[25:37].isalnum()
    return Edition.V2011 if is_old else Edition.V2013


def _authentication_edition(edition: Edition, body: bytes) -> Edition:
    """Terminals are seen that set the version bit and still send the bare code of 2013: then the length does not fit,
    and what would be the length byte is a printable character."""
    if edition == Edition.V2019 and body and body[0] >= 0x20 and len(body) != 36 + body[0]:
        return Edition.V2013
    return edition


_AUTHENTICATION_2013 = Struct("auth_code" / Text)
_AUTHENTICATION_2019 = Struct(
    "auth_code" / TextByteLength,
    "imei" / Default(padded_text(15), ""),
    "software_version" / Default(padded_text(20), ""),
)

register(
    0x0002,
    Heartbeat,
    Struct(),
    name="heartbeat",
    chinese="终端心跳",
    clause="JT/T 808-2013 §8.3, -2019 §8.3",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x0003,
    TerminalUnregister,
    Struct(),
    name="unregister",
    chinese="终端注销",
    clause="JT/T 808-2013 §8.7, -2019 §8.10",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x0100,
    TerminalRegister,
    {
        Edition.V2011: _register_layout(5, 8, 7),
        Edition.V2013: _register_layout(5, 20, 7),
        Edition.V2019: _register_layout(11, 30, 30),
    },
    name="register",
    chinese="终端注册",
    clause="JT/T 808-2011 §8.4, -2013 §8.5, -2019 §8.8",
    direction=Direction.UPLINK,
    answer_id=0x8100,
    choose=_register_edition,
)
register(
    0x8100,
    RegisterResponse,
    Struct(
        "answered_serial_no" / Int16ub,
        "result" / Byte,
        "auth_code" / IfThenElse(this.result == RegisterResult.OK, Text, Computed("")),
    ),
    name="register response",
    chinese="终端注册应答",
    clause="JT/T 808-2013 §8.6, -2019 §8.9",
    direction=Direction.DOWNLINK,
    answer_id=None,
)
register(
    0x0102,
    TerminalAuthentication,
    {
        Edition.V2011: _AUTHENTICATION_2013,
        Edition.V2013: _AUTHENTICATION_2013,
        Edition.V2019: _AUTHENTICATION_2019,
    },
    name="authenticate",
    chinese="终端鉴权",
    clause="JT/T 808-2013 §8.8, -2019 §8.11",
    direction=Direction.UPLINK,
    answer_id=0x8001,
    choose=_authentication_edition,
)

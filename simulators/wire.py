"""JT/T 808 as a terminal speaks it, written with ``struct`` and apart from the server's codec on purpose.

The server's ``jt808`` decodes what is encoded here and the other way round, so that a mistake in either shows.
Editions are ``"2011"``, ``"2013"`` and ``"2019"``. Source: JT/T 808-2011, -2013, -2019; clauses differ by edition, the
layouts are those of the message tables (终端注册, 终端鉴权, 位置信息汇报, 定位数据批量上传, ...).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import IntFlag
from typing import Final

GENERAL_RESPONSE: Final = 0x0001  # 终端通用应答
HEARTBEAT: Final = 0x0002  # 终端心跳
REGISTER: Final = 0x0100  # 终端注册
AUTHENTICATE: Final = 0x0102  # 终端鉴权
LOCATION: Final = 0x0200  # 位置信息汇报
LOCATION_ANSWER: Final = 0x0201  # 位置信息查询应答
BULK_LOCATION: Final = 0x0704  # 定位数据批量上传
PLATFORM_RESPONSE: Final = 0x8001  # 平台通用应答
REGISTER_ANSWER: Final = 0x8100  # 终端注册应答
LOCATION_QUERY: Final = 0x8201  # 位置信息查询
ALARM_CONFIRMATION: Final = 0x8203  # 人工确认报警消息
TEXT: Final = 0x8300  # 文本信息下发
MEDIA_EVENT: Final = 0x0800  # 多媒体事件信息上传
MEDIA_UPLOAD: Final = 0x0801  # 多媒体数据上传
MEDIA_FOUND: Final = 0x0802  # 存储多媒体数据检索应答
SHOOT_ANSWER: Final = 0x0805  # 摄像头立即拍摄命令应答
PACKAGES_WANTED: Final = 0x8003  # 补传分包请求
MEDIA_ANSWER: Final = 0x8800  # 多媒体数据上传应答
SHOOT: Final = 0x8801  # 摄像头立即拍摄命令
SEARCH_MEDIA: Final = 0x8802  # 存储多媒体数据检索
SEND_MEDIA: Final = 0x8803  # 存储多媒体数据上传
SEND_ONE_MEDIA: Final = 0x8805  # 单条存储多媒体数据检索上传

MAX_BODY: Final = 1023
_CHINA: Final = timezone(timedelta(hours=8))
_BCD: Final = [n // 10 << 4 | n % 10 for n in range(100)]


class Alarm(IntFlag):
    """Bits of the alarm word (报警标志) that the simulator raises."""

    EMERGENCY = 1 << 0
    OVERSPEED = 1 << 1
    FATIGUE = 1 << 2
    GNSS_ANTENNA_CUT = 1 << 5
    UNDERVOLTAGE = 1 << 7
    POWER_LOST = 1 << 8
    OVERSPEED_WARNING = 1 << 13  # 2013 on
    FATIGUE_WARNING = 1 << 14  # 2013 on
    AREA = 1 << 20


CLEARED_BY_ANSWER: Final = Alarm.EMERGENCY | Alarm.AREA
"""Alarms that end when the platform answered the report that carried them."""


class Status(IntFlag):
    """Bits of the status word (状态)."""

    ACC = 1 << 0
    FIX = 1 << 1
    SOUTH = 1 << 2
    WEST = 1 << 3
    FULL = 3 << 8  # 2013 on
    GPS = 1 << 18  # 2013 on
    BEIDOU = 1 << 19  # 2013 on
    MOVING = 1 << 22  # 2019


def check_byte(content: bytes) -> int:
    """All bytes, exclusive or (校验码): the upper half of a number laid on the lower one, until one byte is left."""
    number = int.from_bytes(content, "big")
    bits = 8 << len(content).bit_length()
    while bits > 8:
        bits >>= 1
        number = (number >> bits) ^ (number & ((1 << bits) - 1))
    return number


def enframe(content: bytes) -> bytes:
    """Header and body -> a frame: check byte, escaping, flags."""
    checked = content + bytes([check_byte(content)])
    return b"\x7e" + checked.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


class Deframer:
    """Frames out of a byte stream. What does not check out is dropped and counted in ``bad``."""

    def __init__(self) -> None:
        self.bad = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Header+body of each whole frame in what was received so far."""
        *parts, self._rest = (self._rest + data).split(b"\x7e")
        if len(self._rest) > 4096:
            self._rest = b""
            self.bad += 1
        out = []
        for part in parts:
            if not part:
                continue
            plain = part.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
            if len(plain) < 13 or check_byte(plain):
                self.bad += 1
            else:
                out.append(plain[:-1])
        return out


def phone_field(phone: str, edition: str) -> bytes:
    """The phone number as the header has it: BCD[6], or BCD[10] from 2019 on."""
    return bytes.fromhex(phone.zfill(20 if edition == "2019" else 12))


def message(message_id: int, edition: str, phone: bytes, serial_no: int, body: bytes) -> bytes:
    """A whole frame. Bodies above 1023 bytes are not for this: the simulator keeps below."""
    if len(body) > MAX_BODY:
        raise ValueError(f"body of 0x{message_id:04X} has {len(body)} bytes, one frame takes {MAX_BODY}")
    if edition == "2019":
        head = struct.pack(">HHB", message_id, len(body) | 0x4000, 1)
    else:
        head = struct.pack(">HH", message_id, len(body))
    return enframe(head + phone + struct.pack(">H", serial_no) + body)


def packages_of(body: bytes) -> int:
    """How many packages a body goes out in."""
    return -(-len(body) // MAX_BODY)


def packages(message_id: int, edition: str, phone: bytes, serial_no: int, body: bytes) -> list[bytes]:
    """A long message as frames (分包); the serial numbers count on from that of the first."""
    total = packages_of(body)
    out = []
    for number in range(1, total + 1):
        part = body[(number - 1) * MAX_BODY : number * MAX_BODY]
        attributes = len(part) | 0x2000 | (0x4000 if edition == "2019" else 0)
        head = struct.pack(">HH", message_id, attributes) + (b"\x01" if edition == "2019" else b"") + phone
        serial = (serial_no + number - 1) & 0xFFFF
        out.append(enframe(head + struct.pack(">HHH", serial, total, number) + part))
    return out


@dataclass(frozen=True, slots=True)
class Received:
    """A downlink message, header taken apart."""

    message_id: int
    serial_no: int
    phone: bytes
    body: bytes


def parse(content: bytes) -> Received:
    """Header+body of a downlink frame.

    Raises: ValueError: shorter than its header, sub-packaged, or not as long as the header says.
    """
    message_id, attributes = struct.unpack_from(">HH", content)
    header = 17 if attributes & 0x4000 else 12
    if len(content) < header or attributes & 0x2000 or len(content) - header != attributes & 0x3FF:
        raise ValueError(f"0x{message_id:04X}: attributes {attributes:04x} do not fit {len(content)} bytes")
    (serial_no,) = struct.unpack_from(">H", content, header - 2)
    return Received(message_id, serial_no, content[5:15] if header == 17 else content[4:10], content[header:])


def bcd_time(time_us: int) -> bytes:
    """YYMMDDhhmmss, GMT+8."""
    t = datetime.fromtimestamp(time_us // 1_000_000, _CHINA)
    return bytes([_BCD[t.year % 100], _BCD[t.month], _BCD[t.day], _BCD[t.hour], _BCD[t.minute], _BCD[t.second]])


def time_of_body(body: bytes) -> int:
    """Microseconds UTC of a location body's time field."""
    year, month, day, hour, minute, second = (int(f"{b:02x}") for b in body[22:28])
    moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=_CHINA)
    return round(moment.astimezone(UTC).timestamp()) * 1_000_000


@dataclass(slots=True)
class Fix:
    """One location report before it is encoded, in plain units. None: the item is not sent."""

    time_us: int  # whole seconds: the wire has no more
    latitude_deg: float
    longitude_deg: float
    altitude_m: int = 0
    speed_kmh: float = 0.0
    heading_deg: int = 0
    alarm: Alarm = field(default_factory=lambda: Alarm(0))
    status: Status = field(default_factory=lambda: Status(0))
    mileage_km: float | None = None  # 0x01
    fuel_l: float | None = None  # 0x02
    recorder_speed_kmh: float | None = None  # 0x03
    alarm_event_id: int | None = None  # 0x04, 2013 on
    temperature_c: int | None = None  # 0x06, 2019
    overspeed_area: tuple[int, int] | None = None  # 0x11: place kind, id; kind 0 has no id
    area_alarm: tuple[int, int, int] | None = None  # 0x12: place kind, id, 0 in / 1 out
    vehicle_signals: int | None = None  # 0x25, 2013 on
    signal_strength: int | None = None  # 0x30, 2013 on
    satellites: int | None = None  # 0x31, 2013 on


_OF_2013: Final = int(Alarm.OVERSPEED_WARNING | Alarm.FATIGUE_WARNING)
_STATUS_OF_2013: Final = int(Status.FULL | Status.GPS | Status.BEIDOU)


def location_body(fix: Fix, edition: str) -> bytes:
    """Body of 0x0200: 28 bytes, then the additional items that the edition knows."""
    alarm, status = int(fix.alarm), int(fix.status)
    if edition == "2011":
        alarm &= ~_OF_2013
        status &= ~_STATUS_OF_2013
    if edition != "2019":
        status &= ~int(Status.MOVING)
    if fix.latitude_deg < 0:
        status |= Status.SOUTH
    if fix.longitude_deg < 0:
        status |= Status.WEST
    out = [
        struct.pack(
            ">IIIIHHH",
            alarm,
            status,
            round(abs(fix.latitude_deg) * 1e6),
            round(abs(fix.longitude_deg) * 1e6),
            fix.altitude_m,
            round(fix.speed_kmh * 10),
            fix.heading_deg,
        ),
        bcd_time(fix.time_us),
    ]
    if fix.mileage_km is not None:
        out.append(struct.pack(">BBI", 0x01, 4, round(fix.mileage_km * 10)))
    if fix.fuel_l is not None:
        out.append(struct.pack(">BBH", 0x02, 2, round(fix.fuel_l * 10)))
    if fix.recorder_speed_kmh is not None:
        out.append(struct.pack(">BBH", 0x03, 2, round(fix.recorder_speed_kmh * 10)))
    if fix.overspeed_area is not None:
        kind, area = fix.overspeed_area
        out.append(struct.pack(">BBBI", 0x11, 5, kind, area) if kind else b"\x11\x01\x00")
    if fix.area_alarm is not None:
        out.append(struct.pack(">BBBIB", 0x12, 6, *fix.area_alarm))
    if edition != "2011":
        if fix.alarm_event_id is not None:
            out.append(struct.pack(">BBH", 0x04, 2, fix.alarm_event_id))
        if fix.vehicle_signals is not None:
            out.append(struct.pack(">BBI", 0x25, 4, fix.vehicle_signals))
        if fix.signal_strength is not None:
            out.append(struct.pack(">BBB", 0x30, 1, fix.signal_strength))
        if fix.satellites is not None:
            out.append(struct.pack(">BBB", 0x31, 1, fix.satellites))
    if edition == "2019" and fix.temperature_c is not None:
        out.append(struct.pack(">BBh", 0x06, 2, fix.temperature_c))
    return b"".join(out)


def bulk_body(bodies: Sequence[bytes], *, is_backfill: bool = True) -> bytes:
    """Body of 0x0704 (2013 on): the reports' bodies, type 1 when they are blind-area backfill (盲区补报)."""
    return struct.pack(">HB", len(bodies), is_backfill) + b"".join(
        struct.pack(">H", len(body)) + body for body in bodies
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """What a terminal says of itself when it registers."""

    phone: str
    plate: str
    plate_color: int
    city_id: int
    terminal_id: str
    province_id: int = 21
    manufacturer_id: str = "RWSIM"
    terminal_model: str = "RW-SIM"
    imei: str = ""
    software_version: str = "1.0"


def register_body(identity: Identity, edition: str) -> bytes:
    """Body of 0x0100. Texts are padded with 00 behind (2011: the model with spaces), the plate is GBK to the end."""
    maker, model, own = {"2011": (5, 8, 7), "2013": (5, 20, 7), "2019": (11, 30, 30)}[edition]
    pad = b" " if edition == "2011" else b"\x00"
    return b"".join(
        (
            struct.pack(">HH", identity.province_id, identity.city_id),
            identity.manufacturer_id.encode("gbk")[:maker].ljust(maker, b"\x00"),
            identity.terminal_model.encode("gbk")[:model].ljust(model, pad),
            identity.terminal_id.encode("gbk")[:own].ljust(own, b"\x00"),
            bytes([identity.plate_color]),
            identity.plate.encode("gbk"),
            b"\x00" if edition == "2011" else b"",  # 2011: a STRING ends with 00
        )
    )


def authentication_body(code: bytes, identity: Identity, edition: str) -> bytes:
    """Body of 0x0102: the auth code (鉴权码); 2019 puts a length before it, IMEI and software version behind."""
    if edition != "2019":
        return code
    imei = identity.imei.encode()[:15].ljust(15, b"\x00")
    return bytes([len(code)]) + code + imei + identity.software_version.encode("gbk")[:20].ljust(20, b"\x00")


def general_response_body(serial_no: int, message_id: int, result: int) -> bytes:
    """Body of 0x0001."""
    return struct.pack(">HHB", serial_no, message_id, result)


def location_answer_body(serial_no: int, location: bytes) -> bytes:
    """Body of 0x0201: the serial number of the question, then a location body.

    The table of 2011 prints no serial number; the implementations expect it, so it is always sent.
    """
    return struct.pack(">H", serial_no) + location

"""What arrived at a superior platform over JT/T 809, by its own account, read with a layout of its own."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jt809 import BodyError, UsageError
from jt809.events import MessageReceived
from jt809.fields import BEIJING
from jt809.messages import VehicleRegister, VehicleRegisterBase

_ENVELOPE: Final = struct.Struct(">21sBHI")
_BLOCK: Final = struct.Struct(">BBBHBBBIIHHIHHII")

Key = tuple[str, int, datetime]
"""One position: plate, plate colour, satellite time (UTC)."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A position as it arrived, numbers as on the wire."""

    longitude: int  # 1e-6 degree
    latitude: int
    speed_kmh: int
    recorder_speed_kmh: int
    mileage_km: int
    heading_deg: int
    altitude_m: int
    state: int
    alarm: int


class Arrivals:
    """The account.

    Args:  remember: how many distinct positions it keeps; the oldest are forgotten and counted.

    Attributes:
        counts:     messages by ``0x1200/0x1202``, and ``positions`` (with repeats).
        by_vehicle: positions, with repeats, by (plate, colour).
        positions:  distinct positions; live and history hold the keys that came as 0x1202 and as 0x1203.
        registered: the newest 0x1201 of each vehicle.
        order:      every arrival in order, history and live; None: not noted, set it to [] for that.
        bad:        bodies and frames that could not be read.
    """

    def __init__(self, remember: int) -> None:
        self.counts: Counter[str] = Counter()
        self.by_vehicle: Counter[tuple[str, int]] = Counter()
        self.positions: dict[Key, Fix] = {}
        self.live: set[Key] = set()
        self.history: set[Key] = set()
        self.registered: dict[tuple[str, int], VehicleRegister | VehicleRegisterBase] = {}
        self.order: list[Key] | None = None
        self.forgotten = 0
        self.bad: Counter[str] = Counter()
        self._remember = remember

    def take(self, event: MessageReceived) -> None:
        """Note a message. What cannot be read is counted."""
        self.counts[event.name] += 1
        try:
            if event.sub_id in (0x1202, 0x1203):
                self._positions(event.body, event.sub_id)
            elif event.sub_id == 0x1201:
                message = event.decode()
                assert isinstance(message, VehicleRegister | VehicleRegisterBase)
                self.registered[message.plate, message.plate_color] = message
        except (BodyError, UsageError, ValueError, struct.error) as error:
            self.bad[f"{event.name}: {type(error).__name__}"] += 1

    def _positions(self, body: bytes, sub_id: int) -> None:
        plate_field, color, _, length = _ENVELOPE.unpack_from(body)
        data = body[_ENVELOPE.size :]
        plate = plate_field.rstrip(b"\x00").decode("gbk")
        count, at = (1, 0) if sub_id == 0x1202 else (int.from_bytes(data[:1], "big"), 1)
        if length != len(data) or len(data) != at + count * _BLOCK.size or not 1 <= count <= 5:
            raise ValueError(f"{count} positions in {len(data)} bytes, DATA_LENGTH {length}")
        newest: datetime | None = None
        for block in _BLOCK.iter_unpack(data[at:]):
            _, day, month, year, hour, minute, second, *numbers = block
            time = datetime(year, month, day, hour, minute, second, tzinfo=BEIJING)
            if newest is not None and time < newest:
                raise ValueError("0x1203 is not oldest first")
            newest = time
            self._position((plate, color, time), Fix(*numbers), sub_id)

    def _position(self, key: Key, fix: Fix, sub_id: int) -> None:
        self.counts["positions"] += 1
        self.by_vehicle[key[:2]] += 1
        if self.order is not None:
            self.order.append(key)
        if key not in self.positions and len(self.positions) >= self._remember:
            oldest = next(iter(self.positions))
            del self.positions[oldest]
            self.live.discard(oldest)
            self.history.discard(oldest)
            self.forgotten += 1
        self.positions[key] = fix
        (self.live if sub_id == 0x1202 else self.history).add(key)

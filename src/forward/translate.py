"""From our nouns to the wire's: positions and vehicles -> bodies of 0x1201, 0x1202 and 0x1203. Pure.

Our signed degrees, km/h and UTC end here: the 2011 position block has whole km/h, whole kilometres, no height below
zero and Beijing calendar fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fleet import PositionBatch
from jt809 import Edition, UsageError, encode_body
from jt809.columns import encode_positions
from jt809.messages import (
    MAX_HISTORY_POSITIONS,
    VehicleRegister,
    VehicleRegisterBase,
    vehicle_envelope,
    vehicle_field,
)

DYNAMIC: Final = 0x1200  # 车辆动态信息交换业务
_REAL: Final = 0x1202
_HISTORY: Final = 0x1203
_HIGHEST_M: Final = 0x7FFF  # a height word above it has its sign bit set


@dataclass(frozen=True, slots=True)
class VehicleFacts:
    """A vehicle as the envelope names it.

    ``field`` is None when it cannot be named there; ``unfit`` then says why: "no_plate" or "bad_plate" (a plate that
    GBK does not have or that is longer than 21 bytes).
    """

    id: int
    plate: str
    plate_color: int
    field: bytes | None = field(repr=False)
    unfit: str = ""

    @classmethod
    def of(cls, id: int, plate: str, plate_color: int) -> VehicleFacts:
        if not plate or plate_color == 0:  # without a plate the column holds the VIN
            return cls(id, plate, plate_color, None, "no_plate")
        try:
            return cls(id, plate, plate_color, vehicle_field(plate, plate_color))
        except UsageError:
            return cls(id, plate, plate_color, None, "bad_plate")


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """A terminal as 0x1201 describes it. ``vehicle_id``: the vehicle it is in now, if any."""

    id: int
    phone: str
    manufacturer_id: str
    terminal_model: str
    terminal_id: str
    vehicle_id: int | None = field(default=None, compare=False)


def position_blocks(batch: PositionBatch) -> list[bytes]:
    """One 36-byte block a row. Items a report did not carry (recorder speed, mileage) are 0.

    The height of JT/T 808 has no sign, but terminals below the sea write one: 65458 m is -78 m there, and on the wire
    of 809, which has no sign either, 0.
    """
    altitude_m = np.where(batch.altitude_m > _HIGHEST_M, 0, batch.altitude_m)
    return encode_positions(
        batch.time_us,
        batch.longitude_deg,
        batch.latitude_deg,
        batch.speed_kmh,
        _item(batch, "recorder_speed_kmh"),
        _item(batch, "mileage_km"),
        batch.heading_deg,
        altitude_m,
        batch.status_flags,
        batch.alarm_flags,
    )


def registration(vehicle: VehicleFacts, terminal: TerminalFacts, platform_id: str, is_supplement: bool) -> bytes:
    """The body of 0x1201. What is longer than its field is cut, what GBK does not have becomes "?".

    The SIM field has 12 digits: the phone number with zeros in front, as in the header of JT/T 808-2011.
    """
    body = VehicleRegister if is_supplement else VehicleRegisterBase
    message = body(
        vehicle.plate,
        vehicle.plate_color,
        platform_id=_cut(platform_id, 11),
        producer_id=_cut(terminal.manufacturer_id, 11),
        terminal_model=_cut(terminal.terminal_model, 20 if is_supplement else 8),
        terminal_id=_cut(terminal.terminal_id.upper(), 7),
        sim=_cut(terminal.phone.rjust(12, "0"), 12),
    )
    return encode_body(message, Edition.V2011)[1]


def live_order(batch: PositionBatch) -> NDArray[np.intp]:
    """Rows that go out as they happen (not late), oldest first."""
    rows = np.flatnonzero(~batch.late)
    return rows[np.argsort(batch.time_us[rows], kind="stable")]


def history_order(batch: PositionBatch, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The given rows by vehicle, and of each vehicle oldest first by satellite time."""
    return rows[np.lexsort((batch.time_us[rows], batch.vehicle_id[rows]))]


def live_body(vehicle_field: bytes, block: bytes) -> bytes:
    """The body of 0x1202."""
    return vehicle_envelope(vehicle_field, _REAL, block)


def history_body(vehicle_field: bytes, blocks: list[bytes]) -> bytes:
    """The body of 0x1203: one to five blocks, oldest first."""
    return vehicle_envelope(vehicle_field, _HISTORY, bytes((len(blocks),)) + b"".join(blocks))


def history_packets(batch: PositionBatch, rows: NDArray[np.intp]) -> Iterator[list[int]]:
    """Cut rows in ``history_order`` into packets: one vehicle, at most five positions."""
    for _, group in groupby(rows.tolist(), key=batch.vehicle_id.tolist().__getitem__):
        packet = list(group)
        for at in range(0, len(packet), MAX_HISTORY_POSITIONS):
            yield packet[at : at + MAX_HISTORY_POSITIONS]


def _item(batch: PositionBatch, name: str) -> NDArray[Any]:
    if name not in batch.items:
        return np.zeros(len(batch))
    return np.where(batch.present[name], batch.items[name], 0)


def _cut(text: str, size: int) -> str:
    """As much of the text as fits into ``size`` bytes of GBK."""
    return text.encode("gbk", "replace")[:size].decode("gbk", "ignore")

"""The unit of flow: N location reports (位置信息汇报) as columns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

ITEM_COLUMNS: Final[dict[str, str]] = {
    # column                     numpy dtype    wire item, clause in jt808.messages.additional_items
    "mileage_km": "f8",  #               0x01 里程
    "fuel_l": "f4",  #                   0x02 油量
    "recorder_speed_kmh": "f4",  #       0x03 行驶记录功能获取的速度
    "alarm_event_id": "i4",  #           0x04 需要人工确认报警事件的 ID
    "temperature_c": "i4",  #            0x06 车厢温度
    "overspeed_area_type": "i2",  #      0x11 超速报警附加信息: 0 none 1 circle 2 rectangle 3 polygon 4 segment
    "overspeed_area_id": "i8",
    "area_alarm_type": "i2",  #          0x12 进出区域/路线报警附加信息
    "area_alarm_area_id": "i8",
    "area_alarm_is_exit": "i2",
    "segment_id": "i8",  #               0x13 路段行驶时间不足/过长报警附加信息
    "segment_time_s": "i4",
    "segment_is_too_long": "i2",
    "video_alarm_flags": "i8",  #        0x14 视频相关报警 (JT/T 1078)
    "video_lost_channels": "i8",  #      0x15
    "video_covered_channels": "i8",  #   0x16
    "video_storage_faults": "i4",  #     0x17
    "abnormal_driving_flags": "i4",  #   0x18
    "fatigue_degree": "i2",  #           0x18, third byte
    "vehicle_signals": "i8",  #          0x25 扩展车辆信号状态位
    "io_status": "i4",  #                0x2A IO 状态位
    "analog_0": "i4",  #                 0x2B 模拟量, bits 0-15
    "analog_1": "i4",  #                 0x2B bits 16-31
    "signal_strength": "i2",  #          0x30 无线通信网络信号强度
    "satellites": "i2",  #               0x31 GNSS 定位卫星数
}
"""The additional items (附加信息项) that have a typed column, in storage order, and the column's numpy dtype.

A column is absent from ``PositionBatch.items`` when no report of the batch carried it; where it is there,
``PositionBatch.present[name]`` tells which rows did. Whatever has no column stands verbatim (id, length, value, ...)
in ``PositionBatch.other_items``, so nothing that a terminal said is lost."""


@dataclass(slots=True)
class PositionBatch:
    """N reports, a column each; all arrays have length N.

    Order: as journaled (that is, as received). ``late`` rows are blind-area backfill (盲区补报) or older than the
    newest fix already stored of their vehicle: they are stored and judged at their own time, but they do not move the
    live map and ring no bell.
    """

    terminal_id: NDArray[np.int32]  # terminals.id
    vehicle_id: NDArray[np.int32]  # vehicles.id the terminal was in at that time
    time_us: NDArray[np.int64]  # device time, microseconds since 1970 UTC
    received_us: NDArray[np.int64]  # when the gateway had it
    latitude_deg: NDArray[np.float64]  # signed WGS-84
    longitude_deg: NDArray[np.float64]
    altitude_m: NDArray[np.int32]
    speed_kmh: NDArray[np.float32]
    heading_deg: NDArray[np.int32]  # clockwise from north
    alarm_flags: NDArray[np.int64]  # the alarm word (报警标志) as on the wire, 0..2**32-1
    status_flags: NDArray[np.int64]  # the status word (状态)
    late: NDArray[np.bool_]
    fix_hash: NDArray[np.int64]  # 64 bits over the report's body: tells two reports of one second apart
    message_id: NDArray[np.int32]  # 0x0200, 0x0704 or 0x0201
    items: dict[str, NDArray[Any]] = field(default_factory=dict)
    present: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    other_items: list[bytes | None] = field(default_factory=list)  # one entry a row, or empty when no row has any

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: NDArray[Any]) -> Self:
        """The given rows (an index array or a boolean mask), in that order, as a batch of its own."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        plain: dict[str, Any] = {
            f.name: getattr(self, f.name)[index]
            for f in fields(self)
            if f.name not in ("items", "present", "other_items")
        }
        return type(self)(
            **plain,
            items={name: column[index] for name, column in self.items.items()},
            present={name: mask[index] for name, mask in self.present.items()},
            other_items=[self.other_items[i] for i in index] if self.other_items else [],
        )

    @classmethod
    def empty(cls) -> Self:
        """A batch of no reports."""
        dtypes = {
            "terminal_id": "i4", "vehicle_id": "i4", "time_us": "i8", "received_us": "i8", "latitude_deg": "f8",
            "longitude_deg": "f8", "altitude_m": "i4", "speed_kmh": "f4", "heading_deg": "i4", "alarm_flags": "i8",
            "status_flags": "i8", "late": "?", "fix_hash": "i8", "message_id": "i4",
        }  # fmt: skip
        columns: dict[str, Any] = {name: np.empty(0, dtype) for name, dtype in dtypes.items()}
        return cls(**columns)

    def has_place(self) -> NDArray[np.bool_]:
        """Rows whose coordinates can be a place: on Earth, and not the (0, 0) of a receiver that never had a fix."""
        latitude, longitude = self.latitude_deg, self.longitude_deg
        placed: NDArray[np.bool_] = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
        known: NDArray[np.bool_] = placed & ((latitude != 0) | (longitude != 0))
        return known

    def newest_per_vehicle(self, among: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
        """Row indices of the newest fix of each vehicle that is not late (and for which ``among`` is True), ordered by
        vehicle_id."""
        live = np.flatnonzero(~self.late if among is None else ~self.late & among)
        if not len(live):
            return live
        order = live[np.lexsort((self.received_us[live], self.time_us[live], self.vehicle_id[live]))]
        vehicle = self.vehicle_id[order]
        is_last = np.append(vehicle[1:] != vehicle[:-1], True)
        newest: NDArray[np.intp] = order[is_last]
        return newest

"""Many position blocks at once, from columns: the fast writing of ``messages.vehicle.POSITION``.

The construct is the definition; a property test holds the two equal.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK: Final = np.dtype(
    [
        ("is_encrypted", "u1"),
        ("day", "u1"),
        ("month", "u1"),
        ("year", ">u2"),
        ("hour", "u1"),
        ("minute", "u1"),
        ("second", "u1"),
        ("longitude", ">u4"),
        ("latitude", ">u4"),
        ("speed_kmh", ">u2"),
        ("recorder_speed_kmh", ">u2"),
        ("mileage_km", ">u4"),
        ("heading_deg", ">u2"),
        ("altitude_m", ">u2"),
        ("state", ">u4"),
        ("alarm", ">u4"),
    ]
)
"""The 36 bytes of the 2011 position block (JT/T 809-2011, GNSS_DATA). Longitude comes first."""

_BEIJING_S: Final = 8 * 3600


def encode_positions(
    time_us: NDArray[np.int64],
    longitude_deg: ArrayLike,
    latitude_deg: ArrayLike,
    speed_kmh: ArrayLike,
    recorder_speed_kmh: ArrayLike,
    mileage_km: ArrayLike,
    heading_deg: ArrayLike,
    altitude_m: ArrayLike,
    state: ArrayLike,
    alarm: ArrayLike,
) -> list[bytes]:
    """N position blocks of 36 bytes.

    Args: time_us: microseconds since 1970 UTC (cut to the second below). The rest as in ``messages.Position``;
          numbers are rounded half up and clamped to their field (so a height below the sea is 0), headings are taken
          modulo 360, and of coordinates only the size is written: the sign stands in ``state``.
    """
    blocks = np.zeros(len(time_us), BLOCK)
    second = np.floor_divide(time_us, 1_000_000) + _BEIJING_S
    days = np.floor_divide(second, 86400)
    in_day = second - days * 86400
    date = days.astype("M8[D]")
    month = date.astype("M8[M]")
    blocks["year"] = month.astype("M8[Y]").astype(np.int64) + 1970
    blocks["month"] = month.astype(np.int64) % 12 + 1
    blocks["day"] = (date - month).astype(np.int64) + 1
    blocks["hour"], blocks["minute"], blocks["second"] = in_day // 3600, in_day // 60 % 60, in_day % 60
    blocks["longitude"] = _fit(np.abs(np.asarray(longitude_deg, np.float64)) * 1e6, 0xFFFFFFFF)
    blocks["latitude"] = _fit(np.abs(np.asarray(latitude_deg, np.float64)) * 1e6, 0xFFFFFFFF)
    blocks["speed_kmh"] = _fit(speed_kmh, 0xFFFF)
    blocks["recorder_speed_kmh"] = _fit(recorder_speed_kmh, 0xFFFF)
    blocks["mileage_km"] = _fit(mileage_km, 0xFFFFFFFF)
    blocks["heading_deg"] = np.asarray(heading_deg, np.int64) % 360
    blocks["altitude_m"] = _fit(altitude_m, 0xFFFF)
    blocks["state"] = np.asarray(state, np.int64) & 0xFFFFFFFF
    blocks["alarm"] = np.asarray(alarm, np.int64) & 0xFFFFFFFF
    raw, size = blocks.tobytes(), BLOCK.itemsize
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _fit(values: ArrayLike, top: int) -> NDArray[Any]:
    """Round half up and clamp to 0..top; what is no number becomes 0."""
    numbers = np.nan_to_num(np.asarray(values, np.float64), nan=0.0)
    return np.clip(np.floor(numbers + 0.5), 0, top).astype(np.int64)

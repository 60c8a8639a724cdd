"""Many frames of location reports at once, from link and number alone: what was sent need not be remembered."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jt808.fix_hash import fix_hashes
from simulators import wire

FIRST_PHONE: Final = 13700000000
HEADER: Final = 12
BODY: Final = 28 + 6 + 4 + 4 + 3 + 3  # basic part, mileage, fuel, recorder speed, signal, satellites
FRAME: Final = HEADER + BODY + 3  # check byte, two flags; what has to be escaped comes on top
_CHINA_S: Final = 8 * 3600


def phone(link: int) -> str:
    return str(FIRST_PHONE + link)


def _bcd(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    packed: NDArray[np.uint8] = (values // 10 << 4 | values % 10).astype(np.uint8)
    return packed


def _bcd_times(seconds: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n, 6): YYMMDDhhmmss, GMT+8, of seconds since 1970."""
    local = (seconds + _CHINA_S).astype("datetime64[s]")
    months = local.astype("datetime64[M]").astype(np.int64)
    days = (local.astype("datetime64[D]") - local.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    of_day = (seconds + _CHINA_S) % 86_400
    columns = (months // 12 + 1970) % 100, months % 12 + 1, days + 1, of_day // 3600, of_day // 60 % 60, of_day % 60
    return np.stack([_bcd(column) for column in columns], axis=1)


def _put(content: NDArray[np.uint8], at: int, values: NDArray[np.int64], width: int) -> None:
    for i in range(width):
        content[:, at + i] = (values >> (8 * (width - 1 - i))) & 0xFF


def contents(
    link: int, count: int, first_serial_no: int, last_time_s: int, start: int = 0, stop: int | None = None
) -> NDArray[np.uint8]:
    """(rows, header + body + check byte): a link's reports, a second apart up to ``last_time_s``, all different.

    ``start`` and ``stop`` take a part of the ``count``.
    """
    k = np.arange(start, count if stop is None else min(stop, count), dtype=np.int64)
    out = np.zeros((len(k), HEADER + BODY + 1), np.uint8)
    head = struct.pack(">HH", wire.LOCATION, BODY) + wire.phone_field(phone(link), "2013")
    out[:, :10] = np.frombuffer(head, np.uint8)
    _put(out, 10, (first_serial_no + k) & 0xFFFF, 2)
    body = HEADER
    _put(out, body + 4, np.full(len(k), int(wire.Status.ACC | wire.Status.FIX)), 4)
    _put(out, body + 8, 41_000_000 + (link * 997) % 900_000 + k * 120, 4)
    _put(out, body + 12, 122_000_000 + (link * 1_511) % 900_000 + k * 150, 4)
    _put(out, body + 16, 40 + k % 50, 2)
    _put(out, body + 18, 700 + k % 200, 2)  # 70.0 to 89.9 km/h: nothing for the rules to say, unless a limit is set
    _put(out, body + 20, (k * 7) % 360, 2)
    out[:, body + 22 : body + 28] = _bcd_times(last_time_s - count + 1 + k)
    items = struct.pack(">BBIBBHBBHBBBBBB", 1, 4, 0, 2, 2, 1800, 3, 2, 0, 0x30, 1, 25, 0x31, 1, 14)
    out[:, body + 28 : body + BODY] = np.frombuffer(items, np.uint8)
    _put(out, body + 30, 1_000_000 + link * 1000 + k // 5, 4)
    _put(out, body + 40, 700 + k % 200, 2)
    out[:, -1] = np.bitwise_xor.reduce(out[:, :-1], axis=1)
    return out


def framed(matrix: NDArray[np.uint8]) -> list[bytes]:
    """Each row escaped, between flags."""
    rows, width = matrix.shape
    flagged = np.full((rows, width + 2), 0x7E, np.uint8)
    flagged[:, 1:-1] = matrix
    raw = flagged.tobytes()
    out = [raw[at : at + width + 2] for at in range(0, len(raw), width + 2)]
    for row in np.flatnonzero(((matrix == 0x7D) | (matrix == 0x7E)).any(axis=1)).tolist():
        plain = out[row][1:-1]
        out[row] = b"\x7e" + plain.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"
    return out


def keys(matrix: NDArray[np.uint8], link: int) -> list[tuple[str, int, int]]:
    """(phone, time in microseconds, fix hash) of each row: what the server has to have stored."""
    raw = matrix.tobytes()
    begins = np.arange(len(matrix)) * matrix.shape[1] + HEADER
    hashes = fix_hashes(raw, begins, np.full(len(matrix), BODY)).tolist()
    bodies = [raw[begin : begin + BODY] for begin in begins.tolist()]
    return [(phone(link), wire.time_of_body(body), value) for body, value in zip(bodies, hashes, strict=True)]

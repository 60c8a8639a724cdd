"""The body cipher (消息体加密): an XOR stream from a linear congruence; header and CRC stay plain.

Source: JT/T 809-2011 and 809-2019, data encryption clause; the supplement of 2013 uses 1 for an M1 or key of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jt809.errors import UsageError

_U32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Cipher:
    """The parameters agreed with one superior platform, each 0..2**32-1. Encrypting and decrypting are the same."""

    m1: int
    ia1: int
    ic1: int

    def __post_init__(self) -> None:
        for name in ("m1", "ia1", "ic1"):
            value = getattr(self, name)
            if not 0 <= value <= _U32:
                raise UsageError(f"{name} is {value}, outside 0..4294967295")

    def apply(self, body: bytes, key: int) -> bytes:
        """Encrypt or decrypt a body.

        Args: key: ENCRYPT_KEY of the frame, 0..2**32-1; 0 counts as 1.
        """
        m1, ia1, ic1 = self.m1 or 1, self.ia1, self.ic1
        state = key or 1
        out = bytearray(body)
        for at in range(len(out)):
            state = (ia1 * (state % m1) + ic1) & _U32
            out[at] ^= (state >> 20) & 0xFF
        return bytes(out)

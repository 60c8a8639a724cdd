from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt809 import Cipher, UsageError
from tests.jt809.vectors import VALID, open_vector

T2 = Cipher(10000000, 20000000, 30000000)
u32 = st.integers(0, 0xFFFFFFFF)


def test_published_values() -> None:
    t1 = Cipher(30000000, 20000000, 20000000)
    assert t1.apply(bytes.fromhex("01020304050607"), 256178).hex().upper() == "D34C7078A73A41"
    assert T2.apply(b"ABCDEF", 0x12345678).hex().upper() == "95BC7B1C92EB"


def test_captured_frames_decrypt_to_their_fields() -> None:
    encrypted = [vector for vector in VALID if vector.get("crypto") and vector["message_id"] == "1001"]
    bodies = [open_vector(vector)[1] for vector in encrypted]
    assert any(b"20180920127.0.0.1" in body for body in bodies)
    positions = [vector for vector in VALID if vector.get("crypto") and vector["message_id"] == "1200"]
    assert positions
    for vector in positions:
        body = open_vector(vector)[1]
        assert body[:21].rstrip(b"\x00").decode("gbk") == vector["expected"]["body"]["vehicle_no"]


@given(st.binary(max_size=200), u32, u32, u32, u32)
def test_twice_is_nothing(body: bytes, m1: int, ia1: int, ic1: int, key: int) -> None:
    cipher = Cipher(m1, ia1, ic1)
    assert cipher.apply(cipher.apply(body, key), key) == body


def test_zero_counts_as_one() -> None:
    assert Cipher(0, 7, 9 << 20).apply(bytes(9), 0) == Cipher(1, 7, 9 << 20).apply(bytes(9), 1)


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_parameters_have_32_bits(value: int) -> None:
    with pytest.raises(UsageError, match="ia1"):
        Cipher(1, value, 1)

"""jt808.encryption: keys there and back, bodies there and back, everything wrong has its error."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import Deframer, Edition, EncryptionError, UsageError, build_frame, decode_body, encode_body, parse_header
from jt808.encryption import BLOCK_BYTES, MAX_PLAIN_BYTES, PIECE_BYTES, KeyPair, encrypt, public_key
from jt808.header import RSA
from jt808.messages import PlatformRsaKey, TerminalRsaKey

OURS = KeyPair.generate()
THEIRS = KeyPair.generate()


def test_keys_travel_in_their_messages() -> None:
    for key in (OURS.platform_key(), OURS.terminal_key()):
        body = encode_body(key, Edition.V2013)
        assert len(body) == 4 + 128
        again = decode_body(0x8A00 if isinstance(key, PlatformRsaKey) else 0x0A00, Edition.V2013, body)
        assert again == key
        assert isinstance(again, PlatformRsaKey | TerminalRsaKey)
        assert public_key(again).key_size == 1024


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=MAX_PLAIN_BYTES))
def test_bodies_there_and_back(body: bytes) -> None:
    secret = encrypt(OURS.platform_key(), body)
    assert len(secret) == -(-len(body) // PIECE_BYTES) * BLOCK_BYTES
    assert OURS.decrypt(RSA, secret) == body


def test_a_whole_frame() -> None:
    key = OURS.platform_key()
    secret = encrypt(key, b"code")
    frame = build_frame(0x0102, "13912344321", 7, secret, Edition.V2013, encryption=RSA)
    (content,) = Deframer().feed(frame)
    assert isinstance(content, bytes)
    header, body = parse_header(content)
    assert header.encryption == RSA
    assert OURS.decrypt(header.encryption, body) == b"code"


def test_the_longest_body_fits_a_frame() -> None:
    secret = encrypt(THEIRS.terminal_key(), bytes(MAX_PLAIN_BYTES))
    build_frame(0x8300, "1", 0, secret, encryption=RSA)
    with pytest.raises(UsageError, match="819"):
        encrypt(THEIRS.terminal_key(), bytes(MAX_PLAIN_BYTES + 1))


def test_a_body_for_another_key_is_not_read() -> None:
    plain = bytes(range(250)) * 3
    secret = encrypt(THEIRS.platform_key(), plain)
    try:
        found = OURS.decrypt(RSA, secret)
    except EncryptionError:
        return  # nearly always: blocks of random length are not full
    assert found != plain


@pytest.mark.parametrize("method", [0, 2, 3, 7])
def test_other_methods_are_refused(method: int) -> None:
    with pytest.raises(EncryptionError, match=f"method {method}"):
        OURS.decrypt(method, bytes(BLOCK_BYTES))


@pytest.mark.parametrize("length", [1, 5, 127, 129, 300])
def test_no_whole_blocks(length: int) -> None:
    with pytest.raises(EncryptionError, match="whole blocks"):
        OURS.decrypt(RSA, bytes(length))


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=128, max_size=128) | st.just(b"\xff" * 128), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(block: bytes, more: int) -> None:
    try:
        found = OURS.decrypt(RSA, block + block * more)
    except EncryptionError:
        return
    assert len(found) <= PIECE_BYTES * (1 + more)


@pytest.mark.parametrize(
    ("e", "n"),
    [
        (65537, bytes(128)),
        (65537, bytes(1) + b"\xff" * 127),
        (4, b"\xff" * 128),
        (0, b"\xff" * 128),
        (1, b"\xff" * 128),
        (65537, b"\xff" * 127 + b"\xfe"),
    ],
)
def test_numbers_that_are_no_key(e: int, n: bytes) -> None:
    with pytest.raises(EncryptionError):
        encrypt(TerminalRsaKey(e, n), b"text")


def test_keys_are_kept_as_pem() -> None:
    again = KeyPair.from_pem(OURS.to_pem())
    assert again.platform_key() == OURS.platform_key()


def test_what_is_no_key_of_ours() -> None:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UsageError, match="PEM"):
        KeyPair.from_pem(b"nothing")
    with pytest.raises(UsageError, match="RSA"):
        KeyPair.from_pem(ec.generate_private_key(ec.SECP256R1()).private_bytes(*form))
    with pytest.raises(UsageError, match="2048"):
        KeyPair.from_pem(rsa.generate_private_key(65537, 2048).private_bytes(*form))

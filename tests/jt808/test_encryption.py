"""jt808.encryption: keys there and back, bodies there and back, everything wrong has its error."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import Deframer, Edition, EncryptionError, UsageError, build_frame, decode_body, encode_body, parse_header
from jt808.connection import TerminalConnection
from jt808.encryption import BLOCK_BYTES, MAX_PLAIN_BYTES, PIECE_BYTES, KeyPair, encrypt, public_key
from jt808.events import AuthRequested, HeartbeatReceived, MessageReceived, Refused
from jt808.header import RSA
from jt808.messages import PlatformRsaKey, TerminalRsaKey

PHONE = "013912345678"
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


def encrypted_frames(body: bytes, message_id: int = 0x0200, keys: KeyPair = OURS) -> bytes:
    """A message of the authenticated terminal: whole, or in packages each encrypted for itself."""
    parts = [body[begin : begin + MAX_PLAIN_BYTES] for begin in range(0, len(body), MAX_PLAIN_BYTES)] or [b""]
    return b"".join(
        build_frame(
            message_id, PHONE, 10 + number, encrypt(keys.platform_key(), part), encryption=RSA,
            package=None if len(parts) == 1 else (len(parts), number),
        )
        for number, part in enumerate(parts, 1)
    )  # fmt: skip


def logged_in(decrypter: KeyPair | None) -> TerminalConnection:
    connection = TerminalConnection(0.0, decrypter=decrypter)
    (event,) = connection.receive_data(build_frame(0x0102, PHONE, 0, b"code"), 0.0)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header)
    return connection


@pytest.mark.parametrize("size", [0, 28, 800, 2000])
def test_a_link_with_our_key_takes_what_is_encrypted_for_it(size: int) -> None:
    body = bytes(range(250)) * 8
    (event,) = logged_in(OURS).receive_data(encrypted_frames(body[:size]), 1.0)
    assert isinstance(event, MessageReceived)
    assert (event.message_id, event.body) == (0x0200, body[:size])


def test_a_heartbeat_may_be_encrypted_too() -> None:
    (event,) = logged_in(OURS).receive_data(encrypted_frames(b"", 0x0002), 1.0)
    assert isinstance(event, HeartbeatReceived)


@pytest.mark.parametrize(
    ("decrypter", "data"),
    [
        (None, encrypted_frames(b"body")),
        (OURS, build_frame(0x0200, PHONE, 11, b"no whole block", encryption=RSA)),
        (OURS, build_frame(0x0200, PHONE, 11, bytes(128), encryption=2)),
    ],
)
def test_what_cannot_be_opened_is_refused(decrypter: KeyPair | None, data: bytes) -> None:
    connection = logged_in(decrypter)
    connection.data_to_send()
    (event,) = connection.receive_data(data, 1.0)
    assert isinstance(event, Refused)
    assert event.reason == "encrypted"
    assert connection.data_to_send()


def test_a_stranger_has_nothing_opened() -> None:
    connection = TerminalConnection(0.0, decrypter=OURS)
    (event,) = connection.receive_data(encrypted_frames(b"code", 0x0102), 0.0)
    assert isinstance(event, Refused)
    assert event.reason == "encrypted"

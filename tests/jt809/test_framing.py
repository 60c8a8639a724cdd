from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt809 import BadFrame, Deframer, FrameError, enframe
from jt809.framing import FLAGS_AND_CRC, REASONS, checksum, escape, open_frame, unescape
from tests.jt809.vectors import BROKEN, VALID, name_of

FRAME_A = bytes.fromhex("5B0000001A00000001100500BC614E010000000000000071065D")


def make(body: bytes) -> bytes:
    """A frame with a header of zeros and a right MSG_LENGTH."""
    return enframe((22 + len(body) + FLAGS_AND_CRC).to_bytes(4, "big") + bytes(18) + body)


frames = st.binary(max_size=80).map(make)


def test_checksum_is_crc16_ccitt_false() -> None:
    assert checksum(b"123456789") == 0x29B1
    assert checksum(bytes.fromhex("0000001A00000001100500BC614E0100000000000000")) == 0x7106


@given(st.binary())
def test_escaping_comes_back(data: bytes) -> None:
    escaped = escape(data)
    assert not {0x5B, 0x5D} & set(escaped)
    assert unescape(escaped) == data


@pytest.mark.parametrize("text", ["5a", "5a00", "005a03", "5e", "5e5a01", "5a5a01"])
def test_wrong_escapes(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        unescape(bytes.fromhex(text))
    assert caught.value.reason == "bad_escape"


@pytest.mark.parametrize("vector", VALID, ids=name_of)
def test_valid_frames_round_trip(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["frame"])
    assert enframe(open_frame(raw)) == raw


@pytest.mark.parametrize("vector", BROKEN, ids=name_of)
def test_broken_frames_cost_themselves_only(vector: dict[str, str]) -> None:
    out = Deframer().feed(bytes.fromhex(vector["frame"]) + FRAME_A)
    assert out[-1] == open_frame(FRAME_A)
    reasons = [item.reason for item in out if isinstance(item, BadFrame)]
    assert reasons
    assert set(reasons) <= set(REASONS)


def test_reasons() -> None:
    changed = bytearray(FRAME_A)
    changed[10] ^= 1
    longer = FRAME_A[:-3] + b"\x00" + FRAME_A[-3:]
    cases = {
        "bad_check": bytes(changed),
        "bad_length": longer,
        "too_short": b"\x5b\x00\x5d",
        "bad_escape": FRAME_A[:5] + b"\x5a\x07" + FRAME_A[5:],
        "junk": b"hello",
        "unfinished": FRAME_A[:9],
        "too_long": b"\x5b" + bytes(300) + b"\x5d",
    }
    assert set(cases) == set(REASONS)
    for reason, raw in cases.items():
        out = Deframer(max_frame_bytes=200).feed(raw + FRAME_A)
        assert [item.reason if isinstance(item, BadFrame) else item for item in out] == [reason, open_frame(FRAME_A)]


def test_an_endless_frame_is_given_up_once_and_memory_stays_bounded() -> None:
    deframer = Deframer(max_frame_bytes=1000)
    out = deframer.feed(b"\x5b")
    for _ in range(100):
        out += deframer.feed(bytes(100))
        assert len(deframer._buffer) <= 1100
    out += deframer.feed(FRAME_A)
    assert [item.reason for item in out if isinstance(item, BadFrame)] == ["too_long"]
    assert out[-1] == open_frame(FRAME_A)


def test_one_run_of_junk_is_told_once() -> None:
    deframer = Deframer()
    out = [item for _ in range(50) for item in deframer.feed(b"xx")] + deframer.feed(FRAME_A) + deframer.feed(b"y")
    assert [item.reason if isinstance(item, BadFrame) else "frame" for item in out] == ["junk", "frame", "junk"]


@given(st.lists(st.one_of(frames, st.binary(max_size=30)), max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_however_the_bytes_are_cut_the_same_frames_come_out(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole = Deframer().feed(stream)
    deframer, out, at, turn = Deframer(), list[bytes | BadFrame](), 0, 0
    while at < len(stream):
        out += deframer.feed(stream[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    assert [item for item in out if isinstance(item, bytes)] == [item for item in whole if isinstance(item, bytes)]


@given(st.lists(frames, max_size=6))
def test_frames_in_a_row(stream: list[bytes]) -> None:
    assert Deframer().feed(b"".join(stream)) == [open_frame(frame) for frame in stream]


@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_known_reasons(data: bytes) -> None:
    counts = Counter(type(item) if isinstance(item, bytes) else item.reason for item in Deframer().feed(data))
    assert set(counts) <= {bytes, *REASONS}

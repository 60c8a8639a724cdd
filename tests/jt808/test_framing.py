"""jt808.framing: flags, escaping, check byte, and going on after any fault."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import BadFrame, Deframer, FrameError, UsageError, checksum, deframe_datagram, enframe, unescape
from jt808.framing import MAX_UNFINISHED_BYTES, REASONS, escape, open_frame
from tests.jt808.vectors import frames

CONTENT = bytes.fromhex("000200000139123443210001")
FRAME = enframe(CONTENT)

# Bytes that meet flags and escapes often.
spicy = st.lists(st.sampled_from([b"\x7e", b"\x7d", b"\x7d\x01", b"\x7d\x02", b"\x00", b"\x01"]), max_size=60).map(
    b"".join
)
streams = st.lists(
    st.one_of(
        spicy,
        st.binary(max_size=40),
        st.just(FRAME),
        st.binary(min_size=12, max_size=40).map(enframe),
        st.binary(min_size=100, max_size=200),
    ),
    max_size=8,
).map(b"".join)


def test_the_example_of_the_standard() -> None:
    """JT/T 808-2013 §4.4.1: 30 7e 08 7d 55 is sent as 7e 30 7d 02 08 7d 01 55 7e."""
    assert escape(bytes.fromhex("307e087d55")) == bytes.fromhex("307d02087d0155")
    assert unescape(bytes.fromhex("307d02087d0155")) == bytes.fromhex("307e087d55")


@given(st.binary(max_size=3000))
def test_checksum_is_the_xor_of_all_bytes(content: bytes) -> None:
    assert checksum(content) == reduce(xor, content, 0)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 8, 9, 63, 64, 65, 1023, 1024, 4096, 70000])
def test_checksum_of_any_length(length: int) -> None:
    content = bytes(range(1, 252)) * (length // 251 + 1)
    assert checksum(content[:length]) == reduce(xor, content[:length], 0)


@given(spicy | st.binary(max_size=200))
def test_escaping_can_be_undone(content: bytes) -> None:
    escaped = escape(content)
    assert b"\x7e" not in escaped
    assert unescape(escaped) == content


@given(spicy)
def test_unescape_takes_only_what_escape_makes(body: bytes) -> None:
    pairs_are_right = (
        all(second in (1, 2) for first, second in pairwise(body) if first == 0x7D) and body[-1:] != b"\x7d"
    )
    if pairs_are_right and b"\x7e" not in body:
        assert escape(unescape(body)) == body
    elif not pairs_are_right:
        with pytest.raises(FrameError, match="bad_escape"):
            unescape(body)


@given(st.binary(min_size=12, max_size=1100))
def test_enframe_and_back(content: bytes) -> None:
    assert Deframer().feed(enframe(content)) == [content]


@settings(max_examples=300)
@given(streams, st.data())
def test_the_cuts_do_not_matter(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    whole = Deframer(64).feed(stream)
    deframer = Deframer(64)
    in_parts = [found for begin, end in pairwise([0, *cuts, len(stream)]) for found in deframer.feed(stream[begin:end])]
    assert in_parts == whole
    deframer = Deframer(64)
    assert [found for byte in stream for found in deframer.feed(bytes([byte]))] == whole


@given(streams)
def test_memory_is_bounded_and_reasons_are_known(stream: bytes) -> None:
    deframer = Deframer(64)
    for found in deframer.feed(stream):
        if isinstance(found, BadFrame):
            assert found.reason in REASONS
            assert len(found.raw) <= 64
    assert deframer.unfinished_bytes <= 64


@given(streams)
def test_a_good_frame_is_found_after_anything(stream: bytes) -> None:
    assert Deframer().feed(stream + b"\x7e" + FRAME)[-1] == CONTENT


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (FRAME + FRAME, [CONTENT, CONTENT]),
        (FRAME + FRAME[1:], [CONTENT, CONTENT]),
        (b"\x7e" + FRAME + b"\x7e\x7e" + FRAME, [CONTENT, CONTENT]),
        (b"$$" + FRAME, [BadFrame("junk", b"$$"), CONTENT]),
        (FRAME + b"$$" + FRAME, [CONTENT, BadFrame("too_short", b"$$"), CONTENT]),
        (FRAME[:-2] + b"\x00\x7e" + FRAME, [BadFrame("bad_check", FRAME[1:-2] + b"\x00"), CONTENT]),
        (b"\x7e" + CONTENT + b"\x7d\x7e" + FRAME, [BadFrame("bad_escape", CONTENT + b"\x7d"), CONTENT]),
        (FRAME[:5] + FRAME, [BadFrame("too_short", FRAME[1:5]), CONTENT]),
    ],
    ids=["two", "shared flag", "doubled flags", "junk first", "junk between", "check byte", "escape", "cut short"],
)
def test_resynchronises(stream: bytes, expected: list[bytes | BadFrame]) -> None:
    assert Deframer().feed(stream) == expected


def test_an_endless_frame_is_dropped_once() -> None:
    deframer = Deframer()
    assert deframer.feed(b"\x7e" + bytes(MAX_UNFINISHED_BYTES)) == []
    (bad,) = deframer.feed(b"\x01")
    assert isinstance(bad, BadFrame)
    assert (bad.reason, len(bad.raw)) == ("too_long", MAX_UNFINISHED_BYTES)
    assert deframer.unfinished_bytes == 0
    assert deframer.feed(bytes(100_000)) == []
    assert deframer.feed(FRAME) == [CONTENT]


def test_a_flood_without_any_flag_is_dropped_too() -> None:
    deframer = Deframer()
    assert [found[0] for found in deframer.feed(b"GET / HTTP/1.1\r\n" * 1000)] == ["too_long"]
    assert deframer.feed(FRAME) == [CONTENT]


def test_datagrams_hold_whole_frames() -> None:
    assert deframe_datagram(FRAME + FRAME) == [CONTENT, CONTENT]
    assert deframe_datagram(FRAME + FRAME[:7]) == [CONTENT, BadFrame("junk", FRAME[1:7])]
    assert deframe_datagram(b"hello") == [BadFrame("junk", b"hello")]
    assert deframe_datagram(b"") == []


def test_usage_errors() -> None:
    with pytest.raises(UsageError):
        enframe(b"")
    with pytest.raises(UsageError):
        Deframer(12)


@pytest.mark.parametrize("row", frames(), ids=lambda row: row["frame"][:40])
def test_vectors(row: dict[str, object]) -> None:
    """A valid frame is one frame; an invalid one gives bad frames or contents, never an exception."""
    raw = bytes.fromhex(str(row["frame"]))
    found = Deframer().feed(raw)
    if row["valid"]:
        (content,) = found
        assert isinstance(content, bytes)
        assert enframe(content) == raw
        assert open_frame(raw[1:-1]) == content
    elif "checksum" in str(row["why"]) and "unescaped" not in str(row["why"]) and "flag" not in str(row["why"]):
        (bad,) = found
        assert isinstance(bad, BadFrame)
        assert bad.reason in ("bad_check", "bad_escape")

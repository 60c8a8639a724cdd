"""Frames on the wire: 0x7e flags (标识位), escaping (转义), check byte (校验码).

Source: JT/T 808-2011, -2013 and -2019 §4.4 (message structure: flags, escaping, check code; clauses not checked).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from jt808.errors import FrameError, UsageError

MIN_FRAME_BYTES: Final = 13
"""The shortest frame there can be: a header of 12 bytes (2011/2013), an empty body, the check byte."""

MAX_UNFINISHED_BYTES: Final = 4096
"""Default cap between two flags. The largest legal frame is a header of 21, a body of 1023 and the check byte, doubled
by escaping at worst: 2090 bytes."""

REASONS: Final = ("bad_escape", "bad_check", "too_short", "too_long", "junk")
"""Why bytes were no frame; bounded, so that it can be a metric's label."""


class BadFrame(NamedTuple):
    """Bytes that were no frame: ``reason`` is one of :data:`REASONS`.

    ``raw`` is what stood between the flags as on the wire, cut at the deframer's cap.
    """

    reason: str
    raw: bytes


# XOR of n bytes by folding one big integer onto itself: shift by the largest power of two that is not above n bytes,
# then by half of it, ... down to one byte; the row is n.bit_length(). What a shift leaves above its half is never read.
# Four times as fast as a loop over 80 bytes.
_FOLDS: Final = tuple(tuple(8 << i for i in range(bits - 1, -1, -1)) for bits in range(33))


def checksum(content: bytes) -> int:
    """XOR of all bytes (校验码). Over header and body it is the check byte; with the check byte included it is 0."""
    folded = int.from_bytes(content)
    for shift in _FOLDS[len(content).bit_length()]:
        folded ^= folded >> shift
    return folded & 0xFF


def escape(content: bytes) -> bytes:
    """Escape (转义): 7d -> 7d 01, then 7e -> 7d 02."""
    return content.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def unescape(body: bytes) -> bytes:
    """Undo frame escaping (转义还原): 7d 02 -> 7e, 7d 01 -> 7d.

    Args:    body: what stood between two 7e flags, check byte included.
    Raises:  FrameError("bad_escape"): 7d stands last, or before anything but 01 or 02.
    """
    plain = body.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
    # Each pair undone shortens by one; a 7d that began no pair is the difference. (A replacement cannot make a pair
    # that was not there: it leaves 7e or 7d behind a 7d, never 01 or 02.)
    if len(body) - len(plain) != body.count(b"\x7d"):
        raise FrameError("bad_escape", "7d is followed by neither 01 nor 02")
    return plain


def enframe(content: bytes) -> bytes:
    """Header and body -> the frame on the wire: check byte added, escaped, flags around."""
    if not content:
        raise UsageError("a frame needs a header")
    return b"\x7e" + escape(content + bytes((checksum(content),))) + b"\x7e"


def open_frame(raw: bytes) -> bytes:
    """What stood between two flags -> header and body: unescaped, check byte verified and cut off.

    Raises:  FrameError: bad_escape, too_short or bad_check.
    """
    content = unescape(raw) if b"\x7d" in raw else raw
    if len(content) < MIN_FRAME_BYTES:
        raise FrameError("too_short", f"{len(content)} bytes, the shortest frame has {MIN_FRAME_BYTES}")
    if found := checksum(content):
        raise FrameError("bad_check", f"check byte is {content[-1]:02x}, the bytes give {content[-1] ^ found:02x}")
    return content[:-1]


class Deframer:
    """Cuts a stream of bytes into frames.

    ``feed`` gives, in order, the content (header and body) of each whole frame, and a :class:`BadFrame` for whatever
    was none. The result does not depend on how the stream was cut into reads. After any fault it goes on at the next
    flag. Two frames may have two flags between them or share one. What stands before the very first flag is "junk".
    When more than ``max_frame_bytes`` come without a flag they are dropped, reported once as "too_long", and so is
    all that follows up to the next flag: a peer holds at most that much memory.
    """

    __slots__ = ("_in_frame", "_max_bytes", "_overlong", "_unfinished")

    def __init__(self, max_frame_bytes: int = MAX_UNFINISHED_BYTES) -> None:
        if max_frame_bytes < MIN_FRAME_BYTES:
            raise UsageError(f"max_frame_bytes is {max_frame_bytes}, no frame is shorter than {MIN_FRAME_BYTES}")
        self._max_bytes = max_frame_bytes
        self._unfinished = b""  # since the last flag
        self._in_frame = False  # a flag was seen
        self._overlong = False  # what follows up to the next flag was already given up

    def feed(self, data: bytes) -> list[bytes | BadFrame]:
        """Take what was received; give what is complete."""
        if self._in_frame and not self._unfinished and not self._overlong:
            end = len(data) - 1
            if end > 0 and data[0] == 0x7E and data.find(b"\x7e", 1) == end:
                return [self._open(data[1:end])] if end > 1 else []  # the usual read: one whole frame
        pieces = data.split(b"\x7e")
        if self._unfinished:
            pieces[0] = self._unfinished + pieces[0]
        tail = pieces.pop()
        found: list[bytes | BadFrame] = []
        if pieces:
            if self._overlong or not self._in_frame:
                self._resynchronise(pieces.pop(0), found)
            found += [self._open(raw) for raw in pieces if raw]
        if self._overlong:
            tail = b""
        elif len(tail) > self._max_bytes:
            found.append(BadFrame("too_long", tail[: self._max_bytes]))
            self._overlong = True
            tail = b""
        self._unfinished = tail
        return found

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes wait for their closing flag."""
        return len(self._unfinished)

    def _resynchronise(self, before_flag: bytes, found: list[bytes | BadFrame]) -> None:
        """The first flag, or the first after an overlong run, has come."""
        if before_flag and not self._overlong:
            reason = "junk" if len(before_flag) <= self._max_bytes else "too_long"
            found.append(BadFrame(reason, before_flag[: self._max_bytes]))
        self._in_frame = True
        self._overlong = False

    def _open(self, raw: bytes) -> bytes | BadFrame:
        length = len(raw)
        if MIN_FRAME_BYTES <= length <= self._max_bytes and b"\x7d" not in raw:
            # The usual frame: checksum() written out, because the calls cost as much as the work.
            folded = int.from_bytes(raw)
            for shift in _FOLDS[length.bit_length()]:
                folded ^= folded >> shift
            if not folded & 0xFF:
                return raw[:-1]
        if length > self._max_bytes:
            return BadFrame("too_long", raw[: self._max_bytes])
        try:
            return open_frame(raw)
        except FrameError as error:
            return BadFrame(error.reason, raw)


def deframe_datagram(data: bytes) -> list[bytes | BadFrame]:
    """One UDP datagram -> its frames. A datagram holds whole frames: what is left over is a BadFrame too."""
    deframer = Deframer(max(len(data), MIN_FRAME_BYTES))
    found = deframer.feed(data)
    if deframer.unfinished_bytes:
        found.append(BadFrame("junk", data[len(data) - deframer.unfinished_bytes :]))
    return found

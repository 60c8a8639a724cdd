"""The frame: flags 5B … 5D, escapes, MSG_LENGTH and CRC.

Source: JT/T 809-2011 and 809-2019, data frame (数据帧) clause, with the ministry's supplement of 2013: MSG_LENGTH
counts the CRC and both flags (the 2011 print forgets the CRC; captured frames fit only this reading).
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass
from typing import Final

from jt809.errors import FrameError

START_FLAG: Final = 0x5B
END_FLAG: Final = 0x5D
FLAGS_AND_CRC: Final = 4  # what MSG_LENGTH counts besides header and body
SHORTEST_CONTENT: Final = 22  # the 2011 header, no body
MAX_FRAME_BYTES: Final = 65536

REASONS: Final = ("bad_escape", "bad_check", "bad_length", "too_short", "too_long", "unfinished", "junk")
"""Why a frame, or bytes outside one, were dropped: the whole vocabulary.

unfinished: a 5B stood inside the frame, so its end was lost; reading went on at that 5B.
junk: bytes that no 5B opened; one entry for a run of them.
"""

_ESCAPED: Final = re.compile(rb"[\x5a\x5e].?", re.DOTALL)
_PLAIN: Final = {b"\x5a\x01": b"\x5b", b"\x5a\x02": b"\x5a", b"\x5e\x01": b"\x5d", b"\x5e\x02": b"\x5e"}
_RAW_KEPT: Final = 1024  # of a bad frame, for the log


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes that were dropped. ``raw`` is at most their first 1,024."""

    reason: str
    raw: bytes


def checksum(content: bytes) -> int:
    """CRC-16/CCITT-FALSE (poly 0x1021, init 0xFFFF, not reflected) over unescaped header and body, as 0..65535."""
    return crc_hqx(content, 0xFFFF)


def escape(content: bytes) -> bytes:
    """Escape what stands between the flags (转义): 5B -> 5A 01, 5A -> 5A 02, 5D -> 5E 01, 5E -> 5E 02."""
    return (
        content.replace(b"\x5a", b"\x5a\x02")
        .replace(b"\x5b", b"\x5a\x01")
        .replace(b"\x5e", b"\x5e\x02")
        .replace(b"\x5d", b"\x5e\x01")
    )


def unescape(escaped: bytes) -> bytes:
    """Undo ``escape``.

    Raises: FrameError ("bad_escape"): 5A or 5E stands last, or before anything but 01 or 02.
    """
    if b"\x5a" not in escaped and b"\x5e" not in escaped:
        return escaped
    try:
        return _ESCAPED.sub(lambda match: _PLAIN[match.group()], escaped)
    except KeyError as error:
        raise FrameError("bad_escape", f"{error.args[0].hex()} is no escape") from error


def enframe(content: bytes) -> bytes:
    """Make the wire frame of header and body: adds the CRC, escapes, sets the flags.

    Args: content: header and (encrypted) body; MSG_LENGTH must already stand in it (``jt809.header.build_header``).
    """
    return b"\x5b" + escape(content + checksum(content).to_bytes(2, "big")) + b"\x5d"


def open_frame(raw: bytes) -> bytes:
    """Header and body of one frame, flags included in ``raw``: the reverse of ``enframe``.

    Raises: FrameError with the reason: an escape, the length or the CRC is wrong.
    """
    unescaped = unescape(raw[1:-1])
    content = unescaped[:-2]
    if len(content) < SHORTEST_CONTENT:
        raise FrameError("too_short", f"{len(content)} bytes between the flags and the CRC, a header has 22")
    declared = int.from_bytes(content[:4], "big")
    if declared != len(content) + FLAGS_AND_CRC:
        raise FrameError("bad_length", f"MSG_LENGTH says {declared}, the frame has {len(content) + FLAGS_AND_CRC}")
    check = int.from_bytes(unescaped[-2:], "big")
    if check != checksum(content):
        raise FrameError("bad_check", f"CRC {check:04X}, computed {checksum(content):04X}")
    return content


class Deframer:
    """Cuts a byte stream into frames. A bad frame costs that frame; reading goes on at the next 5B.

    Holds at most ``max_frame_bytes`` of an unfinished frame (as on the wire, escapes counted).
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._buffer = bytearray()
        self._in_junk = False  # the run of junk going on was reported already

    def feed(self, data: bytes) -> list[bytes | BadFrame]:
        """Take what the socket gave.

        Returns: in order, for each whole frame its unescaped header and body (CRC verified and cut), and a BadFrame
                 for whatever was dropped.
        """
        self._buffer += data
        buffer, out, at = self._buffer, list[bytes | BadFrame](), 0
        while at < len(buffer):
            start = buffer.find(START_FLAG, at)
            if start != at:
                self._junk(bytes(buffer[at : start if start >= 0 else len(buffer)]), out)
            if start < 0:
                at = len(buffer)
                break
            end = buffer.find(END_FLAG, start)
            last_start = buffer.rfind(START_FLAG, start, end if end >= 0 else len(buffer))
            if last_start != start:
                out.append(BadFrame("unfinished", bytes(buffer[start : min(last_start, start + _RAW_KEPT)])))
                start = last_start
            self._in_junk = False
            at = start
            length = (end + 1 if end >= 0 else len(buffer)) - start
            if length > self._max:
                out.append(BadFrame("too_long", bytes(buffer[start : start + _RAW_KEPT])))
                at += length
                self._in_junk = end < 0  # what follows belongs to the same broken frame
            elif end < 0:
                break
            else:
                out.append(self._open(bytes(buffer[start : end + 1])))
                at = end + 1
        del buffer[:at]
        return out

    def _junk(self, raw: bytes, out: list[bytes | BadFrame]) -> None:
        if not self._in_junk:
            out.append(BadFrame("junk", raw[:_RAW_KEPT]))
        self._in_junk = True

    @staticmethod
    def _open(raw: bytes) -> bytes | BadFrame:
        try:
            return open_frame(raw)
        except FrameError as error:
            return BadFrame(error.reason, raw[:_RAW_KEPT])

"""Where the fuzzers begin: the vectors, and the corpus that earlier runs found (hex, a line each)."""

from __future__ import annotations

from pathlib import Path

from jt808 import BadFrame, Deframer, Edition
from jt808.header import unpack_header
from tests.fuzz.targets import EDITIONS, MESSAGE_IDS, PIECE
from tests.jt808.vectors import frames, vectors

CORPUS = Path(__file__).parent / "corpus"
MAX_BYTES = 1300
"""Of one input; a frame has at most 1045 bytes before escaping."""


def corpus(target: str) -> list[bytes]:
    """What earlier runs kept."""
    path = CORPUS / f"{target}.txt"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


def seeds(target: str) -> list[bytes]:
    """The inputs to begin with."""
    return corpus(target) + [seed for seed in _of_vectors(target) if len(seed) <= MAX_BYTES]


def _of_vectors(target: str) -> list[bytes]:
    wire = [bytes.fromhex(row["frame"]) for row in frames()]
    if target == "deframe":
        return [bytes((len(frame) % 256,)) + frame for frame in wire]
    if target == "link":
        return [_of_our_terminal(frame) for frame in wire]
    if target == "decode":
        known = [vector for vector in vectors() if vector.message_id in MESSAGE_IDS]
        return [
            bytes((EDITIONS.index(vector.edition), MESSAGE_IDS.index(vector.message_id))) + vector.body
            for vector in known
        ]
    return [b"".join(bytes((1, 4, 0, 10 + i, 0, 3, 0, i + 1, 2)) + b"ab" for i in range(3))]


def _of_our_terminal(frame: bytes) -> bytes:
    """The frame's message as the link's target spells it."""
    content = next(iter(Deframer().feed(frame)), BadFrame("junk", frame))
    if isinstance(content, BadFrame):
        return PIECE.pack(1, 0, 0, 0, 0, len(frame) & 0x3FF) + frame
    header, begin = unpack_header(content)
    body = content[begin:]
    how = 2 * (header.edition == Edition.V2019) + 4 * header.is_subpackaged
    numbers = header.package_total & 0xFF, header.package_no & 0xFF
    return PIECE.pack(how, header.message_id, header.serial_no, *numbers, len(body)) + body

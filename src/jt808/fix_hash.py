"""64 bits over the body of a location report: with terminal and time, the identity of a stored fix.

The only definition; whatever is stored, compared or counted anywhere comes from here. :func:`fix_hash` says it and
:func:`fix_hashes` gives the same for many bodies at once; what else is hashed in the same call makes no difference.

It is no cryptographic hash and need not be: who makes two bodies collide loses a report of its own. Why this one, and
how likely a collision is: docs/decisions/0015-fix-hash.md.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jt808.errors import UsageError

_BLOCK: Final = 64  # bytes; most reports are shorter, and one gather takes a whole block
_WORDS: Final = _BLOCK // 8
_ALL: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_FACTORS: Final = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _mix(number: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): one to one, and each bit that goes in flips each that
    comes out about half of the time."""
    number = (number ^ number >> 30) * _FACTORS[0] & _ALL
    number = (number ^ number >> 27) * _FACTORS[1] & _ALL
    return number ^ number >> 31


def fix_hash(body: bytes) -> int:
    """The hash of one body, signed.

    The body, padded with 0 to a multiple of 64 bytes (at least 64), is read as 64-bit words, little-endian. Each is
    xored with a key of its own place and mixed; they are added up, with the length times a constant; the sum is mixed.
    """
    padded = body.ljust(max(-(-len(body) // _BLOCK), 1) * _BLOCK, b"\0")
    total = len(body) * _GOLDEN
    for place in range(len(padded) // 8):
        word = int.from_bytes(padded[8 * place : 8 * place + 8], "little")
        total += _mix(word ^ _mix((place + 1) * _GOLDEN & _ALL))
    return int.from_bytes(_mix(total & _ALL).to_bytes(8, "big"), "big", signed=True)


_MASKS: Final = np.frombuffer(b"".join(b"\xff" * n + bytes(_BLOCK - n) for n in range(_BLOCK + 1)), "<u8").reshape(
    _BLOCK + 1, _WORDS
)
"""By the bytes of a block that belong to the body."""


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """In place, too."""
    shifted = np.empty_like(numbers)
    numbers ^= np.right_shift(numbers, 30, out=shifted)
    numbers *= np.uint64(_FACTORS[0])
    numbers ^= np.right_shift(numbers, 27, out=shifted)
    numbers *= np.uint64(_FACTORS[1])
    numbers ^= np.right_shift(numbers, 31, out=shifted)
    return numbers


def _keys(blocks: int) -> NDArray[np.uint64]:
    """Of the words of so many blocks, (blocks, words)."""
    return _mixed(np.arange(1, blocks * _WORDS + 1, dtype=np.uint64) * np.uint64(_GOLDEN)).reshape(blocks, _WORDS)


_KEYS: Final = _keys(16)  # as many blocks as a frame holds


def fix_hashes(buffer: bytes | memoryview, offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """:func:`fix_hash` of each body.

    Args:    buffer: the bytes that hold the bodies; offsets, lengths: where each is in it. They may overlap.
    Raises:  UsageError: a body lies outside the buffer.
    """
    if not len(offsets):
        return np.empty(0, np.int64)
    if offsets.min() < 0 or lengths.min() < 0 or (offsets + lengths).max() > len(buffer):
        raise UsageError("a body lies outside the buffer")
    padded = np.zeros(len(buffer) + _BLOCK, np.uint8)  # so that a block can be read from any place
    padded[: len(buffer)] = np.frombuffer(buffer, np.uint8)
    if lengths.max() <= _BLOCK:
        sums = _block_sums(padded, offsets, lengths, _KEYS[0])
    else:
        blocks = np.maximum(-(-lengths // _BLOCK), 1)
        ends = np.cumsum(blocks)
        first = ends - blocks
        number = np.arange(ends[-1]) - np.repeat(first, blocks)  # of the block in its body
        done = number * _BLOCK
        keys = _KEYS if blocks.max() <= len(_KEYS) else _keys(int(blocks.max()))
        begins, left = np.repeat(offsets, blocks) + done, np.repeat(lengths, blocks) - done
        sums = np.add.reduceat(_block_sums(padded, begins, left, keys[number]), first)
    sums += lengths.astype(np.uint64) * np.uint64(_GOLDEN)
    return _mixed(sums).view(np.int64)


def _block_sums(
    padded: NDArray[np.uint8], begins: NDArray[np.int64], left: NDArray[np.int64], keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """The sum of each block's mixed words; ``left`` is how many bytes of the body begin there."""
    record: np.dtype[Any] = np.dtype((np.void, _BLOCK))
    window = np.ndarray((len(padded) - _BLOCK + 1,), record, padded, strides=(1,))
    words = window[begins].view("<u8").astype(np.uint64, copy=False).reshape(-1, _WORDS)
    words &= _MASKS[np.minimum(left, _BLOCK)]
    words ^= keys
    sums: NDArray[np.uint64] = _mixed(words).sum(axis=1, dtype=np.uint64)
    return sums

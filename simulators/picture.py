"""A picture as a camera in a vehicle might take it: a real JPEG (ITU-T T.81, baseline), made of plain squares.

Each block of 8 x 8 pixels has one colour, so that only the first coefficient of a block is there and the whole encoder
is a screen long. The clock in the picture tells the pictures apart.
"""

from __future__ import annotations

import struct
from datetime import datetime
from functools import cache
from typing import Final

Colour = tuple[int, int, int]  # Y, Cb, Cr; 0..255

BLOCK: Final = 8  # pixels
SKY, ROAD, LINE, GRASS, BOARD, INK = (
    (190, 150, 110), (90, 128, 128), (230, 128, 128), (110, 105, 110), (30, 128, 128), (240, 90, 150),
)  # fmt: skip
_ROWS: Final = {  # 3 x 5 dots, a row each
    "0": "7,5,5,5,7", "1": "2,6,2,2,7", "2": "7,1,7,4,7", "3": "7,1,7,1,7", "4": "5,5,7,1,1", "5": "7,4,7,1,7",
    "6": "7,4,7,5,7", "7": "7,1,1,1,1", "8": "7,5,7,5,7", "9": "7,5,7,1,7", ":": "0,2,0,2,0", "-": "0,0,7,0,0",
    " ": "0,0,0,0,0",
}  # fmt: skip


def picture(moment: datetime, channel: int, width: int = 640, height: int = 480) -> bytes:
    """A JPEG of the road ahead (channel 1) or of somewhere else, with date and time in it.

    Args:  width, height: pixels, in steps of 8.
    """
    columns, rows = width // BLOCK, height // BLOCK
    cells = [[_scene(x / columns, y / rows, channel, moment.second) for x in range(columns)] for y in range(rows)]
    _write(cells, f"{moment:%m-%d %H:%M:%S}", columns)
    return encode(cells)


def _scene(x: float, y: float, channel: int, second: int) -> Colour:
    """What is at this place, both 0..1 from the upper left."""
    if y < 0.45:
        luma, blue, red = SKY
        return luma + round(40 * y), blue - 7 * channel, red
    depth = (y - 0.45) / 0.55
    if abs(x - 0.5) > 0.05 + 0.5 * depth:
        return GRASS
    is_dash = abs(x - 0.5) < 0.01 + 0.01 * depth and int(12 / (depth + 0.15) + second) % 3 == 0
    return LINE if is_dash else ROAD


def _write(cells: list[list[Colour]], text: str, columns: int) -> None:
    """Put a text on a dark board along the upper edge, as far as there is room."""
    if len(cells) < 8:
        return
    for y in range(7):
        cells[y][: min(columns, 4 * len(text) + 1)] = [BOARD] * min(columns, 4 * len(text) + 1)
    for index, character in enumerate(text):
        for y, row in enumerate(_ROWS[character].split(",")):
            for x in range(3):
                column = 1 + 4 * index + x
                if int(row) >> (2 - x) & 1 and column < columns:
                    cells[y + 1][column] = INK


def encode(cells: list[list[Colour]]) -> bytes:
    """Squares of 8 x 8 pixels, rows of (Y, Cb, Cr), as a JPEG."""
    height, width = len(cells) * BLOCK, len(cells[0]) * BLOCK
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, bytes([0, *[BLOCK] * 64])),  # then the first coefficient is the value itself
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])),
            _segment(0xC4, bytes([0x00, *_lengths(), *range(9)])),  # first coefficients: how many bits follow
            _segment(0xC4, bytes([0x10, 1, *[0] * 15, 0])),  # the others: there are none
            _segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])),
            _scan(cells),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


_CODES: Final = ("00", "010", "011", "100", "101", "110", "1110", "11110", "111110")
"""Of the number of bits that follow, 0 to 8 (T.81, table K.3)."""


def _lengths() -> list[int]:
    return [sum(len(code) == length for code in _CODES) for length in range(1, 17)]


def _scan(cells: list[list[Colour]]) -> bytes:
    before = [0, 0, 0]
    bits: list[str] = []
    for row in cells:
        for colour in row:
            for component, value in enumerate(colour):
                level = value - 128
                bits.append(_difference(level - before[component]))
                before[component] = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


@cache
def _difference(value: int) -> str:
    """A first coefficient, as the difference to the block before, and the end of its block."""
    size = abs(value).bit_length()
    magnitude = value if value >= 0 else value + (1 << size) - 1
    return _CODES[size] + (f"{magnitude:0{size}b}" if size else "") + "0"

"""What vehicles, terminals, alarms and media are known by."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from fleet import PLATE_COLORS, alarm_id, canonical_phone, plate_color_name
from fleet.media import CONTENT_TYPES, file_name, suffix_of, upload_key


@pytest.mark.parametrize(
    ("field", "phone"),
    [
        ("013912345678", "13912345678"),
        ("00000000013912345678", "13912345678"),
        (" 13912345678 ", "13912345678"),
        ("000000000000", "0"),
        ("", "0"),
        ("0A1B2C3D4E5F", "a1b2c3d4e5f"),
    ],
)
def test_a_phone_is_one_in_every_edition(field: str, phone: str) -> None:
    assert canonical_phone(field) == phone
    assert canonical_phone(phone) == phone


def test_colours_nobody_defined_are_other() -> None:
    assert [plate_color_name(code) for code in (2, 94, 7, -1, 255)] == [
        "yellow", "gradient_green", "other", "other", "other",
    ]  # fmt: skip
    assert len({english for english, _ in PLATE_COLORS.values()}) == len(PLATE_COLORS)


def test_an_alarm_is_known_by_its_facts() -> None:
    one = alarm_id(7, "overspeed", 1_000_000)
    assert one == alarm_id(7, "overspeed", 1_000_000)
    others = {
        alarm_id(8, "overspeed", 1_000_000), alarm_id(7, "offline", 1_000_000), alarm_id(7, "overspeed", 1_000_001),
        alarm_id(7, "overspeed", 1_000_000, "3"),
    }  # fmt: skip
    assert len(others | {one}) == 5
    assert {(each.version, each.variant) for each in others} == {(8, uuid.RFC_4122)}


@pytest.mark.parametrize(
    ("format_code", "content", "suffix"),
    [
        (0, b"\xff\xd8\xff\xe0", "jpg"),
        (2, b"\xff\xd8\xff\xe0", "jpg"),  # whatever the terminal calls it
        (0, b"\x89PNG\r\n\x1a\n", "png"),
        (0, b"II*\0", "tif"),
        (0, b"RIFF\0\0\0\0WAVE", "wav"),
        (0, b"RIFF\0\0\0\0AVI ", "bin"),
        (0, b"\x30\x26\xb2\x75", "wmv"),
        (0, b"\0\0\0\x18ftypisom", "mp4"),
        (0, b"ID3\x03", "mp3"),
        (2, b"\xff\xfb\x90", "mp3"),
        (0, b"\xff\xfb\x90", "bin"),  # two bytes alone say too little
        (2, b"\xff", "bin"),
        (0, b"", "bin"),
        (0, b"<html><script>", "bin"),
        (0, b"<svg xmlns=", "bin"),
    ],
)
def test_what_a_file_is_stands_in_its_bytes(format_code: int, content: bytes, suffix: str) -> None:
    assert suffix_of(format_code, content) == suffix
    assert suffix in CONTENT_TYPES


def test_a_file_is_named_by_its_content_and_an_upload_by_its_head_too() -> None:
    digest = hashlib.sha256(b"x").digest()
    assert file_name(digest, "jpg") == f"2d/71/{digest.hex()}.jpg"
    assert len({upload_key(b"a", digest), upload_key(b"b", digest), upload_key(b"a", digest)}) == 2

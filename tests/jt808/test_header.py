"""jt808.header: both layouts, read and written."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808 import BadFrame, Deframer, Edition, HeaderError, UsageError, build_frame, build_header, parse_header, phone10
from tests.jt808.vectors import frames

digits = st.text("0123456789abcdef", max_size=12)


@pytest.mark.parametrize("row", frames(), ids=lambda row: row["frame"][:40])
def test_vectors(row: dict[str, Any]) -> None:
    """Frames that are valid have a header, with these values; the others have none, or are no frame."""
    found = Deframer().feed(bytes.fromhex(row["frame"]))
    if not row["valid"]:
        if len(found) == 1 and isinstance(found[0], bytes):
            with pytest.raises(HeaderError):
                parse_header(found[0])
        return
    (content,) = found
    assert isinstance(content, bytes)
    header, body = parse_header(content)
    expected = row["header"]
    assert header.message_id == int(row["message_id"], 16)
    assert (header.edition == Edition.V2019) == bool(expected["version_flag"])
    assert header.phone == expected["phone_bcd"]
    assert header.serial_no == expected["serial"]
    assert header.body_length == expected["body_length_declared"] == len(body)
    assert header.encryption == expected["encryption"]
    assert header.is_subpackaged == expected["fragmented"]
    assert (header.package_total, header.package_no) == (
        expected.get("package_total", 0),
        expected.get("package_number", 0),
    )
    assert header.protocol_version == (expected.get("protocol_version") or 0)
    assert phone10(content).hex() == expected["phone_bcd"].rjust(20, "0")


@given(
    message_id=st.integers(0, 0xFFFF),
    phone=digits,
    serial_no=st.integers(0, 0xFFFF),
    body=st.binary(max_size=1023),
    edition=st.sampled_from(Edition),
    encryption=st.integers(0, 7),
    package=st.none() | st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)).map(lambda p: (max(p), min(p))),
    version=st.integers(0, 255),
)
def test_build_and_parse(
    message_id: int,
    phone: str,
    serial_no: int,
    body: bytes,
    edition: Edition,
    encryption: int,
    package: tuple[int, int] | None,
    version: int,
) -> None:
    frame = build_frame(
        message_id, phone, serial_no, body, edition, encryption=encryption, package=package, protocol_version=version
    )
    (content,) = Deframer().feed(frame)
    assert not isinstance(content, BadFrame)
    header, parsed = parse_header(content)
    is_2019 = edition == Edition.V2019
    assert parsed == body
    assert header == (
        message_id,
        Edition.V2019 if is_2019 else Edition.V2013,
        phone.rjust(20 if is_2019 else 12, "0"),
        serial_no,
        len(body),
        encryption,
        package is not None,
        *(package or (0, 0)),
        version if is_2019 else 0,
    )


@given(st.binary(max_size=40))
def test_any_bytes_parse_or_raise(content: bytes) -> None:
    with suppress(HeaderError):
        header, body = parse_header(content)
        assert header.body_length == len(body)
        assert content.endswith(body)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "ends after 0"),
        ("0200", "ends after 2"),
        ("020000000139123443210001"[:-2], "ends after 11"),
        ("0200000501391234432100010000", "declares 5 body bytes, 2 are there"),
        ("02000000013912344321000100", "declares 0 body bytes, 1 are there"),
        ("020020000139123443210001000300", "ends after 15"),
        ("02002000013912344321000100030000", "package 0 of 3"),
        ("02002000013912344321000100030004", "package 4 of 3"),
        ("02004000010000000001391234432100", "ends after 16"),
    ],
)
def test_what_is_no_header(content: str, match: str) -> None:
    with pytest.raises(HeaderError, match=match):
        parse_header(bytes.fromhex(content))


@pytest.mark.parametrize(
    "arguments",
    [
        {"message_id": 0x10000},
        {"phone": "1234567890123"},
        {"phone": "12x"},
        {"phone": "电话"},
        {"serial_no": 65536},
        {"serial_no": -1},
        {"body_length": 1024},
        {"body_length": -1},
        {"encryption": 8},
        {"package": (3, 4)},
        {"package": (3, 0)},
        {"package": (65536, 1)},
        {"edition": Edition.V2019, "phone": "1" * 21},
        {"edition": Edition.V2019, "protocol_version": 256},
    ],
)
def test_what_fits_no_header(arguments: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"message_id": 2, "phone": "13912344321", "serial_no": 0, "body_length": 0}
    build_header(**fine)
    with pytest.raises(UsageError):
        build_header(**{**fine, **arguments})

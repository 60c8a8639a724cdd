"""What is particular of attributes, tachograph, CAN data, tracking, server time and requests for packages."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from jt808 import BodyError, Edition, UsageError, body_edition, decode_body, encode_body
from jt808.messages import (
    CanData,
    CanItem,
    ElectronicWaybill,
    PlatformPackagesRequest,
    ServerTimeResponse,
    TachographUpload,
    TerminalAttributes,
    TerminalPackagesRequest,
    TrackingControl,
    UpgradePackage,
)

ATTRIBUTES = TerminalAttributes(5, "12345", "model", "id", "8986" + "0" * 16, "hw", "fw", 3, 1)
BLOCK = bytes.fromhex("557a0800020001020000")


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_attributes_with_a_maker_id_of_5_and_of_11_bytes(edition: Edition, wide: bool) -> None:
    message = TerminalAttributes(
        5, "12345678901" if wide else "12345", "model", "id", "8986" + "0" * 16, "hw", "fw", 3, 1, wide
    )
    body = encode_body(message, edition)
    assert len(body) == {Edition.V2013: 52, Edition.V2019: 85}[edition] + (6 if wide else 0)
    assert decode_body(0x0107, edition, body) == message


def test_attributes_of_2013_under_a_header_of_2019() -> None:
    body = encode_body(ATTRIBUTES, Edition.V2013)
    assert body_edition(0x0107, Edition.V2019, body) == Edition.V2013
    assert decode_body(0x0107, Edition.V2019, body) == ATTRIBUTES


@pytest.mark.parametrize("cut", [0, 1, 20, 50, 51])
def test_attributes_that_are_cut_are_an_error(cut: int) -> None:
    for edition in Edition:
        with pytest.raises(BodyError):
            decode_body(0x0107, edition, encode_body(ATTRIBUTES, Edition.V2013)[:cut])


def test_tachograph_data_of_either_edition() -> None:
    since_2013 = TachographUpload(7, 8, BLOCK)
    of_2011 = TachographUpload(None, 8, BLOCK, 1024)
    for edition in Edition:
        assert decode_body(0x0700, edition, encode_body(since_2013, Edition.V2013)) == since_2013
        assert decode_body(0x0700, edition, encode_body(of_2011, Edition.V2011)) == of_2011
    assert decode_body(0x0700, Edition.V2013, b"\0\7\x08") == TachographUpload(7, 8, b"")
    assert decode_body(0x0700, Edition.V2013, b"\0\7\x08\1\2\3") == TachographUpload(7, 8, b"\1\2\3")


@pytest.mark.parametrize(
    ("received_at", "raw"),
    [
        (time(20, 0, 5, 350_000), "2000050350"),
        (time(23, 59, 59, 999_000), "2359590999"),
        (bytes.fromhex("2023451122"), "2023451122"),  # 1122 ms are none
        (bytes.fromhex("2400000000"), "2400000000"),
        (bytes.fromhex("00000000ff"), "00000000ff"),
    ],
)
def test_times_of_can_data(received_at: time | bytes, raw: str) -> None:
    message = CanData(received_at, (CanItem(0x80000123, bytes(range(8))),))
    body = encode_body(message, Edition.V2013)
    assert body[2:7].hex() == raw
    assert decode_body(0x0705, Edition.V2013, body) == message


def test_the_flags_of_a_can_id() -> None:
    item = CanItem(0xE0000123, bytes(8))
    assert (item.channel, item.is_extended, item.is_averaged, item.bus_id) == (2, True, True, 0x123)
    item = CanItem(0x1FFFFFFF, bytes(8))
    assert (item.channel, item.is_extended, item.is_averaged, item.bus_id) == (1, False, False, 0x1FFFFFFF)


def test_can_data_is_read_to_its_end_whatever_the_count_says() -> None:
    body = bytes.fromhex("0005 2000050350") + bytes(24)
    message = decode_body(0x0705, Edition.V2013, body)
    assert isinstance(message, CanData)
    assert len(message.items) == 2
    with pytest.raises(BodyError):
        decode_body(0x0705, Edition.V2013, body[:-1])


def test_can_times_finer_than_a_millisecond_are_the_callers_fault() -> None:
    with pytest.raises(UsageError):
        encode_body(CanData(time(1, 2, 3, 4), ()), Edition.V2013)


def test_tracking_stops_without_validity() -> None:
    assert encode_body(TrackingControl(0), Edition.V2013) == b"\0\0"
    assert decode_body(0x8202, Edition.V2019, b"\0\0") == TrackingControl(0)
    with pytest.raises(BodyError):
        decode_body(0x8202, Edition.V2013, b"\0\5\0\0")


def test_the_servers_time_is_utc() -> None:
    """The example of the standard: 2017-03-15 17:09:23."""
    body = bytes.fromhex("170315170923")
    message = ServerTimeResponse(datetime(2017, 3, 15, 17, 9, 23, tzinfo=UTC))
    assert decode_body(0x8004, Edition.V2019, body) == message
    assert encode_body(message, Edition.V2019) == body
    assert encode_body(ServerTimeResponse(None), Edition.V2019) == bytes(6)
    with pytest.raises(UsageError):
        encode_body(ServerTimeResponse(datetime(2017, 3, 15)), Edition.V2019)


def test_the_count_of_packages_is_a_byte_until_2013() -> None:
    message = PlatformPackagesRequest(4249, (2, 5))
    assert encode_body(message, Edition.V2013).hex() == "10990200020005"
    assert encode_body(message, Edition.V2019).hex() == "1099000200020005"
    assert decode_body(0x8003, Edition.V2019, bytes.fromhex("10990200020005")) == message
    terminal = TerminalPackagesRequest(4249, (2, 5))
    assert decode_body(0x0005, Edition.V2019, bytes.fromhex("1099000200020005")) == terminal
    with pytest.raises(UsageError):
        encode_body(PlatformPackagesRequest(1, tuple(range(256))), Edition.V2013)


def test_lengths_that_do_not_hold_are_errors() -> None:
    for number, body in ((0x0701, "0000000541"), (0x0701, "000000014142"), (0x8108, "00313233343501410000000241")):
        with pytest.raises(BodyError):
            decode_body(number, Edition.V2013, bytes.fromhex(body))
    assert decode_body(0x0701, Edition.V2013, bytes.fromhex("0000000141")) == ElectronicWaybill(b"A")
    with pytest.raises(UsageError):
        encode_body(UpgradePackage(0, "123456", "v", b""), Edition.V2013)

"""jt808.messages: what other implementations and real terminals sent, and every message there and back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import (
    BodyError,
    BulkLocationReport,
    Edition,
    Header,
    LocationQueryResponse,
    LocationReport,
    Message,
    TerminalAuthentication,
    TerminalGeneralResponse,
    TerminalRegister,
    TextMessage,
    TextType,
    UnknownMessage,
    UnreadItem,
    UsageError,
    body_edition,
    decode_body,
    encode_body,
)
from jt808.fields import NOT_A_CHARACTER
from jt808.messages import Direction, message_id_of, message_type, message_types
from jt808.messages.location_flags import ALARM_BITS, STATUS_BITS, alarm_names, status_names
from tests.jt808 import strategies
from tests.jt808.vectors import whole_messages


def in_gmt8(time: datetime | None) -> str | None:
    return time and (time + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")


def check_location(report: LocationReport, derived: dict[str, Any]) -> None:
    assert report.alarm_flags == derived["alarm_bits"]
    assert report.status_flags == derived["status_bits"]
    assert report.latitude_deg == derived["latitude_deg"]
    assert report.longitude_deg == derived["longitude_deg"]
    assert report.altitude_m == derived["altitude_m"]
    assert report.speed_kmh == derived["speed_kmh"]
    assert report.heading_deg == derived["direction_deg"]
    assert in_gmt8(report.time) == derived["time_gmt8"]
    assert [[f"0x{item.id:02x}", item.raw.hex()] for item in report.items] == derived["items"]
    assert report.remainder.hex() == derived.get("items_trailing_hex", "")


@pytest.mark.parametrize("found", whole_messages("0x0200", "0x0201"), ids=lambda found: found[0]["frame"][:40])
def test_locations_agree_with_an_independent_reading(found: tuple[dict[str, Any], Header, bytes]) -> None:
    row, header, body = found
    message = decode_body(header.message_id, header.edition, body)
    if isinstance(message, LocationQueryResponse):
        assert message.answered_serial_no == row["derived"]["ack_serial"]
        message = message.location
    assert isinstance(message, LocationReport)
    if row.get("derived"):
        check_location(message, row["derived"])


@pytest.mark.parametrize("found", whole_messages("0x0704"), ids=lambda found: found[0]["frame"][:40])
def test_bulk_locations_agree_with_an_independent_reading(found: tuple[dict[str, Any], Header, bytes]) -> None:
    row, header, body = found
    message = decode_body(header.message_id, header.edition, body)
    assert isinstance(message, BulkLocationReport)
    derived = row["derived"]
    assert message.kind == derived["kind"]
    assert len(message.items) == derived["count_declared"]
    for report, expected in zip(message.items, derived["positions"], strict=True):
        assert isinstance(report, LocationReport)
        check_location(report, expected)


@settings(deadline=None)
@pytest.mark.parametrize("edition", Edition)
@given(data=st.data())
def test_encode_and_decode(edition: Edition, data: st.DataObject) -> None:
    message = data.draw(strategies.messages(edition))
    body = encode_body(message, edition)
    if body_edition(message_id_of(message), edition, body) == edition:
        assert decode_body(message_id_of(message), edition, body) == message


@settings(deadline=None)
@given(st.sampled_from([row.message_id for row in message_types()]), st.sampled_from(Edition), st.binary(max_size=120))
def test_any_bytes_are_a_body_or_a_body_error(message_id: int, edition: Edition, body: bytes) -> None:
    read_as = body_edition(message_id, edition, body)
    with suppress(BodyError):
        message = decode_body(message_id, edition, body)
        if NOT_A_CHARACTER in repr(message):
            return  # bytes that were no text are not written again
        again = encode_body(message, read_as)
        if body_edition(message_id, read_as, again) == read_as:
            assert decode_body(message_id, read_as, again) == message


@pytest.mark.parametrize(
    ("message_id", "size"), [(0x0001, 5), (0x0301, 1), (0x8001, 5), (0x8203, 6), (0x8805, 5)], ids=hex
)
def test_trailing_bytes_are_an_error(message_id: int, size: int) -> None:
    decode_body(message_id, Edition.V2013, bytes(size))
    with pytest.raises(BodyError, match=f"at byte {size}: 1 bytes more"):
        decode_body(message_id, Edition.V2013, bytes(size + 1))


def test_errors_name_message_and_offset() -> None:
    with pytest.raises(BodyError, match="0x0200 at byte 22: time") as caught:
        decode_body(0x0200, Edition.V2013, bytes(27))
    assert (caught.value.message_id, caught.value.offset) == (0x0200, 22)


def test_unknown_messages_keep_their_bytes() -> None:
    message = decode_body(0x0F00, Edition.V2013, b"abc")
    assert message == UnknownMessage(0x0F00, b"abc")
    assert encode_body(message, Edition.V2013) == b"abc"


@pytest.mark.parametrize(
    ("length", "edition", "expected"),
    [
        (25, Edition.V2013, Edition.V2011),
        (36, Edition.V2013, Edition.V2011),
        (37, Edition.V2013, Edition.V2013),
        (75, Edition.V2019, Edition.V2013),
        (76, Edition.V2019, Edition.V2019),
        (34, Edition.V2019, Edition.V2011),
    ],
)
def test_the_edition_of_a_registration_shows_in_its_length(length: int, edition: Edition, expected: Edition) -> None:
    assert body_edition(0x0100, edition, bytes(length)) == expected


def test_a_terminal_of_2019_may_send_the_authentication_of_2013() -> None:
    assert decode_body(0x0102, Edition.V2019, b"code12345") == TerminalAuthentication("code12345")
    with pytest.raises(BodyError, match="imei"):
        decode_body(0x0102, Edition.V2019, b"\x03abc")
    whole = encode_body(TerminalAuthentication("abc", "1" * 15, "v1"), Edition.V2019)
    assert whole == b"\x03abc" + b"1" * 15 + b"v1".ljust(20, b"\0")


def test_a_query_response_of_2011_has_no_serial_number() -> None:
    report = LocationReport(0, 3, 41.8, 123.4, 50, 62.3, 90, datetime(2022, 7, 20, 2, 39, 57, tzinfo=UTC))
    body = encode_body(LocationQueryResponse(None, report), Edition.V2011)
    assert len(body) == 28
    assert decode_body(0x0201, Edition.V2013, body) == LocationQueryResponse(None, report)
    body = encode_body(LocationQueryResponse(7, report), Edition.V2013)
    assert decode_body(0x0201, Edition.V2011, body) == LocationQueryResponse(7, report)


def test_the_sign_sets_the_hemisphere() -> None:
    body = encode_body(LocationReport(0, 0, -33.5, -70.5, 0, 0.0, 0, None), Edition.V2013)
    report = decode_body(0x0200, Edition.V2013, body)
    assert isinstance(report, LocationReport)
    assert (report.status_flags, report.latitude_deg, report.longitude_deg) == (0b1100, -33.5, -70.5)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"latitude_deg": 90.0, "longitude_deg": 180.0}, None),
        ({"time": None}, "time"),
        ({"latitude_deg": 90.000001}, "latitude"),
        ({"longitude_deg": -181.0}, "longitude"),
    ],
)
def test_what_is_no_fix(changes: dict[str, Any], fault: str | None) -> None:
    fine: dict[str, Any] = {
        "alarm_flags": 0, "status_flags": 0, "latitude_deg": 41.0, "longitude_deg": 123.0, "altitude_m": 0,
        "speed_kmh": 0.0, "heading_deg": 0, "time": datetime(2022, 7, 20, tzinfo=UTC),
    }  # fmt: skip
    assert LocationReport(**{**fine, **changes}).fault == fault


def test_a_bad_item_costs_that_item() -> None:
    report = LocationReport(0, 0, 41.0, 123.0, 0, 0.0, 0, datetime(2022, 7, 20, tzinfo=UTC))
    good = encode_body(report, Edition.V2013)
    body = b"\0\x03\1" + b"\0\x05short" + b"\0\0" + len(good).to_bytes(2, "big") + good + b"\0\x40" + good[:9]
    message = decode_body(0x0704, Edition.V2013, body)
    assert isinstance(message, BulkLocationReport)
    assert message.is_backfill
    assert message.items == (UnreadItem(b"short", "short"), report, UnreadItem(good[:9], "short"))


@pytest.mark.parametrize("cut", [b"\0\x1c" + bytes(27), b"\0\x1c", b"\0"])
def test_an_item_that_is_cut_off_is_not_lost_without_a_word(cut: bytes) -> None:
    good = encode_body(LocationReport(0, 0, 41.0, 123.0, 0, 0.0, 0, datetime(2022, 7, 20, tzinfo=UTC)), Edition.V2013)
    message = decode_body(0x0704, Edition.V2013, b"\0\2\0\0\x1c" + good + cut)
    assert isinstance(message, BulkLocationReport)
    assert message.items[1:] == (UnreadItem(cut if len(cut) < 3 else cut[2:], "short"),)


@pytest.mark.parametrize("body", [b"", b"\0\1", b"\0\1\0", b"\0\1\0\0\0"])
def test_a_bulk_report_of_nothing_is_an_error(body: bytes) -> None:
    with pytest.raises(BodyError):
        decode_body(0x0704, Edition.V2013, body)


@pytest.mark.parametrize(
    "message",
    [
        TerminalGeneralResponse(65536, 0, 0),
        TerminalRegister(0, 0, "too long", "", "", 0, ""),
        TerminalRegister(0, 0, "", "", "", 0, "\ud800"),
        LocationReport(0, 0, 5000.0, 0.0, 0, 0.0, 0, None),
        LocationReport(0, 0, 0.0, 0.0, 0, 7000.0, 0, None),
        LocationReport(0, 0, 0.0, 0.0, -1, 0.0, 0, None),
        LocationReport(0, 0, float("nan"), 0.0, 0, 0.0, 0, None),
        LocationReport(0, 0, 0.0, 0.0, 0, 0.0, 0, datetime(2022, 7, 20)),
        TextMessage(256, ""),
        TextMessage(0, None),  # type: ignore[arg-type]
        BulkLocationReport(0, (UnreadItem(bytes(65536), ""),)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_does_not_fit_is_the_callers_fault(message: Message) -> None:
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2013)


def test_text_flags_by_edition() -> None:
    assert TextMessage.compose("x", Edition.V2013, urgent=True, tts=True) == TextMessage(0b1101, "x")
    assert TextMessage.compose("x", Edition.V2013, display=False, advertising=True) == TextMessage(0b10000, "x")
    assert TextMessage.compose("x", Edition.V2019, urgent=True) == TextMessage(0b110, "x", TextType.NOTICE)
    assert TextMessage.compose("x", Edition.V2019) == TextMessage(0b111, "x", TextType.NOTICE)


def test_the_registry_is_whole() -> None:
    for row in message_types():
        assert row.name
        assert row.chinese
        assert "§" in row.clause or row.clause.startswith("T/JSATL 12-2017"), row.clause
        assert row.direction == (Direction.DOWNLINK if row.message_id & 0x8000 else Direction.UPLINK)
        assert row.editions
        assert set(row.layouts) == set(Edition)
        if row.answer_id is not None:
            assert message_type(row.answer_id) is not None


def test_alarm_and_status_names_follow_the_edition() -> None:
    assert alarm_names(0b1001, Edition.V2013) == [("emergency", "紧急报警"), ("danger_warning", "危险预警")]
    assert alarm_names(0b1000, Edition.V2019) == [("dangerous_driving", "危险驾驶行为报警")]
    assert alarm_names(1 << 31, Edition.V2019) == [("bit_31", "保留")]
    assert [name for name, _ in status_names(0x303, Edition.V2013)] == ["acc_on", "positioned", "fully_loaded"]
    assert [name for name, _ in status_names(0x100, Edition.V2011)] == ["bit_8"]
    for table in (ALARM_BITS, STATUS_BITS):
        for edition in Edition:
            bits = [bit.bit for bit in table if edition in bit.editions]
            assert len(bits) == len(set(bits))

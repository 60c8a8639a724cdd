"""jt808.messages: what other implementations and real terminals sent, and every message there and back."""

from __future__ import annotations

from collections.abc import Iterator
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
    RegisterResponse,
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
from jt808.messages import CallBack, Direction, message_id_of, message_type, message_types
from jt808.messages.location_flags import ALARM_BITS, STATUS_BITS, alarm_names, status_names
from tests.jt808 import strategies
from tests.jt808.vectors import bodies, whole_messages

KNOWN = [f"0x{row.message_id:04x}" for row in message_types()]

BROKEN_BODIES = {
    "7e0001000701234567890004b303e800020000a8797e": "two bytes of the source's own behind the result",
    "7e8001000012345678901200000b7e": "no body",
    "7e800100001234567820130001bb7e": "no body",
    "7e8001400001123456789012345620190001107e": "no body",
    "7e810000001234567820110001b97e": "no body",
    "7e810000001234567820130001bb7e": "no body",
    "7e010700400139123443230000004231323334357465726d696e616c547970653132333435363738373635343332"
    "31111122334455667788990968642d76312e322e3309666d2d76332e322e31487e": "ends behind the firmware version",
    "7e850040030112345678901234567890ffff007b00bc7e": "no count before the items",
    "7e850040030100000000017299841738ffff007b00fd7e": "no count before the items",
    "7e0104000c0144199999990005000401000000010000000001cc7e": "a length of 0 and three bytes behind",
    "7e0104000c0144199999990005000401000000840000000001497e": "a length of 0 and three bytes behind",
    "7e0104000c0144199999990005000401000001100000000001dc7e": "a length of 0 and three bytes behind",
    "7e01040007014419999999000500040200000001c57e": "no length behind the id",
    "7e0104000c0144199999990005000401000000010f00000001c37e": "a length of 15 and four bytes behind",
}
"""Frames of the vectors whose frame is right and whose body is not."""


def known_messages() -> list[tuple[dict[str, Any], Header, bytes]]:
    return [found for found in whole_messages(*KNOWN) if found[0]["frame"] not in BROKEN_BODIES]


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


@pytest.mark.parametrize("found", known_messages(), ids=lambda found: f"{found[0]['message_id']}-{found[0]['version']}")
def test_vectors_decode_and_encode_to_the_same_bytes(found: tuple[dict[str, Any], Header, bytes]) -> None:
    _, header, body = found
    edition = body_edition(header.message_id, header.edition, body)
    message = decode_body(header.message_id, header.edition, body)
    assert not isinstance(message, UnknownMessage)
    if is_canonical(message, edition, body):
        assert encode_body(message, edition) == body


def is_canonical(message: Message, edition: Edition, body: bytes) -> bool:
    """Whether the bytes are what we would write: padding behind its text and with 00, times that are times."""
    if isinstance(message, TerminalRegister):
        sizes = {Edition.V2011: (5, 8, 7), Edition.V2013: (5, 20, 7), Edition.V2019: (11, 30, 30)}[edition]
        at = 4
        for size in sizes:
            field = body[at : at + size]
            if field != field.strip(b"\0 ").ljust(size, b"\0"):
                return False
            at += size
        return not body.endswith(b"\0")
    return not (isinstance(message, CallBack) and body.endswith(b"\0"))  # padded to the most a number may have


@pytest.mark.parametrize("frame", BROKEN_BODIES)
def test_broken_bodies_raise(frame: str) -> None:
    ((_, header, body),) = [found for found in whole_messages() if found[0]["frame"] == frame]
    with pytest.raises(BodyError) as caught:
        decode_body(header.message_id, header.edition, body)
    assert caught.value.message_id == header.message_id
    assert caught.value.offset is not None
    assert caught.value.offset <= len(body)


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


# The names that the sources give to what our bodies call so.
SOURCE_NAMES = {
    TerminalGeneralResponse: {
        "answered_serial_no": ("reply_msg_num", "serial_number"),
        "answered_message_id": ("id",),
        "result": ("result",),
    },
    TerminalRegister: {
        "province_id": ("area_id", "province_id"),
        "city_id": ("city_or_county_id", "city_id"),
        "manufacturer_id": ("maker_id", "manufacturer_id"),
        "terminal_model": ("terminal_model", "terminal_type", "device_model"),
        "terminal_id": ("terminal_id", "device_id"),
        "plate_color": ("plate_color", "color"),
        "plate": ("plate_no", "car_identifier", "license_plate_number"),
    },
    RegisterResponse: {
        "answered_serial_no": ("ack_msg_num", "client_flow_id", "response_serial_no"),
        "result": ("result_code", "result"),
        "auth_code": ("code", "auth_code", "token"),
    },
    TerminalAuthentication: {
        "auth_code": ("auth_code", "authentication_code", "token", "code"),
        "imei": ("imei",),
        "software_version": ("formated_software_version", "software_version"),
    },
    TextMessage: {
        "flags": ("text_flag", "identifier", "sign"),
        "text": ("text_info", "text", "content"),
        "text_type": ("text_type",),
    },
}


def asserted() -> Iterator[tuple[type[Message], int, Edition, bytes, dict[str, Any]]]:
    for row, header, body in known_messages():
        if row["expected_basis"] == "assert":
            yield SOURCE_NAMES_BY_ID.get(header.message_id), header.message_id, header.edition, body, row["expected"]
    for row in bodies():
        if row["expected_basis"] == "decode asserts" and row["message_id"] in KNOWN:
            message_id = int(row["message_id"], 16)
            body = bytes.fromhex(row["body"])
            yield SOURCE_NAMES_BY_ID.get(message_id), message_id, Edition(row["version"]), body, row["expected"]


SOURCE_NAMES_BY_ID: dict[int, Any] = {row.message_id: row.body for row in message_types() if row.body in SOURCE_NAMES}


def test_values_that_the_sources_assert() -> None:
    compared = 0
    for kind, message_id, edition, body, expected in asserted():
        if kind is None:
            continue
        message = decode_body(message_id, edition, body)
        for name, theirs in SOURCE_NAMES[kind].items():
            for key in theirs:
                if key in expected:
                    assert getattr(message, name) == expected[key], (body.hex(), name)
                    compared += 1
    assert compared > 80


TWO_S_COMPLEMENT = {"ff4580f2", "f81b0ee4"}
"""One source writes southern and western degrees as negative numbers besides the hemisphere bits; the standard does
not, and 4282 degrees are no fix here."""


def test_locations_that_the_sources_assert() -> None:
    compared = 0
    for _, message_id, edition, body, expected in asserted():
        if message_id != 0x0200 or TWO_S_COMPLEMENT & {body[8:12].hex(), body[12:16].hex()}:
            continue
        report = decode_body(message_id, edition, body)
        assert isinstance(report, LocationReport)
        ours = {
            "alarm_bits": report.alarm_flags,
            "status_bits": report.status_flags,
            "latitude_deg": abs(report.latitude_deg),
            "longitude_deg": abs(report.longitude_deg),
            "altitude_m": report.altitude_m,
            "speed_kmh": report.speed_kmh,
            "time_gmt8": in_gmt8(report.time),
        }
        if expected.keys() & {"alarm_id", "power"}:  # a vendor's item in the same body has values of these names too
            continue
        for key in ours.keys() & expected.keys():
            assert ours[key] == expected[key], (body.hex(), key)
            compared += 1
    assert compared > 60


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
    ("message_id", "size"), [(0x0001, 5), (0x0002, 0), (0x0003, 0), (0x8001, 5), (0x8201, 0)], ids=hex
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

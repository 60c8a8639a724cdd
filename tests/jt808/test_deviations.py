"""jt808.messages.deviations: what no edition says is read, and named."""

from __future__ import annotations

import pytest

from jt808 import Edition, body_edition, decode_body, encode_body
from jt808.messages import (
    Heartbeat,
    ParametersQuery,
    TextMessage,
    VehicleControl,
    deviations_of,
    message_types,
)
from jt808.messages.deviations import KINDS, imei_of
from jt808.messages.registry import dialects
from tests.jt808.vectors import disagreements, handmade, vectors


def kinds(message_id: int, edition: Edition, body: bytes) -> list[str]:
    found = deviations_of(message_id, edition, body)
    assert all(deviation.kind in KINDS and deviation.detail for deviation in found)
    return [deviation.kind for deviation in found]


def test_bodies_that_should_be_empty() -> None:
    empty = [row.message_id for row in message_types() if not row.field_names]
    assert len(empty) == 9
    for message_id in empty:
        plain = decode_body(message_id, Edition.V2019, b"")
        assert decode_body(message_id, Edition.V2019, b"\0\1\2\3\4") == plain
        assert kinds(message_id, Edition.V2019, b"") == []
        assert kinds(message_id, Edition.V2019, b"\0\1\2\3\4") == ["other_form"]
        assert encode_body(plain, Edition.V2019) == b""
    assert decode_body(0x0002, Edition.V2013, bytes.fromhex("5f1f01")) == Heartbeat()
    assert decode_body(0x8104, Edition.V2013, bytes(5)) == ParametersQuery()
    assert "battery" in deviations_of(0x0002, Edition.V2013, b"\x5f\x1f\1")[0].detail


def test_bodies_of_2013_under_a_header_of_2019() -> None:
    body = b"\0" + "减速".encode("gb18030")
    assert decode_body(0x8300, Edition.V2019, body) == TextMessage(0, "减速")
    assert kinds(0x8300, Edition.V2019, body) == ["other_edition"]
    assert kinds(0x8300, Edition.V2019, b"\0\1" + body[1:]) == []
    assert decode_body(0x8500, Edition.V2019, b"\1") == VehicleControl(1)
    assert kinds(0x8500, Edition.V2019, b"\1") == ["other_edition"]


def test_one_control_without_a_count() -> None:
    found = decode_body(0x8500, Edition.V2019, bytes.fromhex("000101"))
    assert isinstance(found, VehicleControl)
    assert [(item.control_id, item.value) for item in found.items] == [(1, b"\1")]
    assert kinds(0x8500, Edition.V2019, bytes.fromhex("000101")) == ["other_form"]
    assert kinds(0x8500, Edition.V2019, bytes.fromhex("0001000101")) == []


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_texts_in_utf8(edition: Edition) -> None:
    place = 36 if edition == Edition.V2013 else 75
    body = bytes(place) + b"\1" + "京A12345".encode()
    assert decode_body(0x0100, edition, body).plate == "京A12345"  # type: ignore[attr-defined]
    assert kinds(0x0100, edition, body) == ["utf8_text"]
    assert deviations_of(0x0100, edition, body)[0].detail.startswith("plate:")
    assert kinds(0x0100, edition, bytes(place) + b"\1" + "京A12345".encode("gb18030")) == []


def test_texts_in_utf8_within_lists() -> None:
    name = "张三".encode()
    contact = bytes((3, 3)) + b"119" + bytes((len(name),)) + name
    assert kinds(0x8401, Edition.V2013, bytes((1, 2)) + contact * 2) == ["utf8_text"]
    plate = "京A12345".encode()
    parameter = bytes.fromhex("00000083") + bytes((len(plate),)) + plate
    body = bytes.fromhex("000101") + parameter
    assert kinds(0x0104, Edition.V2013, body) == ["utf8_text"]
    assert deviations_of(0x0104, Edition.V2013, body)[0].detail.startswith("0x0083:")


def test_both_widths_of_the_manufacturer_id() -> None:
    by_width = {}
    for vector in vectors():
        if vector.message_id == 0x0107 and "body" not in disagreements().get(vector.name, {}):
            message = decode_body(0x0107, vector.edition, vector.body)
            by_width[message.has_wide_manufacturer_id] = kinds(0x0107, vector.edition, vector.body)  # type: ignore[attr-defined]
    assert "wide_manufacturer_id" not in by_width[False]
    assert "wide_manufacturer_id" in by_width[True]


def test_what_follows_the_standard_deviates_nowhere() -> None:
    for vector in handmade():
        if body_edition(vector.message_id, vector.edition, vector.body) == vector.edition:
            assert [
                kind for kind in kinds(vector.message_id, vector.edition, vector.body) if kind != "other_form"
            ] == []


def test_every_other_form_is_read_by_some_vector_or_test() -> None:
    seen = {
        (vector.message_id, deviation.detail.partition(": ")[2])
        for vector in vectors()
        for deviation in deviations_of(vector.message_id, vector.edition, vector.body)
        if deviation.kind == "other_form"
    }
    here = {row.message_id for row in message_types() if not row.field_names} | {0x8500}
    for row in message_types():
        for dialect in dialects(row.message_id):
            assert (row.message_id, dialect.deviation) in seen or row.message_id in here, dialect.deviation


def test_bodies_that_cannot_be_read_deviate_as_far_as_they_can() -> None:
    assert deviations_of(0x0001, Edition.V2013, b"abc") == []
    assert deviations_of(0x1FC4, Edition.V2013, b"abc") == []


@pytest.mark.parametrize(
    ("phone", "imei"),
    [
        ("0b3a73ce2ff2", "123456789012347"),
        ("4eb6fb4ad628", "865478070001047"),
        ("013912344321", None),
        ("ffffffffffff", None),
        ("0030000681090e000000", None),
        ("", None),
    ],
)
def test_an_imei_in_the_phone_field(phone: str, imei: str | None) -> None:
    assert imei_of(phone) == imei

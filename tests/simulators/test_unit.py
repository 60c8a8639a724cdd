"""The simulated unit obeys what the server composes, and the library reads what it answers."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from downlink import KINDS, CommandError, compose
from jt808.header import Edition
from jt808.messages import (
    AreasResponse,
    DriverIdentity,
    LocationReport,
    ParametersResponse,
    QuestionResponse,
    SetCircles,
    TachographUpload,
    TerminalAttributes,
    TerminalGeneralResponse,
    UpgradePackage,
    UpgradeResult,
    VehicleControlResponse,
    decode_body,
    encode_body,
)
from simulators.unit import PARAMETERS, Unit, parse_package
from simulators.wire import Identity

CIRCLE = {"shape": "circle", "latitude_deg": 41.8, "longitude_deg": 123.4, "radius_m": 300}
SAMPLES: dict[str, dict[str, Any]] = {
    "text": {"text": "注意"},
    "locate": {},
    "track": {"interval_s": 5, "duration_s": 60},
    "alarm_confirm": {"alarms": ["emergency", "illegal_movement"]},
    "link_test": {},
    "phone_call": {"number": "02412345678"},
    "phonebook": {"action": "replace", "contacts": [{"name": "中心", "number": "024"}]},
    "question": {"text": "到了吗", "answers": [{"id": 1, "text": "到了"}, {"id": 2, "text": "没有"}]},
    "events": {"action": "replace", "events": [{"id": 1, "text": "装货"}]},
    "menu": {"action": "replace", "items": [{"type": 1, "name": "天气"}]},
    "parameters_set": {"parameters": [{"id": 0x0055, "value": 80}, {"id": 0xF001, "raw": "0102"}]},
    "parameters_query": {"ids": [0x0055]},
    "attributes": {},
    "control": {"command": "reset"},
    "raw": {"message_id": 0x8F01, "body": "00"},
    "vehicle_control": {"doors": "lock"},
    "oil_power": {"action": "cut"},
    "driver": {},
    "tachograph": {"command": 5},
    "photo": {"channel": 1},
    "media_search": {"begin": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    "media_upload": {"media": "image"},
    "recording": {"action": "start", "duration_s": 10},
    "area_set": {"area_id": 7, "area": CIRCLE, "max_speed_kmh": 60, "daily_begin": "22:00:00", "daily_end": "23:00:00"},
    "area_delete": {"shape": "circle", "area_ids": [7]},
    "area_query": {"shape": "circle"},
}
NOT_THE_UNITS = {"text", "locate", "photo", "media_search", "media_upload", "raw"}


def location() -> bytes:
    report = LocationReport(0, 3, 41.8, 123.4, 50, 0.0, 0, datetime(2026, 11, 1, tzinfo=UTC))
    return encode_body(report, Edition.V2013)


def unit_of(edition: str, **values: Any) -> Unit:
    identity = Identity("13912345678", "辽A12345", 2, 100, "T000001")
    return Unit(identity, edition, location, random.Random(1), **values)


def test_every_kind_has_a_sample() -> None:
    assert set(SAMPLES) == set(KINDS) - {"upgrade"}


@pytest.mark.parametrize("edition", Edition)
@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_every_kind_in_every_edition(kind: str, edition: Edition) -> None:
    unit = unit_of(edition.value)
    if edition not in KINDS[kind].editions or (kind == "parameters_query" and edition == Edition.V2011):
        with pytest.raises(CommandError, match=edition.value):
            compose(kind, SAMPLES[kind], edition)
        return
    composed = compose(kind, SAMPLES[kind], edition)
    answers = unit.obey(composed.message_id, 9, composed.body, 0.0)
    if kind in NOT_THE_UNITS:
        assert answers is None
        return
    assert answers is not None
    answers += unit.due(10.0)
    for message_id, body in answers:
        message = decode_body(message_id, edition, body)
        if isinstance(message, TerminalGeneralResponse):
            assert (message.answered_serial_no, message.result) == (9, 0)
    assert set(composed.answers) <= {message_id for message_id, _ in answers}


def said(unit: Unit, kind: str, payload: dict[str, Any], edition: Edition) -> Any:
    """The last answer."""
    composed = compose(kind, payload, edition)
    answers = unit.obey(composed.message_id, 9, composed.body, 0.0)
    assert answers
    return decode_body(answers[-1][0], edition, answers[-1][1])


def test_what_is_set_is_told() -> None:
    edition = Edition.V2019
    unit = unit_of("2019")
    said(unit, "parameters_set", SAMPLES["parameters_set"], edition)
    told = said(unit, "parameters_query", {"ids": [0x0055, 0xF001, 0x9999]}, edition)
    assert isinstance(told, ParametersResponse)
    assert [(one.parameter_id, one.raw) for one in told.parameters] == [
        (0x0055, struct.pack(">I", 80)), (0xF001, b"\x01\x02"),
    ]  # fmt: skip
    said(unit, "control", {"command": "factory_reset"}, edition)
    assert unit.parameters == PARAMETERS
    said(unit, "area_set", SAMPLES["area_set"], edition)
    areas = said(unit, "area_query", {"shape": "circle"}, edition)
    assert isinstance(areas, AreasResponse)
    assert isinstance(areas.data[0], SetCircles)
    assert areas.data[0].areas[0].area_id == 7
    said(unit, "area_delete", {"shape": "circle"}, edition)
    assert said(unit, "area_query", {"shape": "circle"}, edition).data == ()


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_doors_and_who_it_is(edition: Edition) -> None:
    unit = unit_of(edition.value)
    assert isinstance(said(unit, "vehicle_control", {"doors": "lock"}, edition), VehicleControlResponse)
    assert unit.locked
    said(unit, "vehicle_control", {"doors": "unlock"}, edition)
    assert not unit.locked
    attributes = said(unit, "attributes", {}, edition)
    assert isinstance(attributes, TerminalAttributes)
    assert (attributes.terminal_id, attributes.firmware_version) == ("T000001", "1.0")
    driver = said(unit, "driver", {}, edition)
    assert isinstance(driver, DriverIdentity)
    assert driver.driver_name == "王师傅"
    assert isinstance(said(unit, "tachograph", {"command": 5}, edition), TachographUpload)


def test_a_driver_takes_time() -> None:
    unit = unit_of("2013")
    composed = compose("question", SAMPLES["question"], Edition.V2013)
    assert len(unit.obey(composed.message_id, 9, composed.body, 100.0) or ()) == 1
    assert unit.due(100.5) == []
    ((message_id, body),) = unit.due(104.5)
    answer = decode_body(message_id, Edition.V2013, body)
    assert isinstance(answer, QuestionResponse)
    assert answer.answered_serial_no == 9
    assert answer.answer_id in (1, 2)


@pytest.mark.parametrize("confirms", [True, False])
def test_firmware_in_packages(confirms: bool) -> None:
    unit = unit_of("2019", confirms_packages=confirms)
    body = encode_body(UpgradePackage(0, "MAKER", "2.0", bytes(5000)), Edition.V2019)
    parts = [body[at : at + 1023] for at in range(0, len(body), 1023)]
    answers = []
    for number in (1, 2, 4, 5):
        answers += unit.take_package(0x8108, (65534 + number) & 0xFFFF, len(parts), number, parts[number - 1], 0.0)
    assert len(answers) == (4 if confirms else 0)
    ((message_id, asked),) = unit.due(5.0)
    assert (message_id, asked) == (0x0005, struct.pack(">HHH", 65535, 1, 3))
    answers = unit.take_package(0x8108, 1, len(parts), 3, parts[2], 6.0)
    assert [message_id for message_id, _ in answers] == [0x0001, 0x0108]
    result = decode_body(0x0108, Edition.V2019, answers[-1][1])
    assert result == UpgradeResult(0, 0)
    assert (unit.firmware, unit.firmware_version) == (bytes(5000), "2.0")
    assert unit.next_deadline() is None


def test_a_package_is_told_from_a_whole_message() -> None:
    phone = bytes.fromhex("013912345678")
    package = struct.pack(">HH", 0x8108, 0x2000 | 2) + phone + struct.pack(">HHH", 7, 3, 2) + b"ab"
    assert parse_package(package) == (0x8108, 7, phone, 3, 2, b"ab")
    assert parse_package(struct.pack(">HH", 0x8201, 0) + phone + struct.pack(">H", 7)) is None
    assert parse_package(b"") is None

"""Dedicated answers: read out of what terminals send, matched with what was asked, stored within bounds."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

from downlink import KINDS
from downlink.terminal import READ_AS_ANSWERS
from ingest.answers import ANSWERS, MAX_BYTES, Said, answer_of, bounded, read_answer, serial_no_of
from ingest.digest import Digester
from ingest.directory import Directory
from jt808.errors import BodyError
from jt808.header import Edition
from jt808.messages import (
    DriverIdentity,
    Parameter,
    ParametersResponse,
    ShootNowResponse,
    TachographUpload,
    TerminalPackagesRequest,
    UpgradeResult,
    encode_body,
)
from tests.ingest.world import Rec, fix, group_of


def test_parameters_say_what_they_answer() -> None:
    body = encode_body(ParametersResponse(7, (Parameter.of(0x0055, 80),)), Edition.V2013)
    assert serial_no_of(0x0104, Edition.V2013, body) == 7
    answer, refusal = answer_of(0x0104, Edition.V2013, body)
    assert refusal == ""
    assert answer["parameters"][0] | {"chinese": ""} == {
        "id": "0x0055", "name": "top speed", "chinese": "", "value": 80, "unit": "km/h", "raw": "00000050",
    }  # fmt: skip


@pytest.mark.parametrize("message_id", [0x0107, 0x0108, 0x0608, 0x0702])
def test_these_do_not_say_what_they_answer(message_id: int) -> None:
    assert serial_no_of(message_id, Edition.V2019, bytes(40)) is None


def test_a_tachograph_of_2011_does_not_either() -> None:
    for edition, wanted in ((Edition.V2011, None), (Edition.V2013, 9)):
        serial_no = None if edition == Edition.V2011 else 9
        body = encode_body(TachographUpload(serial_no, 5, b"\x55\x7a\x05\x00\x00\x00"), edition)
        assert serial_no_of(0x0700, edition, body) == wanted


@pytest.mark.parametrize(
    ("message_id", "message", "words"),
    [
        (0x0108, UpgradeResult(0, 0), ""),
        (0x0108, UpgradeResult(0, 1), "upgrade: failed"),
        (0x0108, UpgradeResult(0, 0x12), "upgrade: same version"),
        (0x0108, UpgradeResult(0, 99), "upgrade: 99"),
        (0x0805, ShootNowResponse(1, 0, (5,)), ""),
        (0x0805, ShootNowResponse(1, 2), "channel not supported"),
    ],
)
def test_some_say_that_it_was_not_done(message_id: int, message: Any, words: str) -> None:
    assert answer_of(message_id, Edition.V2013, encode_body(message, Edition.V2013))[1] == words


@pytest.mark.parametrize("message_id", ANSWERS)
@pytest.mark.parametrize("body", [b"", b"\0", bytes(5), b"\xff" * 300])
def test_junk_is_an_answer_too(message_id: int, body: bytes) -> None:
    for edition in Edition:
        serial_no_of(message_id, edition, body)
        answer, _ = answer_of(message_id, edition, body)
        orjson.dumps(answer)


def test_answers_are_bounded() -> None:
    small = {"a": 1}
    assert bounded(small) is small
    large = bounded({"raw": "00" * MAX_BYTES, "items": [{"x": "y" * 10_000}] * 10_000, "n": 1})
    assert len(orjson.dumps(large)) <= MAX_BYTES + 100
    assert large["truncated"] is True
    cut = bounded({"raw": "00" * MAX_BYTES, "n": 1})
    assert (cut["n"], cut["truncated"], len(cut["raw"])) == (1, True, 4097)


@pytest.mark.parametrize(
    ("message_id", "body", "words"),
    [
        (0x0108, "0001ff", "upgrade: failed"),
        (0x0108, "0000ff", ""),
        (0x0805, "0007010000", "failed"),
        (0x0805, "00070200000000ff", "channel not supported"),
        (0x0805, "000700", ""),
        (0x0805, "0007", ""),
    ],
)
def test_a_failure_with_more_or_less_behind_it_than_there_should_be_is_none_the_less_one(
    message_id: int, body: str, words: str
) -> None:
    assert answer_of(message_id, Edition.V2013, bytes.fromhex(body))[1] == words


def test_a_request_for_packages() -> None:
    body = encode_body(TerminalPackagesRequest(100, (2, 5)), Edition.V2019)
    assert read_answer(0x0005, Edition.V2019, body) == Said(100, answer={"package_nos": [2, 5]})
    with pytest.raises(BodyError):
        read_answer(0x0005, Edition.V2019, b"\0")
    assert struct.unpack(">H", body[:2]) == (100,)


def test_a_driver_without_a_card_is_an_answer() -> None:
    body = encode_body(DriverIdentity(2, None), Edition.V2013)
    assert answer_of(0x0702, Edition.V2013, body)[0]["status"] == 2


def test_what_may_be_named_as_an_answer_is_read_as_one() -> None:
    assert sorted(READ_AS_ANSWERS) == sorted({0x0201, *ANSWERS})
    assert {answer for kind in KINDS.values() for answer in kind.answers} == {0x0801, *READ_AS_ANSWERS}


def test_the_answer_of_a_location_query_is_bounded_too() -> None:
    """It may come in packages, up to megabytes of items."""
    body = struct.pack(">H", 7) + fix(0) + 2000 * (b"\xe0\xff" + bytes(255))
    digest = Digester(Directory()).facts([group_of(Rec(body, 0x0201))])
    (answer,) = digest.answers
    assert answer.request_serial_no == 7
    assert len(orjson.dumps(answer.answer)) <= MAX_BYTES + 100
    assert answer.answer is not None
    assert answer.answer["truncated"]

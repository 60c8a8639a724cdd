"""What deviates from the standard is counted on a sample, and the first of each kind is logged."""

from __future__ import annotations

import logging
from collections import Counter
from unittest import mock

import pytest

from ingest import deviating
from ingest.counters import Counters
from ingest.deviating import MOST_LOOKS, LoginSample, Sample
from ingest.digest import Digester
from ingest.directory import Directory
from ingest.records import Records
from jt808 import Edition
from tests.ingest.world import PHONE, Rec, bulk, fix, group_of, registered, report

OLD_ANSWER = Rec(fix(5), 0x0201)  # without a serial number, as in 2011
RESPONSE = Rec(bytes.fromhex("000a830000"), 0x0001)


def counted(*records: Rec) -> Counter[str]:
    counts: Counter[str] = Counter()
    Sample().look(Records.of([group_of(*records)]), counts)
    return counts


def test_what_deviates_is_counted_by_its_kind() -> None:
    utf8 = Rec(b"\x01\0\0\0\x64" + bytes((3,)) + "张".encode(), 0x0104)  # no such answer: it cannot be read
    plate = "京A12345".encode()
    told = Rec(bytes.fromhex("000101") + bytes.fromhex("00000083") + bytes((len(plate),)) + plate, 0x0104)
    counts = counted(OLD_ANSWER, RESPONSE, utf8, told, Rec(b"abc", 0x1FC4))
    assert counts == {"examined": 4, "deviations_other_edition": 1, "deviations_utf8_text": 1}


def test_reports_facts_and_long_messages_are_not_looked_at() -> None:
    long = Rec(bytes(1024), 0x0900)
    with mock.patch.object(deviating, "deviations_of", side_effect=AssertionError):
        assert counted(report(1), Rec(bulk(0, fix(1)), 0x0704), registered(), long) == {}


def test_a_flood_of_messages_is_looked_at_here_and_there() -> None:
    counts = counted(*[RESPONSE] * 501, *[OLD_ANSWER] * 500)
    assert counts == {"examined": MOST_LOOKS, "deviations_other_edition": MOST_LOOKS // 2}


def test_the_first_of_each_kind_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ingest.deviating"):
        counted(OLD_ANSWER, OLD_ANSWER)
    (line,) = caplog.messages
    assert line == (f"terminal {PHONE}: 0x0201: the body has the layout of 2011")


def test_a_bug_in_the_looking_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with mock.patch.object(deviating, "deviations_of", side_effect=KeyError):
        assert counted(RESPONSE) == {"examined": 1}
    assert "0x0001 cannot be looked at" in caplog.text


def test_the_digest_counts_them() -> None:
    digest = Digester(Directory()).facts([group_of(OLD_ANSWER, report(1), registered())])
    assert digest.counts == {"examined": 1, "deviations_other_edition": 1}


def test_one_login_in_a_second() -> None:
    counters = Counters()
    sample = LoginSample(counters)
    body = bytes(24) + b"\1" + "京A12345".encode("gb18030")  # 2011 under the header of 2013
    for now_us in (1_000_000, 1_999_999, 2_000_000):
        sample.look(0x0100, Edition.V2013, body, PHONE, now_us)
        sample.look(0x0102, Edition.V2019, b"code of 2013", PHONE, now_us)
    assert counters == {"examined": 4, "deviations{reason=other_edition}": 4}

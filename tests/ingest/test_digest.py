"""From groups to columns: every kind of record, and every way a report can fail to be a position."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jt808
from fleet import RefusedRegistration, SessionChange
from ingest import digest as digest_module
from ingest.digest import Digest, Digester
from ingest.directory import Directory
from ingest.journal import GatewayStarted, Group, Kind, Unregistered
from ingest.plausible import Plausible
from ingest.records import Records
from store.queries.engine import TerminalRow
from tests.ingest.world import PHONE, Rec, bulk, fact, fix, group_of, registered, report, session, us

VEHICLE, TERMINAL = 5, 50
MOVED = "13900000002"  # in vehicle 6 until T0+100, then in 7
NOWHERE = "13900000003"
UNKNOWN = "13999999999"
TERMINALS = [
    TerminalRow(TERMINAL, PHONE, VEHICLE, "approved", [(0, VEHICLE)]),
    TerminalRow(51, MOVED, 7, "approved", [(us(-1000), 6), (us(100), 7)]),
    TerminalRow(52, NOWHERE, None, "approved", []),
    TerminalRow(53, "no phone at all", 9, "approved", [(0, 9)]),
]


def digest_of(*groups: Group, **options: Any) -> Digest:
    digester = Digester(Directory(TERMINALS), Plausible(**options))
    digest = digester.facts(groups)
    digester.positions(digest)
    return digest


def of(*records: Rec) -> Digest:
    return digest_of(group_of(*records))


def times(digest: Digest) -> list[float]:
    return [(time_us - us(0)) / 1e6 for time_us in digest.positions.time_us.tolist()]


def reasons(digest: Digest) -> list[tuple[str, str]]:
    return [(item.reason, item.detail) for item in digest.quarantined]


def test_a_dedicated_answer_is_an_answer_and_kept() -> None:
    body = bytes.fromhex("000701000000550400000050")
    digest = of(Rec(body, 0x0104, received=6))
    (answer,) = digest.answers
    assert (answer.phone, answer.request_serial_no, answer.message_id, answer.refusal) == (PHONE, 7, 0x0104, "")
    assert answer.answer is not None
    assert answer.answer["parameters"][0]["value"] == 80
    assert [(message.message_id, message.body) for message in digest.messages] == [(0x0104, body)]


def test_a_result_of_an_upgrade_that_failed_is_a_refusal() -> None:
    (answer,) = of(Rec(b"\0\1", 0x0108, received=6)).answers
    assert (answer.request_serial_no, answer.refusal) == (None, "upgrade: failed")


def test_a_request_for_packages_names_the_first_serial_number() -> None:
    (answer,) = of(Rec(bytes.fromhex("00640200030005"), 0x0005, received=6)).answers
    assert (answer.request_serial_no, answer.answer) == (100, {"package_nos": [3, 5]})
    digest = of(Rec(b"\0", 0x0005, received=6))
    assert (digest.answers, [reason for reason, *_ in reasons(digest)]) == ([], ["undecodable"])


def test_a_report_becomes_a_row() -> None:
    mileage = bytes.fromhex("0104000004d2")
    digest = of(report(10, latitude=41_812_345, longitude=123_456_789, speed=655, alarm=1, status=3, items=mileage))
    batch = digest.positions
    assert (batch.vehicle_id.tolist(), batch.terminal_id.tolist()) == ([VEHICLE], [TERMINAL])
    assert (batch.time_us.tolist(), batch.received_us.tolist()) == ([us(10)], [us(11)])
    assert (batch.latitude_deg.tolist(), batch.longitude_deg.tolist()) == ([41.812345], [123.456789])
    assert batch.speed_kmh.tolist() == [65.5]
    assert (batch.alarm_flags.tolist(), batch.status_flags.tolist()) == ([1], [3])
    assert batch.items["mileage_km"].tolist() == [123.4]
    assert batch.message_id.tolist() == [0x0200]
    assert digest.is_blind.tolist() == [False]


def test_reports_with_items_that_have_no_column_are_counted() -> None:
    odd = [bytes.fromhex(items) for items in ("0104000004d2", "e10100", "010300000030011f", "3001")]
    digest = of(*[report(second, items=items) for second, items in enumerate(odd)], report(9))
    assert digest.counts["other_items"] == 3
    assert of(report(1)).counts["other_items"] == 0


def test_groups_are_read_as_one_in_their_order() -> None:
    digest = digest_of(group_of(report(1), report(2), offset=4), group_of(report(3), report(0), offset=5))
    assert (digest.first_offset, digest.offset, digest.read) == (4, 5, 4)
    assert times(digest) == [1, 2, 3, 0]
    assert digest.newest_received_us == us(4)


@pytest.mark.parametrize(("kind", "is_blind"), [(0, False), (1, True)])
def test_the_items_of_a_bulk_report_are_put_in_the_order_of_their_time(kind: int, is_blind: bool) -> None:
    digest = of(report(1), Rec(bulk(kind, fix(9), fix(7), fix(8)), 0x0704, received=20), report(2))
    assert times(digest) == [1, 7, 8, 9, 2]
    assert digest.is_blind.tolist() == [False, is_blind, is_blind, is_blind, False]
    assert digest.positions.message_id.tolist() == [0x0200, 0x0704, 0x0704, 0x0704, 0x0200]
    assert digest.positions.received_us[1:4].tolist() == [us(20)] * 3


def test_of_very_many_days_at_once_the_newest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each day is a table to be made: a terminal with a broken clock must not hold everybody up."""
    monkeypatch.setattr(digest_module, "MAX_DAYS", 3)
    day = 86_400
    digest = of(
        *(report(-at * day, received=10) for at in (9, 0, 5, 1, 7)), Rec(fix(0)[:9], received=10), report(-day - 1)
    )
    assert times(digest) == [0, -5 * day, -day, -day - 1]
    assert [reason for reason, *_ in reasons(digest)] == ["implausible_time"] * 2 + ["undecodable"]


def test_an_answer_to_a_location_query_is_both_answer_and_fix() -> None:
    digest = of(Rec(b"\x12\x34" + fix(5), 0x0201, received=6))
    assert times(digest) == [5]
    (answer,) = digest.answers
    assert (answer.request_serial_no, answer.request_message_id, answer.message_id) == (0x1234, None, 0x0201)
    assert answer.answer is not None
    assert answer.answer["latitude_deg"] == 41.8


@pytest.mark.parametrize("edition", ["2011", "2013"])
def test_an_answer_in_the_form_of_2011_has_no_serial_number(edition: str) -> None:
    """No header tells 2011 from 2013, and a registration need not have been seen."""
    digest = of(Rec(fix(5), 0x0201, received=6, edition=edition))
    assert (times(digest), reasons(digest)) == ([5], [])
    (answer,) = digest.answers
    assert answer.request_serial_no is None
    assert answer.answer is not None
    assert answer.answer["latitude_deg"] == 41.8
    assert times(of(Rec(b"\x12\x34" + fix(5), 0x0201, received=6, edition=edition))) == [5]


def test_a_long_answer_put_together_from_packages_is_read_like_any_other() -> None:
    body = b"\x00\x01" + fix(5, items=b"\xe0\xff" + bytes(255)) + (b"\xe1\xff" + bytes(255)) * 5
    assert len(body) > 1023
    digest = of(Rec(body, 0x0201, received=6))
    assert times(digest) == [5]
    assert len(digest.answers) == 1


def test_a_general_response_is_an_answer() -> None:
    digest = of(Rec(bytes.fromhex("000a830002"), 0x0001, received=3))
    (answer,) = digest.answers
    assert (answer.request_serial_no, answer.request_message_id, answer.result) == (10, 0x8300, 2)
    assert reasons(of(Rec(b"\x00", 0x0001, received=3)))[0][0] == "undecodable"


def test_a_message_nobody_reads_is_kept() -> None:
    (message,) = of(Rec(b"abc", 0x0900, received=3, edition="2019")).messages
    assert (message.message_id, message.body, message.edition, message.phone) == (0x0900, b"abc", "2019", PHONE)


def test_facts_keep_their_order() -> None:
    refused = RefusedRegistration(
        us(1), "13911111111", "2013", "70111", "SIM", "T9", 2, "辽A9", "10.0.0.9:1", "unknown"
    )
    digest = of(
        registered(), fact(refused, Kind.REFUSED), session(True, 1), session(False, 2, reason="cut"),
        fact(Unregistered(us(3), PHONE), Kind.UNREGISTERED), fact(GatewayStarted(us(4)), Kind.GATEWAY_STARTED),
    )  # fmt: skip
    assert [item.phone for item in digest.registrations] == [PHONE]
    assert digest.refused == [refused]
    assert digest.unregistered == [(PHONE, us(3))]
    assert [change.online for change in digest.sessions] == [True, False, False]
    assert digest.sessions[-1] == SessionChange(us(4), "", False, "", "", "", "gateway started")
    assert digest.enrols
    assert digest.enrolled_phones() == [PHONE, "13911111111"]


def test_a_fact_that_cannot_be_read_costs_itself() -> None:
    digest = of(Rec(b"{", 0, kind=Kind.SESSION_BEGIN, received=1), Rec(b"{}", 0, kind=200, received=1), report(2))
    assert [reason for reason, _ in reasons(digest)] == ["undecodable", "undecodable"]
    assert times(digest) == [2]


def test_what_is_no_fix_goes_to_quarantine_with_its_bytes_and_its_neighbours_do_not() -> None:
    short, bad_time = fix(1)[:20], fix(1)[:22] + bytes.fromhex("261399250000")
    digest = of(report(1), Rec(short, received=1), Rec(bad_time, received=1), Rec(b"", received=1), report(2))
    assert times(digest) == [1, 2]
    assert [(item.reason, item.detail, item.body) for item in digest.quarantined] == [
        ("undecodable", "short", short), ("undecodable", "time", bad_time), ("undecodable", "short", b""),
    ]  # fmt: skip
    assert {item.serial_no for item in digest.quarantined} == {7}


def test_an_item_of_a_bulk_report_goes_to_quarantine_as_a_bulk_report_of_its_own() -> None:
    short = fix(2)[:20]
    digest = of(Rec(bulk(1, fix(1), short, fix(3)), 0x0704, received=9))
    assert times(digest) == [1, 3]
    (kept,) = digest.quarantined
    assert (kept.message_id, kept.body) == (0x0704, bulk(1, short))
    assert jt808.columns.split_bulk(kept.body) == (1, [(5, 20)])


@pytest.mark.parametrize("body", [b"", b"\x00\x01", b"\x00\x00\x01"])
def test_a_bulk_report_without_items_goes_to_quarantine_whole(body: bytes) -> None:
    digest = of(Rec(body, 0x0704, received=9), report(1))
    assert [(item.reason, item.body) for item in digest.quarantined] == [("undecodable", body)]
    assert times(digest) == [1]


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x00\x01", b"\x00\x01" + fix(1)[:27]])
def test_an_answer_too_short_for_its_fix_goes_to_quarantine_whole(body: bytes) -> None:
    digest = of(Rec(body, 0x0201, received=9))
    assert [(item.reason, item.body) for item in digest.quarantined] == [("undecodable", body)]
    assert len(digest.answers) == (len(body) >= 2)  # the answer it is all the same


@pytest.mark.parametrize(
    ("at", "received", "plausible"),
    [(0, 0, True), (600, 0, True), (601, 0, False), (-500_000_000, 0, True), (-600_000_000, 0, False)],
)
def test_times_that_are_not_believed(at: float, received: float, plausible: bool) -> None:
    digest = of(report(at, received=received))
    assert (len(digest.positions) == 1) is plausible
    assert [reason for reason, _ in reasons(digest)] == ([] if plausible else ["implausible_time"])


def test_what_is_believed_is_a_setting() -> None:
    early = report(0, received=-100)
    assert len(digest_of(group_of(early), ahead_us=100_000_000).positions) == 1
    assert reasons(digest_of(group_of(early), ahead_us=99_000_000)) == [("implausible_time", "ahead of our clock")]
    assert reasons(digest_of(group_of(early), oldest_us=us(1))) == [("implausible_time", "before the oldest year")]


def test_reports_of_nobody_and_of_a_terminal_without_a_vehicle() -> None:
    digest = of(report(1, UNKNOWN), report(2, NOWHERE), report(3))
    assert [reason for reason, _ in reasons(digest)] == ["unknown_terminal", "no_vehicle"]
    assert times(digest) == [3]


def test_places_off_the_earth_are_stored_and_counted() -> None:
    digest = of(report(1, latitude=91_000_000), report(2, longitude=181_000_000), report(3),
                report(4, UNKNOWN, latitude=91_000_000))  # fmt: skip
    assert times(digest) == [1, 2, 3]
    assert digest.counts["out_of_range"] == 2  # the one in quarantine is counted there


def test_a_terminal_that_moved_belongs_to_the_vehicle_of_the_time() -> None:
    digest = of(report(99, MOVED), report(100, MOVED), report(50, MOVED), report(-2000, MOVED, received=0), report(1))
    assert list(zip(times(digest), digest.positions.vehicle_id.tolist(), strict=True)) == [
        (99, 6), (100, 7), (50, 6), (1, VEHICLE),
    ]  # fmt: skip
    assert reasons(digest) == [("no_vehicle", "the terminal was in no vehicle at that time")]


def test_both_headers_name_the_same_terminal() -> None:
    digest = of(Rec(fix(1), phone="013900000001", received=2), Rec(fix(2), phone="0" * 9 + PHONE, received=3))
    assert set(digest.positions.terminal_id.tolist()) == {TERMINAL}


def test_the_record_a_bug_of_ours_fails_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    digester = Digester(Directory(TERMINALS))
    groups = [
        group_of(*(report(i) for i in range(9)), offset=1),
        group_of(*(report(i) for i in range(9, 20)), offset=2),
    ]
    bad = {us(3), us(17)}
    read = digester._judge

    def fails(columns: Any, *rest: Any) -> Any:
        if bad & set(columns.time_us.tolist()):
            raise ZeroDivisionError
        return read(columns, *rest)

    monkeypatch.setattr(digester, "_judge", fails)
    rows = digester.poison(groups)
    assert rows.tolist() == [3, 17]
    digest = digester.facts(groups, rows)
    digester.positions(digest)
    assert times(digest) == [i for i in range(20) if i not in (3, 17)]
    assert [(item.reason, item.body) for item in digest.quarantined] == [
        ("digest_failed", fix(3)), ("digest_failed", fix(17)),
    ]  # fmt: skip


def test_everything_can_be_kept() -> None:
    groups = [group_of(report(1), registered(), session(True, 2), Rec(b"x", 0x0900, edition="none", received=1))]
    digest = Digester(Directory(TERMINALS)).kept(groups, "storage_refused")
    assert [item.reason for item in digest.quarantined] == ["storage_refused"] * 4
    assert [item.body for item in digest.quarantined][:2] == [fix(1), registered().body]
    assert len(digest.sessions) == 0 or digest.sessions[0].online


def test_records_can_be_taken_apart() -> None:
    records = Records.of([group_of(report(1), report(2), offset=1), group_of(report(3), offset=2)])
    part = records.take(np.array([2, 0]))
    assert [part.body(i) for i in range(2)] == [fix(3), fix(1)]

"""The simulator's encoder against the server's decoder, written apart from each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jt808
from jt808.fix_hash import fix_hash
from simulators import wire
from simulators.wire import Alarm, Fix, Identity, Status

EDITIONS = ("2011", "2013", "2019")
NOON = 1_700_000_000_000_000

fixes = st.builds(
    Fix,
    time_us=st.integers(1_300_000_000, 4_000_000_000).map(lambda s: s * 1_000_000),
    latitude_deg=st.floats(-90, 90),
    longitude_deg=st.floats(-180, 180),
    altitude_m=st.integers(0, 9000),
    speed_kmh=st.integers(0, 2200).map(lambda x: x / 10),
    heading_deg=st.integers(0, 359),
    alarm=st.sampled_from([Alarm(0), Alarm.EMERGENCY, Alarm.OVERSPEED | Alarm.FATIGUE, Alarm.FATIGUE_WARNING]),
    status=st.sampled_from([Status(0), Status.ACC | Status.FIX | Status.BEIDOU, Status.MOVING | Status.FIX]),
    mileage_km=st.none() | st.integers(0, 10_000_000).map(lambda x: x / 10),
    fuel_l=st.none() | st.integers(0, 9999).map(lambda x: x / 10),
    recorder_speed_kmh=st.none() | st.integers(0, 2200).map(lambda x: x / 10),
    overspeed_area=st.none() | st.just((0, 0)) | st.tuples(st.integers(1, 4), st.integers(0, 2**32 - 1)),
    area_alarm=st.none() | st.tuples(st.integers(1, 4), st.integers(0, 2**32 - 1), st.integers(0, 1)),
    satellites=st.none() | st.integers(0, 40),
)


def test_the_standards_example_of_escaping() -> None:
    assert wire.enframe(bytes.fromhex("307e087d")) == bytes.fromhex("7e307d02087d013b7e")


@pytest.mark.parametrize("edition", EDITIONS)
@given(fix=fixes)
def test_a_report_reads_as_it_was_meant(edition: str, fix: Fix) -> None:
    body = wire.location_body(fix, edition)
    read = jt808.decode_body(0x0200, jt808.Edition(edition), body)
    assert isinstance(read, jt808.LocationReport)
    assert read.fault is None
    assert read.time == datetime.fromtimestamp(fix.time_us / 1e6, UTC)
    assert wire.time_of_body(body) == fix.time_us
    assert read.latitude_deg == pytest.approx(fix.latitude_deg, abs=6e-7)
    assert read.longitude_deg == pytest.approx(fix.longitude_deg, abs=6e-7)
    assert (read.altitude_m, read.heading_deg) == (fix.altitude_m, fix.heading_deg)
    assert read.speed_kmh == pytest.approx(fix.speed_kmh)
    known = ~0 if edition != "2011" else ~int(Alarm.OVERSPEED_WARNING | Alarm.FATIGUE_WARNING)
    assert read.alarm_flags == int(fix.alarm) & known
    assert read.remainder == b""
    wanted = {0x01: fix.mileage_km, 0x02: fix.fuel_l, 0x03: fix.recorder_speed_kmh, 0x11: fix.overspeed_area,
              0x12: fix.area_alarm, 0x31: fix.satellites if edition != "2011" else None}  # fmt: skip
    assert {item.id for item in read.items} == {item for item, value in wanted.items() if value is not None}


@pytest.mark.parametrize("edition", EDITIONS)
def test_columns_read_it_too(edition: str) -> None:
    import numpy as np

    from jt808.columns import decode_locations

    fix = Fix(NOON, 41.8, 123.4, 50, 88.8, 270, Alarm.FATIGUE, Status.FIX, mileage_km=123.4, satellites=11)
    body = wire.location_body(fix, edition)
    columns = decode_locations(body, np.array([0]), np.array([len(body)]))
    assert columns.ok.tolist() == [True]
    assert columns.time_us[0] == NOON
    assert columns.fix_hash[0] == fix_hash(body)
    assert columns.items["mileage_km"][0] == pytest.approx(123.4)


@pytest.mark.parametrize("edition", EDITIONS)
def test_registration_and_authentication(edition: str) -> None:
    identity = Identity("13900000001", "辽A12345", 2, 100, "0000001", imei="860000000000001", software_version="1.2")
    register = jt808.decode_body(0x0100, jt808.Edition(edition), wire.register_body(identity, edition))
    assert isinstance(register, jt808.TerminalRegister)
    assert (register.province_id, register.city_id, register.plate_color) == (21, 100, 2)
    assert (register.plate, register.terminal_id, register.terminal_model) == ("辽A12345", "0000001", "RW-SIM")
    body = wire.authentication_body(b"secret", identity, edition)
    login = jt808.decode_body(0x0102, jt808.Edition(edition), body)
    assert isinstance(login, jt808.TerminalAuthentication)
    assert login.auth_code == "secret"
    if edition == "2019":
        assert (login.imei, login.software_version) == ("860000000000001", "1.2")


@pytest.mark.parametrize("edition", EDITIONS)
def test_whole_frames_go_both_ways(edition: str) -> None:
    phone = wire.phone_field("13900000001", edition)
    (content,) = jt808.Deframer().feed(wire.message(0x0002, edition, phone, 0x7E7D, b""))
    assert isinstance(content, bytes)
    header, body = jt808.parse_header(content)
    assert (header.message_id, header.serial_no, body) == (2, 0x7E7D, b"")
    assert header.phone.lstrip("0") == "13900000001"
    frame = jt808.build_frame(0x8001, header.phone, 7, b"\x00\x01\x00\x02\x00", header.edition)
    (content,) = wire.Deframer().feed(frame)
    assert wire.parse(content) == wire.Received(0x8001, 7, phone, b"\x00\x01\x00\x02\x00")


def test_bulk_holds_its_reports() -> None:
    bodies = [wire.location_body(Fix(NOON + i * 1_000_000, 41, 123), "2013") for i in range(3)]
    bulk = wire.bulk_body(bodies)
    read = jt808.decode_body(0x0704, jt808.Edition.V2013, bulk)
    assert isinstance(read, jt808.BulkLocationReport)
    assert (read.is_backfill, len(read.items)) == (True, 3)


def test_a_body_too_long_for_one_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="0x0900 has 1024 bytes"):
        wire.message(0x0900, "2013", wire.phone_field("1", "2013"), 0, bytes(1024))


def test_the_deframer_drops_and_counts_what_does_not_check_out() -> None:
    good = wire.message(0x8201, "2013", wire.phone_field("1", "2013"), 0, b"")
    deframer = wire.Deframer()
    data = b"junk" + good + good[:5] + b"\xff" + good[6:] + good
    assert len([frame for i in range(len(data)) for frame in deframer.feed(data[i : i + 1])]) == 2
    assert deframer.bad == 2


@pytest.mark.parametrize("content", [b"", b"\x80\x01", bytes(13), bytes.fromhex("820120010000000000010000")])
def test_headers_that_do_not_fit_are_an_error(content: bytes) -> None:
    import struct

    with pytest.raises((ValueError, struct.error)):
        wire.parse(content)

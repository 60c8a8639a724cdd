"""Media, pass-through, video and active-safety messages: there and back, and what is particular of them."""

from __future__ import annotations

import dataclasses
import gzip
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import BodyError, Edition, LocationReport, UsageError, body_edition, decode_body, encode_body
from jt808 import messages as m
from jt808.explain import explain_body
from jt808.messages.active_safety import ITEM_LAYOUTS
from jt808.messages.registry import MessageType
from tests.jt808 import from_layout, names_media, strategies

ROWS = [row for row in m.message_types() if row.body in (*names_media.NAMES, m.VideoAttributesQuery)]
TIME = datetime(2020, 7, 7, 11, 23, 59, tzinfo=UTC)

basic_reports = strategies.locations().map(lambda report: replace(report, items=(), remainder=b""))
fixes = st.builds(
    replace,
    basic_reports,
    latitude_deg=st.integers(0, 180_000_000).map(lambda number: number / 1_000_000),
    longitude_deg=st.integers(0, 180_000_000).map(lambda number: number / 1_000_000),
    status_flags=st.integers(0, 0xFFFFFFFF).map(lambda flags: flags & ~0b1100),
)
stored_media = st.builds(
    m.StoredMedia, strategies.dwords, strategies.bytes_, strategies.bytes_, strategies.bytes_, basic_reports
)
peripherals = st.lists(
    st.builds(
        m.Peripheral,
        strategies.bytes_,
        st.builds(m.SystemInformation, *[strategies.texts(40)] * 6),
    ),
    max_size=3,
).map(tuple)
states = st.lists(
    st.builds(m.Peripheral, strategies.bytes_, st.builds(m.WorkingState, strategies.bytes_, strategies.dwords)),
    max_size=3,
).map(tuple)
others_kinds = st.integers(0, 0xF6)


def instances(row: MessageType, edition: Edition) -> st.SearchStrategy[Any]:
    """Any instance of a message of these families."""
    is_2011 = edition == Edition.V2011
    words, nothing = strategies.words, st.none()
    if row.body is m.MediaUpload:
        numbers = {"package_total": st.just(7), "package_no": st.integers(1, 7), "location": nothing} if is_2011 else {}
        return from_layout.messages(row, edition, **({"location": fixes} | numbers))
    if row.body is m.ShootNowResponse:
        failed = st.builds(m.ShootNowResponse, words, st.integers(1, 255))
        return failed | st.builds(
            m.ShootNowResponse, words, st.just(0), st.lists(strategies.dwords, max_size=5).map(tuple)
        )
    if row.body is m.StoredMediaSearchResponse:
        found = stored_media.map(lambda one: replace(one, media_id=None)) if is_2011 else stored_media
        return st.builds(m.StoredMediaSearchResponse, words, words, st.lists(found, max_size=3).map(tuple))
    if row.body in (m.UplinkPassThrough, m.DownlinkPassThrough):
        total = strategies.dwords if is_2011 else nothing
        plain = st.builds(row.body, others_kinds, st.binary(max_size=30), total)
        asked = st.lists(strategies.bytes_, max_size=5).map(tuple)
        contents = (states, peripherals) if row.body is m.UplinkPassThrough else (asked, asked)
        own = [] if is_2011 else [st.builds(row.body, st.just(0xF7 + i), c) for i, c in enumerate(contents)]
        return st.one_of(plain, *own)
    return from_layout.messages(row, edition)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.body.__name__)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_there_and_back(row: MessageType, data: st.DataObject) -> None:
    edition = data.draw(st.sampled_from(row.editions))
    message = data.draw(instances(row, edition))
    raw = encode_body(message, edition)
    if body_edition(row.message_id, edition, raw) == edition:
        assert decode_body(row.message_id, edition, raw) == message
    explained = explain_body(row.message_id, edition, raw)
    assert explained.errors == []
    assert set(explained.body) >= {field.name for field in dataclasses.fields(row.body) if getattr(message, field.name)}


# ---- additional items 0x64 to 0x67


@pytest.mark.parametrize("item_id", ITEM_LAYOUTS, ids=hex)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_active_safety_items_there_and_back(item_id: int, data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(ITEM_LAYOUTS[item_id]))
    degrees = st.integers(0, 0xFFFFFFFF).map(lambda number: number / 1_000_000)
    alarm = data.draw(from_layout.records(layout.body, layout.layout, latitude_deg=degrees, longitude_deg=degrees))
    item = m.AdditionalItem.of(item_id, alarm)
    assert item.is_readable
    assert item.value == alarm
    assert m.AdditionalItem(item_id, layout.build(alarm)).value is not None


SU = "31323334353637 200707192359 01 02 00".replace(" ", "")
YUE = "3132333435363700000000000000000000000000000000000000000000" + "00" + "200707192359 01 02 0003".replace(" ", "")
WHERE = "3c 0032 01da5b8d 073d3a22 200707192359 0401".replace(" ", "")


@pytest.mark.parametrize(("identifier", "reserved"), [(SU, b"\0"), (YUE, b"\0\3")], ids=["su", "yue"])
def test_items_by_hand(identifier: str, reserved: bytes) -> None:
    named = m.AlarmIdentifier("1234567", TIME, 1, 2, reserved)
    where = (60, 50, 31.087501, 121.453090, TIME, 0x0401, named)
    adas = m.AdditionalItem(0x64, bytes.fromhex("00000007 01 02 01 28 0f 01 02 50" + WHERE + identifier))
    assert adas.value == m.AdasAlarm(7, 1, 2, 1, 40, 15, 1, 2, 80, *where)
    dsm = m.AdditionalItem(0x65, bytes.fromhex("00000008 02 01 02 0a 00000000" + WHERE + identifier))
    assert dsm.value == m.DsmAlarm(8, 2, 1, 2, 10, bytes(4), *where)
    bsd = m.AdditionalItem(0x67, bytes.fromhex("00000009 00 03" + WHERE + identifier))
    assert bsd.value == m.BsdAlarm(9, 0, 3, *where)
    tyres = (m.Tyre(1, 6, 250, 60, 90), m.Tyre(2, 1, 240, 55, 80))
    short = "02 01 0006 00fa 003c 005a 02 0001 00f0 0037 0050"
    long = "02 0001 0006 00fa 003c 005a 0002 0001 00f0 0037 0050"
    for entries in (short, long):
        tpms = m.AdditionalItem(0x66, bytes.fromhex("0000000a 01" + WHERE + identifier + entries))
        assert tpms.value == m.TpmsAlarm(10, 1, *where, tyres)


@pytest.mark.parametrize("length", [0, 3, 8, 46, 48, 70, 72, 255])
@pytest.mark.parametrize("item_id", ITEM_LAYOUTS, ids=hex)
def test_items_of_other_lengths_stay_bytes(item_id: int, length: int) -> None:
    item = m.AdditionalItem(item_id, b"\x09" * length)
    assert item.value is None
    assert not item.is_readable
    assert "none of the known forms" in item.described.warning


def test_items_are_explained() -> None:
    report = LocationReport(0, 2, 31.0, 121.0, 0, 0.0, 0, TIME)
    body = encode_body(report, Edition.V2013) + b"\x67\x29" + bytes.fromhex("00000009 00 03" + WHERE + SU)
    (item,) = explain_body(0x0200, Edition.V2013, body).body["items"]
    assert (item["id"], item["name"], item["value"]["identifier"]["terminal_id"]) == ("0x67", "bsd alarm", "1234567")


# ---- what is particular of messages


def test_a_position_is_told_from_a_picture() -> None:
    jpeg = bytes.fromhex("ffd8ffe000104a46494600010101004800480000ffdb0043000806060706050807")
    head = bytes.fromhex("0000000100000001")
    assert decode_body(0x0801, Edition.V2013, head + jpeg) == m.MediaUpload(1, 0, 0, 0, 1, None, jpeg)
    assert decode_body(0x0801, Edition.V2013, head) == m.MediaUpload(1, 0, 0, 0, 1, None, b"")
    unfixed = LocationReport(0, 0, 0.0, 0.0, 0, 0.0, 0, None)
    message = m.MediaUpload(1, 0, 0, 0, 1, unfixed, jpeg)
    assert decode_body(0x0801, Edition.V2019, encode_body(message, Edition.V2019)) == message


def test_a_position_with_items_has_no_place_in_a_media_upload() -> None:
    report = LocationReport(0, 0, 0.0, 0.0, 0, 0.0, 0, TIME, items=(m.AdditionalItem(0x30, b"\1"),))
    with pytest.raises(UsageError):
        encode_body(m.MediaUpload(1, 0, 0, 0, 1, report, b""), Edition.V2013)


def test_other_content_of_the_peripherals_kinds_stays_bytes() -> None:
    for content in (b"", b"\x02\x64\x05\x01", b"\x01\x64\x04\x01\0\0\0", b"\x00\x00"):
        message = decode_body(0x0900, Edition.V2013, b"\xf7" + content)
        assert message == m.UplinkPassThrough(0xF7, content)
        assert encode_body(message, Edition.V2013) == b"\xf7" + content
    with pytest.raises(UsageError):
        encode_body(m.DownlinkPassThrough(0x41, (1, 2)), Edition.V2013)


def test_compressed_uploads_open_within_bounds() -> None:
    assert m.CompressedUpload.compress(b"abc" * 100).decompress() == b"abc" * 100
    assert m.CompressedUpload(gzip.compress(b"")).decompress() == b""
    bomb = m.CompressedUpload.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(BodyError, match="more than 1048576 bytes"):
        bomb.decompress()
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
    for broken, why in ((b"no gzip", "no GZIP"), (b"", "cut short"), (gzip.compress(b"abc")[:-3], "cut short")):
        with pytest.raises(BodyError, match=why):
            m.CompressedUpload(broken).decompress()
    with pytest.raises(UsageError):
        bomb.decompress(-1)


def test_the_form_of_yue_biao_is_noted() -> None:
    identifier = m.AlarmIdentifier("1234567", TIME, 0, 1, b"\0\0")
    message = m.AttachmentList("1234567", identifier, "no 1", 0, (m.Attachment("a.jpg", 5),))
    raw = encode_body(message, Edition.V2019)
    assert decode_body(0x1210, Edition.V2019, raw) == message
    assert len(raw) == 30 + 40 + 32 + 2 + 1 + 5 + 4
    assert "Yue-biao" in explain_body(0x1210, Edition.V2019, raw).warnings[0]
    with pytest.raises(UsageError, match=r"identifier\.reserved"):
        encode_body(replace(message, identifier=replace(identifier, reserved=b"123")), Edition.V2019)


def test_alarm_bits_of_64() -> None:
    body = bytes.fromhex("01 000000000000 000000000000 0000000180000002 00 00 00")
    explained = explain_body(0x9205, Edition.V2013, body)
    assert explained.body["alarms"] == ["overspeed", "bit_31", "signal_lost"]

"""jt808.fields: times and texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808.fields import NOT_A_CHARACTER, decode_bcd_time, decode_text, encode_bcd_time, encode_text, is_utf8
from tests.jt808.strategies import texts, times


def test_time_is_gmt8_on_the_wire_and_utc_inside() -> None:
    raw = bytes.fromhex("220720103957")
    assert decode_bcd_time(raw) == datetime(2022, 7, 20, 2, 39, 57, tzinfo=UTC)
    assert encode_bcd_time(datetime(2022, 7, 20, 2, 39, 57, tzinfo=UTC)) == raw


@given(times)
def test_time_and_back(time: datetime) -> None:
    assert decode_bcd_time(encode_bcd_time(time)) == time


@given(st.binary(min_size=6, max_size=6))
def test_six_bytes_are_a_time_or_none(raw: bytes) -> None:
    time = decode_bcd_time(raw)
    assert time is None or encode_bcd_time(time) == raw


@pytest.mark.parametrize(
    "raw",
    ["000000000000", "221320103957", "220020103957", "220732103957", "230229103957", "220720240000", "220720106000",
     "220720105960", "2207201039aa", "ffffffffffff", "22072010395", ""],
)  # fmt: skip
def test_no_time(raw: str) -> None:
    assert decode_bcd_time(bytes.fromhex(raw.ljust(len(raw) + len(raw) % 2, "0"))[: len(raw) // 2]) is None


def test_edges_of_the_years() -> None:
    assert decode_bcd_time(bytes.fromhex("000101000000")) == datetime(1999, 12, 31, 16, tzinfo=UTC)
    assert decode_bcd_time(bytes.fromhex("240229235959")) == datetime(2024, 2, 29, 15, 59, 59, tzinfo=UTC)
    assert decode_bcd_time(bytes.fromhex("991231235959")) == datetime(2099, 12, 31, 15, 59, 59, tzinfo=UTC)
    assert encode_bcd_time(None) == bytes(6)


@pytest.mark.parametrize(
    "time",
    [
        datetime(2022, 7, 20),
        datetime(1999, 12, 31, 15, 59, 59, tzinfo=UTC),
        datetime(2099, 12, 31, 16, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_times_that_do_not_fit(time: datetime) -> None:
    with pytest.raises(ValueError):
        encode_bcd_time(time)


@given(texts(60))
def test_text_and_back(text: str) -> None:
    assert decode_text(encode_text(text)) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_text_that_can_be_stored(raw: bytes) -> None:
    text = decode_text(raw)
    assert "\0" not in text
    text.encode()


def test_text_is_gbk_with_00s_behind_taken_off() -> None:
    assert decode_text("粤A12345".encode("gbk") + b"\0\0") == "粤A12345"
    assert decode_text(b"ab\0cd") == f"ab{NOT_A_CHARACTER}cd"
    assert decode_text(b"ab\xff") == f"ab{NOT_A_CHARACTER}"


@pytest.mark.parametrize(
    "text", ["京A12345", "测试", "驾驶员", "张三", "阿卜杜拉·艾则孜", "超速行驶，请减速！", "粤Z·1234港"]
)
def test_utf8_is_told_from_gbk(text: str) -> None:
    assert is_utf8(text.encode())
    assert not is_utf8(text.encode("gb18030"))
    assert decode_text(text.encode()) == decode_text(text.encode("gb18030")) == text


@pytest.mark.parametrize("place", "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新港澳学警领挂使")
def test_plates_are_never_taken_for_utf8(place: str) -> None:
    for tail in ("A12345", "B·12345", "Z1234港", "D12345F"):
        assert decode_text((place + tail).encode("gb18030")) == place + tail
        assert decode_text((place + tail).encode()) == place + tail


@pytest.mark.parametrize(
    "text", ["镕基", "喆", "淼淼", "垚", "龘靐齉", "𠮷野", "㐂", "〇", "€", "路", "联通", "Ünïcödé", "Москва"]
)
def test_rare_characters_are_gbk(text: str) -> None:
    assert decode_text(text.encode("gb18030")) == text


def test_text_without_chinese_is_not_taken_for_utf8() -> None:
    assert not is_utf8(b"plain")
    assert not is_utf8("Ünïcödé".encode())
    assert not is_utf8(bytes.fromhex("c2b7"))  # a point in UTF-8, \u8def in GBK
    assert decode_text(bytes.fromhex("c2b7")) == "路"

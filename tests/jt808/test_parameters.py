"""jt808.messages.parameters: the table both ways, values by hand, what stays bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import Edition, UsageError, decode_body, encode_body
from jt808.explain import explain_body
from jt808.messages import Parameter, ParametersResponse, SetParameters
from jt808.messages import parameter_values as values
from jt808.messages.parameter_table import parameter_type, parameter_types
from tests.jt808 import from_layout
from tests.jt808.strategies import bytes_, texts


def test_the_table_is_in_order_and_each_row_named() -> None:
    numbers = [row.id for row in parameter_types()]
    assert numbers == sorted(set(numbers))
    assert all(row.name and row.chinese for row in parameter_types())


STRUCTURED = values.StreamSettings(0, 5, 25, 15, 512)

BY_HAND: list[tuple[int, str, Any]] = [
    (0x0001, "0000003c", 60),
    (0x0013, "612e6578616d706c653a37363131", "a.example:7611"),
    (0x0032, "16320a1e", values.ForbiddenPeriod(22, 50, 10, 30)),
    (0x0055, "00000050", 80),
    (0x005B, "0064", 10.0),
    (0x005D, "0a05", values.CollisionAlarm(1.0, 5)),
    (0x0064, "00140101", values.PhotoControl(10, False, 1, 1)),
    (0x0065, "00030f1f", values.PhotoControl(1, True, 15, 31)),
    (0x0075, "00050019 0f 00000200 00050019 0f 00000200 0003 01", values.VideoParameters(STRUCTURED, STRUCTURED, 3, 1)),
    (0x0076, "01 01 00 01010000 02020100", values.ChannelList(1, 1, 0, (
        values.ChannelMapping(1, 1, 0, 0), values.ChannelMapping(2, 2, 1, 0)))),
    (0x0077, "01 07 000500190f00000200 000500190f00000200 0003", values.ChannelVideoList((
        values.ChannelVideoParameters(7, STRUCTURED, STRUCTURED, 3),))),
    (0x0079, "140f01", values.AlarmRecording(20, 15, 1)),
    (0x007A, "00000003", 3),
    (0x007B, "3246", values.ImageAnalysis(50, 70)),
    (0x007C, "02 00 1f 01 07001900 00000000 00000000 00000000", values.SleepWake(2, 0, 31, 1, (
        values.WakePeriod("0700", "1900"), *[values.WakePeriod("0000", "0000")] * 3))),
    (0x0080, "000186a1", 10000.1),
    (0x0081, "000b", 11),
    (0x0083, "bea94131", "京A1"),
    (0x0084, "01", 1),
    (0x0110, "0000000a c0000123", values.CanCollection(10, 0xC0000123)),
    (0x01FF, "0000000a 00000123", values.CanCollection(10, 0x123)),
    (0xF366, "393030523230000000000000 0002 0320 0014 000a 02bc 03e8 0050 000a 003c 000000000000",
     values.TyreParameters("900R20", 2, 800, 20, 10, 700, 1000, 80, 10, 60, bytes(6))),
    (0xF367, "0201", values.BlindSpotParameters(2, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "raw", "value"), BY_HAND, ids=lambda part: hex(part) if isinstance(part, int) else ""
)
def test_values_by_hand(number: int, raw: str, value: Any) -> None:
    parameter = Parameter(number, bytes.fromhex(raw))
    assert parameter.value == value
    assert Parameter.of(number, value) == parameter


@pytest.mark.parametrize("number", [row.id for row in parameter_types()], ids=hex)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_there_and_back(number: int, data: st.DataObject) -> None:
    row = parameter_type(number)
    assert row is not None
    value = data.draw(_values(row.layout))
    parameter = Parameter.of(number, value)
    assert parameter.value == value
    body = encode_body(SetParameters((parameter,)), Edition.V2013)
    assert decode_body(0x8103, Edition.V2013, body) == SetParameters((parameter,))
    (found,) = explain_body(0x8103, Edition.V2013, body).body["parameters"]
    assert found["id"] == f"0x{number:04X}"
    assert found["raw"] == parameter.raw.hex()


def _values(layout: Any) -> st.SearchStrategy[Any]:
    photos = st.builds(
        values.PhotoControl, st.integers(0, 0x7FFF), st.booleans(), st.integers(0, 31), st.integers(0, 31)
    )
    pairs = st.binary(min_size=2, max_size=2).map(bytes.hex)
    warnings = st.builds(values.WarningSettings, *[bytes_] * 4)
    own: dict[int, st.SearchStrategy[Any]] = {
        id(values.PHOTO_CONTROL): photos,
        id(values.SLEEP_WAKE): st.builds(
            values.SleepWake, *[bytes_] * 4, st.tuples(*[st.builds(values.WakePeriod, pairs, pairs)] * 4)
        ),
        id(values.ADAS): from_layout.records(
            values.AdasParameters, values.ADAS.layout, reserved=st.binary(min_size=4, max_size=9)
        ),
        id(values.DSM): from_layout.records(
            values.DsmParameters, values.DSM.layout, reserved=st.binary(min_size=2, max_size=9), fatigue=warnings
        ),
    }
    found = own.get(id(layout))
    if found is None:
        return texts(100) if from_layout.is_text(layout) else from_layout.values(layout)
    return found


def test_2011_writes_its_own_widths() -> None:
    assert Parameter.of(0x0081, 11, Edition.V2011).raw == bytes((0, 0, 0, 11))
    assert Parameter.of(0x0081, 11, Edition.V2013).raw == bytes((0, 11))
    assert Parameter(0x0084, bytes((0, 0, 0, 2))).value == 2


def test_units_are_seen_that_send_the_gnss_systems_as_a_dword() -> None:
    parameter = Parameter(0x0090, bytes((0, 0, 0, 3)))
    assert parameter.value == 3
    bits = parameter.described.bits
    assert bits is not None
    assert [english for english, _ in bits.names(3, Edition.V2013)] == ["gps", "beidou"]


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        (0x0001, "00"),
        (0x0075, "00" * 20),
        (0x0077, "02" + "00" * 21),
        (0xF364, "00" * 55),
        (0xF365, "052d030002000122231d26000000040000000a003e002e0102033941373831402f3033423c3d3234353f3a3b360506"),
        (0xF367, "02"),
        (0x0002, ""),
        (0xF000, "0102"),
        (0x0021 + 0x2000, "01"),
    ],
)
def test_what_is_of_another_length_or_unknown_stays_bytes(number: int, raw: str) -> None:
    """One source writes 0xF365 without the video of distraction and the speed of abnormal driving: 47 bytes."""
    message = ParametersResponse(7, (Parameter(number, bytes.fromhex(raw)), Parameter(0x0001, b"\0\0\0\x0a")))
    body = encode_body(message, Edition.V2013)
    assert decode_body(0x0104, Edition.V2013, body) == message
    assert message.parameters[0].value is None
    assert message.parameters[1].value == 10
    explained = explain_body(0x0104, Edition.V2013, body)
    assert explained.errors == []
    assert bool(explained.warnings) == (parameter_type(number) is not None)


def test_several_values_are_several_parameters() -> None:
    both = tuple(Parameter.of(0x0110 + at, values.CanCollection(10, at)) for at in (0, 0))
    body = encode_body(SetParameters(both), Edition.V2019)
    assert decode_body(0x8103, Edition.V2019, body) == SetParameters(both)


def test_a_wrong_count_is_kept_and_told() -> None:
    body = bytes.fromhex("0007 05 00000001 04 0000000a")
    message = decode_body(0x0104, Edition.V2013, body)
    assert message == ParametersResponse(7, (Parameter(1, b"\0\0\0\x0a"),), total=5)
    assert encode_body(message, Edition.V2013) == body
    assert explain_body(0x0104, Edition.V2013, body).warnings == ["count says 5 items, 1 are there"]


@pytest.mark.parametrize(
    ("number", "value"),
    [(0xF000, 1), (0x0001, -1), (0x0001, "text"), (0x0081, 65536), (0x0013, "x" * 256), (0x0013, None),
     (0x0064, values.PhotoControl(1, False, 32, 0)), (0x0032, None), (0x0032, 1), (0x005B, float("nan"))],
)  # fmt: skip
def test_what_does_not_fit_is_the_callers_fault(number: int, value: Any) -> None:
    with pytest.raises(UsageError, match=f"0x{number:04X}"):
        Parameter.of(number, value)


def test_structured_values_are_explained_field_by_field() -> None:
    body = encode_body(SetParameters((Parameter.of(0x0079, values.AlarmRecording(20, 15, 1)),)), Edition.V2013)
    lines = explain_body(0x8103, Edition.V2013, body).as_tree().splitlines()
    assert any(line.split()[:4] == ["6", "14", "storage", "threshold"] and line.endswith("20 %") for line in lines)

"""jt808.messages.control and vehicle_control: both written forms of 0x8105, and doors whose bit changed its meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt808 import Edition, UsageError, decode_body, encode_body
from jt808.messages import ControlCommand, ControlForm, ControlItem, TerminalControl, VehicleControl
from tests.jt808.strategies import texts

CONNECT = {
    "connection_control": 0, "auth_code": "code", "apn": "cmnet", "user": "u", "address": "a.example",
    "tcp_port": 8080, "udp_port": 15163, "time_limit_min": 60,
}  # fmt: skip


def test_the_text_form_has_the_order_of_table_18() -> None:
    control = TerminalControl.compose(ControlCommand.CONNECT_TO_SERVER, CONNECT)
    assert control.parameters == b"0;code;cmnet;u;;a.example;8080;15163;60"
    assert control.read() == CONNECT
    upgrade = TerminalControl.compose(
        ControlCommand.WIRELESS_UPGRADE,
        {"url": "ftp://a/b", "manufacturer_id": "12345", "firmware_version": "v2", "time_limit_min": 0},
    )
    assert upgrade.parameters == b"ftp://a/b;;;;;;;12345;;v2;0"


def test_the_binary_form_has_the_order_of_table_19() -> None:
    """The UDP port 15163 is 3B 3B: two semicolons that are none."""
    control = TerminalControl.compose(ControlCommand.CONNECT_TO_SERVER, CONNECT, ControlForm.BINARY)
    assert control.parameters == b"\0;cmnet;u;;a.example;\x1f\x90;;;;;code;;;;\0\x3c"
    assert control.read(ControlForm.BINARY) == CONNECT


def test_back_to_the_default_server_leaves_the_others_out() -> None:
    control = TerminalControl.compose(ControlCommand.CONNECT_TO_SERVER, {"connection_control": 1})
    assert control.parameters == b"1"
    assert control.read() == {"connection_control": 1}


@pytest.mark.parametrize("command", [3, 4, 5, 6, 7, 0xF0])
def test_other_commands_have_no_parameters(command: int) -> None:
    control = TerminalControl.compose(command, {})
    assert (control.parameters, control.read(), control.read(ControlForm.BINARY)) == (b"", {}, {})


_texts = texts(20).filter(lambda text: text and ";" not in text)
_numbers = st.integers(0, 0xFFFF).filter(lambda number: b";" not in number.to_bytes(2, "big"))
_places = {
    "apn": _texts, "user": _texts, "password": _texts, "address": _texts, "tcp_port": _numbers, "udp_port": _numbers,
    "manufacturer_id": _texts, "hardware_version": _texts, "firmware_version": _texts, "url": _texts,
    "time_limit_min": _numbers,
}  # fmt: skip


@given(st.sampled_from(ControlForm), st.fixed_dictionaries({}, optional=_places))
def test_there_and_back(form: ControlForm, values: dict[str, str | int]) -> None:
    control = TerminalControl.compose(ControlCommand.WIRELESS_UPGRADE, values, form)
    assert control.read(form) == values
    assert decode_body(0x8105, Edition.V2013, encode_body(control, Edition.V2013)) == control


@given(st.integers(0, 8), st.binary(max_size=40), st.sampled_from(ControlForm))
def test_any_parameters_are_read_or_refused(command: int, parameters: bytes, form: ControlForm) -> None:
    try:
        found = TerminalControl(command, parameters).read(form)
    except UsageError:
        return
    assert all(isinstance(value, str | int) for value in found.values())


@pytest.mark.parametrize(
    ("command", "values", "form"),
    [
        (4, {"url": "x"}, ControlForm.TEXT),
        (1, {"auth_code": "x"}, ControlForm.TEXT),
        (1, {"url": "a;b"}, ControlForm.TEXT),
        (1, {"tcp_port": 65536}, ControlForm.TEXT),
        (1, {"tcp_port": "http"}, ControlForm.BINARY),
        (2, {"connection_control": 256}, ControlForm.BINARY),
    ],
)
def test_what_does_not_fit_is_the_callers_fault(command: int, values: dict[str, str | int], form: ControlForm) -> None:
    with pytest.raises(UsageError):
        TerminalControl.compose(command, values, form)


@pytest.mark.parametrize(
    ("parameters", "form"),
    [
        (b";;;;;http", ControlForm.TEXT),
        (b";;;;;" + b"1" * 5000, ControlForm.TEXT),
        (b";" * 12, ControlForm.TEXT),
        (b"\1\2\3;", ControlForm.BINARY),
    ],
)
def test_what_is_in_another_form_is_refused(parameters: bytes, form: ControlForm) -> None:
    with pytest.raises(UsageError):
        TerminalControl(ControlCommand.WIRELESS_UPGRADE, parameters).read(form)


@pytest.mark.parametrize(
    ("edition", "lock", "body"),
    [
        (Edition.V2011, True, "01"),
        (Edition.V2013, True, "01"),
        (Edition.V2013, False, "00"),
        (Edition.V2019, True, "0001000100"),
        (Edition.V2019, False, "0001000101"),
    ],
)
def test_doors(edition: Edition, lock: bool, body: str) -> None:
    control = VehicleControl.doors(edition, lock=lock)
    assert encode_body(control, edition).hex() == body
    assert decode_body(0x8500, edition, bytes.fromhex(body)) == control


def test_a_makers_own_control_takes_the_rest() -> None:
    body = bytes.fromhex("0002 0001 00 f001 0102030405")
    control = VehicleControl(items=(ControlItem(1, b"\0"), ControlItem(0xF001, b"\1\2\3\4\5")))
    assert decode_body(0x8500, Edition.V2019, body) == control
    assert encode_body(control, Edition.V2019) == body


def test_a_terminal_of_2019_may_be_sent_the_one_byte_of_2013() -> None:
    assert decode_body(0x8500, Edition.V2019, b"\1") == VehicleControl(flags=1)


@pytest.mark.parametrize(
    ("control", "edition"),
    [
        (VehicleControl.doors(Edition.V2013, lock=True), Edition.V2019),
        (VehicleControl(), Edition.V2013),
        (VehicleControl(items=(ControlItem(1, b"\0"),) * 2), Edition.V2013),
        (VehicleControl(items=(ControlItem(1, b""),)), Edition.V2019),
        (VehicleControl(items=(ControlItem(1, b"\0\1"),)), Edition.V2019),
    ],
)
def test_a_control_is_never_written_as_another(control: VehicleControl, edition: Edition) -> None:
    with pytest.raises(UsageError):
        encode_body(control, edition)

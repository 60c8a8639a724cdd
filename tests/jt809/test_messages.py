from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt809 import BodyError, Edition, Message, UsageError, decode_body, encode_body
from jt809.fields import BEIJING
from jt809.messages import (
    ConnectRequest,
    ConnectResponse,
    Envelope,
    HistoryLocation,
    Position,
    RealLocation,
    TotalReceived,
    UnknownMessage,
    VehicleMessage,
    VehicleRegister,
    VehicleRegisterBase,
    connect_result,
    entries,
    envelope_of,
    sub_id_of,
    vehicle_envelope,
    vehicle_field,
)
from tests.jt809.vectors import BODIES, VALID, name_of, open_vector

DIALECT_IDS = {"1011", "70111"}  # padded in front; decoded as if padded behind, so they do not come back byte for byte

KEYS = {
    "vehicle_no": "plate", "vehicle_color": "plate_color", "down_link_ip": "down_link_ip", "user_id": "user_id",
    "password": "password", "down_link_port": "down_link_port", "result": "result", "verify_code": "verify_code",
    "reason_code": "reason_code", "error_code": "error_code", "platform_id": "platform_id",
    "producer_id": "producer_id", "terminal_model": "terminal_model", "terminal_id": "terminal_id", "sim": "sim",
}  # fmt: skip
NOT_VALUES = {"data_length", "gnss", "platform_id_hex", "producer_id_hex"}


def check_values(message: Message, expected: dict[str, Any]) -> None:
    """What the source says of the body is what we read."""
    for key, value in expected.items():
        if key not in NOT_VALUES:
            assert getattr(message, KEYS[key]) == value, key
    if "gnss" in expected:
        assert isinstance(message, RealLocation)
        check_position(message.position, expected["gnss"])


def check_position(position: Position, gnss: dict[str, Any]) -> None:
    assert position.time.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S") == gnss["datetime"]
    assert round(position.longitude_deg * 1e6) == gnss["lon"]
    assert round(position.latitude_deg * 1e6) == gnss["lat"]
    assert (position.speed_kmh, position.recorder_speed_kmh, position.mileage_km) == (
        gnss["vec1"], gnss["vec2"], gnss["vec3"],
    )  # fmt: skip
    assert (position.heading_deg, position.altitude_m) == (gnss["direction"], gnss["altitude"])
    assert (position.state, position.alarm) == (gnss["state"], gnss["alarm"])
    assert position.is_encrypted == bool(gnss["encrypt"])


@pytest.mark.parametrize("vector", VALID, ids=name_of)
def test_vectors(vector: dict[str, Any]) -> None:
    header, body = open_vector(vector)
    edition = Edition(vector["version"])
    try:
        message = decode_body(header.message_id, edition, body)
    except BodyError:
        assert not vector["body_standard"]
        return
    if vector["sub_id"]:
        assert sub_id_of(header.message_id, edition, body) == int(vector["sub_id"], 16)
    expected = vector["expected"].get("body", {})
    if isinstance(message, UnknownMessage):
        assert message.body == body
    elif vector["body_standard"]:
        check_values(message, expected)
    if expected.get("platform_id") not in DIALECT_IDS:
        assert encode_body(message, edition) == (header.message_id, body)


@pytest.mark.parametrize("vector", [b for b in BODIES if b["valid"]], ids=name_of)
def test_vector_bodies(vector: dict[str, Any]) -> None:
    message_id, edition, raw = int(vector["message_id"], 16), Edition(vector["version"]), bytes.fromhex(vector["hex"])
    if vector["kind"] == "sub_data":
        if envelope_of(message_id, edition) is not Envelope.VEHICLE:
            return
        raw = vehicle_envelope(vehicle_field("粤A12345", 1), int(vector["sub_id"], 16), raw)
    message = decode_body(message_id, edition, raw)
    assert encode_body(message, edition) == (message_id, raw)
    if not isinstance(message, UnknownMessage):
        check_values(message, vector["expected"])


def test_vectors_cover_what_they_should() -> None:
    """The vectors reach every 2011 body that they hold at least once, so the checks above are not empty."""
    seen = set()
    for vector in VALID:
        header, body = open_vector(vector)
        if vector["body_standard"]:
            seen.add(type(decode_body(header.message_id, Edition(vector["version"]), body)))
    assert {ConnectRequest, ConnectResponse, RealLocation, VehicleRegisterBase} <= seen


def test_registry_is_complete() -> None:
    ids = {(entry.message_id, entry.sub_id) for entry in entries}
    wanted = {(id, None) for id in (*range(0x1001, 0x1009), *range(0x9001, 0x9009), 0x9101)}
    assert ids == wanted | {(0x1200, 0x1201), (0x1200, 0x1202), (0x1200, 0x1203)}
    for entry in entries:
        assert entry.name.isascii()
        assert not entry.chinese.isascii()
        assert entry.source
        assert (entry.sub_id is not None) == issubclass(entry.body, VehicleMessage)
        if entry.reply is not None:
            assert entry.reply in {other.message_id for other in entries if other.direction != entry.direction}


def gbk(size: int) -> st.SearchStrategy[str]:
    return st.text("ABC019-测京粤", max_size=size).filter(lambda text: len(text.encode("gbk")) <= size)


u8, u16, u32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
seconds = st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@st.composite
def positions(draw: st.DrawFn) -> Position:
    state = draw(u32)
    longitude, latitude = draw(st.integers(1, 180_000_000)) / 1e6, draw(st.integers(1, 90_000_000)) / 1e6
    return Position(
        draw(seconds), -longitude if state & 8 else longitude, -latitude if state & 4 else latitude,
        draw(u16), draw(u16), draw(u32), draw(u16), draw(u16), state, draw(u32), draw(st.booleans()),
    )  # fmt: skip


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "user_id": u32, "password": gbk(8), "down_link_ip": gbk(32), "down_link_port": u16, "access_code": u32,
    "result": u8, "verify_code": u32, "error_code": u8, "reason_code": u8, "total": u32, "start": seconds,
    "end": seconds, "plate": gbk(21), "plate_color": u8, "platform_id": gbk(11), "producer_id": gbk(11),
    "terminal_model": gbk(8), "terminal_id": gbk(7), "sim": gbk(12), "position": positions(),
    "positions": st.lists(positions(), min_size=1, max_size=5).map(tuple),
}  # fmt: skip

messages: st.SearchStrategy[tuple[Edition, Message]] = st.one_of(
    [
        st.tuples(st.just(edition), st.builds(entry.body, **{f.name: VALUES[f.name] for f in fields(entry.body)}))
        for entry in entries
        for edition in entry.editions
    ]
)


@given(messages)
def test_every_message_comes_back(case: tuple[Edition, Message]) -> None:
    edition, message = case
    message_id, body = encode_body(message, edition)
    assert decode_body(message_id, edition, body) == message


@given(st.sampled_from(entries), st.binary(max_size=120))
def test_any_body_is_read_or_refused(entry: Any, body: bytes) -> None:
    for edition in Edition:
        try:
            message = decode_body(entry.message_id, edition, body)
        except BodyError:
            continue
        assert isinstance(message, Message)


def test_registration_has_two_lengths() -> None:
    new = VehicleRegister("辽A12345", 2, "21010000001", "70111", "MODEL-WITH-20-BYTES-", "ABC1234", "013912345678")
    old = VehicleRegisterBase("辽A12345", 2, "21010000001", "70111", "MODEL-8B", "ABC1234", "013912345678")
    assert [len(encode_body(m, Edition.V2011)[1]) - 28 for m in (new, old)] == [61, 49]
    for message in (new, old):
        message_id, body = encode_body(message, Edition.V2011)
        assert decode_body(message_id, Edition.V2011, body) == message


HERE = Position(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), 123.4, 41.8, 1, 2, 3, 4, 5, 6 & ~12, 7)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (ConnectRequest(1, "ninebytes", "127.0.0.1", 1), "password"),
        (ConnectRequest(-1, "p", "127.0.0.1", 1), "UP_CONNECT_REQ"),
        (HistoryLocation("辽A12345", 2, (HERE,) * 6), "6 positions"),
        (HistoryLocation("辽A12345", 2, ()), "0 positions"),
        (RealLocation("辽A12345" * 3, 2, HERE), "the field has 21"),
        (RealLocation("😀", 2, HERE), "GBK"),
        (RealLocation("辽A12345", 300, HERE), "UP_EXG_MSG_REAL_LOCATION"),
        (RealLocation("A", 1, Position(HERE.time, -1.0, 1.0, 0, 0, 0, 0, 0, 0, 0)), "longitude_deg"),
    ],
)
def test_what_does_not_fit_is_refused(message: Message, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        encode_body(message, Edition.V2011)
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2019)


def test_bad_bodies_say_what_is_wrong() -> None:
    message_id, body = encode_body(RealLocation("辽A12345", 2, HERE), Edition.V2011)
    no_date = body[:29] + b"\x20" + body[30:]
    with pytest.raises(BodyError, match=r"0x1200/0x1202: .*no date"):
        decode_body(message_id, Edition.V2011, no_date)
    with pytest.raises(BodyError, match="DATA_LENGTH says 36, 35"):
        decode_body(message_id, Edition.V2011, body[:-1])
    with pytest.raises(BodyError, match="0x1002"):
        decode_body(0x1002, Edition.V2011, b"\x00")
    history = encode_body(HistoryLocation("辽A12345", 2, (HERE,)), Edition.V2011)[1]
    with pytest.raises(BodyError):
        decode_body(message_id, Edition.V2011, history[:28] + b"\x06" + history[29:])
    with pytest.raises(BodyError, match="is no time"):
        decode_body(0x9101, Edition.V2011, bytes(4) + b"\xff" * 16)


def test_9101() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    message = TotalReceived(10_000, start, start + timedelta(hours=1))
    message_id, body = encode_body(message, Edition.V2011)
    assert (message_id, len(body)) == (0x9101, 20)
    assert isinstance(decode_body(0x9101, Edition.V2019, body), UnknownMessage)


def test_results_in_words() -> None:
    assert connect_result(4) == ("password wrong", "密码错误")
    assert "0x06" in connect_result(6)[0]

"""Headers, and the worked frames of our protocol reference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jt809 import Cipher, Deframer, Edition, Header, HeaderError, Message, UsageError, build_frame, encode_body
from jt809.header import build_header, parse_header
from jt809.messages import (
    ConnectRequest,
    ConnectRequest2019,
    ConnectResponse,
    LinkTest,
    Position,
    RealLocation,
    UnknownMessage,
)
from tests.jt809.vectors import VALID, cipher_of, name_of, open_vector

CODE = 12345678
TIME = 0x6553F100
LOGIN = ConnectRequest(888888, "passwd01", "10.0.0.1", 9001)
PLACE = Position(
    datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 116.397428, 39.909187, 60, 58, 12345, 90, 43, state=3, alarm=0
)
BODY_G = bytes.fromhex(
    "B2E24130303030310000000000000000000000000002120200000054000000002200000000000000030260F74306F01574002B025800"
    "5A2311150613200104000F12063131303030303130303031000000000000000000000000000000000000000000000000000000000000"
    "00000000"
)

WORKED: dict[str, tuple[Edition, int, Message, dict[str, Any], str]] = {
    "A": (Edition.V2011, 1, LinkTest(), {}, "5B0000001A00000001100500BC614E010000000000000071065D"),
    "B": (Edition.V2019, 1, LinkTest(), {},
          "5B0000002200000001100500BC614E0100000000000000000000006553F100F5F05D"),
    "C": (Edition.V2011, 0, LOGIN, {},
          "5B0000004800000000100100BC614E0100000000000000000D9038706173737764303131302E302E302E310000000000000000000000"
          "00000000000000000000000000232914345D"),
    "D": (Edition.V2019, 0, ConnectRequest2019(888888, "passwd01", CODE, "10.0.0.1", 9001), {},
          "5B0000005400000000100100BC614E0100000000000000000000006553F100000D9038706173737764303100BC614E31302E302E302E"
          "310000000000000000000000000000000000000000000000002329C7055D"),
    "E": (Edition.V2011, 7, ConnectResponse(0, 0x5A5B5D5E), {},
          "5B0000001F00000007100200BC614E0100000000000000005A025A015E015E0246495D"),
    "F": (Edition.V2011, 2, RealLocation("测A00001", 2, PLACE), {},
          "5B0000005A0200000002120000BC614E0100000000000000B2E24130303030310000000000000000000000000002120200000024000F"
          "0B07E7060D1406F015740260F743003C003A00003039005A02002B0000000300000000BF735D"),
    "G": (Edition.V2019, 2, UnknownMessage(0x1200, 0x1202, BODY_G), {},
          "5B0000009200000002120000BC614E0100000000000000000000006553F100B2E2413030303031000000000000000000000000000212"
          "0200000054000000002200000000000000030260F74306F01574002B0258005A022311150613200104000F1206313130303030313030"
          "3031000000000000000000000000000000000000000000000000000000000000000000007A945D"),
    "I": (Edition.V2011, 0, LOGIN, {"is_encrypted": True, "key": 0x12345678},
          "5B0000004800000000100100BC614E0100000112345678D4F3A860A7CCBD1CF87F7A4B30BFB760B5891CC583B46427A52254C1823F44"
          "ED0198F85E02631DDC5E01F488D01A422E1E9C5D"),
}  # fmt: skip
T2 = Cipher(10000000, 20000000, 30000000)


@pytest.mark.parametrize("case", WORKED)
def test_worked_frames(case: str) -> None:
    edition, serial_no, message, extra, frame = WORKED[case]
    message_id, body = encode_body(message, edition)
    time_s = TIME if edition is Edition.V2019 else None
    header = Header(message_id, serial_no, CODE, time_s=time_s, **extra)
    assert build_frame(header, body, edition, T2).hex().upper() == frame
    (content,) = Deframer().feed(bytes.fromhex(frame))
    assert isinstance(content, bytes)
    read, payload = parse_header(content, edition)
    assert read == header
    assert (T2.apply(payload, read.key) if read.is_encrypted else payload) == body


@pytest.mark.parametrize("vector", VALID, ids=name_of)
def test_vector_headers(vector: dict[str, Any]) -> None:
    header, body = open_vector(vector)
    expected = vector["expected"]
    assert header.message_id == int(expected["msg_id"], 16)
    assert header.serial_no == expected["msg_sn"]
    assert header.access_code == expected["gnsscenterid"]
    assert bytes(header.version).hex() == expected["version_flag"]
    assert header.is_encrypted == bool(expected["encrypt_flag"])
    assert header.key == expected["encrypt_key"]
    assert header.time_s == expected.get("time")
    again = build_frame(header, body, Edition(vector["version"]), cipher_of(vector))
    assert again.hex().upper() == vector["frame"]


u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
byte = st.integers(0, 255)


@given(
    st.sampled_from(list(Edition)),
    st.builds(
        Header,
        st.integers(0, 0xFFFF),
        u32,
        u32,
        st.tuples(byte, byte, byte),
        st.booleans(),
        u32,
        st.integers(0, 1 << 63),
    ),
    st.binary(max_size=50),
)
def test_headers_come_back(edition: Edition, header: Header, body: bytes) -> None:
    read, rest = parse_header(build_header(header, len(body), edition) + body, edition)
    assert rest == body
    assert read.time_s == (header.time_s if edition is Edition.V2019 else None)
    assert (read.message_id, read.serial_no, read.access_code, read.version, read.is_encrypted, read.key) == (
        header.message_id, header.serial_no, header.access_code, header.version, header.is_encrypted, header.key,
    )  # fmt: skip


def test_what_cannot_be_read_or_written() -> None:
    with pytest.raises(HeaderError, match="the 2019 header has 30"):
        parse_header(bytes(29), Edition.V2019)
    with pytest.raises(HeaderError, match="ENCRYPT_FLAG"):
        parse_header(bytes(17) + b"\x02" + bytes(4), Edition.V2011)
    with pytest.raises(UsageError, match="out of range"):
        build_header(Header(0x10000, 0, 0), 0, Edition.V2011)
    with pytest.raises(UsageError, match="time_s"):
        build_header(Header(0x1005, 0, 0), 0, Edition.V2019)
    with pytest.raises(UsageError, match="cipher"):
        build_frame(Header(0x1005, 0, 0, is_encrypted=True), b"", Edition.V2011)

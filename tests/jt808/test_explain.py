"""jt808.explain: everything readable is said, everything wrong is named, nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jt808 import Edition, TextMessage, build_frame, checksum, encode_body, unescape
from jt808.encryption import KeyPair, encrypt
from jt808.explain import Explanation, explain_body, explain_frame, explain_stream
from jt808.header import RSA
from tests.jt808.vectors import disagreements, frames, opened, vectors, whole_messages

LOCATION = next(row["frame"] for row in frames() if row["message_id"] == "0x0200" and row["valid"])
HEARTBEAT = "7e0002000001391234432100017f7e"


def shown(explanation: Explanation) -> dict[str, Any]:
    """As JSON that went over a wire; and the tree can be drawn."""
    tree = explanation.as_tree()
    assert all(char.isprintable() or char == "\n" for char in tree)
    found: dict[str, Any] = json.loads(json.dumps(explanation.as_json(), allow_nan=False))
    return found


def is_broken(row: dict[str, Any]) -> bool:
    """Whether the frame is right and the body is not."""
    header, body = opened(row)
    name = f"0x{header.message_id:04X} {header.edition} {body.hex()}"
    return "body" in disagreements().get(name, {}) and not header.encryption and not header.is_subpackaged


@pytest.mark.parametrize("row", frames(), ids=lambda row: row["frame"][:40])
def test_vectors(row: dict[str, Any]) -> None:
    found = shown(explain_frame(bytes.fromhex(row["frame"])))
    assert bool(found["errors"]) == (not row["valid"] or is_broken(row))
    if row["valid"]:
        assert found["message_id"].lower() == row["message_id"]
        assert found["phone"] == row["header"]["phone_bcd"]
        assert found["serial_no"] == row["header"]["serial"]
        assert (found["edition"] == "2019") == bool(row["header"]["version_flag"])


def check_location(body: dict[str, Any], derived: dict[str, Any]) -> None:
    assert body["alarm_flags"] == derived["alarm_bits"]
    assert body["status_flags"] == derived["status_bits"]
    assert body["latitude_deg"] == derived["latitude_deg"]
    assert body["longitude_deg"] == derived["longitude_deg"]
    assert body["altitude_m"] == derived["altitude_m"]
    assert body["speed_kmh"] == derived["speed_kmh"]
    assert body["heading_deg"] == derived["direction_deg"]
    assert [[item["id"].lower(), item["raw"]] for item in body["items"]] == derived["items"]
    assert body.get("remainder", "") == derived.get("items_trailing_hex", "")


@pytest.mark.parametrize(
    "found", whole_messages("0x0200", "0x0201", "0x0704"), ids=lambda found: found[0]["frame"][:40]
)
def test_locations(found: Any) -> None:
    row = found[0]
    body = shown(explain_frame(bytes.fromhex(row["frame"])))["body"]
    derived = row.get("derived")
    if not derived:
        return
    if row["message_id"] == "0x0704":
        assert body["kind"] == derived["kind"]
        for location, expected in zip(body["items"], derived["positions"], strict=True):
            check_location(location, expected)
    else:
        check_location(body, derived)
        assert body.get("answered_serial_no") == derived.get("ack_serial")


def test_a_location_in_full() -> None:
    found = shown(explain_frame(bytes.fromhex(LOCATION)))
    body = found["body"]
    assert (found["name"], found["chinese"], found["edition"]) == ("location report", "位置信息汇报", "2019")
    assert body["time"] == "2022-07-20T02:39:57Z"
    assert body["alarms"] == ["daily_driving_exceeded"]
    assert body["status"] == ["acc_on", "doors_locked", "gps", "glonass"]
    assert body["items"][0] == {
        "id": "0x01", "name": "mileage", "chinese": "里程", "value": 364.6, "unit": "km", "raw": "00000e3e",
    }  # fmt: skip
    assert body["items"][6]["flags"] == ["signal_lost"]


def test_the_tree_is_aligned() -> None:
    lines = explain_frame(bytes.fromhex(LOCATION)).as_tree().splitlines()
    assert lines[0].startswith("0x0200 location report 位置信息汇报")
    assert "    25  02136792              latitude 纬度                                  34.82613 °" in lines
    assert "    45  010400000e3e            0x01 mileage 里程                            364.6 km" in lines


def test_the_edition_of_a_registration_without_being_told() -> None:
    for row in frames():
        if row["message_id"] == "0x0100" and row["valid"] and row["expected_basis"] == "assert":
            header = row["header"]
            found = shown(explain_frame(bytes.fromhex(row["frame"])))
            if not header["fragmented"] and not header["encryption"]:
                assert found["edition"] == row["version"]


def test_the_edition_can_be_told() -> None:
    frame = build_frame(0x0200, "1", 0, bytes([0, 0, 0, 8]) + bytes(24))
    assert shown(explain_frame(frame, Edition.V2013))["body"]["alarms"] == ["danger_warning"]
    assert shown(explain_frame(frame, Edition.V2019))["body"]["alarms"] == ["dangerous_driving"]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", "too_short"),
        ("7e", "too_short"),
        ("7e7e", "too_short"),
        (HEARTBEAT[2:-2], "opening flag"),
        (HEARTBEAT[:-2], "closing flag"),
        (HEARTBEAT[2:], "opening flag"),
        ("2424" + HEARTBEAT, "junk"),
        (HEARTBEAT.replace("7f7e", "617e"), "bad_check: check byte is 61, the bytes give 7f"),
        ("7e000200020139123443210001627e", "length: header declares 2 body bytes, 0 are there"),
        ("7e00020000013912347d037e", "bad_escape"),
        (HEARTBEAT + HEARTBEAT, "a flag 7e stands inside"),
        ("7e0002ff7e", "too_short"),
    ],
)
def test_what_is_wrong_is_named(raw: str, error: str) -> None:
    found = shown(explain_frame(bytes.fromhex(raw)))
    assert any(error in one for one in found["errors"]), found["errors"]


def test_what_can_be_read_of_a_broken_frame_is_shown() -> None:
    raw = bytes.fromhex(LOCATION)
    broken = shown(explain_frame(raw[:-2] + b"\x00\x7e"))
    assert broken["body"]["latitude_deg"] == 34.82613
    assert [error.split(":")[0] for error in broken["errors"]] == ["bad_check"]
    cut = shown(explain_frame(raw[:45] + b"\x7e"))
    assert cut["body"]["latitude_deg"] == 34.82613
    assert {error.split(":")[0] for error in cut["errors"]} == {"bad_check", "length", "body"}


def test_parts_and_ciphers_are_not_read() -> None:
    part = shown(explain_frame(build_frame(0x0200, "1", 0, b"ab", package=(3, 2))))
    assert part["body"] == {"raw": "6162"}
    assert (part["errors"], part["warnings"]) == ([], ["the body is package 2 of 3 and was not read alone"])
    cipher = shown(explain_frame(build_frame(0x0200, "1", 0, b"ab", encryption=1)))
    assert cipher["body"] == {"raw": "6162"}
    assert cipher["errors"] == []
    whole = shown(explain_frame(build_frame(0x0102, "1", 0, b"ab", package=(1, 1))))
    assert whole["body"] == {"auth_code": "ab"}


def test_odd_values_are_warnings() -> None:
    found = shown(explain_frame(build_frame(0x0200, "1", 0, bytes(8) + b"\xff" * 8 + bytes(12) + b"\x01\x01\x00\xff")))
    assert found["errors"] == []
    assert found["body"]["time"] is None
    assert found["warnings"] == [
        "item 0x01 has 1 bytes instead of 4",
        "1 bytes behind the items are no whole item",
        "the time is none",
        "latitude_deg is beyond 90",
        "longitude_deg is beyond 180",
    ]


def test_a_bad_item_of_many_is_named() -> None:
    body = b"\0\3\1" + b"\0\5short" + (28).to_bytes(2, "big") + bytes(28)
    found = shown(explain_frame(build_frame(0x0704, "1", 0, body)))
    assert [("raw" in location) for location in found["body"]["items"]] == [True, False]
    assert found["errors"] == ["item 1: short: 5 bytes are no location report"]
    assert found["warnings"][0] == "count says 3 items, 2 are there"


def test_streams() -> None:
    raw = b"$$" + bytes.fromhex(HEARTBEAT + LOCATION + HEARTBEAT[2:]) + b"\x7e\x00\x02"
    found = [shown(one) for one in explain_stream(raw)]
    assert [one["message_id"] for one in found] == [None, "0x0002", "0x0200", "0x0002", None]
    assert [bool(one["errors"]) for one in found] == [True, False, False, False, True]
    assert explain_stream(b"") == []
    assert [one.errors != [] for one in explain_stream(b"no frame")] == [True]


def test_control_characters_of_a_terminal_do_not_reach_the_screen() -> None:
    tree = explain_frame(build_frame(0x0102, "1", 0, b"\x1b[2Jcode")).as_tree()
    assert "\\x1b[2Jcode" in tree


mutated = st.builds(
    lambda row, at, new: bytes.fromhex(row["frame"])[:at] + new + bytes.fromhex(row["frame"])[at + len(new) :],
    st.sampled_from([row for row in frames() if len(row["frame"]) < 600]),
    st.integers(0, 200),
    st.binary(max_size=3),
)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | mutated, st.none() | st.sampled_from(Edition))
def test_any_bytes_are_explained(raw: bytes, edition: Edition | None) -> None:
    shown(explain_frame(raw, edition))
    for explanation in explain_stream(raw, edition):
        shown(explanation)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([0x0001, 0x0100, 0x0102, 0x0200, 0x0201, 0x0704, 0x8100, 0x8300, 0x0F01]),
    st.sampled_from(Edition),
    st.binary(max_size=150),
)
def test_any_body_is_explained(message_id: int, edition: Edition, body: bytes) -> None:
    found = shown(explain_frame(build_frame(message_id, "13912344321", 7, body, edition)))
    assert found["message_id"] == f"0x{message_id:04X}"
    assert all(error.startswith(("body", "item")) for error in found["errors"])


def check_places(explanation: Explanation, content: bytes) -> None:
    """The bytes that a row shows are those that stand at its offset."""
    for row in explanation.rows:
        if row.offset is None:
            assert row.raw == b""
        else:
            assert content[row.offset : row.offset + len(row.raw)] == row.raw, row


def test_every_byte_stands_where_it_is_said_to_stand() -> None:
    for row in frames():
        if row["valid"]:
            raw = bytes.fromhex(row["frame"])
            check_places(explain_frame(raw), unescape(raw[1:-1]))
    for vector in vectors():
        check_places(explain_body(vector.message_id, vector.edition, vector.body), vector.body)


def test_the_rows_of_a_body_leave_no_byte_out() -> None:
    for vector in vectors():
        if "body" in disagreements().get(vector.name, {}):
            continue
        shown_bytes = set()
        for row in explain_body(vector.message_id, vector.edition, vector.body).rows:
            if row.offset is not None:
                shown_bytes |= set(range(row.offset, row.offset + len(row.raw)))
        missing = sorted(set(range(len(vector.body))) - shown_bytes)
        assert missing == [], (vector.name, missing)


def test_content_that_is_not_in_the_form_it_begins_with_is_shown_whole() -> None:
    body = bytes.fromhex("f7 02 64050100000000 6505010000")  # two peripherals, the second is cut short
    rows = explain_body(0x0900, Edition.V2013, body).rows
    assert [row.raw for row in rows] == [body[:1], body[1:]]
    assert rows[1].value == body[1:].hex()


def test_the_edition_is_the_headers() -> None:
    """2011 is known of a registration only; one source calls a frame 2019 whose header has no version flag."""
    for row in frames():
        if row["valid"] and row["version"] != "vendor":
            found = explain_frame(bytes.fromhex(row["frame"]))
            header, body = opened(row)
            assert found.edition == header.edition or (found.message_id, found.edition) == (0x0100, Edition.V2011)
            name = f"0x{header.message_id:04X} {header.edition} {body.hex()}"
            assert row["version"] in (found.edition, "2011") or "version" in disagreements().get(name, {})


def test_an_encrypted_body() -> None:
    pair = KeyPair.generate()
    body = encode_body(TextMessage(4, "减速"), Edition.V2013)
    frame = build_frame(0x8300, "1", 0, encrypt(pair.terminal_key(), body), encryption=RSA)
    closed, opened_ = explain_frame(frame), explain_frame(frame, key=pair)
    assert "no key" in closed.warnings[0]
    assert set(shown(closed)["body"]) == {"raw"}
    assert shown(opened_)["body"]["text"] == "减速"
    assert opened_.errors == []
    other = build_frame(0x8300, "1", 0, bytes(8), encryption=2)
    assert "method 2" in explain_frame(other, key=pair).errors[0]
    assert set(shown(explain_frame(other, key=pair))["body"]) == {"raw"}


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (build_frame(0x1FC4, "1", 0, b"\1"), "upgrade progress"),
        (build_frame(0xE010, "1", 0, b"\1"), "maker's own"),
        (build_frame(0x0F10, "1", 0, b"\1"), "reserved"),
        (build_frame(0x0777, "1", 0, b"\1"), "not known"),
        (build_frame(0x0002, "4eb6fb4ad628", 0, b""), "865478070001047"),
        (build_frame(0x0002, "ffffffffffff", 0, b""), "no BCD"),
        (build_frame(0x0002, "1", 0, b"", Edition.V2019, protocol_version=2), "protocol version 2"),
        (build_frame(0x0002, "1", 0, b"\x50\x1f\1"), "battery"),
        (build_frame(0x0100, "1", 0, bytes(36) + b"\1" + "京A12345".encode()), "UTF-8"),
        (build_frame(0x0700, "1", 0, bytes.fromhex("000108557a080001000127")), "stay bytes"),
        (build_frame(0x0700, "1", 0, bytes.fromhex("0001fa557afa00d5")), "no packet"),
        (build_frame(0x0200, "1", 0, bytes(16) + b"\xff\xff" + bytes(10)), "mean -1"),
    ],
)
def test_what_is_odd_is_told(frame: bytes, word: str) -> None:
    found = shown(explain_frame(frame))
    assert found["errors"] == []
    assert any(word in warning for warning in found["warnings"]), found["warnings"]


def test_a_reserved_attribute_bit() -> None:
    content = bytes.fromhex("0002800000000000000100")
    frame = b"\x7e" + content + bytes((0,)) + bytes((checksum(content + b"\0"),)) + b"\x7e"
    assert "attribute bit 15 is set; it is reserved" in explain_frame(frame).warnings


@pytest.mark.parametrize(("raw", "word"), [(b"\xe7\0\2\xe7", "e7"), (b"(0740,1,001,BASE,2,TIME)", "sentence")])
def test_what_other_units_send(raw: bytes, word: str) -> None:
    assert any(word in error for error in explain_frame(raw).errors)


def test_the_bits_of_a_parameter_are_those_of_the_edition() -> None:
    body = bytes.fromhex("0001 01 00000050 04 00008008")
    for edition, flags in {
        Edition.V2013: ["danger_warning", "bit_15"],
        Edition.V2019: ["dangerous_driving", "forbidden_period_driving"],
    }.items():
        found = shown(explain_frame(build_frame(0x0104, "1", 0, body, edition)))
        assert found["body"]["parameters"][0]["flags"] == flags


def test_the_packet_of_a_tachograph() -> None:
    body = bytes.fromhex("000101557a0100120034333032323331393930303731323636383732")
    explanation = explain_frame(build_frame(0x0700, "1", 0, body))
    found = shown(explanation)["body"]
    assert found["block"] == body[3:].hex()
    assert found["block_fields"]["command"] == 1
    assert bytes.fromhex(found["block_fields"]["data"]) == b"430223199007126687"
    assert "430223199007126687" in explanation.as_tree()
    wrong = explain_frame(build_frame(0x0700, "1", 0, body[:-1] + b"\0"))
    assert "the check byte of the block is wrong" in wrong.warnings


def test_values_have_their_meaning() -> None:
    location = bytes(28) + bytes.fromhex("120604000000070113070000000100640015040000000517021001")
    tree = explain_frame(build_frame(0x0200, "1", 0, location)).as_tree()
    for words in (
        "area_type=4 route",
        "is_exit=1 out",
        "is_too_long=0 too short",
        "channel_1, channel_3",
        "main_1, disaster_1",
    ):
        assert words in tree
    parameters = bytes.fromhex("0001 02 00000020 04 00000001 00000092 01 01")
    tree = explain_frame(build_frame(0x0104, "1", 0, parameters)).as_tree()
    assert "1 by distance" in tree
    assert "1 1000 ms" in tree
    tree = explain_frame(build_frame(0x8300, "1", 0, b"\x0e\1hi", Edition.V2019)).as_tree()
    assert "urgent 紧急" in tree
    assert "1 NOTICE" in tree

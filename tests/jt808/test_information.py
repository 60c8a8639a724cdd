"""jt808.messages.information and phone: lists behind an action, and what 2011 sends in parts."""

from __future__ import annotations

import pytest

from jt808 import BodyError, Edition, Message, UsageError, decode_body, encode_body
from jt808.messages import (
    CallBack,
    Contact,
    Event,
    InformationItem,
    InformationService,
    Question,
    QuestionAnswer,
    SetEvents,
    SetInformationMenu,
    SetPhoneBook,
)

DELETE_ALL = [(0x8301, SetEvents(0)), (0x8303, SetInformationMenu(0)), (0x8401, SetPhoneBook(0))]


@pytest.mark.parametrize("edition", Edition)
@pytest.mark.parametrize(("number", "message"), DELETE_ALL, ids=lambda part: "")
def test_to_delete_all_nothing_follows(number: int, message: Message, edition: Edition) -> None:
    assert encode_body(message, edition) == b"\0"
    assert decode_body(number, edition, b"\0") == message


def test_a_count_of_0_behind_delete_all_is_kept() -> None:
    message = decode_body(0x8301, Edition.V2013, b"\0\0")
    assert message == SetEvents(0, total=0)
    assert encode_body(message, Edition.V2013) == b"\0\0"


@pytest.mark.parametrize("edition", Edition)
def test_events_are_deleted_with_or_without_a_length(edition: Edition) -> None:
    counts = b"\x02\x02" if edition == Edition.V2011 else b"\x02"
    bare = SetEvents(4, (Event(5), Event(6)))
    assert encode_body(bare, edition) == b"\x04" + counts + b"\x05\x06"
    assert decode_body(0x8301, edition, b"\x04" + counts + b"\x05\x06") == bare
    empty = SetEvents(4, (Event(5, ""), Event(6, "")))
    assert encode_body(empty, edition) == b"\x04" + counts + b"\x05\0\x06\0"
    assert decode_body(0x8301, edition, b"\x04" + counts + b"\x05\0\x06\0") == empty


@pytest.mark.parametrize(
    "message",
    [
        SetEvents(1, (Event(5),)),
        SetEvents(4, (Event(5), Event(6, "x"))),
        SetEvents(1, (Event(5, "x" * 256),)),
        SetInformationMenu(1, (InformationItem(1, "\ud800"),)),
        SetPhoneBook(2, (Contact(1, "1" * 256, "a"),)),
        SetPhoneBook(2, (Contact(1, "1", "a"),) * 256),
        InformationService(1, "x" * 65536),
        Question(0, "x" * 256, ()),
        Question(0, "?", (QuestionAnswer(256, "a"),)),
        CallBack(256, "1"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_does_not_fit_is_the_callers_fault(message: Message) -> None:
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2013)


def test_an_information_of_2011_in_two_messages() -> None:
    first = InformationService(7, "前半", total_length=8)
    body = encode_body(first, Edition.V2011)
    assert body[1:5] == bytes((0, 8, 0, 4))
    assert decode_body(0x8304, Edition.V2011, body) == first
    assert decode_body(0x8304, Edition.V2013, body) == first
    whole = InformationService(7, "全部")
    assert decode_body(0x8304, Edition.V2011, encode_body(whole, Edition.V2011)) == whole
    assert decode_body(0x8304, Edition.V2011, encode_body(whole, Edition.V2013)) == whole


@pytest.mark.parametrize("body", ["", "01", "0102", "010105", "01010504", "0101050474657374ff"])
def test_a_list_that_is_cut_or_too_long_is_an_error(body: str) -> None:
    with pytest.raises(BodyError):
        decode_body(0x8301, Edition.V2013, bytes.fromhex(body))


def test_an_error_names_the_field_within_the_list() -> None:
    with pytest.raises(BodyError, match="at byte 7: contacts: name"):
        decode_body(0x8401, Edition.V2013, bytes.fromhex("0201 01 03 313233 05 6162"))


def test_a_number_is_padded_by_some() -> None:
    assert decode_body(0x8400, Edition.V2013, b"\x01" + b"123".ljust(20, b"\0")) == CallBack(1, "123")

"""jt808.messages.driver: a body that ends where there is no more to say, and that of 2011."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from jt808 import BodyError, Edition, UsageError, body_edition, decode_body, encode_body
from jt808.messages import CardResult, CardStatus, DriverIdentity

TIME = datetime(2020, 7, 21, 10, 30, tzinfo=UTC)
REMOVED = DriverIdentity(CardStatus.REMOVED, TIME)
LOCKED = DriverIdentity(CardStatus.INSERTED, TIME, CardResult.LOCKED)
READ = DriverIdentity(CardStatus.INSERTED, TIME, CardResult.OK, "张三", "1234567890123", "运管处", date(2029, 6, 30))
OF_2011 = DriverIdentity(
    driver_name="张三", identity_no="110101199001011234", certificate_no="1234567890123", authority="运管处"
)


@pytest.mark.parametrize(("message", "length"), [(REMOVED, 7), (LOCKED, 8), (READ, 8 + 5 + 20 + 7 + 4)])
def test_it_ends_where_there_is_no_more_to_say(message: DriverIdentity, length: int) -> None:
    body = encode_body(message, Edition.V2013)
    assert len(body) == length
    assert decode_body(0x0702, Edition.V2013, body) == message


def test_2019_adds_the_identity_number() -> None:
    message = replace(READ, identity_no="110101199001011234")
    body = encode_body(message, Edition.V2019)
    assert len(body) == 8 + 5 + 20 + 7 + 4 + 20
    assert decode_body(0x0702, Edition.V2019, body) == message
    assert decode_body(0x0702, Edition.V2019, encode_body(READ, Edition.V2013)) == READ


def test_2011_is_told_by_its_beginning() -> None:
    body = encode_body(OF_2011, Edition.V2011)
    assert body_edition(0x0702, Edition.V2013, body) == Edition.V2011
    assert decode_body(0x0702, Edition.V2013, body) == OF_2011
    assert decode_body(0x0702, Edition.V2011, encode_body(READ, Edition.V2013)) == READ


def test_digits_that_are_no_date_or_time_read_none() -> None:
    body = bytearray(encode_body(READ, Edition.V2013))
    body[1:7] = body[-4:] = b""
    whole = bytes(body[:1]) + bytes(6) + bytes(body[1:]) + bytes(4)
    assert decode_body(0x0702, Edition.V2013, whole) == replace(READ, time=None, valid_until=None)


@pytest.mark.parametrize(
    "message",
    [
        DriverIdentity(1, TIME, None, "name"),
        DriverIdentity(1, TIME, 0, None, "certificate"),
        DriverIdentity(1, TIME, 0, "name", "x" * 21),
        DriverIdentity(256, TIME),
        DriverIdentity(None, TIME),
        DriverIdentity(1, datetime(2020, 7, 21)),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_the_callers_fault(message: DriverIdentity) -> None:
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2013)


@pytest.mark.parametrize("length", [0, 1, 6, 9, 30, 43, 45])
def test_a_cut_or_longer_body_is_an_error(length: int) -> None:
    body = encode_body(READ, Edition.V2013).ljust(45, b"\1")[:length]
    with pytest.raises(BodyError):
        decode_body(0x0702, Edition.V2013, body)

"""What is fuzzed: a function of bytes each. Nothing but the documented errors comes out, and memory has its bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

from jt808 import (
    BadFrame,
    BodyError,
    Deframer,
    Edition,
    Header,
    HeaderError,
    UnknownMessage,
    UsageError,
    body_edition,
    build_frame,
    decode_body,
    encode_body,
    parse_header,
)
from jt808.columns import decode_locations
from jt808.connection import State, TerminalConnection
from jt808.events import AuthRequested, MessageReceived, TimeQueried, UnregisterRequested
from jt808.explain import explain_body, explain_stream
from jt808.fields import NOT_A_CHARACTER
from jt808.framing import MAX_UNFINISHED_BYTES, REASONS
from jt808.messages import CompressedUpload, message_types
from jt808.subpackage import Assembled, Budget, Outcome, Reassembler

MESSAGE_IDS: Final = sorted(row.message_id for row in message_types())
EDITIONS: Final = tuple(Edition)


def deframe(data: bytes) -> None:
    """The first byte says how the rest is cut into reads; the frames are the same however it is."""
    size, stream = (data[0] if data else 0) + 1, data[1:]
    deframer = Deframer()
    found: list[bytes | BadFrame] = []
    for at in range(0, len(stream), size):
        found += deframer.feed(stream[at : at + size])
        assert deframer.unfinished_bytes <= MAX_UNFINISHED_BYTES
    assert found == Deframer().feed(stream)
    for content in found:
        if isinstance(content, BadFrame):
            assert content.reason in REASONS
            continue
        with suppress(HeaderError):
            header, body = parse_header(content)
            assert len(body) == header.body_length
    for explanation in explain_stream(stream):
        explanation.as_json()
        explanation.as_tree()


def decode(data: bytes) -> None:
    """Edition, message, body. What is read can be written, and is read again as the same."""
    if len(data) < 2:
        return
    edition = EDITIONS[data[0] % len(EDITIONS)]
    message_id, body = MESSAGE_IDS[data[1] % len(MESSAGE_IDS)], data[2:]
    explain_body(message_id, edition, body).as_tree()
    if message_id == 0x0200:
        decode_locations(body, np.array([0]), np.array([len(body)]))
    try:
        message = decode_body(message_id, edition, body)
    except BodyError as found:
        error = found
    else:
        error = None
    if error is not None:
        assert error.message_id == message_id
        assert error.offset is None or 0 <= error.offset <= len(body)
        return
    assert not isinstance(message, UnknownMessage)
    if isinstance(message, CompressedUpload):
        with suppress(BodyError):
            assert len(message.decompress(5000)) <= 5000
    if NOT_A_CHARACTER in repr(message):
        return  # bytes that were no text are not written again
    read_as = body_edition(message_id, edition, body)
    again = encode_body(message, read_as)
    if body_edition(message_id, read_as, again) == read_as:
        assert decode_body(message_id, read_as, again) == message


_STEP: Final = struct.Struct(">BBHHHB")


LOGS_IN: Final = 0xF0


def reassemble(data: bytes) -> None:
    """Packages, moments of time, and logins in between, eight bytes and a body each."""
    budget = Budget(6000)
    first, second = (Reassembler(max_bytes=5000, max_sets=3, max_age_s=60, budget=budget) for _ in range(2))
    now, at = 0.0, 0
    while at + _STEP.size <= len(data):
        what, message, serial_no, total, number, length = _STEP.unpack_from(data, at)
        at += _STEP.size
        body = data[at : at + length]
        at += length
        reassembler = first if what & 1 else second
        now += what >> 3
        if what & 6 == 6:
            for missing in reassembler.on_time(now):
                assert 0 < len(missing.package_nos) <= 125
            reassembler.dropped.clear()
            continue
        if what & 6 == 4 and message >= LOGS_IN:
            if message & 1:
                reassembler.link_ended()
            reassembler.logged_in(serial_no, now)
            continue
        if not 0 < number <= total:
            continue  # parse_header refuses it
        header = Header(0x0700 | message, Edition.V2013, "0" * 12, serial_no, len(body), 0, True, total, number)
        got = reassembler.add(header, body, now)
        if isinstance(got, Assembled):
            assert len(got.serials) == total
            assert got.serials[0] == got.serial_no
            if what & 2:
                reassembler.stored(header.message_id, got.serial_no)
        else:
            assert isinstance(got, Outcome)
        assert 0 <= budget.free <= 6000
        assert len(reassembler) <= 3
        assert (reassembler.next_deadline() is None) == (len(reassembler) == 0)
    first.clear()
    second.clear()
    assert budget.free == 6000


PHONE: Final = "013912345678"
LOGIN: Final = build_frame(0x0102, PHONE, 0, b"code")
PIECE: Final = struct.Struct(">BHHBBH")


def link(data: bytes) -> None:
    """What an authenticated terminal sends: whole frames and packages with a right check byte, or bytes as they are;
    time passes between, and what is to be stored is answered."""
    connection = TerminalConnection(0.0)
    _login(connection)
    with suppress(UsageError):
        connection.send(0x8108, bytes(3000))
    now, at = 0.0, 0
    while at + PIECE.size <= len(data) and connection.state is not State.CLOSED:
        how, message_id, serial_no, total, number, length = PIECE.unpack_from(data, at)
        at += PIECE.size
        body = data[at : at + (length & 0x3FF)]
        at += len(body)
        now += length >> 10
        sent = body if how & 1 else _frame(how, message_id, serial_no, body, total, number)
        for event in connection.receive_data(sent, now):
            if isinstance(event, MessageReceived):
                connection.reply_stored(event)
            elif isinstance(event, UnregisterRequested):
                connection.unregistered(event)
                _login(connection)
            elif isinstance(event, TimeQueried):
                connection.reply_time(event, now)
        connection.on_time(now)
        for content in Deframer().feed(connection.data_to_send()):
            assert isinstance(content, bytes), content
            parse_header(content)


def _login(connection: TerminalConnection) -> None:
    (event,) = connection.receive_data(LOGIN, 0.0)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header)


def _frame(how: int, message_id: int, serial_no: int, body: bytes, total: int, number: int) -> bytes:
    edition = Edition.V2019 if how & 2 else Edition.V2013
    package = (total, number) if how & 4 and 0 < number <= total else None
    return build_frame(message_id, PHONE, serial_no, body, edition, encryption=how >> 5 & how >> 6 & 1, package=package)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "deframe": deframe,
    "decode": decode,
    "reassemble": reassemble,
    "link": link,
}

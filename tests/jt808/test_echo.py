"""A modem that echoes: what the platform sends comes back as if the terminal had said it."""

from __future__ import annotations

import pytest

from jt808.connection import TerminalConnection
from jt808.errors import Result
from jt808.events import AuthRequested, Event, HeartbeatReceived, MessageReceived, Refused
from jt808.header import build_frame

PHONE = "013912345678"
ROUNDS = 8


def echoed(connection: TerminalConnection) -> int:
    """How often the platform spoke once more because its own words came back; `ROUNDS` when it would never end."""
    for rounds in range(ROUNDS):
        words = connection.data_to_send()
        if not words:
            return rounds
        for event in connection.receive_data(words, 0.0):
            answer(connection, event)
    return ROUNDS


def answer(connection: TerminalConnection, event: Event) -> None:
    if isinstance(event, MessageReceived):
        connection.reply_stored(event)
    elif isinstance(event, HeartbeatReceived):
        connection.reply_general(event, Result.OK)
    else:
        assert isinstance(event, Refused)


@pytest.mark.parametrize("message_id", [0x0200, 0x0002, 0x8001])
def test_an_echoed_answer_is_not_answered(message_id: int) -> None:
    connection = TerminalConnection(0.0)
    [asked] = connection.receive_data(build_frame(0x0102, PHONE, 0, b"code"), 0.0)
    assert isinstance(asked, AuthRequested)
    connection.authenticated(asked.header)
    connection.data_to_send()
    [event] = connection.receive_data(build_frame(message_id, PHONE, 1, b"\0\0\0\2\0" if message_id > 2 else b""), 0.0)
    answer(connection, event)
    assert echoed(connection) <= 1


def test_nor_is_a_stranger_s() -> None:
    connection = TerminalConnection(0.0)
    for event in connection.receive_data(build_frame(0x0002, PHONE, 0, b""), 0.0):
        answer(connection, event)
    assert echoed(connection) == 1

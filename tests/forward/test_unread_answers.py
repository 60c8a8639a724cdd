"""A superior that asks a lot, and one that does not read the answers: neither takes the loop nor the memory."""

from __future__ import annotations

import asyncio

from forward import links
from forward.links import Connection
from jt809 import Edition, LinkSettings, SerialCounter, SubLink
from jt809.events import Event, LoginAsked
from jt809.header import Header, build_frame
from jt809.messages import DownConnectRequest, DownLinkTest, encode_body
from tests.forward.world import eventually

LIMIT = 1024
AT_A_TIME = 64  # frames that one read brings
ANSWER_BYTES = 26


class FullSocket(asyncio.Transport):
    """A transport whose peer reads only when told to; it says so to its protocol as asyncio's do."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.waiting = 0
        self.written = 0
        self.reading = True
        self._high = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        was_below = self.waiting <= self._high
        self.waiting += len(data)
        self.written += len(data)
        if was_below and self.waiting > self._high:
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def peer_reads(self) -> None:
        self.waiting = 0
        self.protocol.resume_writing()


def frame(message: DownConnectRequest | DownLinkTest) -> bytes:
    message_id, body = encode_body(message, Edition.V2011)
    return build_frame(Header(message_id, 0, 1), body, Edition.V2011)


def logged_in(limit: int) -> tuple[Connection, FullSocket]:
    """A sub link that is up."""

    def on_event(connection: Connection, event: Event) -> None:
        if isinstance(event, LoginAsked):
            assert isinstance(connection.link, SubLink)
            connection.link.accept(LinkSettings(), SerialCounter(), connection.now)

    connection = Connection(SubLink(LinkSettings(), asyncio.get_running_loop().time()), on_event, limit)
    transport = FullSocket(connection)
    connection.connection_made(transport)
    connection.data_received(frame(DownConnectRequest(0)))
    return connection, transport


async def test_a_flood_is_worked_off_in_turns() -> None:
    connection, transport = logged_in(1 << 20)
    flood = 1000
    connection.data_received(frame(DownLinkTest()) * flood)
    assert connection.link.received[0x9005] <= links.PIECE // ANSWER_BYTES
    assert not transport.is_reading()
    await eventually(lambda: connection.link.received[0x9005] == flood)
    assert transport.is_reading()
    assert connection.link.sent[0x9006] == flood
    connection.data_received(frame(DownLinkTest()) * flood)
    connection.connection_lost(None)
    assert connection.closed.done()


async def test_who_does_not_read_his_answers_is_not_read_until_he_does() -> None:
    connection, transport = logged_in(LIMIT)
    for reads in range(2):
        while transport.is_reading():
            assert transport.waiting <= 2 * LIMIT
            connection.data_received(frame(DownLinkTest()) * AT_A_TIME)
        assert 2 * LIMIT < transport.waiting <= 2 * LIMIT + AT_A_TIME * 2 * ANSWER_BYTES
        assert connection.is_up
        transport.peer_reads()
        assert transport.is_reading(), reads
    connection.connection_lost(None)

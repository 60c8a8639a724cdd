"""A superior platform that asks and does not read the answers: what waits for it stays bounded."""

from __future__ import annotations

import asyncio

from forward.links import Connection
from jt809 import Edition, LinkSettings, SerialCounter, SubLink
from jt809.events import Event, LoginAsked
from jt809.header import Header, build_frame
from jt809.messages import DownConnectRequest, DownLinkTest, encode_body

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


async def test_who_does_not_read_his_answers_is_not_read_until_he_does() -> None:
    def on_event(connection: Connection, event: Event) -> None:
        if isinstance(event, LoginAsked):
            assert isinstance(connection.link, SubLink)
            connection.link.accept(LinkSettings(), SerialCounter(), connection.now)

    connection = Connection(SubLink(LinkSettings(), asyncio.get_running_loop().time()), on_event, LIMIT)
    transport = FullSocket(connection)
    connection.connection_made(transport)
    connection.data_received(frame(DownConnectRequest(0)))
    for reads in range(2):
        while transport.is_reading():
            assert transport.waiting <= 2 * LIMIT
            connection.data_received(frame(DownLinkTest()) * AT_A_TIME)
        assert 2 * LIMIT < transport.waiting <= 2 * LIMIT + AT_A_TIME * 2 * ANSWER_BYTES
        assert connection.is_up
        transport.peer_reads()
        assert transport.is_reading(), reads
    connection.connection_lost(None)

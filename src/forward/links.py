"""The asyncio side of a link: socket to machine, machine to socket, one timer, a pause while the peer reads slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from jt809.events import Event
from jt809.link import Link
from jt809.messages import Message

LINGER_S: Final = 2.0  # what is left unsent when we close has so long
PIECE: Final = 2048  # bytes of a peer that are worked off at a time: 20 ms at worst
PAUSE: Final = 3.0  # times as long as a piece took passes until the next one


class Connection(asyncio.Protocol):
    """One TCP connection under a ``jt809.Link``.

    Args: link: the machine; a client machine gets its ``connected`` call from ``connected``.
          on_event: called with (self, event) for everything the machine reports; must not raise.
          connected: called once the socket is open.
    """

    def __init__(
        self,
        link: Link,
        on_event: Callable[[Connection, Event], None],
        write_buffer_bytes: int,
        connected: Callable[[Connection], None] | None = None,
    ) -> None:
        self.link = link
        self.peer = ""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_event = on_event
        self._write_buffer_bytes = write_buffer_bytes
        self._connected = connected
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._close_reason = ""
        self._unread = bytearray()  # came and waits for its turn; at most what one read brings
        self._turn: asyncio.TimerHandle | None = None

    # what the rest of forward asks

    @property
    def now(self) -> float:
        return self._loop.time()

    @property
    def is_up(self) -> bool:
        """Whether messages are taken now; not any more once either side has begun to close."""
        return self._transport is not None and not self._transport.is_closing() and self.link.is_up

    def send(self, message_id: int, body: bytes) -> None:
        """Queue a message; it goes out with the next ``flush`` or ``drain``. Raises: ConnectionError: not connected."""
        self._must_be_open()
        self.link.send(message_id, body, self.now)

    def send_message(self, message: Message) -> None:
        self._must_be_open()
        self.link.send_message(message, self.now)
        self.flush()

    def test(self) -> int:
        """Send a link test behind everything sent so far; returns its token. Raises: ConnectionError."""
        self._must_be_open()
        token = self.link.test(self.now)
        self.flush()
        return token

    async def drain(self) -> None:
        """Write out what was queued; wait while the peer does not read. Raises: ConnectionError: it is closed.

        Always lets others run in between: whoever sends a lot asks often.
        """
        self.flush()
        await asyncio.sleep(0)
        await self._writable.wait()
        self._must_be_open()

    def flush(self) -> None:
        """Carry out what the machine wants: write, close, arm the timer."""
        if self._transport is None or self.closed.done():
            return
        if data := self.link.data_to_send():
            self._transport.write(data)
        if self.link.wants_close and not self._transport.is_closing():
            self.close()
        if self._timer is None:
            self._arm()

    def rearm(self) -> None:
        """The machine's state changed from outside: its deadline may be earlier now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def close(self, reason: str = "") -> None:
        """Close the socket; what is queued in it still has a moment to go out."""
        if self._transport is not None and not self._transport.is_closing():
            self._close_reason = reason
            self._transport.close()
            self._loop.call_later(LINGER_S, self._transport.abort)

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._transport.set_write_buffer_limits(high=self._write_buffer_bytes)
        peer: Any = self._transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "?"
        self._writable.set()
        if self._connected is not None:
            self._connected(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._turn is None:
            self._take()
        self._pace()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
        self._pace()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._turn is not None:
            self._turn.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        reason = self._close_reason or (f"connection lost: {error}" if error else "the peer closed the connection")
        for event in self.link.connection_lost(self.now, reason):
            self._on_event(self, event)
        self._writable.set()

    # inside

    def _take(self) -> None:
        """Work off a piece of what came; the rest has its turn later, so that no peer's flood takes the loop, which the
        pipeline and the other platforms share."""
        self._turn = None
        began = self._loop.time()
        piece = bytes(self._unread[:PIECE])
        del self._unread[:PIECE]
        state = self.link.state
        for event in self.link.receive_data(piece, self.now):
            self._on_event(self, event)
        if self.link.state is not state:
            self.rearm()
        self.flush()
        if self._unread and not self.closed.done():
            self._turn = self._loop.call_later(PAUSE * (self._loop.time() - began), self._next)

    def _next(self) -> None:
        self._take()
        self._pace()

    def _pace(self) -> None:
        """Read on, or not: neither while a flood waits for its turn, nor while the peer asks and does not read its
        answers, which would pile up without a bound. What is sent unasked stops at half of that. Silence ends the link
        as ever."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._unread or self._transport.get_write_buffer_size() > 2 * self._write_buffer_bytes:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _must_be_open(self) -> None:
        if not self.is_up:
            raise ConnectionResetError("the link is not up")

    def _arm(self) -> None:
        deadline = self.link.next_deadline()
        if deadline is not None and not self.closed.done():
            # Deadlines only move away while data flow, so the timer may wake too early and then arms itself again.
            self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        for event in self.link.handle_timer(self.now):
            self._on_event(self, event)
        self.flush()

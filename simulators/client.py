"""The asyncio shell of a simulated terminal: one link at a time, over TCP or UDP, good or bad."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Final, cast

from simulators.link import BadLink, LinkFaults
from simulators.terminal import State, Terminal
from simulators.wire import Deframer

CONNECT_TIMEOUT_S: Final = 10.0


class Address:
    """Where the platform is; a fleet's links share one, so that a restarted server may have another port."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port


class _Link(asyncio.Protocol, asyncio.DatagramProtocol):
    """What asyncio calls for either transport."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.transport: asyncio.BaseTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.received(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._client.received(data)

    def error_received(self, exc: Exception) -> None:
        """UDP: nobody listens there at the moment; the retries will tell."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class Client:
    """Keeps one terminal connected until cancelled. ``faults`` hold for both directions."""

    def __init__(self, terminal: Terminal, address: Address, faults: LinkFaults, *, udp: bool, seed: str) -> None:
        self.terminal = terminal
        self._address = address
        self._udp = udp
        self._rng = random.Random(seed)
        counts = terminal.ledger.counts
        self._up = BadLink(faults, self._rng, counts)
        # What comes down is already taken apart: it may be lost, late, doubled or swapped, not damaged.
        self._down = BadLink(replace(faults, damage=0, junk=0, cut=0), self._rng, counts)
        self._deframer = Deframer()
        self._link: _Link | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Connect, stay, and when the link goes, connect again after a while."""
        failures = 0
        try:
            self._arm()
            while True:
                if self.terminal.is_radio_off:
                    await asyncio.sleep(min(1.0, self.terminal.timing.retry_connect_s))
                    continue
                was_online = await self._one_link()
                failures = 0 if was_online else failures + 1
                longest = self.terminal.timing.retry_connect_s
                await asyncio.sleep(self._rng.uniform(0.1, 1.0) * min(longest, longest / 16 * 2 ** min(failures, 4)))
        finally:
            if self._timer:
                self._timer.cancel()
            if self._link and self._link.transport:
                self._close(self._link)

    async def _one_link(self) -> bool:
        """One connection from beginning to end; was the terminal on-line in it?"""
        terminal = self.terminal
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                link = await self._connect()
        except (OSError, TimeoutError):
            terminal.ledger.counts["connect_failed"] += 1
            return False
        self._link = link
        self._deframer = Deframer()
        try:
            terminal.connected(time.time())
            self._flush()
            await link.closed
            return terminal.state is State.ONLINE
        finally:
            self._link = None
            terminal.disconnected(time.time())
            self._close(link)
            terminal.ledger.counts["links_ended"] += 1

    async def _connect(self) -> _Link:
        host, port = self._address.host, self._address.port
        if self._udp:
            _, link = await self._loop.create_datagram_endpoint(lambda: _Link(self), remote_addr=(host, port))
        else:
            _, link = await self._loop.create_connection(lambda: _Link(self), host, port)
        return link

    @staticmethod
    def _close(link: _Link) -> None:
        if link.transport is not None:
            link.transport.close()
        if not link.closed.done():
            link.closed.set_result(None)

    # What happens on the link

    def received(self, data: bytes) -> None:
        for content in self._deframer.feed(data):
            for piece in self._down.carry(content):
                if piece.delay_s:
                    self._loop.call_later(piece.delay_s, self._hand_over, self._link, piece.data)
                else:
                    self.terminal.receive(piece.data, time.time())
        self._flush()

    def _hand_over(self, link: _Link | None, content: bytes) -> None:
        if link is self._link and link is not None:
            self.terminal.receive(content, time.time())
            self._flush()

    def _on_timer(self) -> None:
        self._timer = None
        self.terminal.tick(time.time())
        self._flush()

    def _flush(self) -> None:
        """Send what the terminal has to say, hang up when it wants to, and arm the timer anew."""
        frames = self.terminal.data_to_send()
        link = self._link
        if link is not None:
            for frame in frames:
                for piece in self._up.carry(frame):
                    if piece.delay_s:
                        self._loop.call_later(piece.delay_s, self._write, link, piece.data)
                    else:
                        self._write(link, piece.data)
                    if piece.is_last:
                        self._close(link)
            if self.terminal.wants_close:
                self._close(link)
        self._arm()

    def _write(self, link: _Link, data: bytes) -> None:
        if link.closed.done():
            return
        if self._udp:
            cast(asyncio.DatagramTransport, link.transport).sendto(data)
        else:
            cast(asyncio.Transport, link.transport).write(data)

    def _arm(self) -> None:
        """Have the timer go off at the terminal's next deadline, or before: then nothing happens but this."""
        at = self.terminal.next_deadline()
        if self._timer is None or at < self._timer_at - 0.001:
            if self._timer:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._loop.call_later(max(at - time.time(), 0.001), self._on_timer)

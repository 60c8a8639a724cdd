"""A superior platform (上级平台): takes JT/T 809 main links, connects sub links back, and keeps its own account.

It is what a subordinate platform's forwarding is tested against, so it can misbehave on demand: drop links, refuse
logins, stop reading, swallow what was sent last.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from jt809 import (
    Cipher,
    Deframer,
    Header,
    Link,
    LinkSettings,
    Message,
    SerialCounter,
    SuperiorMainLink,
    SuperiorSubLink,
)
from jt809.events import (
    BadFrameReceived,
    BodyUnreadable,
    Event,
    LoginAccepted,
    LoginAsked,
    LoginRefused,
    MessageReceived,
    OutOfPlace,
)
from jt809.messages import ConnectRequest
from simulators.arrivals import Arrivals

REPORT_S: Final = 10.0
SUB_LINK_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in under an access code; None takes anything."""

    user_id: int | None = None
    password: str | None = field(default=None, repr=False)
    cipher: Cipher | None = None
    is_encrypting: bool = False


class _Socket(asyncio.Protocol):
    """One TCP connection under a link machine."""

    def __init__(self, superior: Superior, link: Link) -> None:
        self.link = link
        self.swallow = -1  # frames still to be thrown away before the connection breaks; -1: none
        self.transport: asyncio.Transport | None = None
        self._superior = superior
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._swallowed = Deframer()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        if isinstance(self.link, SuperiorSubLink):
            self.link.connected(self._loop.time())
        self._superior.sockets.add(self)
        self.after()

    def data_received(self, data: bytes) -> None:
        if self.swallow >= 0:
            self.swallow -= len(self._swallowed.feed(data))
            if self.swallow <= 0:
                self.abort()
            return
        for event in self.link.receive_data(data, self._loop.time()):
            self._superior.on_event(self, event)
        self.after()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._superior.sockets.discard(self)
        for event in self.link.connection_lost(self._loop.time(), str(error or "closed by the peer")):
            self._superior.on_event(self, event)
        if not self.closed.done():
            self.closed.set_result(None)

    def after(self) -> None:
        """Carry out what the machine wants."""
        assert self.transport is not None
        if data := self.link.data_to_send():
            self.transport.write(data)
        if self.link.wants_close:
            self.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.link.next_deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._wake)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _wake(self) -> None:
        for event in self.link.handle_timer(self._loop.time()):
            self._superior.on_event(self, event)
        self.after()


class Superior(Arrivals):
    """``await start()``, read what arrived, ``await stop()``.

    Args: accounts: by access code; None lets everybody in.
          connects_back: open the sub link after a login.
          remember: as of ``Arrivals``.
          link: times of the links.
          sub_link_pause_s: between two tries of the sub link.

    Attributes, besides those of ``Arrivals``, whose ``counts`` have what else happens on the links:
        logins:     access codes in the order they logged in; refused: results given.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        accounts: Mapping[int, Account] | None = None,
        connects_back: bool = True,
        remember: int = 1_000_000,
        link: LinkSettings | None = None,
        chance: random.Random | None = None,
        sub_link_pause_s: float = 1.0,
    ) -> None:
        super().__init__(remember)
        self.host = host
        self.accounts = accounts
        self.refuse_with: int | None = None  # fault: answer every login with this result
        self.logins: list[int] = []
        self.refused: list[int] = []
        self.sockets: set[_Socket] = set()
        self._port = port
        self._connects_back = connects_back
        self._settings = link or LinkSettings()
        self._chance = chance or random.Random()
        self._sub_link_pause_s = sub_link_pause_s
        self._serial = SerialCounter()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen for main links. Raises: OSError."""
        loop = asyncio.get_running_loop()

        def accept() -> _Socket:
            return _Socket(self, SuperiorMainLink(self._settings, loop.time(), self._cipher_of))

        self._server = await loop.create_server(accept, self.host, self._port)
        self._port = self.port

    async def stop(self) -> None:
        """Close everything; ``start`` again on the same port is possible."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        sockets = list(self.sockets)
        for socket in sockets:
            socket.abort()
        await asyncio.gather(*(socket.closed for socket in sockets))
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait until the account says so. Raises: TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # faults

    @property
    def main_links(self) -> list[_Socket]:
        return [socket for socket in self.sockets if isinstance(socket.link, SuperiorMainLink)]

    @property
    def sub_links(self) -> list[_Socket]:
        return [socket for socket in self.sockets if isinstance(socket.link, SuperiorSubLink)]

    def drop_main(self, swallow: int = 0) -> None:
        """Break the main links; first throw away the next ``swallow`` frames that come, unanswered."""
        self._drop(self.main_links, swallow)

    def drop_all(self, swallow: int = 0) -> None:
        """Break main and sub links; the sub links at once, the main ones like ``drop_main``."""
        self._drop(self.sub_links, 0)
        self._drop(self.main_links, swallow)

    def stop_reading(self) -> None:
        for socket in self.main_links:
            if socket.transport is not None:
                socket.transport.pause_reading()

    def resume_reading(self) -> None:
        for socket in self.main_links:
            if socket.transport is not None:
                socket.transport.resume_reading()

    def send(self, message: Message, *, over_main: bool = False) -> int:
        """Send something down every sub link (or main link) that is up; returns how many."""
        sent = 0
        for socket in self.main_links if over_main else self.sub_links:
            if socket.link.is_up:
                socket.link.send_message(message, asyncio.get_running_loop().time())
                socket.after()
                sent += 1
        return sent

    @staticmethod
    def _drop(sockets: list[_Socket], swallow: int) -> None:
        for socket in sockets:
            if swallow:
                socket.swallow = swallow
            else:
                socket.abort()

    # what arrives

    def on_event(self, socket: _Socket, event: Event) -> None:
        match event:
            case LoginAsked():
                self._login(socket, event)
            case MessageReceived():
                self.take(event)
            case LoginAccepted():
                self.counts["sub links up"] += 1
            case LoginRefused():
                self.counts["sub links refused"] += 1
            case BadFrameReceived() | BodyUnreadable() | OutOfPlace():
                self.bad[type(event).__name__] += 1
            case _:
                self.counts[type(event).__name__] += 1
        self._changed.set()

    def _login(self, socket: _Socket, event: LoginAsked) -> None:
        link, request, code = socket.link, event.request, event.header.access_code
        assert isinstance(link, SuperiorMainLink)
        assert isinstance(request, ConnectRequest)
        now = asyncio.get_running_loop().time()
        result = self._judge(code, request)
        if result:
            self.refused.append(result)
            link.refuse(result, now)
            return
        account = self._account_of(code)
        verify_code = self._chance.randrange(1 << 32)
        settings = LinkSettings(
            access_code=code,
            cipher=account.cipher,
            is_encrypting=account.is_encrypting,
            heartbeat_s=self._settings.heartbeat_s,
            silence_s=self._settings.silence_s,
            login_timeout_s=self._settings.login_timeout_s,
        )
        link.accept(settings, self._serial, verify_code, now)
        self.logins.append(code)
        if self._connects_back:
            task = asyncio.create_task(self._connect_back(socket, settings, request, verify_code))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _judge(self, access_code: int, request: ConnectRequest) -> int:
        """RESULT of 0x1002: checks access code, user and password, in that order."""
        if self.refuse_with is not None:
            return self.refuse_with
        if self.accounts is not None and access_code not in self.accounts:
            return 2
        account = self._account_of(access_code)
        if account.user_id is not None and request.user_id != account.user_id:
            return 3
        return 4 if account.password is not None and request.password != account.password else 0

    def _account_of(self, access_code: int) -> Account:
        return (self.accounts or {}).get(access_code, Account())

    def _cipher_of(self, header: Header, body: bytes) -> Cipher | None:
        return self._account_of(header.access_code).cipher

    async def _connect_back(
        self, main: _Socket, settings: LinkSettings, request: ConnectRequest, verify_code: int
    ) -> None:
        """Keep a sub link up as long as this main link lives; three tries each time, as the standard says."""
        loop = asyncio.get_running_loop()
        while not main.closed.done():
            for _ in range(SUB_LINK_TRIES):
                socket = _Socket(self, SuperiorSubLink(settings, verify_code, self._serial))
                with contextlib.suppress(OSError):
                    await loop.create_connection(lambda s=socket: s, request.down_link_ip, request.down_link_port)  # type: ignore[misc]
                    await asyncio.shield(socket.closed)
                    break
                await asyncio.sleep(self._sub_link_pause_s)
            else:
                self.counts["sub links given up"] += 1
                self._changed.set()
                return
            if not main.closed.done():
                await asyncio.sleep(self._sub_link_pause_s)

    def report(self) -> str:
        """One line: how many links, vehicles and positions."""
        up = sum(socket.link.is_up for socket in self.main_links), sum(socket.link.is_up for socket in self.sub_links)
        c = self.counts
        return (
            f"links main {up[0]} sub {up[1]} | vehicles {len(self.by_vehicle)} registered {len(self.registered)} | "
            f"positions {c['positions']} distinct {len(self.positions) + self.forgotten} "
            f"(0x1202 {c['0x1200/0x1202']}, 0x1203 {c['0x1200/0x1203']}) | unreadable {sum(self.bad.values())}"
        )


async def run(host: str = "127.0.0.1", port: int = 9809, report_s: float = REPORT_S) -> None:
    """Serve until cancelled; prints where it listens, then a line of counts every ``report_s``."""
    superior = Superior(host, port)
    await superior.start()
    try:
        print(f"listening jt809={host}:{superior.port}", flush=True)
        while True:
            await asyncio.sleep(report_s)
            print(superior.report(), flush=True)
    finally:
        await superior.stop()


def serve(host: str = "127.0.0.1", port: int = 9809) -> None:
    """``run`` until Ctrl-C or SIGTERM; what the command line calls."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await run(host, port)

    asyncio.run(main())

"""The sockets that terminals connect to."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Final

from ingest.counters import Counters

UDP_BUFFER_BYTES: Final = 4 << 20

RECEIVE_BUFFER_BYTES: Final = 32 << 10
SEND_BUFFER_BYTES: Final = 16 << 10
"""Of each TCP link, in the kernel, which doubles them for its own needs. Answers are 20 bytes, and a photo comes at
32 KiB per round trip; left to itself the kernel gives a peer that does not read its answers 2.5 MiB."""

KEEPALIVE_IDLE_S: Final = 120
KEEPALIVE_EVERY_S: Final = 30
KEEPALIVE_PROBES: Final = 4
USER_TIMEOUT_MS: Final = 240_000
"""A terminal that vanished without a word (power cut, tunnel, a NAT that forgot it): found after four minutes, whether
we had something to tell it or not. Terminals that lose coverage for less keep their link."""

LINK_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
)
"""Set on the listening socket: Linux lets every accepted one inherit them, so a link costs no call for it."""


BACKLOG: Final = 4096
ACCEPTED_AT_ONCE: Final = 8  # half a millisecond; the others' answers wait for no more
NO_FILES_PAUSE_S: Final = 1.0
HANDSHAKES_AT_ONCE: Final = 2000  # of TLS; a stranger who never finishes one costs as much as a terminal


class Acceptor:
    """Takes new connections a few in each turn of the loop.

    The loop's own server takes all there are: when ten thousand terminals come back at once, those that are there wait
    seconds for their answers. A short backlog helps them but has the newcomers wait for TCP to try again, up to a
    minute.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        counters: Counters,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        handshake_s: float | None = None,
    ) -> None:
        """Args:  listener: bound and non-blocking; it is closed here. tls: what to greet the next one with;
        handshake_s: its time for it."""
        self._listener = listener
        self._make = make
        self._counters = counters
        self._tls = tls
        self._handshake_s = handshake_s if tls is not None else None
        self._begun: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        listener.listen(BACKLOG)
        self._resume()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no more files, or no memory: the others wait in the backlog
                self._counters.count("accept_errors", errno.errorcode.get(error.errno or 0, "other"))
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(NO_FILES_PAUSE_S, self._resume)
                return
            if self._tls is not None and len(self._begun) >= HANDSHAKES_AT_ONCE:
                self._counters.count("links_refused", "handshakes_full")
                connection.close()
                continue
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make,
                connection,
                ssl=None if self._tls is None else self._tls(),
                ssl_handshake_timeout=self._handshake_s,
            )
        except OSError:  # gone already, or no TLS: SSLError is one of them
            self._counters["links_stillborn"] += 1
            connection.close()

    def close(self) -> None:
        """Take no more; what is in its handshake is given up."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._begun:
            task.cancel()


def raise_file_limit() -> None:
    """Every link is an open file, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def bind_tcp(host: str, port: int) -> socket.socket:
    """A TCP socket, bound, with the options that its links shall have. Raises OSError with the address in its text."""
    tcp = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in LINK_OPTIONS:
            tcp.setsockopt(level, option, value)
        tcp.setblocking(False)
        tcp.bind((host, port))
    except OSError as error:
        tcp.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return tcp


def bind_both(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port. Raises OSError with the address in its text."""
    for attempt in range(20):
        tcp = bind_tcp(host, port)
        udp = socket.socket(_family(host), socket.SOCK_DGRAM)
        try:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
            udp.setblocking(False)
            udp.bind((host, tcp.getsockname()[1]))
        except OSError as error:
            tcp.close()
            udp.close()
            if port or attempt == 19:
                raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
        else:
            return tcp, udp
    raise AssertionError("unreachable")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

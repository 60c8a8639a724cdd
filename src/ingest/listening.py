"""The sockets that terminals connect to."""

from __future__ import annotations

import resource
import socket
import ssl
from pathlib import Path
from typing import Final

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


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What the TLS listener speaks: TLS 1.2 and later.

    Args:    certificate: PEM, the chain from the server's own on. key: PEM; None: it stands in the same file.
    Raises:  OSError: a file cannot be read or does not fit the other; its name is in the text.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise OSError(f"TLS certificate {certificate}, key {key or certificate}: {error}") from error
    return context

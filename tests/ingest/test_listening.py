"""Taking connections: a few at a time, and on when there were no files."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from ingest import listening
from ingest.counters import Counters
from ingest.listening import ACCEPTED_AT_ONCE, Acceptor, bind_both, bind_tcp
from tests.ingest.waiting import until


class Greeter(asyncio.Protocol):
    lost = 0

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        Greeter.lost += 1


@pytest.fixture(autouse=True)
def nobody_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Greeter, "lost", 0)


class Listener(socket.socket):
    """Counts, and has no files left for the first."""

    accepted = 0
    fails = 0

    def accept(self) -> Any:
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        got = super().accept()
        self.accepted += 1
        return got


def listener() -> Listener:
    plain = bind_tcp("127.0.0.1", 0)
    return Listener(fileno=plain.detach())


async def test_all_are_taken_but_few_at_once() -> None:
    sock = listener()
    acceptor = Acceptor(sock, Greeter, Counters())
    clients = [socket.create_connection(sock.getsockname()) for _ in range(ACCEPTED_AT_ONCE + 5)]
    acceptor._accept()
    assert sock.accepted == ACCEPTED_AT_ONCE
    await until(lambda: sock.accepted == Greeter.lost == len(clients))
    assert not acceptor._begun
    for client in clients:
        assert client.recv(10) == b"hello"
        client.close()
    acceptor.close()


async def test_when_there_are_no_files_it_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "NO_FILES_PAUSE_S", 0.05)
    sock, counters = listener(), Counters()
    sock.fails = 2
    acceptor = Acceptor(sock, Greeter, counters)
    with socket.create_connection(sock.getsockname()) as client:
        await until(lambda: sock.accepted == Greeter.lost == 1)
        assert client.recv(10) == b"hello"
    assert counters["accept_errors{reason=EMFILE}"] == 2
    acceptor.close()


def test_tcp_and_udp_share_a_port() -> None:
    tcp, udp = bind_both("127.0.0.1", 0)
    assert tcp.getsockname() == udp.getsockname()
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:"):
        bind_both("127.0.0.1", udp.getsockname()[1])
    tcp.close()
    udp.close()

"""A load generator light enough not to be the bottleneck: one epoll loop, blocking nowhere, frames encoded beforehand.

One report per frame, one frame per ``send``. Either every link sends the next report as soon as the one before is
answered (``window`` of them on their way), or reports leave at a fixed total rate; then latency counts from the moment
a report was due, so that a server that stalls cannot hide it.

    python -m bench.generator --port 6808 --links 200 --seconds 10 [--window 1 | --rate 5000]

prints one JSON object. Its account goes to ``--account`` as JSON lines that ``bench.end_to_end`` holds against the
database.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench import frames
from simulators import wire
from simulators.wire import Identity

HANDSHAKE_S = 60.0
LAST_ANSWERS_S = 15.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run measured. Latencies in milliseconds."""

    links: int
    sent: int
    answered: int
    refused: int  # answered, but not with success
    unanswered: int
    seconds: float  # from the first report to the last answer
    answers_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us_per_report: float
    ran_dry: int  # links that had no frame left
    began_at: float  # seconds since 1970


class Link:
    """One terminal's connection."""

    __slots__ = ("answered", "frames", "index", "next", "rest", "sent_at", "sock")

    def __init__(self, index: int, sock: socket.socket) -> None:
        self.index = index
        self.sock = sock
        self.frames: list[bytes] = []
        self.next = 0
        self.answered = 0
        self.rest = b""
        self.sent_at: deque[float] = deque()


def _connect(host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=HANDSHAKE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _one_frame(sock: socket.socket) -> bytes:
    """The next frame's content; only used before the load."""
    data = b""
    while data.count(b"\x7e") < 2:
        more = sock.recv(4096)
        if not more:
            raise ConnectionError("the server hung up during the handshake")
        data += more
    (content,) = wire.Deframer().feed(data)
    return content


def _log_in(links: list[Link]) -> None:
    """Register and authenticate all links, each step on all of them before the next.

    Raises: ConnectionError: one was refused or hung up on.
    """
    codes: dict[int, bytes] = {}
    for step in ("register", "authenticate"):
        for link in links:
            number = frames.phone(link.index)
            identity = Identity(number, f"辽A{link.index:05d}", 2, 100, f"{link.index:07d}", terminal_model="RW-BENCH")
            field = wire.phone_field(number, "2013")
            if step == "register":
                frame = wire.message(wire.REGISTER, "2013", field, 0, wire.register_body(identity, "2013"))
            else:
                body = wire.authentication_body(codes[link.index], identity, "2013")
                frame = wire.message(wire.AUTHENTICATE, "2013", field, 1, body)
            link.sock.sendall(frame)
        for link in links:
            answer = wire.parse(_one_frame(link.sock))
            result = answer.body[2] if step == "register" else answer.body[4]
            if result:
                raise ConnectionError(f"{step} of {frames.phone(link.index)} refused with result {result}")
            codes[link.index] = answer.body[3:]


class Load:
    """The measured part."""

    def __init__(self, links: list[Link], *, expects_answers: bool) -> None:
        self._links = {link.sock.fileno(): link for link in links}
        self._expects_answers = expects_answers  # False: an echo server; what comes back is only counted
        self._poll = select.epoll()
        self.latencies = array("d")
        self.refused = 0
        self.ran_dry = 0
        self.last_answer = 0.0
        for fd, link in self._links.items():
            link.sock.setblocking(False)
            self._poll.register(fd, select.EPOLLIN)

    def close(self) -> None:
        self._poll.close()

    def _send(self, link: Link, due: float) -> None:
        if link.next >= len(link.frames):
            self.ran_dry += link.next == len(link.frames)
            link.next = len(link.frames) + 1
            return
        frame = link.frames[link.next]
        link.next += 1
        link.sent_at.append(due)
        if link.sock.send(frame) != len(frame):
            raise BlockingIOError("the server does not read; a frame went out in part")

    def _receive(self, link: Link, now: float) -> int:
        """Answers that came on a link."""
        data = link.rest + link.sock.recv(65536)
        if not data:
            raise ConnectionError(f"the server hung up on {frames.phone(link.index)}")
        *parts, link.rest = data.split(b"\x7e")
        answers = 0
        for part in parts:
            if not part:
                continue
            answers += 1
            self.latencies.append(now - link.sent_at.popleft())
            if self._expects_answers:
                if b"\x7d" in part:
                    part = part.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                if part[:2] != b"\x80\x01" or part[16] != 0:
                    self.refused += 1
        link.answered += answers
        return answers

    def closed_loop(self, seconds: float, window: int) -> float:
        """Every link keeps ``window`` reports on their way. Returns when it began."""
        clock = time.perf_counter
        began = clock()
        end = began + seconds
        for link in self._links.values():
            for _ in range(window):
                self._send(link, clock())
        while (now := clock()) < end:
            for fd, _ in self._poll.poll(0.1):
                link = self._links[fd]
                now = clock()
                for _ in range(self._receive(link, now)):
                    self._send(link, now)
        self._last_answers()
        return began

    def paced(self, seconds: float, rate: float) -> float:
        """``rate`` reports a second over all links in turn, each due at its own moment. Returns when it began."""
        clock = time.perf_counter
        links = list(self._links.values())
        began = clock()
        total = int(seconds * rate)
        sent = 0
        while sent < total:
            now = clock()
            while sent < total and (due := began + sent / rate) <= now:
                self._send(links[sent % len(links)], due)
                sent += 1
            wait = max(began + sent / rate - clock(), 0.0)
            for fd, _ in self._poll.poll(wait):
                self._receive(self._links[fd], clock())
        self._last_answers()
        return began

    def _last_answers(self) -> None:
        until = time.perf_counter() + LAST_ANSWERS_S
        self.last_answer = time.perf_counter()
        while any(link.sent_at for link in self._links.values()) and time.perf_counter() < until:
            for fd, _ in self._poll.poll(0.1):
                self._receive(self._links[fd], time.perf_counter())
                self.last_answer = time.perf_counter()


def run(
    host: str,
    port: int,
    *,
    links: int = 200,
    seconds: float = 10.0,
    window: int = 1,
    rate: float | None = None,
    most_per_s: float = 50_000,
    echo: bool = False,
    account: Path | None = None,
) -> Result:
    """Load a server and measure.

    Args:
        most_per_s: frames are prepared for this many reports a second.
        echo:       the other side is ``bench.echo``: no login, answers only counted.
        account:    file for the account, see ``bench.account``.
    """
    per_link = int((rate or most_per_s) * seconds * 1.05 / links) + window + 1
    with contextlib.ExitStack() as stack:
        connected = [Link(index, stack.enter_context(_connect(host, port))) for index in range(links)]
        if not echo:
            _log_in(connected)
        last_time = int(time.time()) - 1
        for link in connected:
            link.frames = frames.framed(frames.contents(link.index, per_link, 2, last_time))
        load = stack.enter_context(contextlib.closing(Load(connected, expects_answers=not echo)))
        began_at = time.time()
        cpu = time.process_time()
        began = load.paced(seconds, rate) if rate else load.closed_loop(seconds, window)
        cpu = time.process_time() - cpu
    sent = sum(min(link.next, len(link.frames)) for link in connected)
    answered = sum(link.answered for link in connected)
    if account:
        lines = [json.dumps([link.index, per_link, last_time, link.next, link.answered]) for link in connected]
        account.write_text("\n".join(lines) + "\n")
    latencies = np.sort(np.frombuffer(load.latencies, np.float64)) * 1e3 if load.latencies else np.zeros(1)
    took = load.last_answer - began
    return Result(
        links=links,
        sent=sent,
        answered=answered,
        refused=load.refused,
        unanswered=sent - answered,
        seconds=round(took, 3),
        answers_per_s=round(answered / took, 1),
        p50_ms=round(float(latencies[len(latencies) // 2]), 2),
        p99_ms=round(float(latencies[int(len(latencies) * 0.99)]), 2),
        max_ms=round(float(latencies[-1]), 2),
        cpu_us_per_report=round(cpu / max(answered, 1) * 1e6, 2),
        ran_dry=load.ran_dry,
        began_at=began_at,
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.generator", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--links", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--window", type=int, default=1, help="reports on their way per link")
    parser.add_argument("--rate", type=float, help="reports a second over all links, instead of as fast as answered")
    parser.add_argument("--most-per-s", type=float, default=50_000, help="prepare frames for this many")
    parser.add_argument("--echo", action="store_true", help="the server is bench.echo")
    parser.add_argument("--account", type=Path, help="file for what was sent and answered")
    options = vars(parser.parse_args(arguments))
    try:
        result = run(options.pop("host"), options.pop("port"), **options)
    except (OSError, struct.error) as error:
        sys.exit(f"bench.generator: {error}")
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main(sys.argv[1:])

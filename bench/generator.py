"""A load generator light enough not to be the bottleneck: one epoll loop that blocks nowhere and decodes nothing.

One report per frame, one frame per ``send``. Either every link sends the next report as soon as the one before is
answered (``window`` of them on their way), or reports leave at a fixed total rate; then latency counts from the moment
a report was due, so that a server that stalls cannot hide it. Frames are made a few hundred at a time by numpy, from
link and number alone (``bench.frames``); of an answer serial number and result are looked at.

    python -m bench.generator --port 6808 --links 200 --seconds 10 [--window 1 | --rate 5000]

prints `begun` and, after ``--seconds`` or SIGTERM, a JSON object. Its account goes to ``--account`` as JSON lines that
``bench.account`` holds against the database, its latencies to ``--latencies`` (``bench.latency``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import frames
from bench.latency import MARK_S, Recorder
from ingest.listening import raise_file_limit
from simulators import wire
from simulators.wire import Identity

HANDSHAKE_S: Final = 60.0
LAST_ANSWERS_S: Final = 60.0
FRAMES_AT_ONCE: Final = 256
FIRST_SERIAL_NO: Final = 2
ON_THE_WAY: Final = 256  # reports of a link, at a fixed rate; what is due beyond that is held back and counted
SEND_BUFFER: Final = 128 << 10  # has room for them
PLAIN_ANSWER: Final = 20  # 0x8001 of 2013 between its flags, when nothing in it had to be escaped


@dataclass(frozen=True, slots=True)
class Result:
    """What one run measured. Latencies in milliseconds."""

    links: int
    sent: int
    answered: int
    refused: int  # answered, but not with success
    disordered: int  # answers to another report than the oldest on its way
    unanswered: int
    cut: int  # links that the server ended
    held_back: int  # reports that were due while ON_THE_WAY were
    seconds: float  # from the first report to the last answer
    answers_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us_per_report: float  # of this generator, making the frames included
    kernel_us_per_report: float  # the part of it in the kernel
    busy: float  # share of one core that it took
    ran_dry: int  # links that had no report left
    began_at: float  # seconds since 1970


class Link:
    """One terminal's connection."""

    __slots__ = ("answered", "frames", "index", "is_cut", "next", "recv", "rest", "send", "sent", "sent_at", "sock")

    def __init__(self, index: int, sock: socket.socket) -> None:
        self.index = index
        self.sock = sock
        self.recv = sock.recv
        self.send = sock.send
        self.frames: list[bytes] = []
        self.next = 0  # of the frames at hand
        self.sent = 0
        self.answered = 0
        self.rest = b""
        self.sent_at: deque[float] = deque()
        self.is_cut = False


def _connect(host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=HANDSHAKE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
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
    """The measured part.

    Args:  per_link: how many reports a link has, at most.
           last_time_s: device time of the last of them.
           expects_answers: False: an echo server; what comes back is only counted.
    """

    def __init__(self, links: list[Link], per_link: int, last_time_s: int, *, expects_answers: bool) -> None:
        self._links = {link.sock.fileno(): link for link in links}
        self._per_link = per_link
        self._last_time_s = last_time_s
        self._expects_answers = expects_answers
        self._poll = select.epoll()
        self._next_mark = 0.0
        self.recorder = Recorder()
        self.refused = 0
        self.disordered = 0
        self.held_back = 0
        self.ran_dry = 0
        self.last_answer = 0.0
        self.is_stopped = False
        for fd, link in self._links.items():
            link.sock.setblocking(False)
            self._poll.register(fd, select.EPOLLIN)
            self._make_frames(link, FRAMES_AT_ONCE // 2 + link.index * 37 % FRAMES_AT_ONCE)  # not all again at once

    def close(self) -> None:
        self._poll.close()

    def _make_frames(self, link: Link, count: int = FRAMES_AT_ONCE) -> None:
        start = link.sent
        matrix = frames.contents(
            link.index, self._per_link, FIRST_SERIAL_NO, self._last_time_s, start, min(start + count, self._per_link)
        )
        link.frames, link.next = frames.framed(matrix), 0

    def _send(self, link: Link, due: float) -> None:
        if link.next == len(link.frames):
            if link.is_cut or link.sent >= self._per_link:
                self.ran_dry += not link.is_cut
                return
            self._make_frames(link)
        frame = link.frames[link.next]
        try:
            went = link.send(frame)
        except OSError:
            self._cut_off(link)
            return
        if went != len(frame):
            raise BlockingIOError("the server does not read; a frame went out in part")
        link.next += 1
        link.sent += 1
        link.sent_at.append(due)

    def _cut_off(self, link: Link) -> None:
        if not link.is_cut:
            link.is_cut = True
            self._poll.unregister(link.sock)
            link.next = len(link.frames)

    def _receive(self, link: Link) -> int:
        """How many answers came on a link."""
        try:
            data = link.recv(16384)
        except OSError:
            data = b""
        now = time.perf_counter()
        if len(data) == PLAIN_ANSWER and not link.rest:
            self.recorder.seconds.append(now - link.sent_at.popleft())
            if self._expects_answers:
                self._look_at(link, data, 1)
            link.answered += 1
            return 1
        if not data:
            self._cut_off(link)
            return 0
        *parts, link.rest = (link.rest + data).split(b"\x7e")
        answers = 0
        for part in parts:
            if not part:
                continue
            answers += 1
            self.recorder.seconds.append(now - link.sent_at.popleft())
            if self._expects_answers:
                if b"\x7d" in part:
                    part = part.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                self._look_at(link, part, 0)
            link.answered += 1
        return answers

    def _look_at(self, link: Link, answer: bytes, at: int) -> None:
        """An answer whose header begins there: is it success, and for the oldest report on its way?"""
        if answer[at] != 0x80 or answer[at + 1] != 1 or answer[at + 16]:
            self.refused += 1
        elif (answer[at + 12] << 8 | answer[at + 13]) != (link.answered + FIRST_SERIAL_NO) & 0xFFFF:
            self.disordered += 1

    def _mark(self, now: float) -> None:
        self._next_mark = now + MARK_S
        self.recorder.mark()

    def closed_loop(self, seconds: float, window: int) -> float:
        """Every link keeps ``window`` reports on their way. Returns when it began."""
        clock, poll, links = time.perf_counter, self._poll.poll, self._links
        receive, send = self._receive, self._send
        began = clock()
        end = began + seconds
        for link in links.values():
            for _ in range(window):
                send(link, clock())
        while (now := clock()) < end and not self.is_stopped:
            if now >= self._next_mark:
                self._mark(now)
            for fd, _ in poll(0.1):
                link = links[fd]
                for _ in range(receive(link)):
                    send(link, clock())
        self._last_answers()
        return began

    def paced(self, seconds: float, rate: float) -> float:
        """``rate`` reports a second over all links in turn, each due at its own moment. Returns when it began."""
        clock = time.perf_counter
        links = list(self._links.values())
        began = clock()
        total = int(seconds * rate)
        done = 0
        while done < total and not self.is_stopped:
            now = clock()
            if now >= self._next_mark:
                self._mark(now)
            while done < total and (due := began + done / rate) <= now:
                link = links[done % len(links)]
                done += 1
                if len(link.sent_at) < ON_THE_WAY:
                    self._send(link, due)
                else:
                    self.held_back += 1
            wait = max(began + done / rate - clock(), 0.0)
            for fd, _ in self._poll.poll(wait):
                self._receive(self._links[fd])
        self._last_answers()
        return began

    def _last_answers(self) -> None:
        until = time.perf_counter() + LAST_ANSWERS_S
        self.last_answer = time.perf_counter()
        while any(link.sent_at for link in self._links.values() if not link.is_cut) and time.perf_counter() < until:
            for fd, _ in self._poll.poll(0.1):
                self._receive(self._links[fd])
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
    latencies: Path | None = None,
    on_begin: Callable[[], None] = lambda: None,
) -> Result:
    """Load a server and measure.

    Args:
        most_per_s: there are reports for so many a second; device time begins that many seconds a link in the past.
        echo:       the other side is ``bench.echo``: no login, answers only counted.
        account:    file for the account, see ``bench.account``.
        latencies:  file for every single latency, see ``bench.latency``.
        on_begin:   called when all are logged in, before the first report.
    """
    per_link = int((rate or most_per_s) * seconds * 1.05 / links) + window + 1
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        connected = [Link(index, stack.enter_context(_connect(host, port))) for index in range(links)]
        if not echo:
            _log_in(connected)
        last_time = int(time.time()) - 1
        load = stack.enter_context(contextlib.closing(Load(connected, per_link, last_time, expects_answers=not echo)))
        with contextlib.suppress(ValueError):  # a test runs this in a thread
            signal.signal(signal.SIGTERM, lambda *_: setattr(load, "is_stopped", True))
        on_begin()
        began_at, before = time.time(), os.times()
        began = load.paced(seconds, rate) if rate else load.closed_loop(seconds, window)
        after = os.times()
    cpu, kernel = after.user - before.user + after.system - before.system, after.system - before.system
    sent, answered = sum(link.sent for link in connected), sum(link.answered for link in connected)
    if account:
        lines = [json.dumps([link.index, per_link, last_time, link.sent, link.answered]) for link in connected]
        account.write_text("\n".join(lines) + "\n")
    if latencies:
        load.recorder.save(latencies)
    p50, p99, highest = load.recorder.quantiles_ms(0.5, 0.99, 1.0) if answered else (0.0, 0.0, 0.0)
    took = load.last_answer - began
    return Result(
        links=links,
        sent=sent,
        answered=answered,
        refused=load.refused,
        disordered=load.disordered,
        unanswered=sent - answered,
        cut=sum(link.is_cut for link in connected),
        held_back=load.held_back,
        seconds=round(took, 3),
        answers_per_s=round(answered / took, 1),
        p50_ms=p50,
        p99_ms=p99,
        max_ms=highest,
        cpu_us_per_report=round(cpu / max(answered, 1) * 1e6, 2),
        kernel_us_per_report=round(kernel / max(answered, 1) * 1e6, 2),
        busy=round(cpu / took, 2),
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
    parser.add_argument("--most-per-s", type=float, default=50_000, help="have reports for this many")
    parser.add_argument("--echo", action="store_true", help="the server is bench.echo")
    parser.add_argument("--account", type=Path, help="file for what was sent and answered")
    parser.add_argument("--latencies", type=Path, help="file for every latency (.npz)")
    options = vars(parser.parse_args(arguments))
    try:
        host, port = options.pop("host"), options.pop("port")
        result = run(host, port, **options, on_begin=lambda: print("begun", flush=True))
    except (OSError, struct.error) as error:
        sys.exit(f"bench.generator: {error}")
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main(sys.argv[1:])

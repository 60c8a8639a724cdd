"""The load generator: its frames are what they claim, and its account tells a loss."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import jt808
from bench import account, frames, generator
from jt808.fix_hash import fix_hash

NOON = 1_700_000_000


def test_frames_are_reports_one_a_second_all_different() -> None:
    matrix = frames.contents(7, 5000, 2, NOON)
    found = jt808.Deframer().feed(b"".join(frames.framed(matrix)))
    assert len(found) == 5000
    keys = frames.keys(matrix, 7)
    assert len(set(keys)) == 5000
    for number, (content, key) in enumerate(zip(found, keys, strict=True)):
        assert isinstance(content, bytes)
        header, body = jt808.parse_header(content)
        assert (header.phone, header.serial_no) == ("013700000007", number + 2)
        assert key == ("13700000007", (NOON - 4999 + number) * 1_000_000, fix_hash(body))
        report = jt808.decode_body(header.message_id, header.edition, body)
        assert isinstance(report, jt808.LocationReport)
        assert report.fault is None
        assert report.time is not None
        assert report.time.timestamp() == NOON - 4999 + number
        assert report.speed_kmh < 90
        assert [item.id for item in report.items] == [0x01, 0x02, 0x03, 0x30, 0x31]
        assert report.remainder == b""


class Answering:
    """A platform of a few lines: accepts everything, or everything but the first report of each link."""

    def __init__(self, refuse_first: bool = False) -> None:
        self.refuse_first = refuse_first
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(sock,), daemon=True).start()

    def talk(self, sock: socket.socket) -> None:
        deframer = jt808.Deframer()
        with sock:
            while data := sock.recv(65536):
                for content in deframer.feed(data):
                    assert isinstance(content, bytes)
                    header, _ = jt808.parse_header(content)
                    serial = header.serial_no.to_bytes(2, "big")
                    if header.message_id == 0x0100:
                        answer = jt808.build_frame(0x8100, header.phone, 0, serial + b"\x00code", header.edition)
                    else:
                        result = b"\x01" if self.refuse_first and header.serial_no == 2 else b"\x00"
                        body = serial + header.message_id.to_bytes(2, "big") + result
                        answer = jt808.build_frame(0x8001, header.phone, 0, body, header.edition)
                    sock.sendall(answer)


@contextmanager
def answering(server: Answering) -> Iterator[Answering]:
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


@pytest.mark.parametrize("options", [{"window": 1}, {"window": 3}, {"rate": 200.0}])
def test_every_answer_is_counted(options: dict[str, float], tmp_path: Path) -> None:
    path = tmp_path / "account"
    with answering(Answering()) as server:
        result = generator.run("127.0.0.1", server.port, links=5, seconds=0.3, most_per_s=5000, account=path, **options)  # type: ignore[arg-type]
    assert result.sent == result.answered >= 5
    assert (result.refused, result.unanswered) == (0, 0)
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms
    ledger = account.read(path)
    assert len(ledger.entries) == result.sent
    assert ledger.compare(ledger.entries).is_right
    *but_one, _ = ledger.entries
    assert len(ledger.compare(but_one).lost_answered) == 1


def test_refusals_are_no_successes(tmp_path: Path) -> None:
    with answering(Answering(refuse_first=True)) as server:
        result = generator.run("127.0.0.1", server.port, links=4, seconds=0.2, most_per_s=5000)
    assert result.refused == 4


def test_a_server_that_hangs_up_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        with pytest.raises(ConnectionError):
            generator.run("127.0.0.1", listener.getsockname()[1], links=1, seconds=0.1)
        thread.join()

"""docs/jt808.md: its examples are as short as it says, and run."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jt808 import Result
from jt808.connection import TerminalConnection
from jt808.events import AuthRequested, Event, MessageReceived, RegisterRequested
from tests.jt808.vectors import frames

PAGE = Path(__file__).parents[2] / "docs" / "jt808.md"
READ, ACT = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(("example", "most"), [(READ, 10), (ACT, 15)])
def test_they_are_as_short_as_the_headings_say(example: str, most: int) -> None:
    lines = [line for line in example.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= most


def test_a_capture_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    good = [
        row for row in frames() if row["message_id"] == "0x0200" and row["valid"] and row["expected_basis"] == "assert"
    ]
    whole = [row for row in good if not row["header"]["fragmented"]][:20]
    (tmp_path / "capture.bin").write_bytes(b"junk" + b"".join(bytes.fromhex(row["frame"]) for row in whole))
    monkeypatch.chdir(tmp_path)
    exec(compile(READ, str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no frame: junk"
    assert len(lines) == 1 + len(whole)
    assert lines[1].startswith(whole[0]["header"]["phone_bcd"])


def serve(listening: socket.socket) -> list[Event]:
    """A platform for one terminal: takes it in, under a code, and answers what it sends."""
    found: list[Event] = []
    link, _ = listening.accept()
    link.settimeout(60)
    connection = TerminalConnection(0.0)
    with link:
        while data := link.recv(4096):
            for event in connection.receive_data(data, 0.0):
                found.append(event)
                if isinstance(event, RegisterRequested):
                    connection.accept_registration(event.header, "a code")
                elif isinstance(event, AuthRequested):
                    connection.authenticated(event.header)
                elif isinstance(event, MessageReceived):
                    connection.reply_stored(event)
            link.sendall(connection.data_to_send())
    return found


def test_a_terminal_is_acted(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        listening.settimeout(60)
        platform = pool.submit(serve, listening)
        exec(compile(ACT.replace("6808", str(listening.getsockname()[1])), str(PAGE), "exec"), {})
        registration, authentication, report = platform.result(timeout=60)
    assert isinstance(registration, RegisterRequested)
    assert isinstance(authentication, AuthRequested)
    assert b"a code" in authentication.body
    assert isinstance(report, MessageReceived)
    assert (report.message_id, report.serial_no) == (0x0200, 2)
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 3
    assert all(f"result={int(Result.OK)}" in answer for answer in answers)

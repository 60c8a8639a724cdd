"""Ports that no outgoing connection can take."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from roadwarden import ports


def test_a_chosen_port_is_free_and_no_client_s() -> None:
    lowest = int(ports.RANGE_FILE.read_text().split()[0])
    chosen = {ports.free_port("127.0.0.1") for _ in range(20)}
    assert len(chosen) > 10
    assert all(ports.LOWEST <= port < lowest for port in chosen)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_is_not_chosen(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free_port("127.0.0.1")  # one that no client of another test can be given meanwhile
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", port))
        assert not ports.is_free("127.0.0.1", port)
        monkeypatch.setattr(ports.random, "randrange", lambda *_: port)
        assert ports.free_port("127.0.0.1") == 0
    assert ports.is_free("127.0.0.1", port)


def test_without_a_range_the_kernel_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "RANGE_FILE", tmp_path / "none")
    assert ports.free_port("127.0.0.1") == 0
    (tmp_path / "low").write_text("1024 65535\n")
    monkeypatch.setattr(ports, "RANGE_FILE", tmp_path / "low")
    assert ports.free_port("127.0.0.1") == 0


def test_a_host_that_nobody_knows_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, port: int) -> bool:
        asked.append(port)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(ports, "is_free", unknown)
    assert ports.free_port("nobody.invalid") == 0
    assert len(asked) == 1

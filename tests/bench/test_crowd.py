"""bench.crowd: one link a terminal."""

from __future__ import annotations

import socket

import pytest

from bench import crowd


def test_who_was_cut_off_and_is_told_to_connect_has_one_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "RECONNECT_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        many = crowd.Crowd(*listener.getsockname(), 1)
        many.connect()
        listener.accept()[0].close()
        (member,) = many.members
        assert many.until(lambda: member.cut == 1, 30)
        many.connect()
        many.poll(0)
        assert len(many._by_fd) == 1
        many.close()

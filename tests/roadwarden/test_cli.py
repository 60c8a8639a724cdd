"""The command line itself; its commands are tested with the modules that do the work."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadwarden.cli import app


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands must not send the test's own log lines to a stream that is closed soon."""
    monkeypatch.setattr("roadwarden.cli.configure_logging", lambda *_: None)


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield str(holder.getsockname()[1])


def test_it_says_its_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"roadwarden {version('roadwarden')}\n")


def test_alone_it_lists_the_commands() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    for command in ("serve", "demo", "doctor", "backup", "restore", "decode"):
        assert command in result.output


def test_a_simulator_says_what_is_wrong_with_its_files(tmp_path: Path, taken_port: str) -> None:
    (tmp_path / "state").write_text("garbage")
    (tmp_path / "list").write_text(json.dumps([1]))
    for arguments, said in (
        (("--state", f"{tmp_path}/state"), "state is no state of a simulated fleet"),
        (("--state", f"{tmp_path}/list"), "list is no state of a simulated fleet"),
        (("--ledger", f"{tmp_path}/none/ledger"), "No such file or directory: '"),
        (("--terminals", "1000000"), "not 1000000"),
    ):
        result = CliRunner().invoke(app, ["simulate", "--port", taken_port, *arguments])
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert result.output.startswith("roadwarden simulate: ")
        assert said in result.output


def test_a_superior_platform_says_that_its_port_is_taken(taken_port: str) -> None:
    result = CliRunner().invoke(app, ["superior", "--port", taken_port])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert f"roadwarden superior: [Errno 98] error while attempting to bind on address ('127.0.0.1', {taken_port})" in (
        result.output
    )

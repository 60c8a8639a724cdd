"""The command line itself; its commands are tested with the modules that do the work."""

from __future__ import annotations

from importlib.metadata import version

from typer.testing import CliRunner

from roadwarden.cli import app


def test_it_says_its_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"roadwarden {version('roadwarden')}\n")


def test_alone_it_lists_the_commands() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    for command in ("serve", "demo", "doctor", "backup", "restore", "decode"):
        assert command in result.output

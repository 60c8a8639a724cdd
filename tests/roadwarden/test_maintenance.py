"""`backup`, `migrate`, `doctor` where something is not as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadwarden.doctor import check_data_dir, check_ports
from roadwarden.maintenance import backup, migrate
from roadwarden.settings import Settings, load_settings


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """A data directory below what is no directory."""
    (tmp_path / "file").touch()
    return load_settings(data_dir=tmp_path / "file" / "data")


def test_a_data_directory_that_cannot_be_used_is_said(elsewhere: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate(elsewhere) == 1
    assert "roadwarden: the data directory cannot be used: [Errno 20] Not a directory" in capsys.readouterr().err


def test_the_doctor_goes_on_without_a_data_directory(elsewhere: Settings) -> None:
    assert [finding.is_fine for finding in check_data_dir(elsewhere)] == [False]
    assert [finding.what for finding in check_ports(elsewhere)] == ["port jt808", "port http", "port jt809"]


def test_a_password_is_no_argument(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Arguments are for every account of the host to read; and what failed is told without it, too."""
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "arguments: $*"; echo "password: $PGPASSWORD"; exit 3\n')
    program.chmod(0o755)
    url = "postgresql://someone:a%20secret@host.example:5433/name"
    settings = load_settings(data_dir=tmp_path, database_url=url, postgres_bin=program.parent)
    assert backup(settings, tmp_path / "a.dump") == 1
    said = capfd.readouterr()
    arguments, password = said.out.splitlines()
    assert password == "password: a secret"
    assert "secret" not in arguments
    for part in ("user=someone", "host=host.example", "port=5433", "dbname=name"):
        assert part in arguments
    assert said.err == "roadwarden: backup failed: pg_dump ended with exit code 3\n"
    assert list(tmp_path.glob("*.dump*")) == []

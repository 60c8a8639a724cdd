"""`backup` and `restore`; `migrate` and `doctor` where something is not as it should be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

import store
from roadwarden.doctor import check_certificate, check_data_dir, check_database, check_ports
from roadwarden.maintenance import backup, database, migrate, restore
from roadwarden.settings import Settings, load_settings
from tests.api.support import T0, Seed, batch
from tests.postgres import Server, bin_dir_of


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


def test_the_doctor_makes_no_database(tmp_path: Path) -> None:
    """Run by another account than the server's, it would belong to that."""
    (found,) = check_database(load_settings(data_dir=tmp_path))
    assert found.is_fine
    assert "none yet" in found.says
    (found,) = check_database(load_settings(data_dir=tmp_path, postgres_bin=tmp_path))
    assert (found.is_fine, found.says) == (False, f"there is no {tmp_path}/postgres")
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_looks_at_the_certificate(tmp_path: Path) -> None:
    assert list(check_certificate(load_settings(data_dir=tmp_path))) == []
    missing = tmp_path / "chain.pem"
    settings = load_settings(data_dir=tmp_path, jt808_tls_port=0, jt808_tls_certificate=missing)
    (found,) = check_certificate(settings)
    assert (found.is_fine, f"TLS certificate {missing}" in found.says) == (False, True)
    assert [finding.what for finding in check_ports(settings)][-1] == "port jt808_tls"


def test_a_backup_of_nothing_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run in another folder than the server's, or by another account: it must not leave an empty dump and say 0."""
    settings = load_settings(data_dir=tmp_path / "elsewhere")
    assert backup(settings, tmp_path / "a.dump") == 1
    assert f"there is no database in {tmp_path}/elsewhere yet: set ROADWARDEN_DATA_DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_database_without_tables_is_none(
    tmp_path: Path, postgresql_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(postgresql_dsn) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    settings = load_settings(data_dir=tmp_path / "data", database_url=postgresql_dsn)
    assert backup(settings, tmp_path / "a.dump") == 1
    assert "the database is empty, there is nothing to back up" in capsys.readouterr().err
    assert list(tmp_path.glob("*.dump*")) == []


def test_what_only_looks_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(store.StoreError, match="there is no database in"), database(load_settings(data_dir=tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_no_argument(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments are for every account of the host to read; and what failed is told without it, too."""
    monkeypatch.setattr("roadwarden.maintenance._require_schema", lambda dsn: None)  # there is no such host
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


@pytest.mark.slow
async def test_what_was_backed_up_is_there_again_and_goes_on(
    tmp_path: Path, server: Server, dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """On each back end, from a server of its own into an embedded one."""
    source = store.Database(dsn)
    await source.open()
    seed = Seed(source)
    vehicle_id = await seed.vehicle("辽A1")
    await seed.positions(batch(*[(vehicle_id, T0 + timedelta(hours=9 * i), float(i)) for i in range(10)]))
    await source.close()
    bin_dir = bin_dir_of(server.backend)
    there = load_settings(data_dir=tmp_path / "there", database_url=dsn, postgres_bin=bin_dir)
    here = load_settings(data_dir=tmp_path / "here", postgres_bin=bin_dir)
    assert backup(there, tmp_path / "a.dump") == 0
    assert restore(there, tmp_path / "a.dump") == 1
    assert "the database holds tables already" in capfd.readouterr().err
    assert restore(here, tmp_path / "a.dump") == 0
    with database(here) as restored:
        assert store.migrate(restored) == []
        pool = store.Database(restored)
        await pool.open()
        seed = Seed(pool)
        assert await seed.one("SELECT count(*) FROM positions") == 10
        seed.offset = 1
        await seed.positions(batch(*[(vehicle_id, T0 + timedelta(hours=i), 60.0) for i in (1, 500)]))
        assert await seed.one("SELECT count(*) FROM positions") == 12
        await pool.close()


def test_what_is_no_dump_is_said(tmp_path: Path, postgresql_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(data_dir=tmp_path, database_url=postgresql_dsn)
    (tmp_path / "a.dump").write_text("not a dump")
    with psycopg.connect(postgresql_dsn) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert restore(settings, tmp_path / "a.dump") == 1
    assert "a.dump is no dump that can be read" in capsys.readouterr().err

"""store.embedded: a server that is there again whatever was killed."""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import store
from store import cluster, embedded
from store.embedded import EmbeddedPostgres
from store.launch import CAP_DAC_READ_SEARCH
from tests.postgres import FAST, ROOT, bin_dir_of, short_folder
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Make = Callable[..., EmbeddedPostgres]
AS_ROOT = os.geteuid() == 0

KEEPER = """
import json, sys
sys.path[:0] = json.loads(sys.argv[2])
from store.embedded import EmbeddedPostgres
from store.launch import CAP_DAC_READ_SEARCH
server = EmbeddedPostgres(sys.argv[1], bin_dir=json.loads(sys.argv[3]))
dsn = server.start()
print(json.dumps([dsn, server.pid]), flush=True)
if sys.argv[4] == "stop":
    sys.stdin.readline()
    server.stop()
else:
    server.wait()
"""


class Keeper:
    """Another Python process that runs a server, to be killed."""

    def __init__(self, folder: Path, *, python: str = sys.executable, then: str = "wait", **more: Any) -> None:
        bin_dir = more.pop("bin_dir", None)
        paths = [str(ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
        self.process = subprocess.Popen(
            [python, "-c", textwrap.dedent(KEEPER), str(folder), json.dumps(paths), json.dumps(bin_dir), then],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", **more,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.dsn, self.server_pid = json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def remember(dsn: str, value: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))


def kept(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY ctid")]


def setting(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize("backend", ["postgresql", "timescaledb"])
def test_start_stop_start(spare_server: Make, backend: str) -> None:
    server = spare_server(bin_dir=bin_dir_of(backend))
    assert not server.is_alive()
    assert server.wait(0) is None
    dsn = server.start()
    assert server.is_alive()
    assert server.start() == dsn  # it runs: nothing happens
    remember(dsn, "one")
    assert (setting(dsn, "fsync"), setting(dsn, "synchronous_commit"), setting(dsn, "jit")) == ("on", "on", "off")
    assert setting(dsn, "listen_addresses") == ""
    if backend == "timescaledb":
        assert setting(dsn, "timescaledb.telemetry_level") == "off"
    server.stop()
    assert not server.is_alive()
    assert server.wait(0) == 0
    assert server.start() == dsn
    assert kept(dsn) == ["one"]


def test_the_program_is_no_superuser(spare_server: Make) -> None:
    with psycopg.connect(spare_server().start()) as connection:
        row = connection.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == ("roadwarden", False)


def test_the_folders_are_private(spare_server: Make) -> None:
    server = spare_server()
    server.start()
    folders = [server.data_dir, *(server.data_dir / name for name in ("data", "log", "run"))]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 4
    owner = pwd.getpwnam("nobody").pw_uid if AS_ROOT else os.geteuid()
    assert {folder.stat().st_uid for folder in folders} == {owner}


@pytest.mark.parametrize("backend", ["postgresql", "timescaledb"])
def test_a_killed_server_comes_back_with_all_it_promised(spare_server: Make, backend: str) -> None:
    server = spare_server(bin_dir=bin_dir_of(backend))
    dsn = server.start()
    for number in range(3):
        remember(dsn, str(number))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(30) == -signal.SIGKILL
        assert server.start() == dsn
    assert kept(dsn) == ["0", "1", "2"]


@pytest.mark.parametrize("backend", ["postgresql", "timescaledb"])
def test_python_killed_and_started_at_once(folder: Path, spare_server: Make, backend: str) -> None:
    bin_dir = bin_dir_of(backend)
    keeper = Keeper(folder / "pg", bin_dir=str(bin_dir))
    remember(keeper.dsn, "one")
    keeper.kill()
    server = EmbeddedPostgres(folder / "pg", bin_dir=bin_dir)
    try:
        assert kept(server.start()) == ["one"]
        assert server.pid != keeper.server_pid
        assert "was not properly shut down" not in server.log_path.read_text()  # it had been told to end
    finally:
        server.stop()


def test_python_and_server_killed_and_started_at_once(folder: Path) -> None:
    keeper = Keeper(folder / "pg")
    remember(keeper.dsn, "one")
    os.kill(keeper.server_pid, signal.SIGKILL)
    keeper.kill()
    server = EmbeddedPostgres(folder / "pg")
    try:
        assert kept(server.start()) == ["one"]
    finally:
        server.stop()


def test_no_server_outlives_a_killed_python(folder: Path) -> None:
    keeper = Keeper(folder / "pg")
    keeper.kill()
    wait_for("it is gone", lambda: not list(cluster._servers_in(folder / "pg" / "data")))


def test_a_pid_that_somebody_else_has_now_stops_nobody(folder: Path) -> None:
    """After a restart of a container the pid in the lock file is often that of another process."""
    server = EmbeddedPostgres(folder / "pg")
    try:
        dsn = server.start()
        remember(dsn, "one")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.wait(30)
        lock_file = folder / "pg" / "data" / "postmaster.pid"
        lines = lock_file.read_text().splitlines()
        account = cluster.choose_account(folder / "pg", "nobody")
        with subprocess.Popen(cluster.launch_command(Path("/bin/sleep"), ["60"], signal.SIGKILL, account)) as stranger:
            wait_for("it sleeps", lambda: Path(f"/proc/{stranger.pid}/cmdline").read_bytes().startswith(b"/bin/sleep"))
            lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            assert server.start() == dsn
            assert stranger.poll() is None
            stranger.kill()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.wait(30)
        lock_file.write_text("")  # of one that was killed when it had just made the file
        assert server.start() == dsn
        assert kept(dsn) == ["one"]
    finally:
        server.stop()


def test_half_an_initialisation_is_begun_anew(folder: Path) -> None:
    leftover = folder / "pg" / "initdb-half"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(folder / "pg")
    try:
        server.start()
    finally:
        server.stop()
    assert not leftover.exists()


def test_one_process_a_folder(folder: Path) -> None:
    keeper = Keeper(folder / "pg", then="stop")
    server = EmbeddedPostgres(folder / "pg")
    with pytest.raises(store.EmbeddedPostgresError, match=rf"in use by another process \(pid {keeper.process.pid}\)"):
        server.start()
    assert server.dsn == keeper.dsn  # but who only wants to connect learns where
    server.stop()
    keeper.process.communicate("\n", timeout=60)
    assert keeper.process.returncode == 0
    with pytest.raises(store.EmbeddedPostgresError, match="does not run"):
        _ = server.dsn


def test_another_major_version_is_refused_readably(folder: Path) -> None:
    data = folder / "pg" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(store.EmbeddedPostgresError, match=r"made by PostgreSQL 9\.6 and these binaries are PostgreSQL"):
        EmbeddedPostgres(folder / "pg").start()


def test_binaries_that_are_not_there(folder: Path) -> None:
    with pytest.raises(store.EmbeddedPostgresError, match="no PostgreSQL server in /nowhere"):
        EmbeddedPostgres(folder / "pg", bin_dir="/nowhere").start()


def test_settings_of_the_caller_count(spare_server: Make) -> None:
    dsn = spare_server(settings={"work_mem": "5MB", "application_name": "it's"} | FAST).start()
    assert (setting(dsn, "work_mem"), setting(dsn, "fsync")) == ("5MB", "off")


def test_a_start_that_fails_shows_the_log(spare_server: Make) -> None:
    server = spare_server(settings={"shared_buffers": "nonsense"})
    with pytest.raises(store.EmbeddedPostgresError, match=r"ended with 1 while it started(?s:.*)shared_buffers"):
        server.start()
    assert not server.is_alive()


def test_a_long_path_gets_a_short_private_socket_folder(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("long" * 20) / "pg")
    try:
        dsn = server.start()
        remember(dsn, "one")
        runtime = Path(psycopg.conninfo.conninfo_to_dict(dsn)["host"])  # type: ignore[arg-type]
        assert not runtime.is_relative_to(folder)
        assert runtime.stat().st_mode & 0o777 == 0o700
        # Whoever takes the name before us gets nothing: another folder is made.
        server.stop()
        runtime.rmdir()
        runtime.mkdir(mode=0o755)
        runtime.chmod(0o755)
        other = EmbeddedPostgres(server.data_dir)
        try:
            moved = Path(psycopg.conninfo.conninfo_to_dict(other.start())["host"])  # type: ignore[arg-type]
            assert moved != runtime
        finally:
            other.stop()
            shutil.rmtree(moved)
        runtime.rmdir()
    finally:
        server.stop()


def test_a_server_is_kept_also_without_a_descriptor_to_watch_it_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that made it must live as long as the server: with it, the server would be ended."""

    def none_left(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    keeper = embedded._Keeper(Path("/bin/sleep"), ["600"], None, tmp_path, tmp_path / "log")
    keeper.start()
    assert keeper.spawned.wait(60)
    keeper.join(0.2)
    assert keeper.is_alive()
    keeper.process.kill()
    assert keeper.ended.wait(60)
    assert keeper.process.returncode == -signal.SIGKILL


def test_the_log_is_bounded(spare_server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = spare_server(settings=FAST)
    server.start()
    server.stop()
    monkeypatch.setattr("store.embedded.LOG_MAX_BYTES", 10)
    before = server.log_path.read_text()
    assert len(before) > 10
    server.start()
    assert server.log_path.with_suffix(".log.1").read_text() == before
    assert before not in server.log_path.read_text()


@pytest.mark.skipif(not AS_ROOT, reason="only root drops to another account")
class TestAsRoot:
    def test_the_server_runs_as_nobody_and_root_connects(self, spare_server: Make) -> None:
        server = spare_server()
        server.start()
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid

    def test_a_cluster_below_a_folder_of_roots_own(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        server = EmbeddedPostgres(closed / "pg")
        try:
            remember(server.start(), "one")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            server.wait(30)
            assert kept(server.start()) == ["one"]
            status = Path(f"/proc/{server.pid}/status").read_text()
            assert f"CapEff:\t{1 << CAP_DAC_READ_SEARCH:016x}\n" in status  # this right and no other
        finally:
            server.stop()

    def test_a_socket_elsewhere_is_behind_a_folder_of_roots_own_as_well(self, folder: Path) -> None:
        closed = folder / ("closed" * 15)
        closed.mkdir(mode=0o700)
        server = EmbeddedPostgres(closed / "pg")
        try:
            runtime = Path(str(psycopg.conninfo.conninfo_to_dict(server.start())["host"]))
        finally:
            server.stop()
        assert (runtime.parent.stat().st_uid, runtime.parent.stat().st_mode & 0o777) == (0, 0o700)
        shutil.rmtree(runtime.parent)

    def test_the_offending_folder_is_named(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster, "_may_grant_passage", lambda: False)
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(store.EmbeddedPostgresError, match=rf"'nobody', who may not pass {closed} \(mode 0700\)"):
            EmbeddedPostgres(closed / "deep" / "pg").start()

    def test_programs_that_are_closed_off_are_not_run_with_more_rights(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        account = cluster.choose_account(folder / "pg", "nobody")
        assert account is not None
        program = closed / "bin" / "postgres"
        with pytest.raises(store.EmbeddedPostgresError, match=rf"may not pass {closed} .* on the way to {program}"):
            cluster.with_passage(account, folder / "pg" / "data", program)

    def test_it_runs_as_the_owner_of_what_is_there(self, folder: Path) -> None:
        someone = pwd.getpwnam("daemon")
        (folder / "pg").mkdir()
        server = EmbeddedPostgres(folder / "pg", account="daemon")
        try:
            server.start()
            server.stop()
            again = EmbeddedPostgres(folder / "pg")
            again.start()
            assert Path(f"/proc/{again.pid}").stat().st_uid == someone.pw_uid
            again.stop()
        finally:
            server.stop()

    def test_an_account_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(store.EmbeddedPostgresError, match="no account to run PostgreSQL as"):
            EmbeddedPostgres(folder / "pg", account="no-such-account").start()

    def test_an_ordinary_user_runs_it_too(self, folder: Path) -> None:
        """The whole as nobody, in a Python that nobody may run; killed and started again."""
        python = "/usr/bin/python3"
        if not Path(python).exists() or os.path.realpath(python).startswith("/root"):
            pytest.skip("no Python here that an ordinary user may run")
        version = subprocess.run(
            [python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
        )
        if version.stdout.strip() != str(sys.version_info[:2]):
            pytest.skip("the other Python is of another version")
        (folder / "home").mkdir()
        nobody = pwd.getpwnam("nobody")
        os.chown(folder / "home", nobody.pw_uid, nobody.pw_gid)
        as_nobody = {"python": python, "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        first = Keeper(folder / "home" / "pg", **as_nobody)
        remember(first.dsn, "one")
        os.kill(first.server_pid, signal.SIGKILL)
        first.kill()
        second = Keeper(folder / "home" / "pg", **as_nobody)
        assert kept(second.dsn) == ["one"]
        second.kill()
        third = Keeper(folder / "home" / "pg", then="stop", **as_nobody)
        assert kept(third.dsn) == ["one"]
        third.process.communicate("\n", timeout=60)
        assert third.process.returncode == 0

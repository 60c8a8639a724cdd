"""Processes that end with their parent, one server to a data directory, and a first line that says it is ready."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

PR_SET_PDEATHSIG: Final = 1
PARENT: Final = "ROADWARDEN_PARENT_PID"
ASIDE: Final = "\x1e"  # the record separator begins a line that is meant for the parent alone
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """In a child, first of all: the kernel sends us this signal when our parent is gone, kill -9 included.

    Does nothing in a process that no :class:`Child` started. The signal follows the *thread* that started us, so
    children are started from the main thread.
    """
    parent = os.environ.pop(PARENT, "")
    if not parent:
        return
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != int(parent):  # it went in between
        sys.exit(1)


class AlreadyRunning(Exception):
    """Another process holds the lock for longer than we were willing to wait."""


class CannotStart(Exception):
    """Something that has to be there before a role can begin is not: a port is taken, the journal cannot be opened."""


class Lock:
    """A file lock held for the life of the process. A predecessor that is just ending is waited for, unless we are told
    to stop meanwhile."""

    def __init__(self, path: Path, wait_s: float, stopping: threading.Event | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+")
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until or (stopping is not None and stopping.is_set()):
                    self._file.seek(0)
                    holder = self._file.read().strip() or "unknown"
                    self._file.close()
                    raise AlreadyRunning(f"{path}: held by process {holder}") from None
                time.sleep(0.05)
            else:
                break
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


class Child:
    """A child process of our own code. What it writes to standard output is passed on line by line: to ``on_line``,
    and to our own standard output, except lines that begin with :data:`ASIDE` (they are for the parent alone)."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.started = time.monotonic()
        self.lines: deque[str] = deque(maxlen=100)
        self._on_line = on_line
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            env=dict(os.environ) | dict(environment or {}) | {"PYTHONUNBUFFERED": "1", PARENT: str(os.getpid())},
            start_new_session=True,  # Ctrl-C is the parent's to hear: it stops its children in order
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                line = line.rstrip("\n")
                self.lines.append(line)
                if not line.startswith(ASIDE):
                    print(line, flush=True)
                if self._on_line is not None:
                    self._on_line(line)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """True when it has ended in time."""
        try:
            self._process.wait(max(timeout_s, 0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def join(self, timeout_s: float = 2.0) -> None:
        """After its end: wait until all that it said was heard."""
        self._reader.join(timeout_s)

    def end(self, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL when that was not enough."""
        self.stop()
        if not self.wait(timeout_s):
            self.stop(signal.SIGKILL)
            self.wait(2)
        self.join()


def tell_parent(**message: Any) -> None:
    """From a child to its parent: one JSON line that goes no further."""
    print(ASIDE + json.dumps(message), flush=True)


def heard(line: str) -> dict[str, Any]:
    """What a child told; empty for a line that is not for us."""
    message: dict[str, Any] = json.loads(line[len(ASIDE) :]) if line.startswith(ASIDE) else {}
    return message

"""Children that end with their parent, one lock, words that are meant for the parent alone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from roadwarden.process import AlreadyRunning, Child, Lock, heard


def test_a_lock_is_held_by_one_and_names_the_holder(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "run" / "x.lock", wait_s=0)
    with pytest.raises(AlreadyRunning, match=f"held by process {os.getpid()}"):
        Lock(tmp_path / "run" / "x.lock", wait_s=0)
    lock.release()
    Lock(tmp_path / "run" / "x.lock", wait_s=0).release()


def test_a_predecessor_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "x.lock", wait_s=0)
    threading.Timer(0.1, lock.release).start()
    Lock(tmp_path / "x.lock", wait_s=20).release()


def test_nobody_waits_who_is_told_to_stop(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "x.lock", wait_s=0)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(AlreadyRunning):
        Lock(tmp_path / "x.lock", 3600, stopping)
    lock.release()


def test_what_a_child_says_aside_goes_no_further(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    module = tmp_path / "talker.py"
    module.write_text(
        "from roadwarden.process import tell_parent\nprint('hello')\ntell_parent(secret='x')\nprint('goodbye')\n"
    )
    told: list[str] = []
    child = Child("talker", ["talker"], {"PYTHONPATH": str(tmp_path)}, told.append)
    assert child.wait(30)
    child.join()
    assert child.exit_code == 0
    assert [heard(line) for line in told] == [{}, {"secret": "x"}, {}]
    assert capfd.readouterr().out == "hello\ngoodbye\n"


def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    module = tmp_path / "stubborn.py"
    module.write_text(
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(3600)\n"
    )
    up = threading.Event()
    child = Child("stubborn", ["stubborn"], {"PYTHONPATH": str(tmp_path)}, lambda line: up.set())
    assert up.wait(30)
    child.end(0.05)
    assert not child._reader.is_alive()
    assert child.exit_code == -signal.SIGKILL


def test_a_child_goes_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "grandchild.py").write_text(
        "import os, time\nfrom roadwarden.process import end_with_parent\nend_with_parent()\n"
        "print(os.getpid(), flush=True)\ntime.sleep(3600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", "import time\nfrom roadwarden.process import Child\n"
         "Child('grandchild', ['grandchild'])\ntime.sleep(3600)"],
        stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": f"{tmp_path}"},
    )  # fmt: skip
    assert parent.stdout is not None
    handle = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert select.select([handle], [], [], 20)[0], "it outlived its parent"
    os.close(handle)

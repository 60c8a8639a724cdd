"""Start a program that ends with us: run as a script, it becomes the program named by its arguments.

    python -I -S launch.py PARENT_PID SIGNAL UID GID PROGRAM [ARGUMENT ...]

UID and GID of -1 keep the caller's. The steps stand in a script of their own, and not in ``preexec_fn``, because Python
code between fork and exec of a process with threads may deadlock. The order matters: a change of the uid clears the
parent-death signal, so it is set afterwards; and the parent may have died before it was set, so that is looked at last.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent_pid, signal_no, uid, gid = (int(argument) for argument in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_no, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone already")
    os.umask(0o077)
    try:
        os.execv(sys.argv[5], sys.argv[5:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[5]}: {error.strerror}")


if __name__ == "__main__":
    main()

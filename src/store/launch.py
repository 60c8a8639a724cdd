"""Start a program that ends with us: run as a script, it becomes the program named by its arguments.

    python -I -S launch.py PARENT_PID SIGNAL UID GID PASS PROGRAM [ARGUMENT ...]

UID and GID of -1 keep the caller's. PASS 1 lets the program through folders that its account may not enter (see
``keep_passage``). The steps stand in a script of their own, and not in ``preexec_fn``, because Python code between fork
and exec of a process with threads may deadlock. The order matters: a change of the uid clears the parent-death signal
and the capabilities, so they are set afterwards; and the parent may have died before that, so it is looked at last.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_KEEPCAPS = 8
PR_SET_PDEATHSIG = 1
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def check(returned: int, what: str) -> None:
    if returned != 0:
        sys.exit(f"{what} failed: {os.strerror(ctypes.get_errno())}")


def keep_passage() -> None:
    """Keep, of all of root's rights, the one to pass folders (and read files) of others: CAP_DAC_READ_SEARCH.

    PostgreSQL will not run as root, and a data directory or an installation below root's own folders (mode 0700) is
    out of reach of any other account. Writing needs no right of its own: the data directory belongs to the account.
    """
    bit = 1 << CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low words first
    check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset(CAP_DAC_READ_SEARCH)")
    check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0), "prctl(PR_CAP_AMBIENT)")


def main() -> None:
    parent_pid, signal_no, uid, gid, passes = (int(argument) for argument in sys.argv[1:6])
    if uid >= 0:
        if passes:
            check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if passes:
            keep_passage()
    check(_libc.prctl(PR_SET_PDEATHSIG, signal_no, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone already")
    os.umask(0o077)
    try:
        os.execv(sys.argv[6], sys.argv[6:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[6]}: {error.strerror}")


if __name__ == "__main__":
    main()

"""CPU time of processes, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    command: str
    cpu_s: float  # its own
    reaped_s: float  # of children that ended


def read(pid: int) -> Process | None:
    """A process as it is now; None: there is none of that id (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system, child_user, child_system = (int(field) * _TICK_S for field in fields[11:15])
    return Process(pid, int(fields[1]), command, user + system, child_user + child_system)


def tree(root: int) -> list[Process]:
    """A process and all below it."""
    everybody = [p for entry in os.listdir("/proc") if entry.isdigit() and (p := read(int(entry)))]
    children: dict[int, list[Process]] = {}
    for process in everybody:
        children.setdefault(process.parent, []).append(process)
    out = [process for process in everybody if process.pid == root]
    for process in out:  # grows while it is walked
        out += children.get(process.pid, [])
    return out


def cpu_s(root: int) -> float:
    """CPU seconds of a process and all below it, ended ones included."""
    return sum(process.cpu_s + process.reaped_s for process in tree(root))


def own_cpu_s(pid: int) -> float:
    """CPU seconds of this one process, 0 when it has ended."""
    process = read(pid)
    return process.cpu_s if process else 0.0

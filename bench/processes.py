"""What processes take, from /proc: CPU time, memory, files, threads."""

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
    kernel_s: float  # the part of it spent in the kernel
    reaped_s: float  # of children that ended
    reaped_kernel_s: float


def read(pid: int) -> Process | None:
    """A process as it is now; None: there is none of that id (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system, child_user, child_system = (int(field) * _TICK_S for field in fields[11:15])
    return Process(pid, int(fields[1]), command, user + system, system, child_user + child_system, child_system)


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


def cpu_and_kernel_s(root: int) -> tuple[float, float]:
    """CPU seconds of a process and all below it, ended ones included; and the part of it in the kernel."""
    found = tree(root)
    cpu = sum(process.cpu_s + process.reaped_s for process in found)
    return cpu, sum(process.kernel_s + process.reaped_kernel_s for process in found)


def own_cpu_s(pid: int) -> float:
    """CPU seconds of this one process, 0 when it has ended."""
    process = read(pid)
    return process.cpu_s if process else 0.0


def kernel_cpu_s(pid: int) -> float:
    """The part of `own_cpu_s` that was spent in the kernel."""
    process = read(pid)
    return process.kernel_s if process else 0.0


def private_bytes(pid: int) -> int:
    """Memory that only this process has. Raises: OSError: there is no such process, or it is another user's."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Private_"))


def resident_bytes(pid: int) -> tuple[int, int]:
    """RSS, and PSS: what is shared counts in parts. Raises: OSError: there is no such process, or another user's."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        sizes[name] = int(value) << 10
    return sizes["Rss:"], sizes["Pss:"]


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def socket_bytes() -> int:
    """What the kernel holds for all TCP sockets of this machine, buffers included."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE")
    return 0

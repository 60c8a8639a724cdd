"""CPU by part of the server, and what that is per report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from bench import generator, processes, server


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds so far, all and in the kernel, by part; the database 0 when it runs elsewhere."""

    by_part: dict[str, tuple[float, float]]

    @classmethod
    def now(cls, running: server.Server, connection: psycopg.Connection) -> Cost:
        """The database without this benchmark's own connection."""
        found = {}
        for role in ("gateway", "core"):
            pid = running.role_pid(role)
            found[role] = processes.own_cpu_s(pid), processes.kernel_cpu_s(pid)
        main, own = server.postmaster(connection), connection.info.backend_pid
        cpu, kernel = processes.cpu_and_kernel_s(main) if main else (0.0, 0.0)
        found["database"] = (
            (cpu - processes.own_cpu_s(own), kernel - processes.kernel_cpu_s(own)) if main else (0.0, 0.0)
        )
        return cls(found)

    def since(self, before: Cost, reports: int) -> dict[str, tuple[float, float]]:
        """Microseconds a report, all and in the kernel, by part."""
        return {
            part: (
                round((cpu - before.by_part[part][0]) / max(reports, 1) * 1e6, 2),
                round((kernel - before.by_part[part][1]) / max(reports, 1) * 1e6, 2),
            )
            for part, (cpu, kernel) in self.by_part.items()
        }


def figures(per_report: dict[str, tuple[float, float]], load: generator.Result) -> dict[str, Any]:
    """For people: one line a part, and the share of the kernel in all."""
    all_parts = per_report | {"generator": (load.cpu_us_per_report, load.kernel_us_per_report)}
    total, kernel = (sum(part[n] for part in all_parts.values()) for n in (0, 1))
    lines: dict[str, Any] = {
        f"CPU µs a report: {name}": f"{cpu:.1f}, of which kernel {in_kernel:.1f}"
        for name, (cpu, in_kernel) in all_parts.items()
    }
    share = kernel / total if total else 0.0
    return lines | {"CPU µs a report: all": f"{total:.1f}, of which kernel {kernel:.1f} ({share:.0%})"}

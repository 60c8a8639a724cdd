"""The desk's bounds, its timer, and the gateway as it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from pathlib import Path
from typing import Any, Protocol


class Control(Protocol):
    """What the desk needs of `ingest.control.ControlClient`."""

    async def request(self, op: str, **values: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class DeskLimits:
    """The desk's patience and its bounds."""

    timeout_s: float = 10.0  # the first T
    attempts: int = 3
    upgrade_bytes_per_s: float = 16384.0  # to one terminal
    transfers: int = 64  # at once
    at_once: int = 100  # commands that are written down in one transaction and sent together
    firmware_dir: Path | None = None


def wait_s(timeout_s: float, attempts: int) -> float:
    """How long the n-th transmission waits for its answer."""
    return timeout_s * factorial(max(attempts, 1))

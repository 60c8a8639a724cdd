"""Wait in a thread for something to become so, without saying when; `tests.ingest.waiting` is for the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def wait_for(what: str, find: Callable[[], T | Literal[False] | None], limit_s: float = 60.0) -> T:
    """What it finds, once it finds something; fails after the limit and says what it was."""
    deadline = time.monotonic() + limit_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)
    return found

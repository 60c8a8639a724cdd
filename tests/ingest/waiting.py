"""Wait for something to become so, without saying when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], limit_s: float = 60.0) -> None:
    """Let the loop run until the condition holds; fail after the limit."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  (conditions of other threads and processes too)
            await asyncio.sleep(0.002)

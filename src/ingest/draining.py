"""The end of a gateway: its links are closed a few at a time, so that its terminals do not all come back at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

STEP_S: Final = 0.05
LINKS_PER_S: Final = 100
"""So few links are closed in no more than a share of the window."""


class Closable(Protocol):
    is_ended: bool

    def press(self, paused: bool) -> None: ...
    def end(self, reason: str) -> None: ...


async def close_spread(
    links: Sequence[Closable],
    window_s: float,
    hasten: asyncio.Event,
    flush: Callable[[], Awaitable[None]],
    reason: str,
) -> None:
    """Close the links over the window: a share of them in each step, no longer read from, answered what is on disk by
    then, closed. The others go on as before until it is their turn.

    Args:  hasten: when set, all that are left are the next share. flush: waits until what was received is on disk.
    """
    window_s = min(window_s, len(links) / LINKS_PER_S)
    loop = asyncio.get_running_loop()
    began = loop.time()
    done = 0
    while done < len(links):
        # By the clock: a disk that is slow with each share must not make the window longer.
        elapsed = loop.time() - began + STEP_S
        is_last = hasten.is_set() or elapsed >= window_s
        upto = len(links) if is_last else max(done + 1, int(len(links) * elapsed / window_s))
        share = [link for link in links[done:upto] if not link.is_ended]
        done = upto
        if not share:
            continue
        for link in share:
            link.press(True)
        await flush()
        for link in share:
            link.end(reason)
        if done < len(links):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STEP_S):
                    await hasten.wait()

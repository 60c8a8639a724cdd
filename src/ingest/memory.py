"""Memory of a process that holds very many small objects for days."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000  # allocated more than freed, before the collector looks at them; Python's own: 700


def settle() -> None:
    """Once everything is set up: what is there now stays, and the collector need not look at it again.

    Links, records and events hold no cycles, so there is hardly anything to find; looking at everything a link made
    each 700 reports that wait for the disk costs more than it can bring.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)


async def give_back_for_ever(every_s: float) -> None:
    """Hand freed memory back to the system now and then; cancel it to end.

    When ten thousand terminals come back at once, what they need for that second is freed among what they keep, and
    glibc holds on to it: 8.8 KiB a terminal in place of 4.4. It takes some milliseconds, in a thread.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)

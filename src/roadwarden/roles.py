"""What runs in the processes of the tree: `python -m roadwarden.roles gateway|core` (the supervisor starts them)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import uvloop

from roadwarden.handover import HANDED_OVER, GatewaySettings
from roadwarden.logs import configure_logging
from roadwarden.process import CannotStart, Lock, end_with_parent, tell_parent

if TYPE_CHECKING:
    from ingest.config import GatewayConfig
    from roadwarden.settings import Settings

log = logging.getLogger("roadwarden.roles")

PREDECESSOR_S: Final = 30.0  # the same role of a server that was killed is flushing its journal and leaves


# A role imports its part when it starts: the gateway then loads no web framework, is up sooner and stays smaller.


async def gateway(config: GatewayConfig) -> None:
    """Terminals in, journal: needs nothing but the disk."""
    from ingest.gateway import run_gateway
    from ingest.journal import JournalError

    is_ready = False

    def on_ready(*addresses: str) -> None:
        nonlocal is_ready
        is_ready = True
        tell_parent(ready=dict(zip(("jt808", "jt808_tls"), addresses, strict=False)))

    try:
        await run_gateway(config, on_ready)
    except (OSError, JournalError, sqlite3.Error) as error:
        if is_ready:
            raise
        raise CannotStart(str(error)) from error


async def core(settings: Settings) -> None:
    """Pipeline, alarms, commands, forwarding, API."""
    from roadwarden.core import Core

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Core(settings).run(stop)


def main() -> None:
    end_with_parent()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it is heeded
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    role: Coroutine[Any, Any, None]
    if name == "gateway":
        handed_over = _gateway_settings()
        run_dir, log_level, role = handed_over.run_dir, handed_over.log_level, gateway(handed_over.config)
    elif name == "core":
        from roadwarden.settings import load_settings

        settings = load_settings()
        run_dir, log_level, role = settings.run_dir, settings.log_level, core(settings)
    else:
        sys.exit("usage: python -m roadwarden.roles gateway|core")
    configure_logging(log_level, name)
    lock = Lock(run_dir / f"{name}.lock", PREDECESSOR_S)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(role)
    except CannotStart as error:
        log.error("%s", error)
        tell_parent(failure=str(error))
        sys.exit(1)
    finally:
        lock.release()


def _gateway_settings() -> GatewaySettings:
    """From the supervisor; of a gateway that was started by hand its own."""
    text = os.environ.pop(HANDED_OVER, None)
    if text is not None:
        return GatewaySettings.from_text(text)
    from roadwarden.settings import load_settings

    return GatewaySettings.of(load_settings())


if __name__ == "__main__":
    main()

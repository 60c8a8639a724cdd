"""What runs in the processes of the tree: `python -m roadwarden.roles gateway|core` (the supervisor starts them)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sqlite3
import sys
from collections.abc import Coroutine
from typing import Any, Final

import uvloop

from roadwarden.logs import configure_logging
from roadwarden.process import CannotStart, Lock, end_with_parent, tell_parent
from roadwarden.settings import Settings, load_settings

log = logging.getLogger("roadwarden.roles")

PREDECESSOR_S: Final = 30.0  # the same role of a server that was killed is flushing its journal and leaves


# A role imports its part when it starts: the gateway then loads no web framework, is up sooner and stays smaller.


async def gateway(settings: Settings) -> None:
    """Terminals in, journal: needs nothing but the disk."""
    from ingest.gateway import GatewayConfig, run_gateway
    from ingest.journal import JournalError
    from ingest.proxying import parse_networks

    config = GatewayConfig(
        data_dir=settings.data_dir,
        bind=settings.bind,
        port=settings.jt808_port,
        enrolment=settings.enrolment,
        database_url=settings.database_url.get_secret_value() if settings.database_url else None,
        journal_max_bytes=settings.journal_max_bytes,
        max_connections_per_address=settings.jt808_connections_per_address,
        terminal_package_bytes=settings.jt808_packages_max_bytes,
        idle_s=settings.jt808_idle_s,
        messages_per_s=settings.jt808_messages_per_s,
        tls_port=settings.jt808_tls_port,
        tls_certificate=settings.jt808_tls_certificate,
        tls_key=settings.jt808_tls_key,
        disk_low_bytes=settings.disk_low_bytes,
        drain_s=settings.jt808_drain_s,
        proxies=parse_networks(settings.jt808_proxies),
    )
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


ROLES: Final = {"gateway": gateway, "core": core}


def main() -> None:
    end_with_parent()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it is heeded
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in ROLES:
        sys.exit(f"usage: python -m roadwarden.roles {'|'.join(ROLES)}")
    settings = load_settings()
    configure_logging(settings.log_level, name)
    lock = Lock(settings.run_dir / f"{name}.lock", PREDECESSOR_S)
    role: Coroutine[Any, Any, None] = ROLES[name](settings)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(role)
    except CannotStart as error:
        log.error("%s", error)
        tell_parent(failure=str(error))
        sys.exit(1)
    finally:
        lock.release()


if __name__ == "__main__":
    main()

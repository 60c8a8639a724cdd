"""How fast commands to many go out, and how long a single one waits meanwhile: `python -m bench.commands`.

A gateway in a process of its own, terminals that are logged in and read, an embedded PostgreSQL with fsync on, and the
desk here. A group goes to all terminals as fast as the desk can, twice: each command written down and sent by itself,
and in batches as the server does it. Beside each, a single command every tenth of a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop

import store
from bench import lone
from bench.crowd import Crowd
from bench.latency import quantiles_ms
from fleet import Bus, CommandChanged
from ingest.commands import CommandDesk, DeskLimits
from ingest.control import ControlClient, control_path
from store.embedded import EmbeddedPostgres
from store.queries import command_groups, commands
from store.queries.command_groups import Target

FIRST_PHONE: Final = 13_800_000_000
LET_IN_S: Final = 60.0
LIMIT_S: Final = 120.0
AS_FAST_AS_IT_CAN: Final = 1e6
EVERY_S: Final = 0.1
LEAST_RATIO: Final = 4.0
LIMITS: Final = DeskLimits(timeout_s=3600.0)  # nobody answers: nothing is to be repeated

_FLEET: Final = (
    "INSERT INTO vehicles (plate, plate_color) SELECT '测' || n, 2 FROM generate_series(1, {count}) n",
    "INSERT INTO terminals (phone, vehicle_id) SELECT ({first} + row_number() OVER (ORDER BY id) - 1)::text, id"
    " FROM vehicles",
    "INSERT INTO terminal_presence SELECT phone, true, now(), '', 'tcp', '2013', '' FROM terminals",
    "ANALYZE",
)


@contextmanager
def terminals(host: str, port: int, count: int) -> Iterator[None]:
    """Logged in, in a process of their own."""
    command = [sys.executable, "-m", "bench.commands", "--crowd", host, str(port), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "in\n":
                raise RuntimeError("the terminals were not let in")
            yield
        finally:
            process.terminate()


def crowd(host: str, port: int, count: int) -> None:
    members = Crowd(host, port, count, first_phone=FIRST_PHONE)
    members.connect()
    if members.until(members.all_in, LET_IN_S):
        print("in", flush=True)
        members.until(lambda: False, LIMIT_S * 10)


async def give_singles(database: store.Database, desk: CommandDesk, bus: Bus, waits: list[float]) -> None:
    """One after the other, until cancelled; how long each waited until it was sent."""
    with bus.subscribe("bench", CommandChanged, capacity=100_000) as changes:
        while True:
            async with database.connection() as connection:
                command_id = await commands.insert(
                    connection, vehicle_id=1, phone=str(FIRST_PHONE), kind="locate", payload={}, created_by=None,
                    expires_in_s=3600,
                )  # fmt: skip
            began = time.perf_counter()
            desk.wake()  # as the notification of the insert does
            while await changes.next() != CommandChanged(command_id):
                pass
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(EVERY_S)


async def measure(database: store.Database, control: ControlClient, limits: DeskLimits) -> dict[str, float]:
    """A group to all."""
    bus = Bus()
    desk = CommandDesk(database, control, bus, limits)
    async with database.connection() as connection:
        group_id, count, _ = await command_groups.insert(
            connection, kind="text", payload={"text": "前方拥堵"}, target=Target(everyone=True), target_shown={},
            rate_per_s=AS_FAST_AS_IT_CAN, created_by=None, expires_in_s=3600,
        )  # fmt: skip
    waits: list[float] = []
    began = time.perf_counter()
    tasks = [asyncio.create_task(desk.run()), asyncio.create_task(give_singles(database, desk, bus, waits))]
    async with asyncio.timeout(LIMIT_S):
        while desk.counts["sent"] < count + len(waits):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.005)
    seconds = time.perf_counter() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with database.connection() as connection:
        group = await command_groups.get(connection, group_id)
    if group is None or group["counts"] != {"sent": count}:
        raise RuntimeError(f"not all of {count} were sent: {group and group['counts']}")
    p50, worst = quantiles_ms(np.array(waits, np.float32), 0.5, 1.0)
    return {"per_s": round(count / seconds), "single_ms_p50": p50, "single_ms_worst": worst, "singles": len(waits)}


async def run(folder: Path, dsn: str, gateway: lone.LoneGateway, count: int) -> dict[str, Any]:
    await asyncio.to_thread(store.migrate, dsn)
    database = store.Database(dsn)
    await database.open()
    control = ControlClient(control_path(gateway.data_dir))
    link = asyncio.create_task(control.run())
    async with database.connection() as connection:
        for statement in _FLEET:
            await connection.execute(statement.format(count=count, first=FIRST_PHONE).encode())
    while not control.is_connected:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0.01)
    alone = await measure(database, control, replace(LIMITS, at_once=1))
    together = await measure(database, control, LIMITS)
    link.cancel()
    await database.close()
    ratio = round(together["per_s"] / alone["per_s"], 1)
    return {"terminals": count, "one by one": alone, f"{LIMITS.at_once} at once": together, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.commands", description=__doc__)
    parser.add_argument("--terminals", type=int, default=2000)
    parser.add_argument("--crowd", nargs=3, metavar=("HOST", "PORT", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.crowd:
        with contextlib.suppress(KeyboardInterrupt):
            crowd(options.crowd[0], int(options.crowd[1]), int(options.crowd[2]))
        return
    with tempfile.TemporaryDirectory(prefix="roadwarden-commands-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.start()
        try:
            with lone.running(folder) as gateway, terminals(gateway.host, gateway.port, options.terminals):
                figures = uvloop.run(run(folder, postgres.dsn, gateway, options.terminals))
        finally:
            postgres.stop()
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures))
    if figures["ratio"] < LEAST_RATIO:
        sys.exit(f"batches bring {figures['ratio']} times as many a second; {LEAST_RATIO:g} are asked for")


if __name__ == "__main__":
    main()

"""Row 1: kill -9 of gateway, core, PostgreSQL or all, at random moments under load; then the account is settled.

Simulated terminals on bad links report without pause. After each blow the next comes when reports are answered again:
half of the time also when the server is ready again, so that it hits a server at work, and half of the time while the
parts behind the gateway may still recover. In the end the terminals' own account is held against the database.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import psycopg

from bench.outcome import Outcome
from bench.server import Server
from simulators.fleet import Fleet
from simulators.ledger import FixKey, Ledger, Verdict
from simulators.link import LinkFaults
from simulators.terminal import FAST

TERMINALS: Final = 500
FAULTS: Final = LinkFaults(lose=0.005, repeat=0.02, swap=0.01, damage=0.005, delay=0.02, cut=0.001, max_delay_s=0.3)
TIMING: Final = replace(FAST, interval_s=1.0, parked_interval_s=1.0, answer_timeout_s=2.0)
VICTIMS: Final = ("gateway", "core", "postgres", "all")
PATIENCE_S: Final = 300.0
LAST_ANSWERS_S: Final = 120.0
PAUSE_S: Final = (0.2, 2.0)  # between the first answer after a blow and the next blow


@dataclass(slots=True)
class Killed:
    """What a run gave: the verdict, and by victim the seconds after each blow until it was as before."""

    verdict: Verdict
    answering_s: dict[str, list[float]] = field(default_factory=dict)
    ready_s: dict[str, list[float]] = field(default_factory=dict)  # where that was waited for
    spent_s: dict[str, float] = field(default_factory=dict)  # on what, for whoever wants it shorter


async def until(what: str, condition: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
    """Look again and again. Raises: TimeoutError: in vain."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"in vain for {limit_s:g} s: {what}")
        await asyncio.sleep(0.02)


async def under_fire(
    server: Server,
    *,
    kills: int,
    seed: int,
    terminals: int = TERMINALS,
    victims: Sequence[str] = VICTIMS,
    say: Callable[[str], None] = lambda text: None,
) -> Killed:
    """Start the server, kill it so many times, and settle the account. It runs on afterwards."""
    chance = random.Random(seed)
    out = Killed(Verdict(0, 0, 0))
    bag: list[str] = []
    at = time.monotonic()

    def spent(on: str) -> None:
        nonlocal at
        at, before = time.monotonic(), at
        out.spent_s[on] = out.spent_s.get(on, 0.0) + at - before

    await asyncio.to_thread(server.start)
    spent("the first start")
    fleet = Fleet(server.host, server.jt808_port, terminals=terminals, seed=seed, faults=FAULTS, timing=TIMING)
    async with fleet:
        await until("most terminals on-line", lambda: fleet.online >= terminals * 0.9)
        spent("logins")
        for number in range(kills):
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            bag = bag or chance.sample(victims, len(victims))  # at random, and each as often as the others
            victim, is_patient = bag.pop(), chance.random() < 0.5
            spent("load between blows")
            began = time.monotonic()
            await asyncio.to_thread(_blow, server, victim)
            answered = fleet.ledger.counts["answered"]
            await until("answers after a blow", lambda before=answered: fleet.ledger.counts["answered"] > before)  # type: ignore[misc]
            out.answering_s.setdefault(victim, []).append(time.monotonic() - began)
            if is_patient:
                await asyncio.to_thread(server.wait_ready)
                out.ready_s.setdefault(victim, []).append(time.monotonic() - began)
            state = f"ready after {time.monotonic() - began:.1f} s" if is_patient else "not waited for"
            say(f"kill {number + 1} of {kills}: {victim}, {state}")
            spent("coming back")
        await fleet.drain(LAST_ANSWERS_S)
        spent("the last answers")
    out.verdict = await _settled(server, fleet.ledger)
    spent("the last rows")
    return out


def _blow(server: Server, victim: str) -> None:
    """One kill -9. A part that is just being started again is waited for; a whole server is started again."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.kill(victim)
            break
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    if victim == "all":
        server.start(until_ready=False)


def stored_fixes(dsn: str) -> list[FixKey]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT t.phone, (extract(epoch FROM p.time) * 1000000)::bigint, p.fix_hash "
            "FROM positions p JOIN terminals t ON t.id = p.terminal_id"
        ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


async def _settled(server: Server, ledger: Ledger) -> Verdict:
    """The account against the rows, once all that was answered is there, or nothing more comes."""
    end = time.monotonic() + PATIENCE_S
    while True:
        await asyncio.to_thread(server.wait_ready)
        verdict = ledger.compare(await asyncio.to_thread(stored_fixes, server.dsn))
        if not verdict.lost_answered or time.monotonic() > end:
            return verdict
        await asyncio.sleep(0.2)


def row(kills: int, seed: int, settings: dict[str, str], terminals: int = TERMINALS) -> Outcome:
    """On one back end, with a verdict."""
    out = Outcome()
    with tempfile.TemporaryDirectory(prefix="roadwarden-kills-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # run by root, the embedded database has a user of its own
        server = Server(folder, **settings)
        try:
            killed = asyncio.run(
                under_fire(
                    server,
                    kills=kills,
                    seed=seed,
                    terminals=terminals,
                    say=lambda text: print(f"  {text}", flush=True),
                )
            )
        finally:
            server.stop()
    for victim, times in sorted(killed.answering_s.items()):
        ready = killed.ready_s.get(victim, [])
        out.figures[f"kills of {victim}"] = (
            f"{len(times)}; seconds until answering {_spread(times)}, until ready {_spread(ready)}"
        )
    out.figures["terminals"] = terminals
    out.figures["seconds spent on"] = {what: round(seconds) for what, seconds in killed.spent_s.items()}
    verdict = killed.verdict
    out.expect(sum(map(len, killed.answering_s.values())) == kills, f"{kills} kills")
    out.expect(verdict.answered > terminals, f"{verdict.answered:,} of {verdict.sent:,} fixes answered")
    lost, twice, unknown = (len(x) for x in (verdict.lost_answered, verdict.twice, verdict.unknown))
    out.expect(not lost, f"{lost} answered and not stored (0), of {verdict.stored:,} stored")
    out.expect(not twice, f"{twice} stored twice (0)")
    out.expect(not unknown, f"{unknown} stored and never sent (0)")
    return out


def _spread(seconds: list[float]) -> str:
    """Median and worst."""
    return f"{sorted(seconds)[len(seconds) // 2]:.1f} (worst {max(seconds):.1f})" if seconds else "-"

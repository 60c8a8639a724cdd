"""A fleet of simulated terminals in one process: plates, phones, cities and companies from a seed; one account."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from simulators.client import Address, Client
from simulators.corridors import CITIES
from simulators.driving import Behaviour, Vehicle
from simulators.ledger import Ledger
from simulators.link import GOOD, USUAL, LinkFaults
from simulators.terminal import State, Terminal, Timing
from simulators.wire import Identity

log = logging.getLogger(__name__)

EDITIONS: Final[tuple[tuple[str, float], ...]] = (("2011", 0.15), ("2013", 0.5), ("2019", 0.35))
FIRST_PHONE: Final = 13900000000
CONNECTS_PER_S: Final = 200.0
SAVE_EVERY_S: Final = 10.0
DEMO_LEDGER: Final = 200_000

_COMPANIES: Final = ("顺达物流", "北方客运", "远通货运", "安平危险品运输", "中诚冷链", "辽运集团")
# kind, its share, plate colour by edition (2011 and 2013 know no green plate)
_KINDS: Final = (
    ("货车", 0.5, 2, 2),
    ("客车", 0.2, 2, 2),
    ("危险品运输车", 0.12, 2, 2),
    ("厢式货车", 0.1, 1, 1),
    ("新能源货车", 0.08, 2, 93),
)
_PLATE_LETTERS: Final = "ABCEFGHJK"  # for a first digit of 1 to 9
MOST_TERMINALS: Final = 90_000  # plates run out


@dataclass(frozen=True, slots=True)
class SimulatedVehicle:
    """What an operator would have in the books about a vehicle of the fleet."""

    phone: str
    plate: str
    plate_color: int
    home: str  # Chinese name of its city
    company: str
    vehicle_type: str
    edition: str
    udp: bool


class Fleet:
    """Any number of terminals against one platform.

    Args:
        terminals:   how many; the first n of a fleet are the same whatever n is.
        interval_s:  between two reports of a moving vehicle; parked ones report at a sixth of that.
        seed:        same seed, same fleet and same story (in real time: what the links do differs).
        faults:      of every link, see ``simulators.link``.
        ledger:      the account; None makes one in memory.
        state:       JSON file that keeps auth codes and whereabouts between runs; None: every run registers anew.
        timing:      the terminals' parameters; ``interval_s`` goes before its own.
        udp_share:   of the terminals that use UDP.
        uploads_go_on: over a lost link; else pictures begin anew after the next login.

    Start with ``async with`` or ``start``/``stop``. ``host`` and ``port`` may be changed while it runs: links made from
    then on go there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        terminals: int = 200,
        interval_s: float | None = None,
        seed: int = 1,
        behaviour: Behaviour | None = None,
        faults: LinkFaults = GOOD,
        ledger: Ledger | None = None,
        state: Path | None = None,
        timing: Timing | None = None,
        udp_share: float = 0.1,
        uploads_go_on: bool = False,
        editions: Sequence[tuple[str, float]] = EDITIONS,
        first_phone: int = FIRST_PHONE,
    ) -> None:
        if not 0 <= terminals <= MOST_TERMINALS:
            raise ValueError(f"a fleet has 0 to {MOST_TERMINALS} terminals, not {terminals}")
        self.ledger = ledger if ledger is not None else Ledger()
        self.address = Address(host, port)
        timing = timing or Timing()
        if interval_s is not None:
            timing = replace(timing, interval_s=interval_s, parked_interval_s=6 * interval_s)
        self._timing = timing
        self._seed = seed
        self._faults = faults
        self._uploads_go_on = uploads_go_on
        self._state_path = state
        self._must_save = False
        self._tasks: list[asyncio.Task[None]] = []
        self.terminals: list[Terminal] = []
        kept = _read_state(state) if state else {}
        now = time.time()
        self.vehicles = fleet_vehicles(terminals, seed, editions=editions, udp_share=udp_share, first_phone=first_phone)
        for index, about in enumerate(self.vehicles):
            self.terminals.append(self._terminal(about, index, now, behaviour, kept.get(about.phone, {})))

    def _terminal(
        self, about: SimulatedVehicle, index: int, now: float, behaviour: Behaviour | None, kept: dict[str, Any]
    ) -> Terminal:
        city = next(city for city in CITIES.values() if city.name == about.home)
        vehicle = Vehicle(city.english, f"{self._seed}/{index}/vehicle", now, behaviour)
        if "vehicle" in kept:
            vehicle.restore(kept["vehicle"])
        return Terminal(
            identity=Identity(
                phone=about.phone,
                plate=about.plate,
                plate_color=about.plate_color,
                city_id=city.city_id,
                terminal_id=f"{index % 10**7:07d}",
                terminal_model=f"RW-{about.edition}",
                imei=f"86{int(about.phone):013d}"[:15] if about.edition == "2019" else "",
            ),
            edition=about.edition,
            vehicle=vehicle,
            ledger=self.ledger,
            timing=self._timing,
            rng=random.Random(f"{self._seed}/{index}/terminal"),
            auth_code=bytes.fromhex(kept["auth_code"]) if kept.get("auth_code") else None,
            now=now,
            on_auth_code=self._note_change,
            uploads_go_on=self._uploads_go_on,
        )

    @property
    def online(self) -> int:
        """Terminals that are authenticated at this moment."""
        return sum(terminal.state is State.ONLINE for terminal in self.terminals)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Let the terminals connect, ``CONNECTS_PER_S`` of them a second."""
        for index, (terminal, about) in enumerate(zip(self.terminals, self.vehicles, strict=True)):
            client = Client(terminal, self.address, self._faults, udp=about.udp, seed=f"{self._seed}/{index}/link")
            self._tasks.append(asyncio.create_task(self._run(client, index / CONNECTS_PER_S)))
        self._tasks.append(asyncio.create_task(self._save_now_and_then()))

    @staticmethod
    async def _run(client: Client, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            await client.run()
        except Exception:
            log.exception("terminal %s broke", client.terminal.identity.phone)
            raise

    async def drain(self, timeout_s: float) -> bool:
        """No new reports from now on; wait until all that was reported is answered. False: time was up before."""
        for terminal in self.terminals:
            terminal.is_stopping = True
        until = time.monotonic() + timeout_s
        while not all(terminal.is_idle for terminal in self.terminals):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True

    async def stop(self) -> None:
        """Hang up. Reports without an answer stay so in the account."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._state_path:
            self._save(self._state_path)
        self.ledger.flush()
        for result in results:
            if isinstance(result, Exception):
                raise result

    # State between runs

    def _note_change(self) -> None:
        self._must_save = True

    async def _save_now_and_then(self) -> None:
        """The account twice a second; the state soon after an auth code came, and every ten seconds."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            self.ledger.flush()
            if self._state_path and (self._must_save or time.monotonic() - last > SAVE_EVERY_S):
                self._must_save = False
                last = time.monotonic()
                self._save(self._state_path)

    def _save(self, path: Path) -> None:
        known = _read_state(path)
        for terminal in self.terminals:
            code = terminal.auth_code
            known[terminal.identity.phone] = {
                "auth_code": code.hex() if code is not None else None,
                "vehicle": terminal.vehicle.state(),
            }
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(known))
        os.replace(new, path)


def _read_state(path: Path) -> dict[str, dict[str, Any]]:
    """What an earlier run kept; nothing when there was none.

    Raises: ValueError: the file is no state of a fleet; delete it to begin anew.
    """
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is no state of a simulated fleet ({error}); delete it to begin anew") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no state of a simulated fleet; delete it to begin anew")
    return state


def fleet_vehicles(
    terminals: int,
    seed: int = 1,
    *,
    editions: Sequence[tuple[str, float]] = EDITIONS,
    udp_share: float = 0.1,
    first_phone: int = FIRST_PHONE,
) -> list[SimulatedVehicle]:
    """The vehicles that a fleet with these arguments has, without making it."""
    return [_vehicle(index, seed, editions, udp_share, first_phone) for index in range(terminals)]


def _vehicle(
    index: int, seed: int, editions: Sequence[tuple[str, float]], udp_share: float, first_phone: int
) -> SimulatedVehicle:
    """The index-th vehicle. Plates are unique by construction: the digits are a permutation of the index."""
    rng = random.Random(f"{seed}/{index}/about")
    weights = [0.24, 0.16] + [0.05] * (len(CITIES) - 2)
    city = rng.choices(list(CITIES.values()), weights)[0]
    kind, _, old_color, new_color = rng.choices(_KINDS, [share for _, share, _, _ in _KINDS])[0]
    edition = rng.choices([name for name, _ in editions], [share for _, share in editions])[0]
    color = new_color if edition == "2019" else old_color
    digits = str(10_000 + (index * 7919 + 12345) % 90_000)  # each once: 7919 shares no factor with 90,000
    if index % 3 == 0:
        digits = _PLATE_LETTERS[int(digits[0]) - 1] + digits[1:]
    return SimulatedVehicle(
        phone=str(first_phone + index),
        plate=f"辽{city.letter}{'D' if color == 93 else ''}{digits}",
        plate_color=color,
        home=city.name,
        company=f"{city.name}{rng.choice(_COMPANIES)}",
        vehicle_type=kind,
        edition=edition,
        udp=rng.random() < udp_share,
    )


async def run(
    host: str,
    port: int,
    *,
    terminals: int = 200,
    interval_s: float = 5.0,
    seed: int = 1,
    faults: LinkFaults = USUAL,
    state: Path | None = None,
    ledger: Path | None = None,
    grace_s: float = 2.0,
) -> Ledger:
    """A fleet until SIGINT, SIGTERM or cancellation; then ``grace_s`` for the last answers. Returns its account."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    account = Ledger(ledger, capacity=DEMO_LEDGER)
    fleet = Fleet(
        host, port, terminals=terminals, interval_s=interval_s, seed=seed, faults=faults, state=state, ledger=account
    )
    try:
        async with fleet:
            await stopping.wait()
            await fleet.drain(grace_s)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        account.close()
    return account


def simulate(
    host: str,
    port: int,
    *,
    terminals: int = 200,
    interval_s: float = 5.0,
    seed: int = 1,
    bad_links: bool = True,
    state: Path | None = None,
    ledger: Path | None = None,
) -> None:
    """The command ``roadwarden simulate``: runs until it is told to stop, then prints its account in one line."""
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        account = uvloop.run(
            run(
                host,
                port,
                terminals=terminals,
                interval_s=interval_s,
                seed=seed,
                faults=USUAL if bad_links else GOOD,
                state=state,
                ledger=ledger,
            )
        )
        print(account.summary(), flush=True)

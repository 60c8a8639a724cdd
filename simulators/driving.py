"""What a simulated vehicle does: trips between cities, rests, parking, and the behaviour that makes alarms.

Pure: no clock, no socket. ``Vehicle.fix(now)`` moves the vehicle on to ``now`` and says what its terminal would report.
The same seed and the same moments of asking give the same story.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from simulators.corridors import CITIES
from simulators.roads import Route, distance_km, route
from simulators.wire import CLEARED_BY_ANSWER, Alarm, Fix, Status

MAX_STEP_S: Final = 60.0  # a longer gap is driven in steps, so that no episode is jumped over
MAX_GAP_S: Final = 900.0  # a terminal that was off longer wakes where it was
FATIGUE_AFTER_S: Final = 4 * 3600  # driving without rest: the law's four hours
FATIGUE_WARNING_S: Final = 600  # the pre-warning comes this much earlier
REST_S: Final = 1200  # the rest that ends it
TERMINAL_LIMIT_KMH: Final = 110.0  # the terminal's own limit (parameter 0x0055)
TERMINAL_OVERSPEED_S: Final = 10.0  # and how long it has to last (0x0056)
HOME_AREA_KM: Final = 45.0  # the terminal's own stored area around its city


class Phase(StrEnum):
    DRIVING = "driving"
    RESTING = "resting"  # service area, engine running
    PARKED = "parked"  # ignition off


class Kind(StrEnum):
    """What befalls a vehicle now and then."""

    OVERSPEED = "overspeed"
    EMERGENCY = "emergency"
    POWER_LOST = "power_lost"
    UNDERVOLTAGE = "undervoltage"
    ANTENNA = "antenna"
    OFFLINE = "offline"  # no radio: the terminal stores and sends later


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How often things happen, each as the mean number per vehicle and hour of driving; 0: never.

    Raises: ValueError: a rate is negative.
    """

    overspeed: float = 1.0
    emergency: float = 0.02
    power_lost: float = 0.05
    undervoltage: float = 0.05
    antenna: float = 0.08
    offline: float = 0.25
    area_share: float = 0.3  # of the vehicles that watch their home area themselves
    tired_share: float = 0.08  # of the vehicles that begin the story after nearly four hours at the wheel
    parked_share: float = 0.15  # of the vehicles that begin the story parked

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name} must not be negative")


CALM: Final = Behaviour(0, 0, 0, 0, 0, 0, 0, 0, 0)

_DURATION_S: Final[dict[Kind, tuple[float, float]]] = {
    Kind.OVERSPEED: (50, 180),
    Kind.EMERGENCY: (1, 1),  # until the platform answered
    Kind.POWER_LOST: (40, 240),
    Kind.UNDERVOLTAGE: (60, 300),
    Kind.ANTENNA: (60, 240),
    Kind.OFFLINE: (45, 780),
}


@dataclass(slots=True)
class _Episode:
    kind: Kind
    ends_at: float


class Vehicle:
    """One vehicle with its driver.

    Args:
        home:      its city (English name, a key of ``CITIES``).
        seed:      of its story.
        now:       seconds since 1970; the story begins here.
    """

    def __init__(self, home: str, seed: int | str, now: float, behaviour: Behaviour | None = None) -> None:
        self.home = home
        self.behaviour = behaviour or Behaviour()
        self.phase = Phase.DRIVING
        self.speed_kmh = 0.0
        self.odometer_km = 0.0
        self._rng = rng = random.Random(seed)
        self._now = now
        self._phase_until = now
        self._cruise_kmh = rng.uniform(
            78, 93
        )  # below the usual platform limit of 100, terminal overspeed is beyond 110
        self._tank_l = rng.choice((200, 400, 600))
        self._fuel_l = self._tank_l * rng.uniform(0.3, 0.95)
        self._driven_s = rng.uniform(0, 2.5 * 3600)  # at the wheel since the last rest
        self._over_s = 0.0  # over the terminal's own limit
        self._episodes: list[_Episode] = []
        self._next: dict[Kind, float] = {}
        self._until_answered = Alarm(0)
        self._area_event: tuple[int, int, int] | None = None
        self._watches_area = rng.random() < self.behaviour.area_share
        self._in_area: bool | None = None
        self._last_seen: tuple[float, float] | None = None
        self.odometer_km = rng.uniform(5_000, 300_000)
        self._route: Route = self._choose_route(home)
        self._km = rng.uniform(0, self._route.length_km)
        if rng.random() < self.behaviour.parked_share:
            self._begin(Phase.PARKED, rng.uniform(60, 1800))
        else:
            self.speed_kmh = min(self._cruise_kmh, self._route.place(self._km).limit_kmh) * 0.9
            if rng.random() < self.behaviour.tired_share:
                self._driven_s = FATIGUE_AFTER_S - rng.uniform(-300, FATIGUE_WARNING_S + 600)
        for kind in Kind:
            self._schedule(kind)

    # What the terminal asks

    @property
    def is_offline(self) -> bool:
        """No radio here: nothing goes out or comes in."""
        return self._has(Kind.OFFLINE)

    @property
    def ignition(self) -> bool:
        return self.phase is not Phase.PARKED

    def fix(self, now: float) -> Fix:
        """Move on to ``now`` (seconds since 1970) and report."""
        self.move(now)
        place = self._route.place(self._km)
        noise = self._rng.gauss
        position = (place.latitude_deg + noise(0, 3e-5), place.longitude_deg + noise(0, 4e-5))
        has_fix = not self._has(Kind.ANTENNA)
        if has_fix or self._last_seen is None:
            self._last_seen = position
        alarm = self._alarms()
        status = Status(0)
        if self.ignition:
            status |= Status.ACC
        if has_fix:
            status |= Status.FIX | Status.GPS | Status.BEIDOU
        if self.speed_kmh > 0:
            status |= Status.MOVING
        if int(self.odometer_km / 300) % 2:
            status |= Status.FULL
        speed = round(self.speed_kmh, 1)
        return Fix(
            time_us=int(now) * 1_000_000,
            latitude_deg=self._last_seen[0],
            longitude_deg=self._last_seen[1],
            altitude_m=max(0, round(40 + 60 * abs(place.latitude_deg - 41) + noise(0, 2))),
            speed_kmh=speed if has_fix else 0.0,
            heading_deg=place.heading_deg,
            alarm=alarm,
            status=status,
            mileage_km=round(self.odometer_km, 1),
            fuel_l=round(self._fuel_l, 1),
            recorder_speed_kmh=max(0.0, round(speed + noise(0, 0.4), 1)) if speed else 0.0,
            temperature_c=4,
            overspeed_area=(0, 0) if Alarm.OVERSPEED in alarm else None,
            area_alarm=self._area_event,
            vehicle_signals=1 << 4 if 0 < self.speed_kmh < 20 else 0,
            signal_strength=min(31, max(1, round(24 + noise(0, 3)))),
            satellites=min(30, max(4, round(14 + noise(0, 2)))) if has_fix else 0,
        )

    def answered(self, alarm: Alarm) -> None:
        """The platform answered a report with these alarms: those that end with the answer end."""
        self._until_answered &= ~(alarm & CLEARED_BY_ANSWER)
        if Alarm.AREA in alarm:
            self._area_event = None

    def press_emergency_button(self) -> None:
        """紧急报警: stands until the platform answered a report with it."""
        self._until_answered |= Alarm.EMERGENCY

    # Moving on

    def move(self, now: float) -> None:
        """Drive on to ``now``. Time that goes backwards is left out."""
        if now - self._now > MAX_GAP_S:
            self._now = now - MAX_GAP_S
        while self._now < now:
            step = min(MAX_STEP_S, now - self._now)
            self._now += step
            self._befall()
            self._step(step)

    def _step(self, step_s: float) -> None:
        if self.phase is not Phase.DRIVING:
            self.speed_kmh = 0.0
            if self.phase is Phase.RESTING:
                self._fuel_l -= 1.5 * step_s / 3600
            if self._now >= self._phase_until:
                if self.phase is Phase.PARKED:
                    self._fuel_l = self._tank_l * self._rng.uniform(0.8, 0.98)
                self._driven_s = 0.0
                self._begin(Phase.DRIVING, 0)
            return
        self._driven_s += step_s
        before = self.speed_kmh
        self.speed_kmh = self._next_speed(step_s)
        drove = (before + self.speed_kmh) / 2 * step_s / 3600
        area = self._route.next_service_area_km(self._km)
        self._km += drove
        self.odometer_km += drove
        self._fuel_l = max(self._fuel_l - drove * 0.28, 4.0)
        over = self.speed_kmh > TERMINAL_LIMIT_KMH
        self._over_s = self._over_s + step_s if over else 0.0
        self._watch_area()
        if self._km >= self._route.length_km:
            self._begin(Phase.PARKED, self._rng.uniform(300, 2400))
            self._route = self._choose_route(self._route.end)
            self._km = 0.0
        elif area is not None and self._km >= area and self._wants_rest():
            self._begin(Phase.RESTING, self._rng.uniform(REST_S, 2 * REST_S))

    def _next_speed(self, step_s: float) -> float:
        """Towards the wanted speed, at most 5 km/h a second down and 3 up."""
        limit = self._route.place(self._km).limit_kmh
        wanted = min(self._cruise_kmh, limit * 0.95) + self._rng.gauss(0, 2)
        if self._has(Kind.OVERSPEED):
            wanted = limit * self._overspeed_factor()
        left_km = self._route.length_km - self._km
        wanted = min(wanted, 15 + left_km * 60)
        change = wanted - self.speed_kmh
        return max(self.speed_kmh + max(min(change, 3 * step_s), -5 * step_s), 8.0)

    def _overspeed_factor(self) -> float:
        return 1.14 + (self._cruise_kmh - 78) / 100  # 114 to 129 km/h where 100 are allowed

    def _wants_rest(self) -> bool:
        """A careful driver rests in time; some do not, and that is what the fatigue bit is for."""
        tired = self._driven_s / FATIGUE_AFTER_S
        return self._rng.random() < (0.9 if tired > 1 else 0.25 * tired)

    def _begin(self, phase: Phase, lasts_s: float) -> None:
        self.phase = phase
        self._phase_until = self._now + lasts_s
        if phase is not Phase.DRIVING:
            self.speed_kmh = 0.0
            self._over_s = 0.0

    def _choose_route(self, start: str) -> Route:
        """To a city not too far, more often home than not."""
        if start != self.home and self._rng.random() < 0.6:
            return route(start, self.home)
        others = [city for city in CITIES if city != start]
        weights = [1 / (40 + route(start, city).length_km) ** 1.5 for city in others]
        return route(start, self._rng.choices(others, weights)[0])

    # What befalls it

    def _schedule(self, kind: Kind) -> None:
        rate: float = getattr(self.behaviour, kind.value)
        if rate:
            self._next[kind] = self._now + self._rng.expovariate(rate / 3600)

    def _befall(self) -> None:
        self._episodes = [e for e in self._episodes if e.ends_at > self._now]
        for kind, at in list(self._next.items()):
            if at > self._now:
                continue
            if self.phase is Phase.DRIVING:
                if kind is Kind.EMERGENCY:
                    self.press_emergency_button()
                else:
                    self._episodes.append(_Episode(kind, self._now + self._rng.uniform(*_DURATION_S[kind])))
            self._schedule(kind)

    def _has(self, kind: Kind) -> bool:
        return any(e.kind is kind and e.ends_at > self._now for e in self._episodes)

    def _alarms(self) -> Alarm:
        alarm = self._until_answered
        if self._over_s > TERMINAL_OVERSPEED_S:
            alarm |= Alarm.OVERSPEED
        if self.phase is Phase.DRIVING and self._driven_s > FATIGUE_AFTER_S:
            alarm |= Alarm.FATIGUE
        elif self.phase is Phase.DRIVING and self._driven_s > FATIGUE_AFTER_S - FATIGUE_WARNING_S:
            alarm |= Alarm.FATIGUE_WARNING
        if self._has(Kind.ANTENNA):
            alarm |= Alarm.GNSS_ANTENNA_CUT
        if self._has(Kind.POWER_LOST):
            alarm |= Alarm.POWER_LOST
        if self._has(Kind.UNDERVOLTAGE):
            alarm |= Alarm.UNDERVOLTAGE
        return alarm

    def _watch_area(self) -> None:
        """The terminal's own area around its home: an alarm with item 0x12 on the way in and out (进出区域)."""
        if not self._watches_area:
            return
        place = self._route.place(self._km)
        city = CITIES[self.home]
        inside = distance_km((place.latitude_deg, place.longitude_deg), city.centre) <= HOME_AREA_KM
        if self._in_area is not None and inside != self._in_area:
            self._until_answered |= Alarm.AREA
            self._area_event = (1, city.city_id, 0 if inside else 1)
        self._in_area = inside

    # Between runs

    def state(self) -> dict[str, Any]:
        """What must be kept so that the vehicle is there again at the next start."""
        return {
            "start": self._route.start, "end": self._route.end, "km": round(self._km, 3),
            "odometer_km": round(self.odometer_km, 1), "fuel_l": round(self._fuel_l, 1), "phase": self.phase.value,
            "driven_s": round(self._driven_s),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` kept.

        Raises: KeyError, ValueError: it is not from ``state``.
        """
        where = route(state["start"], state["end"])
        phase = Phase(state["phase"])
        self._km = min(float(state["km"]), where.length_km)
        self._route = where
        self.odometer_km = float(state["odometer_km"])
        self._fuel_l = float(state["fuel_l"])
        self._driven_s = float(state["driven_s"])
        self._last_seen = None
        self._begin(phase, 0 if phase is Phase.DRIVING else self._rng.uniform(30, 900))

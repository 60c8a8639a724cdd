"""Stories of vehicles, in simulated time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from simulators.driving import CALM, FATIGUE_AFTER_S, Behaviour, Phase, Vehicle
from simulators.roads import distance_km
from simulators.wire import Alarm, Fix, Status

START = 1_700_000_000.0


def story(vehicle: Vehicle, hours: float, step_s: float = 10.0, *, answer: bool = True) -> list[Fix]:
    fixes = []
    for i in range(int(hours * 3600 / step_s)):
        fix = vehicle.fix(START + i * step_s)
        if answer:
            vehicle.answered(fix.alarm)
        fixes.append(fix)
    return fixes


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(Vehicle("Dalian", 7, START), 1) == story(Vehicle("Dalian", 7, START), 1)
    assert story(Vehicle("Dalian", 7, START), 0.1) != story(Vehicle("Dalian", 8, START), 0.1)


def test_a_calm_driver_raises_no_alarm_and_keeps_the_limit() -> None:
    for seed in range(5):
        for fix in story(Vehicle("Shenyang", seed, START, CALM), 2):
            assert fix.alarm & ~(Alarm.FATIGUE | Alarm.FATIGUE_WARNING) == Alarm(0)
            assert fix.speed_kmh <= 100


def test_vehicles_move_along_without_jumps() -> None:
    fixes = story(Vehicle("Jinzhou", 3, START, CALM), 3)
    for a, b in pairwise(fixes):
        moved = distance_km((a.latitude_deg, a.longitude_deg), (b.latitude_deg, b.longitude_deg))
        assert moved <= (max(a.speed_kmh, b.speed_kmh) + 30) * 10 / 3600 + 0.05
        assert (b.mileage_km or 0) >= (a.mileage_km or 0)
    assert (fixes[-1].mileage_km or 0) - (fixes[0].mileage_km or 0) > 50


def test_what_behaviour_promises_comes() -> None:
    busy = Behaviour(overspeed=6, emergency=2, power_lost=3, undervoltage=3, antenna=3, offline=3, area_share=1)
    seen: Counter[Alarm] = Counter()
    offline = long_overspeed = 0
    for seed in range(6):
        vehicle = Vehicle("Anshan", seed, START, busy)
        over_s = 0.0
        for i in range(1080):
            fix = vehicle.fix(START + i * 10)
            vehicle.answered(fix.alarm)
            seen.update(alarm for alarm in Alarm if alarm in fix.alarm)
            offline += vehicle.is_offline
            over_s = over_s + 10 if fix.speed_kmh > 100 else 0
            long_overspeed += over_s == 40
            if Alarm.GNSS_ANTENNA_CUT in fix.alarm:
                assert Status.FIX not in fix.status
                assert fix.satellites == 0
            if Alarm.AREA in fix.alarm:
                assert fix.area_alarm is not None
            if Alarm.OVERSPEED in fix.alarm:
                assert (fix.recorder_speed_kmh or 0) > 108
    wanted = {
        Alarm.EMERGENCY,
        Alarm.OVERSPEED,
        Alarm.GNSS_ANTENNA_CUT,
        Alarm.UNDERVOLTAGE,
        Alarm.POWER_LOST,
        Alarm.AREA,
    }
    assert wanted <= seen.keys()
    assert offline
    assert long_overspeed  # long enough over a limit of 100 for the platform's own rule


def test_some_begin_tired_and_a_rest_ends_it() -> None:
    tired = Behaviour(0, 0, 0, 0, 0, 0, 0, tired_share=1, parked_share=0)
    fixes = [fix for seed in range(5) for fix in story(Vehicle("Dandong", seed, START, tired), 4, 30)]
    states = [Alarm.FATIGUE in fix.alarm for fix in fixes]
    assert (False, True) in pairwise(states)
    assert (True, False) in pairwise(states)
    assert any(Alarm.FATIGUE_WARNING in fix.alarm for fix in fixes)


def test_the_emergency_button_stands_until_it_is_answered() -> None:
    vehicle = Vehicle("Fushun", 1, START, CALM)
    vehicle.press_emergency_button()
    assert Alarm.EMERGENCY in vehicle.fix(START + 5).alarm
    fix = vehicle.fix(START + 10)
    assert Alarm.EMERGENCY in fix.alarm
    vehicle.answered(Alarm(0))
    assert Alarm.EMERGENCY in vehicle.fix(START + 15).alarm
    vehicle.answered(fix.alarm)
    assert Alarm.EMERGENCY not in vehicle.fix(START + 20).alarm


def test_ignition_goes_off_to_park_and_on_again() -> None:
    vehicle = Vehicle("Fushun", 2, START, CALM)
    phases = []
    for i in range(1000):
        fix = vehicle.fix(START + i * 30)
        phases.append(vehicle.phase)
        assert (Status.ACC in fix.status) == (vehicle.phase is not Phase.PARKED)
        if vehicle.phase is not Phase.DRIVING:
            assert fix.speed_kmh == 0
    assert {Phase.DRIVING, Phase.PARKED} <= set(phases)
    assert phases.index(Phase.PARKED) < len(phases) - 1 - phases[::-1].index(Phase.DRIVING)


def test_a_vehicle_takes_up_where_it_was() -> None:
    first = Vehicle("Benxi", 4, START, CALM)
    story(first, 0.5)
    here = first.fix(START + 1800)
    second = Vehicle("Benxi", 99, START + 86_400, CALM)
    second.restore(first.state())
    there = second.fix(START + 86_400)
    gap = distance_km((here.latitude_deg, here.longitude_deg), (there.latitude_deg, there.longitude_deg))
    assert gap < 0.1
    assert there.mileage_km == pytest.approx(here.mileage_km, abs=0.2)


def test_a_long_sleep_is_not_driven_through() -> None:
    vehicle = Vehicle("Benxi", 4, START, CALM)
    before = vehicle.fix(START).mileage_km or 0
    after = vehicle.fix(START + 10 * 86_400).mileage_km or 0
    assert after - before < 40
    assert FATIGUE_AFTER_S == 14_400


def test_rates_are_not_negative() -> None:
    with pytest.raises(ValueError, match="emergency"):
        Behaviour(emergency=-1)

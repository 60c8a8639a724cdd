"""The tables inside messages, held against tables written from the standards' and not from the library: parameters,
bits of alarm and status words, additional items."""

from __future__ import annotations

import pytest

from jt808 import AdditionalItem, Edition
from jt808.messages.additional_items import BY_ID
from jt808.messages.location_flags import alarm_names, status_names
from jt808.messages.parameter_table import parameter_type, parameter_types

PARAMETERS = """
DWORD  0001 0002 0003 0004 0005 0006 0007 0018 0019 001B 001C 0020 0021 0022 0027 0028 0029 002C 002D 002E 002F 0030
DWORD  0045 0046 0047 0050 0051 0052 0053 0054 0055 0056 0057 0058 0059 005A 0064 0065 0070 0071 0072 0073 0074 007A
DWORD  0080 0093 0095 0100 0102
WORD   0031 005B 005C 005D 005E 0081 0082 0101 0103
BYTE   0084 0090 0091 0092 0094
STRING 0010 0011 0012 0013 0014 0015 0016 0017 001A 001D 0023 0024 0025 0026 0040 0041 0042 0043 0044 0048 0049 0083
STRING F370
4      0032
8      0110
21     0075
3      0076 0079
1      0077
2      007B F367
20     007C
56     F364
49     F365
36     F366
"""
"""Type, or the bytes of a structure (of 0076 and 0077: without channels). 0023 to 0025 are texts since 2019; before,
they were reserved. The type of F370 (Yue-biao) is not known."""

OTHER_WIDTHS = {0x0081: 4, 0x0082: 4, 0x0084: 4, 0x0090: 4}
"""DWORD in 2011; 0x0090 as units are seen to send it."""

OPEN_ENDED = {0x0076, 0x0077, 0xF364, 0xF365}
"""Longer when there are channels, or in other standards."""

_WIDTHS = {"DWORD": 4, "WORD": 2, "BYTE": 1}
_ROWS = {int(number, 16): line.split()[0] for line in PARAMETERS.split("\n") if line for number in line.split()[1:]}


def test_no_parameter_is_missing_or_made_up() -> None:
    assert sorted(_ROWS) == [row.id for row in parameter_types()]
    assert all(parameter_type(number) is not None for number in range(0x0110, 0x0200))
    assert parameter_type(0x0200) is None
    assert parameter_type(0xF001) is None


@pytest.mark.parametrize("number", _ROWS, ids=lambda number: f"{number:04x}")
def test_a_parameter_has_its_type(number: int) -> None:
    kind = _ROWS[number]
    row = parameter_type(number)
    assert row is not None
    if kind == "STRING":
        assert row.read(b"") is not None
        assert row.read(b"abc") in ("abc", b"abc")
        return
    width = _WIDTHS.get(kind) or int(kind)
    assert row.read(bytes(width)) is not None
    assert row.read(bytes(width - 1)) is None or (kind.isdecimal() and width == 1)
    if number not in OPEN_ENDED:
        for longer in range(width + 1, width + 6):
            assert (row.read(bytes(longer)) is not None) == (OTHER_WIDTHS.get(number) == longer)


ALARMS = """
0  emergency                 emergency                 emergency
1  overspeed                 overspeed                 overspeed
2  fatigue_driving           fatigue_driving           fatigue_driving
3  danger_warning            danger_warning            dangerous_driving
4  gnss_fault                gnss_fault                gnss_fault
5  gnss_antenna_cut          gnss_antenna_cut          gnss_antenna_cut
6  gnss_antenna_short        gnss_antenna_short        gnss_antenna_short
7  main_power_low            main_power_low            main_power_low
8  main_power_lost           main_power_lost           main_power_lost
9  display_fault             display_fault             display_fault
10 tts_fault                 tts_fault                 tts_fault
11 camera_fault              camera_fault              camera_fault
12 -                         ic_card_fault             ic_card_fault
13 -                         overspeed_warning         overspeed_warning
14 -                         fatigue_warning           fatigue_warning
15 -                         -                         forbidden_period_driving
16 -                         -                         tyre_pressure_warning
17 -                         -                         right_turn_blind_zone
18 daily_driving_exceeded    daily_driving_exceeded    daily_driving_exceeded
19 parked_too_long           parked_too_long           parked_too_long
20 area_in_out               area_in_out               area_in_out
21 route_in_out              route_in_out              route_in_out
22 segment_time              segment_time              segment_time
23 off_route                 off_route                 off_route
24 vss_fault                 vss_fault                 vss_fault
25 abnormal_fuel             abnormal_fuel             abnormal_fuel
26 stolen                    stolen                    stolen
27 illegal_ignition          illegal_ignition          illegal_ignition
28 illegal_movement          illegal_movement          illegal_movement
29 -                         collision_warning         collision_rollover
30 -                         rollover_warning          rollover_warning
31 -                         illegal_door_opening      -
"""
"""Bit, and its meaning in 2011, 2013, 2019."""

STATUS = """
0  acc_on                    acc_on                    acc_on
1  positioned                positioned                positioned
2  south                     south                     south
3  west                      west                      west
4  out_of_service            out_of_service            out_of_service
5  coordinates_encrypted     coordinates_encrypted     coordinates_encrypted
6  -                         -                         forward_collision_warning
7  -                         -                         lane_departure_warning
8  -                         half_loaded               half_loaded
9  -                         load_reserved             load_reserved
10 fuel_cut                  fuel_cut                  fuel_cut
11 power_cut                 power_cut                 power_cut
12 doors_locked              doors_locked              doors_locked
13 -                         door_1_open               door_1_open
14 -                         door_2_open               door_2_open
15 -                         door_3_open               door_3_open
16 -                         door_4_open               door_4_open
17 -                         door_5_open               door_5_open
18 -                         gps                       gps
19 -                         beidou                    beidou
20 -                         glonass                   glonass
21 -                         galileo                   galileo
22 -                         -                         moving
"""


@pytest.mark.parametrize("edition", Edition)
def test_bits_mean_what_the_edition_says(edition: Edition) -> None:
    column = list(Edition).index(edition) + 1
    for table, names in ((ALARMS, alarm_names), (STATUS, status_names)):
        said = {}
        for line in table.strip().split("\n"):
            cells = line.split()
            said[int(cells[0])] = f"bit_{cells[0]}" if cells[column] == "-" else cells[column]
        for bit in range(32):
            assert [english for english, _ in names(1 << bit, edition)] == [said.get(bit, f"bit_{bit}")]


ITEMS = {
    0x01: (4,), 0x02: (2,), 0x03: (2,), 0x04: (2,), 0x05: (30,), 0x06: (2,), 0x11: (1, 5), 0x12: (6,), 0x13: (7,),
    0x14: (4,), 0x15: (4,), 0x16: (4,), 0x17: (2,), 0x18: (2, 3), 0x25: (4,), 0x2A: (2,), 0x2B: (4,), 0x30: (1,),
    0x31: (1,), 0x64: (47, 71), 0x65: (47, 71), 0x66: (41, 50, 51, 59, 61, 65, 68, 71, 74, 75), 0x67: (41, 65),
    0xE0: (),
}  # fmt: skip
"""Lengths of each item's forms: 47 of Su-biao are 71 of Yue-biao, and so on. 0x66: 41 or 65, and 9 or 10 a tyre."""


def _of_length(item_id: int, length: int) -> bytes:
    raw = bytearray(length)
    if item_id == 0x66 and length > 40:  # the count of tyres stands behind the identifier of 16 bytes, or of 40
        for at in (40, 64):
            for size in (9, 10):
                if length > at and (length - at - 1) % size == 0:
                    raw[at] = (length - at - 1) // size
                    if AdditionalItem(item_id, bytes(raw)).is_readable:
                        return bytes(raw)
            raw[at : at + 1] = bytes(length > at)
    return bytes(raw)


def test_no_item_is_missing_or_made_up() -> None:
    assert sorted(ITEMS) == sorted(BY_ID)


@pytest.mark.parametrize("item_id", ITEMS, ids=lambda item_id: f"{item_id:02x}")
def test_an_item_is_read_at_its_lengths_only(item_id: int) -> None:
    lengths = ITEMS[item_id]
    readable = [length for length in range(76) if AdditionalItem(item_id, _of_length(item_id, length)).is_readable]
    assert tuple(readable) == lengths

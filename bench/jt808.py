"""What the library takes to read and write a message: ``python -m bench.jt808 [--json FILE]``, some ten seconds.

Each number is the best of many short rounds, so that a busy machine disturbs little. What is measured, what is asked of
it, and how to read it: bench/README.md. The exit code is 1 when what is asked was not kept.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.outcome import Outcome
from jt808 import (
    AdditionalItem,
    BulkLocationReport,
    Deframer,
    Edition,
    Heartbeat,
    LocationReport,
    Message,
    PlatformGeneralResponse,
    TerminalAuthentication,
    TerminalRegister,
    TextMessage,
    build_frame,
    decode_body,
    encode_body,
    message_id_of,
    parse_header,
)
from jt808.columns import decode_locations
from jt808.fix_hash import fix_hashes
from jt808.messages import MediaUpload, Resource, ResourceList
from jt808.messages.additional_items import join_items
from jt808.messages.location import BASIC_BYTES

GROUP: Final = 1000
TIMES_AS_FAST: Final = "columns to declaration, times as fast"
LEAST_TIMES: Final = 40.0
OF_ITS_TIME: Final = "columns to struct and loop, share of its time"
MOST_SHARE: Final = 1.0
TIME: Final = datetime(2022, 7, 20, 2, 39, 57, tzinfo=UTC)
ITEMS: Final = ((0x01, 12345.6), (0x02, 40.5), (0x03, 61.0), (0x25, 5), (0x30, 31), (0x31, 12))
MAKERS: Final = (
    ((0x01, 4), (0x02, 2), (0x03, 2), (0x25, 4), (0x30, 1), (0x31, 1)),
    ((0x01, 4), (0x30, 1), (0x31, 1)),
    (),
    ((0x01, 4), (0x03, 2), (0x30, 1), (0x31, 1), (0xE1, 2)),
    ((0x31, 1), (0x30, 1), (0x2A, 2), (0x2B, 4), (0x01, 4)),
    ((0x01, 4), (0x02, 2), (0x03, 2), (0x11, 5), (0x25, 4), (0x30, 1), (0x31, 1), (0xF3, 20)),
    ((0x01, 4), (0x04, 2), (0x25, 4), (0x14, 4), (0x15, 4), (0x16, 4), (0x17, 2), (0x18, 2), (0x30, 1), (0x31, 1)),
    ((0x30, 1), (0x31, 1), (0x01, 4), (0xEB, 30)),
)
"""(id, bytes) of the items that terminals of different makers send."""


def location(number: int = 0) -> LocationReport:
    """With six items."""
    items = tuple(AdditionalItem.of(item_id, value) for item_id, value in ITEMS)
    latitude, time = 31.2 + number / 100_000, TIME + timedelta(seconds=number)
    return LocationReport(1, 3, round(latitude, 6), 121.4, 50, 62.3, 90, time, items)


MESSAGES: Final[tuple[tuple[str, Message, Edition], ...]] = (
    ("heartbeat", Heartbeat(), Edition.V2019),
    ("general response", PlatformGeneralResponse(7, 0x0200, 0), Edition.V2019),
    ("register", TerminalRegister(44, 301, "12345", "BSJ-A6", "1234567", 2, "京A12345"), Edition.V2019),
    ("authenticate", TerminalAuthentication("1234567890", "1" * 15, "v1.0"), Edition.V2019),
    ("location report, 6 items", location(), Edition.V2019),
    ("bulk report, 10 × 6 items", BulkLocationReport(0, tuple(map(location, range(10)))), Edition.V2019),
    ("text message", TextMessage(12, "前方施工，请减速慢行", 1), Edition.V2019),
    ("media upload, 900 bytes", MediaUpload(1, 0, 0, 0, 1, LocationReport(
        0, 3, 31.2, 121.4, 50, 62.3, 90, TIME), bytes(900)), Edition.V2019),
    ("resource list, 10", ResourceList(7, 10, (Resource(1, TIME, TIME, 0, 0, 1, 1, 1 << 20),) * 10), Edition.V2019),
)  # fmt: skip


def best(work: Callable[[], Any], each: int = 1, seconds: float = 0.15) -> float:
    """µs of one call (of ``each``-th of it): the best of many short rounds, some of which are not disturbed."""
    begin = perf_counter()
    work()
    rounds = max(1, int(0.005 / max(perf_counter() - begin, 1e-7)))
    shortest = float("inf")
    end = perf_counter() + seconds
    while True:
        begin = perf_counter()
        for _ in range(rounds):
            work()
        now = perf_counter()
        shortest = min(shortest, now - begin)
        if now >= end:
            return shortest / rounds / each * 1e6


# ---- the floor: the same reading written by hand, a struct for the basic part and a loop over the items

_BASIC: Final = struct.Struct(">IIIIHHH6s")
_UNPACK: Final = {
    0x01: (">I", 10),
    0x02: (">H", 10),
    0x03: (">H", 10),
    0x25: (">I", 1),
    0x30: (">B", 1),
    0x31: (">B", 1),
}
_ITEMS: Final = {item_id: (struct.Struct(form), divisor) for item_id, (form, divisor) in _UNPACK.items()}


def by_hand(body: bytes) -> dict[str, Any]:
    """A location report as a dict, times as datetime, items by id."""
    alarm, status, latitude, longitude, altitude, speed, heading, time = _BASIC.unpack_from(body)
    digits = time.hex()
    found = {
        "alarm": alarm,
        "status": status,
        "latitude": (-latitude if status & 4 else latitude) / 1e6,
        "longitude": (-longitude if status & 8 else longitude) / 1e6,
        "altitude": altitude,
        "speed": speed / 10,
        "heading": heading,
        "time": datetime(
            2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:6]), int(digits[6:8]), int(digits[8:10]),
            int(digits[10:]), tzinfo=UTC,
        ) - timedelta(hours=8),
    }  # fmt: skip
    at = 28
    while at + 2 <= len(body):
        form, divisor = _ITEMS[body[at]]
        (number,) = form.unpack_from(body, at + 2)
        found[f"item {body[at]}"] = number if divisor == 1 else number / divisor
        at += 2 + body[at + 1]
    return found


def declared(body: bytes) -> list[Any]:
    """As much as the others give: the report and the values of its items."""
    report = decode_body(0x0200, Edition.V2019, body)
    assert isinstance(report, LocationReport)
    return [report, *[item.value for item in report.items]]


def groups() -> dict[str, float]:
    """µs a report, of 1,000 that are all different."""
    bodies = [encode_body(location(number), Edition.V2019) for number in range(GROUP)]
    where = placed(bodies)
    assert all(decode_locations(*where).ok)
    return {
        "declarative": best(lambda: [declared(body) for body in bodies[:50]], 50, 1.0),
        "struct and loop": best(lambda: [by_hand(body) for body in bodies[:200]], 200, 0.5),
        "columnar": best(lambda: decode_locations(*where), GROUP, 0.5),
        "of that the fixes' hash": best(lambda: fix_hashes(*where), GROUP, 0.5),
    }


def placed(bodies: list[bytes]) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(body) for body in bodies], np.int64)
    return b"".join(bodies), np.cumsum(lengths) - lengths, lengths


def mixed(count: int) -> list[bytes]:
    """Reports of eight makers' terminals, each with its own items in its own order, some with items of its own."""
    chance = random.Random(1)
    whole = [encode_body(location(number), Edition.V2019)[:BASIC_BYTES] for number in range(count)]
    return [body + join_items(tuple(
        AdditionalItem(item_id, chance.randbytes(size)) for item_id, size in chance.choice(MAKERS)
    )) for body in whole]  # fmt: skip


def sizes() -> dict[str, tuple[float, float, float, float]]:
    """By the reports of a group: µs each in columns, and how many times as fast that is as the declaration; reports of
    one kind and mixed ones."""
    found = {}
    alike, mix = [encode_body(location(number), Edition.V2019) for number in range(3000)], mixed(3000)
    slow = [best(lambda bodies=bodies: [declared(body) for body in bodies[:50]], 50, 0.5) for bodies in (alike, mix)]
    for count in (10, 30, 100, 300, 1000, 3000):
        places = placed(alike[:count]), placed(mix[:count])
        fast = [best(lambda where=where: decode_locations(*where), count, 0.3) for where in places]
        found[str(count)] = (fast[0], slow[0] / fast[0], fast[1], slow[1] / fast[1])
    return found


def frames() -> dict[str, float]:
    """µs a frame of 80 bytes, of 1,000 in one read."""
    body = encode_body(location(), Edition.V2019)
    wire = b"".join(build_frame(0x0200, "13912344321", number, body, Edition.V2019) for number in range(GROUP))
    contents = [content for content in Deframer().feed(wire) if isinstance(content, bytes)]
    assert len(contents) == GROUP
    return {
        "cut, unescape, check": best(lambda: Deframer().feed(wire), GROUP, 0.5),
        "header": best(lambda: [parse_header(content) for content in contents], GROUP, 0.5),
        "build": best(lambda: build_frame(0x0200, "13912344321", 7, body, Edition.V2019)),
    }


def messages() -> dict[str, tuple[int, float, float]]:
    """(bytes of the body, µs to read, µs to write)."""
    found = {}
    for name, message, edition in MESSAGES:
        message_id, body = message_id_of(message), encode_body(message, edition)
        assert decode_body(message_id, edition, body) == message
        reading = best(lambda message_id=message_id, edition=edition, body=body: decode_body(message_id, edition, body))
        writing = best(lambda message=message, edition=edition: encode_body(message, edition))
        found[f"0x{message_id:04X} {name}"] = (len(body), reading, writing)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    group = groups()
    found = {
        "ratios": ratios(group),
        "location reports in groups": group,
        "by size of the group": sizes(),
        "frames": frames(),
        "messages": messages(),
    }
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    out = verdict(found["ratios"])
    print(f"\n{out.show()}")
    sys.exit(not out.is_kept)


def ratios(group: dict[str, float]) -> dict[str, float]:
    return {
        TIMES_AS_FAST: group["declarative"] / group["columnar"],
        OF_ITS_TIME: group["columnar"] / group["struct and loop"],
    }


def verdict(found: dict[str, float]) -> Outcome:
    """Both sides of each ratio were measured within the same seconds, so a busy machine says as much as an idle one."""
    out = Outcome()
    fast, share = found[TIMES_AS_FAST], found[OF_ITS_TIME]
    out.expect(fast >= LEAST_TIMES, f"{TIMES_AS_FAST} {fast:.1f} ({LEAST_TIMES:g} or more)")
    out.expect(share <= MOST_SHARE, f"{OF_ITS_TIME} {share:.2f} ({MOST_SHARE:g} or less)")
    return out


def show(found: dict[str, dict[str, Any]]) -> None:
    print("| ratio | |\n|---|---|")
    for name, ratio in found["ratios"].items():
        print(f"| {name} | {ratio:.2f} |")
    print("\n| location report of six items, groups of 1,000 | µs a report |\n|---|---|")
    for name, micros in found["location reports in groups"].items():
        print(f"| {name} | {micros:.2f} |")
    print("\n| reports in a group | alike, µs each | × declaration | mixed, µs each | × declaration |")
    print("|---|---|---|---|---|")
    for count, (alike, alike_ratio, mix, mix_ratio) in found["by size of the group"].items():
        print(f"| {count} | {alike:.2f} | {alike_ratio:.0f} | {mix:.2f} | {mix_ratio:.0f} |")
    print("\n| frames | µs a frame |\n|---|---|")
    for name, micros in found["frames"].items():
        print(f"| {name} | {micros:.2f} |")
    print("\n| message, by its declaration | bytes | µs to read | µs to write |\n|---|---|---|---|")
    for name, (size, reading, writing) in found["messages"].items():
        print(f"| {name} | {size} | {reading:.1f} | {writing:.1f} |")


if __name__ == "__main__":
    main()

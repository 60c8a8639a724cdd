"""Frames of real terminals and of other implementations, over a real socket, into the database and out of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.server import Client, Server
from tests.waiting import wait_for
from tests.wire import WireTerminal, location_body

VECTORS = [
    json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "jt808.jsonl").read_text().splitlines()
]
REPORTS = [vector for vector in VECTORS if vector["message_id"] in ("0x0200", "0x0704")]
GMT8 = timezone(timedelta(hours=8))


def utc(text: str) -> str:
    local = datetime.fromisoformat(text).replace(tzinfo=GMT8)
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def derived_positions(vector: dict[str, Any]) -> list[dict[str, Any]]:
    derived = vector.get("derived") or {}
    return derived["positions"] if vector["message_id"] == "0x0704" and derived else [derived] if derived else []


def expectation(position: dict[str, Any]) -> tuple[Any, ...]:
    return (
        utc(position["time_gmt8"]),
        position["latitude_deg"],
        position["longitude_deg"],
        position["altitude_m"],
        position["speed_kmh"],
        position["direction_deg"],
        position["alarm_bits"],
        position["status_bits"],
    )


def stored(item: dict[str, Any]) -> tuple[Any, ...]:
    return (
        item["time"][:19],
        item["latitude_deg"],
        item["longitude_deg"],
        item["altitude_m"],
        item["speed_kmh"],
        item["heading_deg"],
        item["alarm_flags"],
        item["status_flags"],
    )


def phone_field(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["header"]["phone_bcd"])


def vehicle_id(client: Client, phone: str) -> int:
    """The vehicle of a terminal that has registered: it is there as soon as the pipeline has read the registration."""

    def find() -> list[dict[str, Any]]:
        return [item for item in client.get(f"vehicles?q={quote(phone)}")["items"] if item["phone"] == phone]

    items = wait_for(f"the vehicle of {phone}", find)
    assert len(items) == 1, f"{phone}: {items}"
    found: int = items[0]["id"]
    return found


def track(client: Client, vehicle: int, when: str) -> Iterator[dict[str, Any]]:
    """All positions of the vehicle within a minute of a UTC time."""
    middle = datetime.fromisoformat(when).replace(tzinfo=UTC)
    begin, end = (middle + timedelta(seconds=s) for s in (-60, 60))
    span = f"from={begin:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    yield from client.get(f"vehicles/{vehicle}/track?{span}&limit=1000")["items"]


def wait_stored(client: Client, vehicle: int, position: dict[str, Any]) -> None:
    wanted = expectation(position)
    wait_for(f"{wanted} is stored", lambda: wanted in [stored(item) for item in track(client, vehicle, wanted[0])])


def test_every_valid_report_is_stored_as_its_vector_says(served: tuple[Server, Client]) -> None:
    server, client = served
    checked = 0
    for vector in REPORTS:
        if not vector["valid"] or vector["header"]["fragmented"]:
            continue
        phone = vector["header"]["phone_bcd"].lstrip("0") or "0"
        with WireTerminal(server.jt808(), phone_field(vector)) as terminal:
            terminal.login(f"测{phone[-12:]}")
            terminal.socket.sendall(bytes.fromhex(vector["frame"]))
            expected_answer = (vector["header"]["serial"], int(vector["message_id"], 16), 0)
            assert terminal.general_response() == expected_answer, vector["note"]
        vehicle = vehicle_id(client, phone)
        for position in derived_positions(vector):
            wait_stored(client, vehicle, position)
            checked += 1
    assert checked > 90


def test_invalid_reports_change_nothing_and_break_nothing(served: tuple[Server, Client]) -> None:
    server, client = served
    invalid = [vector for vector in VECTORS if not vector["valid"]]
    assert len(invalid) > 30
    terminal = WireTerminal(server.jt808(), bytes.fromhex("013900099001"))
    terminal.login("测无效1")
    for vector in invalid:
        terminal.socket.sendall(bytes.fromhex(vector["frame"]))
    # The link still works: the next good report is answered and is the only one stored.
    when = datetime.now(GMT8) - timedelta(seconds=5)
    serial_no = terminal.send(0x0200, location_body(f"{when:%y%m%d%H%M%S}"))
    while (answer := terminal.general_response())[:2] != (serial_no, 0x0200):
        assert answer[2] != 0, f"a broken frame was answered with success: {answer}"
    vehicle = vehicle_id(client, "13900099001")
    items = wait_for("the good report", lambda: list(track(client, vehicle, utc(f"{when:%Y-%m-%d %H:%M:%S}"))))
    assert len(items) == 1
    whole = client.get(f"vehicles/{vehicle}/track?from={datetime.now(UTC) - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
                       f"&to={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")["items"]  # fmt: skip
    assert len(whole) == 1
    assert "bad_check" in client.text("/metrics")
    terminal.close()


@pytest.mark.parametrize("time_bcd", ["990101000000", "080101000000", "261399250000"])
def test_an_absurd_time_is_kept_aside_and_counted(served: tuple[Server, Client], time_bcd: str) -> None:
    server, client = served
    terminal = WireTerminal(server.jt808(), bytes.fromhex("013900099002"))
    terminal.login("测时间1")
    serial_no = terminal.send(0x0200, location_body(time_bcd))
    assert terminal.general_response() == (serial_no, 0x0200, 0)  # it is on disk: the terminal need not repeat it
    reason = "undecodable" if time_bcd.startswith("2613") else "implausible_time"
    wait_for("it is counted", lambda: f"quarantined_{reason}" in client.text("/metrics"))
    vehicle = vehicle_id(client, "13900099002")
    assert vehicle not in [item["vehicle_id"] for item in client.get("positions/latest?limit=1000")["items"]]
    terminal.close()


def test_wrong_code_and_unregistered_phone_are_refused(served: tuple[Server, Client]) -> None:
    server, _ = served
    stranger = WireTerminal(server.jt808(), bytes.fromhex("013900099003"))
    assert stranger.authenticate("no such code") != 0
    serial_no = stranger.send(0x0200, location_body("261101000000"))
    assert stranger.general_response() == (serial_no, 0x0200, 1)
    stranger.close()
    known = WireTerminal(server.jt808(), bytes.fromhex("013900099003"))
    code = known.register("测鉴权1")
    assert known.authenticate(code + "x") == 1
    assert known.authenticate(code) == 0
    known.close()

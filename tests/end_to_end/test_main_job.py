"""The main job through the outside contract alone: bytes of terminals on one side, HTTP and WebSocket on the other."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.server import PASSWORD, Client, Server, running_server
from tests.waiting import wait_for
from tests.wire import WireTerminal, frame, location_body

GMT8 = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running_server(tmp_path_factory.mktemp("main-job") / "data", ROADWARDEN_SPEED_LIMIT_KMH="90") as both:
        yield both


def bcd(seconds_ago: float) -> str:
    return f"{datetime.now(GMT8) - timedelta(seconds=seconds_ago):%y%m%d%H%M%S}"


def vehicle_of(client: Client, phone: str) -> int:
    items = wait_for("the vehicle", lambda: client.get(f"vehicles?q={phone}")["items"])
    found: int = items[0]["id"]
    return found


def report(terminal: WireTerminal, seconds_ago: float, **wire: Any) -> None:
    serial_no = terminal.send(0x0200, location_body(bcd(seconds_ago), **wire))
    assert terminal.general_response() == (serial_no, 0x0200, 0)


def alarms(client: Client, vehicle: int, rule: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"alarms?vehicle_id={vehicle}&rule={rule}")["items"]
    return items


def last_hour(client: Client, vehicle: int) -> list[dict[str, Any]]:
    """The vehicle's track."""
    now = datetime.now(UTC)
    span = f"from={now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}&to={now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    items: list[dict[str, Any]] = client.get(f"vehicles/{vehicle}/track?{span}")["items"]
    return items


def test_an_emergency_is_raised_claimed_handled_and_ends(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000001")) as terminal:
        terminal.login("辽A90001")
        report(terminal, 20)
        report(terminal, 10, alarm=1)
        vehicle = vehicle_of(client, "13911000001")
        (alarm,) = wait_for("the alarm", lambda: alarms(client, vehicle, "terminal.emergency"))
        assert (alarm["state"], alarm["severity"], alarm["end_time"], alarm["late"]) == ("open", 1, None, False)
        assert client.call("POST", f"alarms/{alarm['id']}/claim")["state"] == "claimed"
        report(terminal, 5)
        wait_for("its end", lambda: client.get(f"alarms/{alarm['id']}")["end_time"])
        handled = client.call("POST", f"alarms/{alarm['id']}/handle", {"code": "called_driver", "text": "司机误按"})
        assert handled["state"] == "handled"
        steps = client.get(f"alarms/{alarm['id']}")["steps"]
        assert [step["action"] for step in steps] == ["claim", "handle"]


def test_overspeed_longer_than_the_limit_rings_once(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("00000000013911000002")) as terminal:
        terminal.login("辽A90002")
        for seconds_ago, speed in (
            (200, 800),
            (180, 1000),
            (165, 1200),
            (150, 1100),
            (135, 1050),
            (100, 700),
            (30, 600),
        ):
            report(terminal, seconds_ago, speed=speed)
        vehicle = vehicle_of(client, "13911000002")
        (alarm,) = wait_for("the alarm", lambda: alarms(client, vehicle, "overspeed"))
        alarm = wait_for(
            "its end", lambda: next((a for a in alarms(client, vehicle, "overspeed") if a["end_time"]), None)
        )
        assert alarm["facts"]["limit_kmh"] == 90
        assert alarm["facts"]["max_speed_kmh"] == 120
        begin, end = datetime.fromisoformat(alarm["begin_time"]), datetime.fromisoformat(alarm["end_time"])
        assert (end - begin).total_seconds() == pytest.approx(80, abs=2)


def test_a_fence_rings_on_the_way_in_and_ends_on_the_way_out(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000003")) as terminal:
        terminal.login("辽A90003")
        vehicle = vehicle_of(client, "13911000003")
        corners = [[41.7, 123.3], [41.7, 123.5], [41.9, 123.5], [41.9, 123.3]]
        fence = client.call(
            "POST", "geofences",
            {"name": "市区", "shape": "polygon", "trigger": "enter", "points": corners, "vehicle_ids": [vehicle]},
        )  # fmt: skip
        seen = {"in": 41_800_000, "out": 42_500_000}
        story = ["out", "out", "in", "in", "in", "out", "out"]
        # The fence reaches the rules within a second or so; the story is told again until they know it.
        seconds_ago = 400.0
        while not alarms(client, vehicle, "fence.enter"):
            assert seconds_ago > 0
            for place in story:
                report(terminal, seconds_ago, latitude=seen[place])
                seconds_ago -= 2
            time.sleep(1.0)
        alarm = wait_for(
            "its end", lambda: next((a for a in alarms(client, vehicle, "fence.enter") if a["end_time"]), None)
        )
        assert alarm["facts"]["fence_id"] == fence["id"]
        assert alarm["facts"]["fence_name"] == "市区"


def test_a_text_reaches_the_driver_and_its_outcome_the_operator(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000004")) as terminal:
        terminal.login("辽A90004")
        vehicle = vehicle_of(client, "13911000004")
        wait_for("it is on-line", lambda: client.get(f"vehicles/{vehicle}")["online"])
        command = client.call("POST", "commands", {"vehicle_id": vehicle, "kind": "text", "text": "前方事故，请减速"})
        message = terminal.receive()
        assert message.message_id == 0x8300
        assert message.body[1:] == "前方事故，请减速".encode("gbk")
        terminal.send(0x0001, struct.pack(">HHB", message.serial_no, 0x8300, 0))
        done = wait_for("the outcome", lambda: finished(client, command["id"]))
        assert (done["state"], done["result"]) == ("acknowledged", 0)

        command = client.call("POST", "commands", {"vehicle_id": vehicle, "kind": "text", "text": "拒收"})
        message = terminal.receive()
        terminal.send(0x0001, struct.pack(">HHB", message.serial_no, 0x8300, 3))
        assert wait_for("the outcome", lambda: finished(client, command["id"]))["state"] == "refused"

        command = client.call("POST", "commands", {"vehicle_id": vehicle, "kind": "locate"})
        message = terminal.receive()
        assert message.message_id == 0x8201
        fix = location_body(bcd(1), latitude=40_123_456)
        terminal.send(0x0201, struct.pack(">H", message.serial_no) + fix)
        done = wait_for("the outcome", lambda: finished(client, command["id"]))
        assert done["state"] == "answered"
        assert done["answer"]["latitude_deg"] == 40.123456
        latest = client.get(f"positions/latest?vehicle_id={vehicle}")["items"][0]
        assert latest["latitude_deg"] == 40.123456


def finished(client: Client, command_id: str) -> dict[str, Any] | None:
    command: dict[str, Any] = client.get(f"commands/{command_id}")
    return command if command["state"] not in ("queued", "sent") else None


def test_late_data_is_stored_marked_and_rings_no_bell(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000005")) as terminal:
        terminal.login("辽A90005")
        report(terminal, 5, latitude=41_000_000)
        items = [location_body(bcd(s), alarm=1, latitude=42_000_000) for s in (900, 890, 880)]
        bulk = struct.pack(">HB", len(items), 1) + b"".join(struct.pack(">H", len(item)) + item for item in items)
        serial_no = terminal.send(0x0704, bulk)
        assert terminal.general_response() == (serial_no, 0x0704, 0)
        vehicle = vehicle_of(client, "13911000005")
        (alarm,) = wait_for("the late alarm", lambda: alarms(client, vehicle, "terminal.emergency"))
        assert alarm["late"] is True
        track = last_hour(client, vehicle)
        assert [item["late"] for item in track] == [True, True, True, False]
        assert client.get(f"positions/latest?vehicle_id={vehicle}")["items"][0]["latitude_deg"] == 41.0


def test_a_resend_is_answered_and_stored_once(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000006")) as terminal:
        terminal.login("辽A90006")
        body = location_body(bcd(5))
        for _ in range(5):
            terminal.socket.sendall(frame(0x0200, terminal.phone_field, 77, body))
            assert terminal.general_response() == (77, 0x0200, 0)
        vehicle = vehicle_of(client, "13911000006")
        wait_for("it is stored", lambda: last_hour(client, vehicle))
        report(terminal, 1)  # once this one is there, the others have been dealt with
        wait_for("the next", lambda: len(last_hour(client, vehicle)) > 1)
        assert len(last_hour(client, vehicle)) == 2


def test_a_terminal_on_udp(served: tuple[Server, Client]) -> None:
    server, client = served
    phone = bytes.fromhex("013911000007")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(60)
        udp.connect(server.jt808())

        def ask(message_id: int, serial_no: int, body: bytes) -> bytes:
            udp.send(frame(message_id, phone, serial_no, body))
            raw = udp.recv(2048)[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
            return raw[12:-1]

        fixed = struct.pack(">HH", 21, 100) + b"70111" + b"SIM-13".ljust(20, b"\0") + b"U000001"
        answer = ask(0x0100, 0, fixed + b"\x02" + "辽A90007".encode("gbk"))
        assert answer[:3] == b"\0\0\0"
        assert ask(0x0102, 1, answer[3:]) == struct.pack(">HHB", 1, 0x0102, 0)
        assert ask(0x0200, 2, location_body(bcd(3))) == struct.pack(">HHB", 2, 0x0200, 0)
    vehicle = vehicle_of(client, "13911000007")
    wait_for("the position", lambda: client.get(f"positions/latest?vehicle_id={vehicle}")["items"])


def test_the_live_stream_tells_what_happens(served: tuple[Server, Client]) -> None:
    server, client = served
    with WireTerminal(server.jt808(), bytes.fromhex("013911000008")) as terminal:
        terminal.login("辽A90008")
        report(terminal, 10, latitude=40_000_000)
        vehicle = vehicle_of(client, "13911000008")
        host = server.addresses["http"]
        with connect(f"ws://{host}/api/v1/live", additional_headers={"Cookie": client.cookie()}) as live:
            snapshot = json.loads(live.recv(60))
            assert snapshot["type"] == "snapshot"
            columns = snapshot["position_columns"]
            report(terminal, 2, latitude=40_500_000, alarm=1)
            seq, position, alarm = snapshot["seq"], None, None
            until_s = time.monotonic() + 60
            while position is None or alarm is None:
                assert time.monotonic() < until_s, (position, alarm)
                delta = json.loads(live.recv(60))
                assert delta["seq"] == seq + 1
                seq = delta["seq"]
                for row in delta["positions"]:
                    named = dict(zip(columns, row, strict=True))
                    if named["vehicle_id"] == vehicle and named["latitude_deg"] == 40.5:
                        position = named
                for item in delta["alarms"]:
                    if item["vehicle_id"] == vehicle and item["rule"] == "terminal.emergency":
                        alarm = item
            assert delta["stats"]["online"] >= 1


def test_unknown_terminals_wait_for_approval(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", ROADWARDEN_ENROLMENT="approve") as (server, client):
        phone = bytes.fromhex("013911000009")
        with WireTerminal(server.jt808(), phone) as terminal, pytest.raises(AssertionError, match="result 4"):
            terminal.register("辽A90009")
        pending = wait_for("it is listed", lambda: client.get("terminals?standing=pending")["items"])
        assert [(item["phone"], item["claimed_plate"]) for item in pending] == [("13911000009", "辽A90009")]
        client.call("POST", f"terminals/{pending[0]['id']}/approve", {"plate": "辽A90009", "plate_color": 2})

        def taken_in() -> bool:
            with WireTerminal(server.jt808(), phone) as terminal:
                try:
                    return terminal.authenticate(terminal.register("辽A90009")) == 0
                except AssertionError:
                    return False

        assert wait_for("it is taken in", taken_in)
        assert PASSWORD not in server.log.read_text()

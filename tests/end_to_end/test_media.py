"""A photo's whole road: a terminal sends it in packages, loses some, is asked for them; the API gives it back."""

from __future__ import annotations

import os
import signal
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import Client, Server, running_server
from tests.waiting import wait_for
from tests.wire import WireTerminal, escape, location_body

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 30 + b"\x7e\x7d\xff\xd9"
BCD = "260301160000"  # 2026-03-01 08:00 UTC


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running_server(tmp_path_factory.mktemp("media") / "data", ROADWARDEN_JT808_PACKAGES_MAX_BYTES="65536") as both:
        yield both


def upload_body(media_id: int, data: bytes = JPEG, event: int = 0, channel: int = 1) -> bytes:
    """A 0x0801 of 2013."""
    return struct.pack(">IBBBB", media_id, 0, 0, event, channel) + location_body(BCD) + data


def packages(terminal: WireTerminal, message_id: int, body: bytes, total: int) -> dict[int, bytes]:
    """The frames of a message in packages, by package number; their serial numbers are taken."""
    size = -(-len(body) // total)
    frames = {}
    for number in range(1, total + 1):
        part = body[(number - 1) * size : number * size]
        head = struct.pack(">HH", message_id, len(part) | 1 << 13) + terminal.phone_field
        frames[number] = escape(head + struct.pack(">HHH", terminal.serial_no, total, number) + part)
        terminal.serial_no += 1
    return frames


def media_of(client: Client, phone: str) -> list[dict[str, Any]]:
    return [one for one in client.get("media?limit=1000")["items"] if one["phone"] == phone]


def content_of(client: Client, media_id: int, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(
        f"{client.root}/api/v1/media/{media_id}/content", headers={"Cookie": client.cookie()} | headers
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read(), dict(response.headers)


def answers_until(terminal: WireTerminal, message_id: int) -> bytes:
    """Read answers up to the next of this id; its body."""
    while (answer := terminal.receive()).message_id != message_id:
        pass
    return answer.body


def test_a_photo_in_packages_two_of_which_are_lost(site: tuple[Server, Client]) -> None:
    server, client = site
    with WireTerminal(server.jt808(), bytes.fromhex("013900000001")) as terminal:
        terminal.login("辽P00001")
        frames = packages(terminal, 0x0801, upload_body(42, event=5, channel=3), 10)
        for number, frame in frames.items():
            if number not in (4, 7):
                terminal.socket.sendall(frame)
        asked = answers_until(terminal, 0x8800)
        assert asked.hex() == "0000002a" + "02" + "0004" + "0007"
        assert media_of(client, "13900000001") == []
        terminal.socket.sendall(frames[4] + frames[7])
        assert answers_until(terminal, 0x8800).hex() == "0000002a"  # all there, and on disk
        (item,) = wait_for("the photo", lambda: media_of(client, "13900000001"))
    assert (item["plate"], item["media_id"], item["event"], item["channel"]) == ("辽P00001", 42, "door_close", 3)
    assert (item["time"], item["time_source"]) == ("2026-03-01T08:00:00.000Z", "terminal")
    assert (item["latitude_deg"], item["longitude_deg"]) == (41.8, 123.4)
    status, content, headers = content_of(client, item["id"])
    assert (status, content, headers["content-type"]) == (200, JPEG, "image/jpeg")
    assert content_of(client, item["id"], Range="bytes=0-2")[:2] == (206, JPEG[:3])


def test_the_same_photo_sent_again_is_one(site: tuple[Server, Client]) -> None:
    """A terminal that did not see the answer sends it all again, with other serial numbers after a new login."""
    server, client = site
    phone = bytes.fromhex("013900000002")
    with WireTerminal(server.jt808(), phone) as terminal:
        code = terminal.register("辽P00002")
        for _ in range(2):
            assert terminal.authenticate(code) == 0
            terminal.socket.sendall(b"".join(packages(terminal, 0x0801, upload_body(1), 10).values()))
            answers_until(terminal, 0x8800)
        terminal.socket.sendall(b"".join(packages(terminal, 0x0801, upload_body(2), 10).values()))
        answers_until(terminal, 0x8800)
        found = wait_for("both photos", lambda: len(both := media_of(client, "13900000002")) == 2 and both)
    assert [one["media_id"] for one in found] == [2, 1]
    assert found[0]["sha256"] == found[1]["sha256"]
    stored = list((server.data_dir / "media").rglob(f"{found[0]['sha256']}.*"))
    assert len(stored) == 1


def test_what_cannot_be_read_is_kept_in_quarantine(site: tuple[Server, Client]) -> None:
    server, client = site
    with WireTerminal(server.jt808(), bytes.fromhex("013900000003")) as terminal:
        terminal.login("辽P00003")
        terminal.send(0x0801, b"\0\0\0\x09\0")
        assert answers_until(terminal, 0x8001)[-1] == 0  # it is on disk, so it is answered

    def quarantined() -> bool:
        return "quarantined_undecodable" in client.text("/metrics")

    wait_for("it is put aside", quarantined)
    assert media_of(client, "13900000003") == []


def test_what_is_too_large_is_refused_and_counted(site: tuple[Server, Client]) -> None:
    server, client = site
    with WireTerminal(server.jt808(), bytes.fromhex("013900000004")) as terminal:
        terminal.login("辽P00004")
        frames = packages(terminal, 0x0801, upload_body(1, bytes(100_000)), 110)
        terminal.socket.sendall(b"".join(frames.values()))
        _, message_id, result = terminal.general_response()
        assert (message_id, result) == (0x0801, 1)
    assert "package_too_large" in client.text("/metrics")
    assert media_of(client, "13900000004") == []


def test_what_is_stored_stays_stored_once_when_the_core_is_killed(site: tuple[Server, Client]) -> None:
    server, client = site
    core = core_of(server)
    contents = [JPEG + number.to_bytes(2, "big") for number in range(5)]
    with WireTerminal(server.jt808(), bytes.fromhex("013900000005")) as terminal:
        terminal.login("辽P00005")
        for number, content in enumerate(contents):
            body = upload_body(number + 1, content)
            terminal.socket.sendall(b"".join(packages(terminal, 0x0801, body, 10).values()))
            if number == 3:
                os.kill(core, signal.SIGKILL)
            answers_until(terminal, 0x8800)
    wait_for("another core", lambda: core_of(server) not in (0, core))
    server.wait_ready(client)
    found = wait_for("all photos", lambda: len(all_ := media_of(client, "13900000005")) >= 5 and all_)
    assert sorted(one["media_id"] for one in found) == [1, 2, 3, 4, 5]
    assert {content_of(client, one["id"])[1] for one in found} == set(contents)


def core_of(server: Server) -> int:
    """The pid of the core; 0 while there is none."""
    for pid in server.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"roadwarden.roles" in words and b"core" in words:
            return pid
    return 0

"""P6: no loss is quiet. What a seeded fleet of good and bad senders put on the wire is held against every counter:
each frame, each message, each fix is found under exactly one name, and nothing is found that nobody sent."""

from __future__ import annotations

import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet import CHINA
from tests.server import Client, Server, running_server
from tests.waiting import wait_for
from tests.wire import WireTerminal, escape, frame, location_body

SEED = 20261101
ACTIONS = 400
PHONES = [f"1395000000{n}" for n in range(4)]
CANARY, STRANGER = "13950000008", "13950000009"
_SAMPLE = re.compile(r'roadwarden_(\w+?)(?:\{reason="(\w+)"\})? ([0-9.e+]+)')


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    data_dir: Path = tmp_path_factory.mktemp("account") / "data"
    with running_server(
        data_dir, ROADWARDEN_ENROLMENT="approve", ROADWARDEN_JT808_PACKAGES_MAX_BYTES="65536"
    ) as server_and_client:
        yield server_and_client


def counted(client: Client) -> Counter[str]:
    """Every counter that is not 0, as ``name`` or ``name:reason``, without ``roadwarden_`` and ``_total``."""
    found: Counter[str] = Counter()
    for line in client.text("/metrics").splitlines():
        if (match := _SAMPLE.fullmatch(line)) and match[1].endswith("_total") and float(match[3]):
            found[match[1].removesuffix("_total") + (f":{match[2]}" if match[2] else "")] = int(float(match[3]))
    return found


def phone_field(phone: str) -> bytes:
    return bytes.fromhex(phone.zfill(12))


class Sender:
    """A terminal that does everything, and keeps the account of it under the server's names."""

    def __init__(self, server: Server, phone: str, account: Counter[str], rng: random.Random, begin: datetime) -> None:
        self._rng = rng
        self._account = account
        self._time = begin
        self._sent: list[bytes] = []
        self._answers = 0  # general responses still to come
        self._serial_no = 30_000  # of packages
        self.wire = WireTerminal(server.jt808(), phone_field(phone))

    def fix(self) -> bytes:
        self._time += timedelta(seconds=self._rng.randint(1, 3))
        return location_body(f"{self._time:%y%m%d%H%M%S}", speed=self._rng.randint(0, 900))

    def message(self, message_id: int, body: bytes, **names: int) -> None:
        self.wire.send(message_id, body)
        self._answers += 1
        self._account.update({"frames": 1, "gateway_messages_received": 1} | names)

    def raw(self, data: bytes, *names: str, answers: int = 0) -> None:
        self.wire.socket.sendall(data)
        self._answers += answers
        self._account.update(["frames", *names])

    def act(self) -> None:
        getattr(self, "_" + self._rng.choices(*zip(*WEIGHTS.items(), strict=True))[0])()

    def finish(self) -> None:
        while self._answers:
            self.wire.general_response()
            self._answers -= 1

    def _report(self) -> None:
        body = self.fix()
        self._sent.append(body)
        self.message(0x0200, body, pipeline_fixes=1, pipeline_stored=1)

    def _resend(self) -> None:
        if self._sent:
            self.message(0x0200, self._rng.choice(self._sent), pipeline_fixes=1, pipeline_repeats=1)

    def _backfill(self) -> None:
        good, bad = [self.fix(), self.fix()], self.fix()[:20]
        items = b"".join(struct.pack(">H", len(item)) + item for item in (*good, bad))
        body = struct.pack(">HB", 3, 1) + items
        self._sent += good
        self.message(0x0704, body, pipeline_fixes=3, pipeline_stored=2, pipeline_quarantined_undecodable=1)

    def _early(self) -> None:
        body = location_body(f"{datetime.now(CHINA) + timedelta(days=2):%y%m%d%H%M%S}")
        self.message(0x0200, body, pipeline_fixes=1, pipeline_quarantined_implausible_time=1)

    def _ancient(self) -> None:
        body = location_body("050101000000")
        self.message(0x0200, body, pipeline_fixes=1, pipeline_quarantined_implausible_time=1)

    def _short_body(self) -> None:
        self.message(0x0200, self.fix()[:17], pipeline_fixes=1, pipeline_quarantined_undecodable=1)

    def _no_bulk(self) -> None:
        self.message(0x0704, b"\0\3", pipeline_quarantined_undecodable=1)

    def _unknown_id(self) -> None:
        self.message(0x0F7B, self._rng.randbytes(9), pipeline_messages_kept=1)

    def _heartbeat(self) -> None:
        self.wire.send(0x0002, b"")
        self._answers += 1
        self._account.update(["frames", "gateway_heartbeats"])

    def _bad_check(self) -> None:
        self.raw(b"\x7e" + bytes(12) + b"\x01\x7e", "gateway_frames_bad:bad_check")

    def _bad_escape(self) -> None:
        self.raw(b"\x7e" + bytes(14) + b"\x7d\x55\x7e", "gateway_frames_bad:bad_escape")

    def _too_short(self) -> None:
        self.raw(escape(b"\1\2\3"), "gateway_frames_bad:too_short")

    def _encrypted(self) -> None:
        head = struct.pack(">HH", 0x0200, 1 << 10 | 28) + self.wire.phone_field + b"\0\1"
        self.raw(escape(head + self.fix()), "gateway_messages_refused:encrypted", answers=1)

    def _other_phone(self) -> None:
        data = frame(0x0200, phone_field(STRANGER), 1, self.fix())
        self.raw(data, "gateway_messages_refused:wrong_phone", answers=1)

    def _bad_header(self) -> None:
        self.raw(self.package(0x0801, 2, 3, b"abcd"), "gateway_frames_bad:bad_header")  # the third of two

    def _in_packages(self) -> None:
        """Two frames, each answered, are one message: the account goes by messages."""
        for number in (1, 2):
            self.wire.socket.sendall(self.package(0x0F7C, 2, number, bytes(40), self._serial_no + number))
        self._serial_no += 2
        self._answers += 2
        self._account.update(["frames", "gateway_messages_received", "pipeline_messages_kept"])

    def package(self, message_id: int, total: int, number: int, body: bytes, serial_no: int = 1) -> bytes:
        head = struct.pack(">HH", message_id, 1 << 13 | len(body)) + self.wire.phone_field
        return escape(head + struct.pack(">HHH", serial_no, total, number) + body)

    def send_too_much(self) -> None:
        """Packages of one message until it is refused as too large; a heartbeat after each shows where we are."""
        for number in range(1, 1000):
            self.wire.socket.sendall(self.package(0x0F7D, 1000, number, bytes(1000), number))
            self._heartbeat()
            self._answers -= 1
            _, message_id, result = self.wire.general_response()
            if message_id == 0x0F7D:
                assert result == 1
                self.wire.general_response()
                self._account.update(["frames", "gateway_messages_refused:package_too_large"])
                self._account["gateway_packages_dropped:package_too_large"] += number - 1
                self._account["frames"] += number - 1
                return
        raise AssertionError("a million bytes were taken")

    def leave_a_message_half_sent(self) -> None:
        for number in (1, 3):
            self.wire.socket.sendall(self.package(0x0F7E, 3, number, bytes(40), 40_000 + number))
        self._heartbeat()  # its answer says that they are in
        self._account[LEFT] += 2  # when the terminal is back and counts anew: so long they are kept
        self._account["frames"] += 2
        self.finish()


LEFT = "gateway_packages_dropped:package_link_ended"

WEIGHTS = {
    "report": 10, "resend": 4, "backfill": 2, "early": 1, "ancient": 1, "short_body": 1, "no_bulk": 1, "unknown_id": 2,
    "heartbeat": 2, "bad_check": 1, "bad_escape": 1, "too_short": 1, "encrypted": 1, "other_phone": 1, "bad_header": 1,
    "in_packages": 1,
}  # fmt: skip


def register(server: Server, phone: str, account: Counter[str]) -> WireTerminal | None:
    """A link that has registered and logged in; None when it was refused."""
    wire = WireTerminal(server.jt808(), phone_field(phone))
    account["frames"] += 1
    try:
        code = wire.register("测" + phone[-4:])
    except AssertionError:
        account["gateway_registrations_refused:unknown"] += 1
        wire.close()
        return None
    account["gateway_registrations"] += 1
    account["frames"] += 1
    account["gateway_authentications"] += 1
    assert wire.authenticate(code) == 0
    return wire


@pytest.mark.slow
def test_every_frame_is_found_under_one_name(served: tuple[Server, Client]) -> None:
    server, client = served
    rng, account = random.Random(SEED), Counter[str]()
    begin = datetime.now(CHINA) - timedelta(hours=6)
    for phone in (*PHONES, CANARY):
        client.call("POST", "vehicles", {"plate": "测" + phone[-4:], "plate_color": 2, "phone": phone})

    def is_let_in() -> bool:
        wire = register(server, CANARY, account)
        if wire is not None:
            wire.close()
        return wire is not None

    wait_for("the gateway knows who is approved", is_let_in)
    for _ in range(3):
        assert register(server, STRANGER, account) is None
    with WireTerminal(server.jt808(), phone_field(STRANGER)) as wire:
        wire.send(0x0200, location_body("261101120000"))
        wire.general_response()
        account.update(["frames", "gateway_messages_refused:unauthenticated"])
        wire.send(0x0102, b"no such code")
        wire.general_response()
        account.update(["frames", "gateway_auth_failures:unknown"])

    senders = []
    for phone in PHONES:
        wire_or_none = register(server, phone, account)
        assert wire_or_none is not None
        sender = Sender(server, phone, account, rng, begin)
        sender.wire.close()
        sender.wire = wire_or_none
        senders.append(sender)
    for _ in range(ACTIONS):
        rng.choice(senders).act()
    for sender in senders:
        sender.finish()
    senders[0].send_too_much()
    senders[1].leave_a_message_half_sent()
    for sender in senders:
        sender.wire.close()
    back = register(server, PHONES[1], account)
    assert back is not None
    back.close()

    frames = account.pop("frames")
    ours = {name: count for name, count in account.items() if name.startswith("gateway_")}
    found: Counter[str] = Counter()

    def is_all_there() -> bool:
        found.clear()
        found.update(counted(client))
        return (
            found["pipeline_fixes"] >= account["pipeline_fixes"]
            and found["pipeline_records"] >= account["gateway_messages_received"] + account["gateway_registrations"]
            and found[LEFT] == account[LEFT]
        )

    wait_for("everything is through the pipeline", is_all_there)

    # Every frame, at the gateway.
    frame_names = (
        "gateway_frames_bad", "gateway_messages_refused", "gateway_heartbeats", "gateway_messages_received",
        "gateway_registrations", "gateway_registrations_refused", "gateway_registrations_ignored",
        "gateway_authentications", "gateway_auth_failures", "gateway_logins_refused", "gateway_packages_dropped",
    )  # fmt: skip
    theirs = {name: count for name, count in found.items() if name.split(":")[0] in frame_names}
    assert theirs == ours
    assert sum(theirs.values()) == frames

    # Every message, and every fix in it, behind the journal.
    pipeline = {
        name: count
        for name, count in found.items()
        if re.match(r"pipeline_(fixes|stored|repeats|quarantined_\w+|messages_kept)$", name)
    }
    assert pipeline == {name: count for name, count in account.items() if name.startswith("pipeline_")}
    assert found["pipeline_records"] == account["gateway_messages_received"] + found["pipeline_facts"]
    no_bulk = (
        found["pipeline_fixes"]
        - found["pipeline_stored"]
        - found["pipeline_repeats"]
        - sum(count for name, count in found.items() if name.startswith("pipeline_quarantined_"))
    )
    assert no_bulk <= 0  # messages that hold no fix at all are in quarantine, too
    assert not [name for name in found if "other" in name or name.endswith("_failures")]

    # And what the database has is what was counted.
    first, last = begin.astimezone(UTC), datetime.now(UTC)
    span = f"from={first:%Y-%m-%dT%H:%M:%SZ}&to={last:%Y-%m-%dT%H:%M:%SZ}"
    stored = 0
    for vehicle in client.get("vehicles?limit=100")["items"]:
        stored += len(client.get(f"vehicles/{vehicle['id']}/track?{span}&limit=10000")["items"])
    assert stored == account["pipeline_stored"]

"""One simulated terminal (终端): registers, authenticates, reports, answers, resends, stores while the link is down.

Sans-I/O: the shell (``simulators.client``) brings time, links and received messages, takes ``data_to_send()``, and
calls ``tick`` when ``next_deadline()`` is reached. Times are seconds since 1970. A vehicle's life goes on while the
link is down; what it would have reported waits in ``backlog``.
"""

from __future__ import annotations

import heapq
import math
import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from jt808.fix_hash import fix_hash
from simulators import unit, wire
from simulators.camera import Camera
from simulators.driving import Vehicle
from simulators.ledger import FixKey, Ledger
from simulators.wire import Alarm, Identity, Received

Edition = str
BULK_ITEMS: Final = 14
SUCCESS: Final = (0, 4)  # 4: the alarm was handled (2013 on); the report arrived all the same
MOST_TEXTS: Final = 16  # that wait for the driver's thumb
MAX_REFUSALS: Final = 3  # in a row; then the terminal hangs up and tries again later


class State(StrEnum):
    DOWN = "down"
    REGISTERING = "registering"
    AUTHENTICATING = "authenticating"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Timing:
    """The terminal's parameters. Defaults are those of the demonstration; ``FAST`` is for tests."""

    interval_s: float = 5.0  # between reports, ignition on (parameter 0x0029)
    parked_interval_s: float = 30.0  # ignition off (0x0027)
    heartbeat_s: float = 60.0  # 0x0001
    answer_timeout_s: float = 10.0  # 0x0002: the first T; then T x (N+1)
    retries: int = 3  # 0x0003
    human_s: tuple[float, float] = (1.0, 4.0)  # until a text is acknowledged
    window: int = 32  # reports on their way without an answer
    bulk_window: int = 1
    backlog: int = 20_000  # the unit's flash memory, in reports
    retry_connect_s: float = 5.0  # the longest wait before the next attempt to connect


FAST: Final = Timing(
    interval_s=0.2,
    parked_interval_s=0.5,
    heartbeat_s=2.0,
    answer_timeout_s=0.3,
    retries=2,
    human_s=(0.01, 0.05),
    retry_connect_s=0.5,
)


@dataclass(slots=True)
class _Pending:
    """A message that waits for its answer."""

    message_id: int
    frame: bytes
    reports: list[bytes]  # location bodies it carries
    attempt: int
    timeout_s: float
    deadline: float


@dataclass(slots=True)
class Terminal:
    """Args: see the fields; ``auth_code`` from an earlier run skips the registration."""

    identity: Identity
    edition: Edition
    vehicle: Vehicle
    ledger: Ledger
    timing: Timing
    rng: random.Random
    auth_code: bytes | None = None
    now: float = 0.0
    state: State = State.DOWN
    wants_close: bool = False
    is_stopping: bool = False  # no new reports; what is stored still goes out
    refusals: int = 0  # in a row: registrations and authentications
    failures: int = 0  # in a row: messages that the platform could not take
    backlog: deque[bytes] = field(default_factory=deque)
    on_auth_code: Callable[[], None] | None = None
    uploads_go_on: bool = False  # over a lost link; else they begin anew
    camera: Camera = field(init=False)
    _phone: bytes = b""
    _phone_key: str = ""
    _serial_no: int = 0
    _output: list[bytes] = field(default_factory=list)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _unconfirmed: dict[int, bytes] = field(default_factory=dict)  # 0x0201 sent: an answer may come or not
    _answers: list[tuple[float, int, bytes, tuple[int, int]]] = field(default_factory=list)  # heap: due, id, body, to
    _seen: dict[tuple[int, int], bytes | None] = field(default_factory=dict)  # downlink (id, serial) -> 0x0001 body
    _report_at: float = math.inf  # the first report goes out with the first login
    _heartbeat_at: float = 0.0
    _hold_until: float = 0.0  # the platform could not take reports: wait

    unit: unit.Unit = field(init=False)

    def __post_init__(self) -> None:
        self.unit = unit.Unit(
            self.identity, self.edition, lambda: wire.location_body(self.vehicle.fix(self.now), self.edition)[:28],
            self.rng, self.timing.human_s,
        )  # fmt: skip
        self._phone = wire.phone_field(self.identity.phone, self.edition)
        self._phone_key = self.identity.phone.lstrip("0") or "0"
        self.camera = Camera(
            self.edition, self._phone, self._take_serial_nos, self._count, timeout_s=3 * self.timing.answer_timeout_s,
            goes_on=self.uploads_go_on,
        )  # fmt: skip

    # What the shell asks

    @property
    def is_radio_off(self) -> bool:
        """In a dead spot: the shell neither connects nor stays connected."""
        return self.vehicle.is_offline and not self.is_stopping

    @property
    def is_idle(self) -> bool:
        """No report waits to be sent or answered; there may always be a heartbeat."""
        return not self.backlog and not any(pending.reports for pending in self._pending.values())

    def data_to_send(self) -> list[bytes]:
        """Frames to send, in order; taken once."""
        out, self._output = self._output, []
        return out

    def next_deadline(self) -> float:
        """When ``tick`` has to be called at the latest."""
        due = [p.deadline for p in self._pending.values()]
        if not self.is_stopping:
            due.append(self._report_at)
        if self.state is State.ONLINE:
            due.append(self._heartbeat_at)
            if self.backlog:
                due.append(max(self._hold_until, self.now + 0.05))
            if self._answers:
                due.append(self._answers[0][0])
            if (later := self.unit.next_deadline()) is not None:
                due.append(later)
            if (at := self.camera.deadline()) is not None:
                due.append(at)
        return min(due, default=self.now + 60)

    # What the shell tells

    def connected(self, now: float) -> None:
        """A link is up: register, or authenticate with the code kept."""
        self.now = now
        self.wants_close = False
        if self.auth_code is None:
            self._register()
        else:
            self._authenticate(self.auth_code)

    def disconnected(self, now: float) -> None:
        """The link is gone; reports without an answer are stored, oldest first."""
        self.now = now
        self.state = State.DOWN
        waiting = [body for pending in self._pending.values() for body in pending.reports]
        self._pending.clear()
        self._answers.clear()
        self._output.clear()
        self.camera.link_lost()
        if waiting:
            self._store(*waiting)

    def tick(self, now: float) -> None:
        """Time has come to ``now``: whatever is due happens."""
        self.now = now
        self._resend_due()
        if not self.is_stopping and now >= self._report_at:
            self._report()
        if self.state is not State.ONLINE:
            return
        if now >= self._heartbeat_at:
            self._request(wire.HEARTBEAT, b"")
            self._heartbeat_at = now + self.timing.heartbeat_s
        while self._answers and self._answers[0][0] <= now:
            _, message_id, body, to = heapq.heappop(self._answers)
            self._seen[to] = body
            self._send(message_id, body)
        for answer in self.unit.due(now):
            self._say(*answer)
        self._send_backlog()
        self._use_camera()

    def receive(self, content: bytes, now: float) -> None:
        """A downlink message, header and body without check byte. What makes no sense is counted."""
        self.now = now
        package = unit.parse_package(content)
        if package is not None and package[2] == self._phone:
            message_id, serial_no, _, total, number, part = package
            self._count("packages_received")
            for answer in self.unit.take_package(message_id, serial_no, total, number, part, now):
                self._say(*answer)
            return
        try:
            message = wire.parse(content)
        except (ValueError, struct.error):
            self._count("unreadable")
            return
        if message.phone != self._phone:
            self._count("wrong_phone")
        elif message.message_id == wire.PLATFORM_RESPONSE and len(message.body) == 5:
            self._answered(*struct.unpack(">HHB", message.body))
        elif message.message_id == wire.REGISTER_ANSWER and len(message.body) >= 3:
            serial_no, result = struct.unpack_from(">HB", message.body)
            self._registered(serial_no, result, message.body[3:])
        elif message.message_id == wire.MEDIA_ANSWER:
            self._output += self.camera.answered(message.body, now)
        elif message.message_id == wire.PACKAGES_WANTED:
            self._output += self.camera.asked(message.body, now)
        else:
            self._command(message)

    # Session

    def _register(self) -> None:
        self.state = State.REGISTERING
        self._request(wire.REGISTER, wire.register_body(self.identity, self.edition))

    def _authenticate(self, code: bytes) -> None:
        self.state = State.AUTHENTICATING
        self._request(wire.AUTHENTICATE, wire.authentication_body(code, self.identity, self.edition))

    def _registered(self, serial_no: int, result: int, code: bytes) -> None:
        pending = self._pending.get(serial_no)
        if pending is None or pending.message_id != wire.REGISTER:
            self._count("stray_answers")
            return
        del self._pending[serial_no]
        if result:
            self._refused("registration_refused")
            return
        self._count("registered")
        self.auth_code = code
        if self.on_auth_code:
            self.on_auth_code()
        self._authenticate(code)

    def _authenticated(self, result: int) -> None:
        if result not in SUCCESS:
            self.auth_code = None
            self._refused("authentication_refused")
            if not self.wants_close:
                self._register()
            return
        self._count("authenticated")
        self.refusals = 0
        self.state = State.ONLINE
        self.camera.link_made(self.now)
        self._heartbeat_at = self.now + self.timing.heartbeat_s
        self._hold_until = self.now
        if self._report_at == math.inf:
            self._report_at = self.now + self.timing.interval_s * (self.rng.random() - 1)  # then each at its own beat
            self._report()
        self._send_backlog()

    def _refused(self, name: str) -> None:
        self._count(name)
        self.refusals += 1
        if name == "registration_refused" or self.refusals >= MAX_REFUSALS:
            self.wants_close = True

    # Reports

    def _report(self) -> None:
        fix = self.vehicle.fix(self.now)
        pause = self.timing.interval_s if self.vehicle.ignition else self.timing.parked_interval_s
        self._report_at = max(self._report_at + pause, self.now + pause / 4)
        body = wire.location_body(fix, self.edition)
        if self.is_radio_off:
            self._count("stored_offline")
            self.wants_close = self.state is not State.DOWN
            self._store(body)
        elif self.state is State.ONLINE and len(self._pending) < self.timing.window:
            self._request(wire.LOCATION, body, [body])
        else:
            self._store(body)

    def _store(self, *bodies: bytes) -> None:
        """Into the unit's memory in order of time; when it is full the oldest go, and are counted."""
        is_in_order = not self.backlog or wire.time_of_body(self.backlog[-1]) <= wire.time_of_body(bodies[0])
        self.backlog.extend(bodies)
        if len(bodies) > 1 or not is_in_order:
            self.backlog = deque(sorted(self.backlog, key=lambda body: body[22:28]))
        while len(self.backlog) > self.timing.backlog:
            self.backlog.popleft()
            self._count("overwritten")

    def _send_backlog(self) -> None:
        """Stored reports go out: as 0x0704 type 1 from 2013 on, as 0x0200 one by one in 2011."""
        if self.now < self._hold_until or self.wants_close:
            return
        is_bulk = self.edition != "2011"
        kind = wire.BULK_LOCATION if is_bulk else wire.LOCATION
        under_way = sum(pending.message_id == kind for pending in self._pending.values())
        room = (self.timing.bulk_window if is_bulk else self.timing.window // 4) - under_way
        while self.backlog and room > 0:
            bodies: list[bytes] = []
            size = 3
            while self.backlog and len(bodies) < (BULK_ITEMS if is_bulk else 1):
                size += 2 + len(self.backlog[0])
                if size > wire.MAX_BODY:
                    break
                bodies.append(self.backlog.popleft())
            self._request(kind, wire.bulk_body(bodies) if is_bulk else bodies[0], bodies)
            room -= 1

    def _key(self, body: bytes) -> FixKey:
        return self._phone_key, wire.time_of_body(body), fix_hash(body)

    # Media

    def _use_camera(self) -> None:
        messages, frames = self.camera.due(
            self.now, lambda: wire.location_body(self.vehicle.fix(self.now), self.edition)
        )
        for message_id, body in messages:
            self._request(message_id, body)
        self._output += frames

    def _take_serial_nos(self, count: int) -> int:
        """So many in a row that nothing waits for an answer under; the first."""
        first = self._serial_no
        while taken := [number for number in range(count) if (first + number) & 0xFFFF in self._pending]:
            first = (first + taken[-1] + 1) & 0xFFFF
        self._serial_no = (first + count) & 0xFFFF
        return first

    # Messages out, answers in

    def _send(self, message_id: int, body: bytes) -> tuple[int, bytes]:
        serial_no = self._serial_no
        while serial_no in self._pending:
            serial_no = (serial_no + 1) & 0xFFFF
        self._serial_no = (serial_no + 1) & 0xFFFF
        frame = wire.message(message_id, self.edition, self._phone, serial_no, body)
        self._output.append(frame)
        return serial_no, frame

    def _request(self, message_id: int, body: bytes, reports: list[bytes] | None = None) -> None:
        """Send a message that the platform has to answer."""
        serial_no, frame = self._send(message_id, body)
        timeout_s = self.timing.answer_timeout_s
        self._pending[serial_no] = _Pending(message_id, frame, reports or [], 1, timeout_s, self.now + timeout_s)
        self._count(f"sent_0x{message_id:04X}")
        for report in reports or ():
            self.ledger.sent(self._key(report), serial_no, self.now)

    def _resend_due(self) -> None:
        """No answer in time: the same frame again after T, 2T, 6T, ...; after the last the link counts as broken."""
        for pending in list(self._pending.values()):
            if self.now < pending.deadline:
                continue
            if pending.attempt > self.timing.retries:
                self._count("gave_up")
                self.wants_close = True
                return
            pending.attempt += 1
            pending.timeout_s *= pending.attempt
            pending.deadline = self.now + pending.timeout_s
            self._output.append(pending.frame)
            self._count("resent")

    def _answered(self, serial_no: int, message_id: int, result: int) -> None:
        if message_id == wire.MEDIA_UPLOAD:
            return  # of one package; the 0x8800 counts
        pending = self._pending.get(serial_no)
        if pending is None or pending.message_id != message_id:
            body = self._unconfirmed.pop(serial_no, None)
            if body is not None and message_id == wire.LOCATION_ANSWER and result in SUCCESS:
                self.ledger.answered(self._key(body), self.now)
            elif body is None:
                self._count("stray_answers")
            return
        del self._pending[serial_no]
        if message_id == wire.AUTHENTICATE:
            self._authenticated(result)
            return
        self.failures = self.failures + 1 if result == 1 else 0
        if self.failures >= MAX_REFUSALS:  # perhaps it no longer knows who we are
            self.failures = 0
            self.wants_close = True
        if result in SUCCESS:
            for body in pending.reports:
                self.ledger.answered(self._key(body), self.now)
            if pending.reports:
                self.vehicle.answered(Alarm(int.from_bytes(pending.reports[-1][:4], "big")))
        elif pending.reports and result == 1:  # failed there: keep the copy, try later
            self._count("failed_there")
            self._hold_until = self.now + self.timing.answer_timeout_s
            self._store(*pending.reports)
        else:
            self._count(f"refused_{result}")
        if self.state is State.ONLINE:
            self._send_backlog()

    # Commands

    def _command(self, message: Received) -> None:
        """A downlink message of the platform's own accord: each gets an answer."""
        to = (message.message_id, message.serial_no)
        self._count(f"received_0x{message.message_id:04X}")
        if message.message_id == wire.LOCATION_QUERY:
            body = wire.location_body(self.vehicle.fix(self.now), self.edition)
            serial_no, _ = self._send(wire.LOCATION_ANSWER, wire.location_answer_body(message.serial_no, body))
            self.ledger.sent(self._key(body), serial_no, self.now)
            self._unconfirmed[serial_no] = body
            if len(self._unconfirmed) > 16:
                del self._unconfirmed[next(iter(self._unconfirmed))]
            return
        answers = self.camera.order(*to, message.body, self.now)
        if answers is not None:
            for answer_id, body in answers:
                self._send(answer_id, body)
            self._use_camera()
            return
        if to in self._seen:  # the platform asks again: the same answer again, or it is still to come
            answer = self._seen[to]
            if answer is not None:
                self._send(wire.GENERAL_RESPONSE, answer)
            return
        obeyed = None
        if message.message_id not in (wire.TEXT, wire.ALARM_CONFIRMATION):
            obeyed = self.unit.obey(message.message_id, message.serial_no, message.body, self.now)
        if obeyed is not None:
            for message_id, body in obeyed:
                self._say(message_id, body)
            if len(obeyed) == 1 and obeyed[0][0] == wire.GENERAL_RESPONSE:
                self._seen[to] = obeyed[0][1]
            return
        known = message.message_id in (wire.TEXT, wire.ALARM_CONFIRMATION)
        answer = wire.general_response_body(message.serial_no, message.message_id, 0 if known else 3)
        if message.message_id == wire.TEXT:
            if len(self._answers) >= MOST_TEXTS:
                self._count("texts_ignored")
                return
            self._seen[to] = None
            heapq.heappush(
                self._answers, (self.now + self.rng.uniform(*self.timing.human_s), wire.GENERAL_RESPONSE, answer, to)
            )
        else:
            if message.message_id == wire.ALARM_CONFIRMATION:
                self.vehicle.answered(wire.CLEARED_BY_ANSWER)
            self._seen[to] = answer
            self._send(wire.GENERAL_RESPONSE, answer)
        if len(self._seen) > 32:
            del self._seen[next(iter(self._seen))]

    def _say(self, message_id: int, body: bytes) -> None:
        """An answer; those that tell something of their own are answered in turn."""
        if message_id in (0x0108, 0x0302, 0x0500, 0x0702):
            self._request(message_id, body)
        else:
            self._send(message_id, body)

    def _count(self, name: str) -> None:
        self.ledger.counts[name] += 1

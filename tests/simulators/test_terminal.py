"""One terminal against the platform in simulated time: no socket, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

import jt808
from simulators import wire
from simulators.driving import CALM, Behaviour, Vehicle
from simulators.ledger import Ledger
from simulators.terminal import State, Terminal, Timing
from simulators.wire import Alarm, Identity
from tests.simulators.platform import Platform

START = 1_700_000_000.0
TIMING = Timing(interval_s=5, answer_timeout_s=10, human_s=(2.0, 2.0), backlog=1000)


class Pair:
    """A terminal and a platform joined in memory; ``run`` lets time pass."""

    def __init__(self, edition: str = "2013", *, timing: Timing = TIMING, behaviour: Behaviour = CALM) -> None:
        self.now = START
        self.platform = Platform()
        self.deframer = jt808.Deframer()
        self.terminal_deframer = wire.Deframer()
        self.is_deaf = False  # nothing of the terminal's arrives
        self.sent: list[tuple[float, bytes]] = []
        self.terminal = Terminal(
            identity=Identity("13900000001", "辽A12345", 2, 100, "0000001"),
            edition=edition,
            vehicle=Vehicle("Shenyang", 1, START, behaviour),
            ledger=Ledger(),
            timing=timing,
            rng=random.Random(1),
            now=START,
        )

    def connect(self) -> None:
        self.terminal.connected(self.now)
        self.exchange()

    def disconnect(self) -> None:
        self.terminal.disconnected(self.now)

    def exchange(self) -> None:
        while frames := self.terminal.data_to_send():
            for frame in frames:
                self.sent.append((self.now, frame))
                if not self.is_deaf:
                    for answer in self.platform.feed(self.deframer, frame):
                        self.hear(answer)

    def hear(self, frame: bytes) -> None:
        for content in self.terminal_deframer.feed(frame):
            self.terminal.receive(content, self.now)

    def command(self, message_id: int, body: bytes = b"") -> None:
        header = self.platform.received[-1][0]
        self.hear(self.platform.command(header, message_id, body))
        self.exchange()

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while not until():
            at = max(self.terminal.next_deadline(), self.now)
            if at > end:
                self.now = end
                return
            self.now = at
            self.terminal.tick(self.now)
            self.exchange()


@pytest.mark.parametrize("edition", ["2011", "2013", "2019"])
def test_registers_authenticates_reports_and_beats(edition: str) -> None:
    pair = Pair(edition)
    pair.connect()
    assert pair.terminal.state is State.ONLINE
    pair.run(130)
    ids = pair.platform.ids()
    assert ids[:2] == [0x0100, 0x0102]
    assert ids.count(0x0200) >= 24
    assert ids.count(0x0002) == 2
    assert all(header.edition in (edition, "2013") for header, _ in pair.platform.received)
    serials = [header.serial_no for header, _ in pair.platform.received]
    assert serials == list(range(len(serials)))
    verdict = pair.terminal.ledger.compare(pair.platform.stored)
    assert verdict.is_right
    assert verdict.answered == verdict.sent >= 24


def test_keeps_its_auth_code() -> None:
    pair = Pair()
    pair.connect()
    pair.disconnect()
    pair.connect()
    assert pair.platform.ids() == [0x0100, 0x0102, 0x0200, 0x0102]


def test_registers_anew_when_its_code_is_refused() -> None:
    pair = Pair()
    pair.terminal.auth_code = b"stale"
    pair.connect()
    assert pair.platform.ids() == [0x0102, 0x0100, 0x0102, 0x0200]
    assert pair.terminal.state is State.ONLINE
    assert pair.terminal.refusals == 0


def test_hangs_up_when_its_registration_is_refused() -> None:
    pair = Pair()
    pair.platform.result = lambda header, message: 2
    pair.connect()
    assert pair.terminal.wants_close
    assert pair.terminal.state is not State.ONLINE


def test_resends_after_t_then_2t_then_6t_then_gives_the_link_up() -> None:
    pair = Pair(timing=Timing(interval_s=1e6, answer_timeout_s=10, retries=3, heartbeat_s=50))
    pair.connect()
    pair.is_deaf = True
    pair.sent.clear()
    pair.run(1000, lambda: pair.terminal.wants_close)
    beats = [(at - START, frame) for at, frame in pair.sent if frame[1:3] == b"\x00\x02"]
    first = beats[0][1]
    assert [at for at, frame in beats if frame == first] == [50, 60, 80, 140]  # the same frame, serial number and all
    assert pair.now - START == 50 + 10 + 20 + 60 + 240


def test_the_first_report_goes_out_with_the_first_login() -> None:
    pair = Pair()
    pair.run(60)
    assert not pair.terminal.backlog
    pair.connect()
    assert pair.platform.ids() == [0x0100, 0x0102, 0x0200]


@pytest.mark.parametrize(("edition", "carrier"), [("2011", 0x0200), ("2013", 0x0704), ("2019", 0x0704)])
def test_what_was_reported_without_a_link_comes_afterwards(edition: str, carrier: int) -> None:
    pair = Pair(edition)
    pair.connect()
    pair.run(30)
    pair.disconnect()
    pair.run(300)
    assert len(pair.terminal.backlog) == 60
    before = len(pair.platform.ids())
    pair.connect()
    pair.run(4)
    after = pair.platform.received[before:]
    assert sum(header.message_id == carrier for header, _ in after) >= (60 if carrier == 0x0200 else 5)
    for bulk in pair.platform.messages(jt808.BulkLocationReport):
        assert bulk.is_backfill
    assert not pair.terminal.backlog
    verdict = pair.terminal.ledger.compare(pair.platform.stored)
    assert verdict.is_right
    assert verdict.answered == verdict.sent >= 66


def test_reports_on_their_way_when_the_link_broke_are_sent_again_in_order_of_time() -> None:
    pair = Pair()
    pair.connect()
    pair.is_deaf = True
    pair.run(8)
    pair.disconnect()
    pair.run(20)
    times = [wire.time_of_body(body) for body in pair.terminal.backlog]
    assert len(times) >= 5
    assert times == sorted(times)
    pair.is_deaf = False
    pair.connect()
    pair.run(5)
    assert pair.terminal.ledger.compare(pair.platform.stored).is_right
    assert not pair.terminal.ledger.unanswered


def test_the_memory_is_bounded_and_loss_is_counted() -> None:
    pair = Pair(timing=Timing(interval_s=1, backlog=10))
    pair.connect()
    pair.disconnect()
    pair.run(60)
    assert len(pair.terminal.backlog) == 10
    assert pair.terminal.ledger.counts["overwritten"] == 50


def test_a_platform_that_cannot_store_gets_the_report_again_later() -> None:
    pair = Pair()
    pair.connect()
    pair.run(8)
    before = len(pair.platform.stored)
    pair.platform.result = lambda header, message: int(header.message_id in (0x0200, 0x0704))
    pair.run(7)
    assert len(pair.platform.stored) == before
    assert pair.terminal.ledger.counts["failed_there"] == 1
    assert not pair.terminal.wants_close
    pair.platform.result = lambda header, message: 0
    pair.run(30)
    assert not pair.terminal.ledger.unanswered
    assert len(pair.platform.stored) == len(pair.terminal.ledger.entries) >= 8


def test_a_platform_that_keeps_failing_is_left_and_nothing_is_lost() -> None:
    pair = Pair()
    pair.platform.result = lambda header, message: int(header.message_id in (0x0200, 0x0704))
    pair.connect()
    pair.run(100, lambda: pair.terminal.wants_close)
    assert pair.terminal.wants_close
    pair.disconnect()
    pair.platform.result = lambda header, message: 0
    pair.connect()
    pair.run(30)
    assert not pair.terminal.ledger.unanswered
    assert pair.terminal.ledger.compare(pair.platform.stored).is_right


def test_a_dead_spot_hangs_up_and_stores() -> None:
    pair = Pair(behaviour=Behaviour(0, 0, 0, 0, 0, offline=60, area_share=0, tired_share=0, parked_share=0))
    pair.connect()
    pair.run(3600, lambda: pair.terminal.wants_close)
    assert pair.terminal.is_radio_off
    pair.disconnect()
    assert pair.terminal.backlog


def test_a_text_is_acknowledged_by_a_human_and_a_repeated_one_once_more() -> None:
    pair = Pair()
    pair.connect()
    pair.run(10)
    text = b"\x01" + "前方雾".encode("gbk")
    pair.command(0x8300, text)
    serial_no = pair.platform.serial_no
    assert not pair.platform.messages(jt808.TerminalGeneralResponse)
    pair.run(3)
    answer = jt808.TerminalGeneralResponse(serial_no, 0x8300, jt808.Result.OK)
    assert pair.platform.messages(jt808.TerminalGeneralResponse) == [answer]
    pair.platform.serial_no = serial_no - 1
    pair.command(0x8300, text)
    assert pair.platform.messages(jt808.TerminalGeneralResponse) == [answer, answer]


def test_a_position_query_is_answered_with_the_position() -> None:
    pair = Pair()
    pair.connect()
    pair.run(6)
    pair.command(0x8201)
    (answer,) = pair.platform.messages(jt808.LocationQueryResponse)
    assert answer.answered_serial_no is not None
    assert pair.terminal.ledger.compare(pair.platform.stored).is_right


def test_an_unknown_command_is_unsupported() -> None:
    pair = Pair()
    pair.connect()
    pair.command(0x8F04)
    (answer,) = pair.platform.messages(jt808.TerminalGeneralResponse)
    assert (answer.answered_message_id, answer.result) == (0x8F04, 3)


def test_the_emergency_bit_ends_with_the_platforms_answer() -> None:
    pair = Pair()
    pair.connect()
    pair.run(10)
    pair.terminal.vehicle.press_emergency_button()
    pair.run(20)
    flags = [m.alarm_flags & Alarm.EMERGENCY for m in pair.platform.messages(jt808.LocationReport)]
    assert flags.count(1) == 1
    assert flags[-1] == 0


def test_messages_for_somebody_else_and_junk_are_counted_not_obeyed() -> None:
    pair = Pair()
    pair.connect()
    pair.hear(jt808.build_frame(0x8201, "013900000002", 1, b"", jt808.Edition.V2013))
    pair.terminal.receive(b"\x80", pair.now)
    assert pair.terminal.ledger.counts["wrong_phone"] == 1
    assert pair.terminal.ledger.counts["unreadable"] == 1
    assert pair.terminal.data_to_send() == []

"""Uploads that a lost link cut off: kept until the terminal's next login, whole once, never joined with another."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.counters import Counters
from ingest.cut_uploads import CutUploads
from ingest.deadlines import Deadlines
from jt808.header import Edition, Header
from jt808.subpackage import Budget, Reassembler
from simulators import wire
from simulators.fleet import Fleet
from simulators.link import BadLink, Piece
from simulators.terminal import FAST
from tests.ingest.terminals import PHONE, Site, Terminal, address_of, register_body, running
from tests.ingest.waiting import until

PACKAGES = 12
UPLOAD = 0x0801
PATIENT = replace(FAST, answer_timeout_s=60.0)  # only what is asked for is sent again


def photo(seed: int) -> bytes:
    """A body of 0x0801 of `PACKAGES` packages, each of its own content, with bytes that have to be escaped."""
    head = b"\0\0\0\x2a\0\0\0\1" + bytes(28)
    return (head + b"".join(b"%d: \x7d\x7e %d," % (seed, number) for number in range(2000)))[: PACKAGES * 1000]


def frames_of(terminal: Terminal, body: bytes) -> list[bytes]:
    """The packages; their serial numbers are taken."""
    parts = [body[begin : begin + 1000] for begin in range(0, len(body), 1000)]
    return [terminal.frame(UPLOAD, part, package=(len(parts), number)) for number, part in enumerate(parts, 1)]


async def uploads(site: Site) -> list[bytes]:
    return [body for phone, message_id, body in await site.journaled() if message_id == UPLOAD]


async def expect_answers(terminal: Terminal, first: int) -> None:
    """To every package, and to the upload as such."""
    answers = [await terminal.general() for _ in range(PACKAGES)]
    assert answers == [(first + number, UPLOAD, 0) for number in range(PACKAGES)]
    header, body = await terminal.receive()
    assert (header.message_id, body) == (0x8800, b"\0\0\0\x2a")


async def next_link(site: Site, before: Terminal, *, udp: bool = False) -> Terminal:
    """Another link of the same terminal, which counts on."""
    terminal = await (site.udp_terminal if udp else site.terminal)(before.phone, before.edition)
    terminal.serial_no = before.serial_no
    return terminal


async def in_(terminal: Terminal) -> None:
    """All that was sent has been read."""
    assert await terminal.ask(0x0002) == 0


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
async def test_only_what_is_missing_is_sent_on_the_next_link(tmp_path: Path, edition: Edition) -> None:
    body = photo(1)
    async with running(tmp_path) as site:
        before = await site.terminal(edition=edition)
        code = await before.log_in()
        first = before.serial_no
        frames = frames_of(before, body)
        for number in (0, 1, 2, 5):
            before.write(frames[number])
        before.write(frames[3][:700])  # cut in the middle of a package
        await until(lambda: site.counters["bytes_received"] >= 4 * 1000 + 700)
        await hang_up(site, before)
        assert site.counters["packages_dropped{reason=package_link_ended}"] == 0

        after = await next_link(site, before)
        assert await after.authenticate(code, "861234567890123" if edition == Edition.V2019 else "") == 0
        assert site.counters["uploads_continued"] == 1
        for number in set(range(PACKAGES)) - {0, 1, 2, 5}:
            after.write(frames[number])
        await expect_answers(after, first)
        assert await uploads(site) == [body]
        assert not [name for name, count in site.counters.items() if name.startswith("packages_dropped") and count]


async def begin(before: Terminal, body: bytes, packages: int = 7) -> list[bytes]:
    """The first packages of an upload, sent and read; all of them."""
    frames = frames_of(before, body)
    for frame in frames[:packages]:
        before.write(frame)
    await in_(before)
    return frames


async def hang_up(site: Site, terminal: Terminal) -> None:
    terminal.close()
    await until(lambda: not site.gateway.sessions)


async def complete(site: Site, after: Terminal, frames: list[bytes], first: int, body: bytes) -> None:
    """Send what is left: every package is answered, one upload has come."""
    for frame in frames:
        after.write(frame)
    await expect_answers(after, first)
    assert await uploads(site) == [body]


@pytest.mark.parametrize("udp", [False, True])
async def test_a_link_that_is_displaced_leaves_its_uploads_to_the_new_one(tmp_path: Path, udp: bool) -> None:
    """Half open, or an address that changed: the old link is not known to be gone when the terminal is back."""
    body = photo(2)
    async with running(tmp_path) as site:
        before = await (site.udp_terminal if udp else site.terminal)()
        code = await before.log_in()
        first = before.serial_no
        frames = await begin(before, body)
        after = await next_link(site, before, udp=udp)
        assert await after.authenticate(code) == 0
        assert site.counters["links_ended{reason=displaced}"] == 1
        await complete(site, after, frames[7:], first, body)


async def test_what_is_missing_is_asked_for_after_the_login(tmp_path: Path) -> None:
    body = photo(3)
    async with running(tmp_path) as site:
        before = await site.terminal()
        code = await before.log_in()
        first = before.serial_no
        frames = frames_of(before, body)
        before.write(b"".join(frames[number] for number in range(PACKAGES) if number not in (4, 9)))
        await in_(before)
        await hang_up(site, before)
        after = await next_link(site, before)
        assert await after.authenticate(code) == 0
        header, asked = await after.receive()  # the last package is here: after two seconds
        assert (header.message_id, asked.hex()) == (0x8800, "0000002a" + "02" + "0005" + "000a")
        after.write(frames[9] + frames[4])
        await expect_answers(after, first)
        assert await uploads(site) == [body]


async def test_a_terminal_that_restarted_joins_no_two_pictures(tmp_path: Path) -> None:
    """It counts anew, so its next picture comes under the very numbers of the one that was cut off."""
    async with running(tmp_path) as site:
        before = await site.terminal()
        code = await before.log_in()
        await begin(before, photo(4))
        await hang_up(site, before)

        after = await site.terminal()
        after.serial_no = 1
        assert await after.authenticate(code) == 0
        assert site.counters["packages_dropped{reason=package_link_ended}"] == 7
        assert site.counters["uploads_continued"] == 0
        frames = frames_of(after, photo(5))
        for frame in frames[7:]:
            after.write(frame)
        await in_(after)
        assert await uploads(site) == []
        await complete(site, after, frames[:7], 2, photo(5))


async def test_a_terminal_that_registers_on_every_link_goes_on_all_the_same(tmp_path: Path) -> None:
    body = photo(11)
    async with running(tmp_path) as site:
        before = await site.terminal()
        await before.log_in()
        first = before.serial_no
        frames = await begin(before, body)
        await hang_up(site, before)
        after = await next_link(site, before)
        await after.log_in()
        await complete(site, after, frames[7:], first, body)


async def test_a_restart_behind_the_same_udp_address_joins_no_two_pictures(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.udp_terminal()
        code = await terminal.log_in()
        await begin(terminal, photo(12))
        terminal.serial_no = 1
        assert await terminal.authenticate(code) == 0
        assert site.counters["packages_dropped{reason=package_link_ended}"] == 7
        assert len(site.gateway._udp or ()) == 1  # it is the same link
        await complete(site, terminal, frames_of(terminal, photo(13)), 2, photo(13))


async def test_what_begins_anew_with_fresh_numbers_is_taken_as_ever(tmp_path: Path) -> None:
    body = photo(6)
    async with running(tmp_path, terminal_package_bytes=len(body) + PACKAGES * 128) as site:
        before = await site.terminal()
        code = await before.log_in()
        for _ in range(4):  # as many as are kept at once, and as many bytes
            for frame in frames_of(before, body)[:2]:
                before.write(frame)
        await in_(before)
        await hang_up(site, before)
        after = await next_link(site, before)
        assert await after.authenticate(code) == 0
        first = after.serial_no
        await complete(site, after, frames_of(after, body), first, body)


@pytest.mark.parametrize(("end", "is_kept"), [("junk", False), ("unregister", False), ("idle", True)])
async def test_how_a_link_ends_says_whether_its_terminal_may_go_on(tmp_path: Path, end: str, is_kept: bool) -> None:
    async with running(tmp_path, junk_bytes=10_000) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        await begin(terminal, photo(7), 3)
        if end == "junk":
            terminal.write(b"junk" * 5_000)
        elif end == "unregister":
            terminal.send(0x0003)
            await until(lambda: not site.gateway.sessions)
            terminal.close()
        else:
            site.gateway.sessions.get(PHONE).end("idle")
        await until(lambda: not site.gateway._links)
        assert len(site.gateway._cut_uploads) == is_kept
        assert site.counters["packages_dropped{reason=package_link_ended}"] == (0 if is_kept else 3)
        stats = (await site.gateway._stats({}))["stats"]
        assert stats["gateway_uploads_cut"] == is_kept


async def test_another_terminal_gets_nothing_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        before = await site.terminal()
        await before.log_in()
        await begin(before, photo(8), 1)
        await hang_up(site, before)
        other = await site.terminal("13900000001")
        _, code = await other.register()
        other.serial_no = before.serial_no
        assert await other.authenticate(code) == 0
        assert len(site.gateway._cut_uploads) == 1
        assert site.counters["uploads_continued"] == 0


async def test_two_units_with_one_identity_get_nothing_of_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, max_displacements_per_minute=0) as site:
        one = await site.terminal()
        code = await one.log_in()
        await begin(one, photo(9), 1)
        other = await next_link(site, one)
        assert await other.authenticate(code) == 0
        assert site.counters["links_ended{reason=duplicate_identity}"] == 1
        assert site.counters["uploads_continued"] == 0
        assert site.counters["packages_dropped{reason=package_link_ended}"] == 1


async def test_registering_anew_keeps_nothing(tmp_path: Path) -> None:
    """Registering anew voids the code, and what was begun before it."""
    async with running(tmp_path) as site:
        before = await site.udp_terminal()
        await before.log_in()
        await begin(before, photo(10), 1)
        before.send(0x0100, register_body(plate="辽A54321"))
        header, _ = await before.receive()
        assert header.message_id == 0x8100
        assert len(site.gateway._cut_uploads) == 0


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_simulated_camera_over_a_link_that_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    """Two packages are lost and the link breaks behind the last; going on, these are asked for, and no other."""
    carry, sent = BadLink.carry, []

    def break_down(link: BadLink, frame: bytes) -> list[Piece]:
        if frame[1:3] != b"\x08\x01":
            return carry(link, frame)
        content = wire.Deframer().feed(frame)[0]
        total, number = struct.unpack_from(">HH", content, 12)
        sent.append(number)
        if len(sent) > total:
            return [Piece(0.0, frame, False)]
        return [] if number in (2, 3) else [Piece(0.0, frame, number == total)]

    monkeypatch.setattr(BadLink, "carry", break_down)
    only_2013 = (("2013", 1.0),)
    async with running(tmp_path) as site:
        host, port = address_of(site.address)
        async with Fleet(
            host, port, terminals=1, timing=PATIENT, udp_share=0, uploads_go_on=goes_on, editions=only_2013
        ) as fleet:
            await until(lambda: fleet.online)
            shoot = bytes.fromhex("01" + "0001" + "0000" + "00" + "02" + "05" + "80" + "40" + "40" + "80")
            request = {"phone": fleet.vehicles[0].phone, "message_id": 0x8801, "body": shoot.hex()}
            assert (await site.gateway._sending.send(request))["state"] == "sent"
            await until(lambda: fleet.ledger.counts["uploaded"])
            assert fleet.ledger.counts["uploads_repeated"] == 0
        total = max(sent)
        again = sent[total:]
        assert again == ([2, 3] if goes_on else list(range(1, total + 1)))
        (body,) = await uploads(site)
        assert body[36:38] == b"\xff\xd8"
        assert body[-2:] == b"\xff\xd9"


# ---- the keeping itself


class Clock(Deadlines):
    """Deadlines whose time the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.due: float | None = None

    def now(self) -> float:
        return self.at

    def set(self, link: Any, deadline: float | None) -> None:
        link.due_slot = None if deadline is None else 1
        self.due = deadline

    def until(self, at: float, waiting: CutUploads) -> None:
        while self.due is not None and self.due <= at:
            self.at, self.due, waiting.due_slot = self.due, None, None
            waiting.on_due()
        self.at = at


def left(*, at: float = 0.0, budget: Budget | None = None, packages: int = 2) -> Reassembler:
    reassembler = Reassembler(budget=budget)
    for number in range(1, packages + 1):
        header = Header(UPLOAD, Edition.V2013, "013912345678", 9 + number, 100, 0, True, 9, number)
        reassembler.add(header, bytes(100), at)
    reassembler.link_ended()
    return reassembler


def test_what_is_not_fetched_goes_after_its_time_and_is_counted() -> None:
    clock, counters = Clock(), Counters()
    cut = CutUploads(counters, clock)
    cut.keep("1", left(packages=2))
    clock.until(200.0, cut)
    cut.keep("2", left(at=200.0, packages=3))
    clock.until(299.0, cut)
    assert len(cut) == 2
    clock.until(320.0, cut)
    assert len(cut) == 1
    assert counters["packages_dropped{reason=package_expired}"] == 2
    clock.until(520.0, cut)
    assert len(cut) == 0
    assert counters["packages_dropped{reason=package_expired}"] == 5
    assert clock.due is None  # nothing is waited for


def test_what_is_fetched_late_is_not_given_out() -> None:
    clock, counters = Clock(), Counters()
    cut = CutUploads(counters, clock)
    cut.keep("1", left())
    clock.at = 300.0  # not swept yet
    assert cut.take("1") is None
    assert counters["packages_dropped{reason=package_expired}"] == 2
    assert cut.take("1") is None
    cut.keep("1", left(at=300.0))
    assert cut.take("1") is not None
    assert cut.take("1") is None


def test_so_many_terminals_and_no_more() -> None:
    counters = Counters()
    cut = CutUploads(counters, Clock(), max_kept=2)
    budget = Budget(1 << 20)
    for phone in ("1", "2", "3"):
        cut.keep(phone, left(budget=budget))
    assert len(cut) == 2
    assert cut.take("1") is None
    assert counters["packages_dropped{reason=package_evicted}"] == 2
    cut.keep("2", left(budget=budget, packages=1))
    assert counters["packages_dropped{reason=package_link_ended}"] == 2
    for phone in ("2", "3"):
        packages = cut.take(phone)
        assert packages is not None
        packages.clear()
    assert budget.free == 1 << 20


def test_what_the_budget_takes_in_between_is_counted() -> None:
    counters = Counters()
    cut = CutUploads(counters, Clock())
    budget = Budget(3 * 228)
    cut.keep("1", left(budget=budget))
    left(budget=budget, packages=3)  # a link that lives
    assert cut.take("1") is None
    assert counters["packages_dropped{reason=package_evicted}"] == 2

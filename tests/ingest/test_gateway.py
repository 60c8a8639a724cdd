"""The gateway over real sockets: login, reports, answers after the disk, and what it does not put up with."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleet import RefusedRegistration, Registration, SessionChange
from ingest import login
from ingest import turns as turns_module
from ingest.control import ControlClient, control_path
from ingest.gateway import GatewayConfig, run_gateway
from ingest.identities import APPROVED, BLOCKED, Identity, hash_auth_code
from ingest.journal import GatewayStarted, JournalError, Unregistered
from ingest.links import TcpLink
from ingest.listening import LINK_OPTIONS, bind_both
from jt808.header import Edition
from tests.ingest.terminals import PHONE, Site, Terminal, address_of, facts_in, messages_in, register_body, running
from tests.ingest.waiting import until

REPORT = bytes.fromhex("00000000000c00030261d8e0075bcd15000a02580087260715123456")
EDITIONS = [(PHONE, Edition.V2011), (PHONE, Edition.V2013), (PHONE, Edition.V2019)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
        yield site


# ---- the road


@pytest.mark.parametrize(("phone", "edition"), EDITIONS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_register_authenticate_report(site: Site, phone: str, edition: Edition, transport: str) -> None:
    terminal = await (site.terminal if transport == "tcp" else site.udp_terminal)(phone, edition)
    result, code = await terminal.register()
    assert result == 0
    imei = "861234567890123" if edition == Edition.V2019 else ""
    assert await terminal.authenticate(code, imei) == 0
    assert await terminal.ask(0x0200, REPORT) == 0
    assert await site.journaled() == [(PHONE, 0x0200, REPORT)]
    _, registration, session = await site.facts()
    assert isinstance(registration, Registration)
    assert (registration.phone, registration.edition, registration.plate) == (PHONE, edition, "辽A12345")
    assert (registration.terminal_id, registration.plate_color) == ("T000001", 2)
    assert registration.auth_code_hash == hash_auth_code(code)
    assert isinstance(session, SessionChange)
    assert (session.phone, session.online, session.transport) == (PHONE, True, transport)
    assert (session.edition, session.imei) == (edition, imei)
    assert session.software_version == ("v1" if imei else "")


async def test_the_code_holds_on_the_next_link_and_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal(edition=Edition.V2011)
        code = await terminal.log_in()
        terminal.close()
        terminal = await site.terminal(edition=Edition.V2011)
        assert await terminal.authenticate(code) == 0
    async with running(tmp_path) as site:
        terminal = await site.terminal(edition=Edition.V2011)
        assert await terminal.authenticate(code) == 0
        *_, session = await site.facts()
        assert isinstance(session, SessionChange)
        assert session.edition == "2011"  # remembered from its registration; the header cannot tell


async def test_a_report_is_answered_when_it_is_on_disk_and_not_before(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    gate = hold_journal(site)
    report = terminal.send(0x0200, REPORT)
    assert await terminal.ask(0x0002) == 0  # the heartbeat behind it is answered at once
    assert terminal.waiting == 0
    assert await site.journaled() == []
    gate.set()
    assert await terminal.general() == (report, 0x0200, 0)
    assert await site.journaled() == [(PHONE, 0x0200, REPORT)]


def hold_journal(site: Site) -> threading.Event:
    """Writes of the journal wait for the event."""
    gate = threading.Event()
    file: Any = site.gateway._journal._file
    write = file.write

    def slow(records: int, parts: Sequence[bytes]) -> int:
        assert gate.wait(60)
        return int(write(records, parts))

    file.write = slow
    return gate


async def test_a_registration_is_answered_when_it_is_on_disk_and_not_before(site: Site) -> None:
    gate = hold_journal(site)
    terminal = await site.terminal()
    serial_no = terminal.send(0x0100, register_body())
    again = terminal.send(0x0100, register_body())  # impatient
    assert await terminal.ask(0x0002) == 1  # refused, but answered: what came before it was read
    assert terminal.waiting == 0
    gate.set()
    header, body = await terminal.receive()
    assert (header.message_id, body[:3]) == (0x8100, struct.pack(">HB", serial_no, 0))
    assert await terminal.ask(0x0002) == 1
    assert terminal.waiting == 0  # one registration, one answer, one code
    assert again == serial_no + 1
    assert len([fact for fact in await site.facts() if isinstance(fact, Registration)]) == 1


async def test_a_repeated_registration_gets_the_same_code(site: Site) -> None:
    terminal = await site.terminal()
    first = await terminal.register()
    assert await terminal.register() == first
    assert (await terminal.register(plate="辽B00001"))[1] != first[1]
    assert await terminal.authenticate(first[1]) == 1


async def test_a_late_copy_of_the_registration_logs_nobody_out(site: Site) -> None:
    terminal = await site.terminal()
    _, code = await terminal.register()
    assert await terminal.authenticate(code) == 0
    assert (await terminal.register())[1] == code
    assert await terminal.ask(0x0200, REPORT) == 0
    assert not [fact for fact in await site.facts() if isinstance(fact, SessionChange) and not fact.online]


async def test_answers_go_to_the_link_that_asked_in_order(site: Site) -> None:
    terminals = [await site.terminal(str(13900000000 + number)) for number in range(5)]
    for terminal in terminals:
        await terminal.log_in()
    sent = {terminal: [terminal.send(0x0200, REPORT) for _ in range(20)] for terminal in terminals}
    for terminal in terminals:
        assert [await terminal.general() for _ in range(20)] == [(no, 0x0200, 0) for no in sent[terminal]]
    assert len(await site.journaled()) == 100


async def test_other_messages_are_kept_and_answers_are_not_answered(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    terminal.send(0x0001, bytes(5))
    assert await terminal.ask(0x0900, b"\x41data") == 0
    assert await terminal.ask(0x0104, b"parameters") == 0
    assert [message_id for _, message_id, _ in await site.journaled()] == [0x0001, 0x0900, 0x0104]


async def test_a_sub_packaged_message_is_one_record(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    first = terminal.serial_no
    frames = [terminal.frame(0x0704, bytes([number]) * 500, package=(3, number)) for number in (1, 2, 3)]
    for frame in (frames[2], frames[0], frames[1]):
        terminal.write(frame)
    answers = {await terminal.general() for _ in range(3)}
    assert answers == {(first + number, 0x0704, 0) for number in range(3)}
    assert await site.journaled() == [(PHONE, 0x0704, b"\1" * 500 + b"\2" * 500 + b"\3" * 500)]


async def test_missing_packages_are_asked_for_when_nothing_more_comes(site: Site) -> None:
    """Two messages of one id at once; and behind their packages, in the same read, a report."""
    terminal = await site.terminal()
    await terminal.log_in()
    firsts = terminal.serial_no, terminal.serial_no + 3
    frames = [terminal.frame(0x0704, bytes([number]) * 500, package=(3, number % 3 + 1)) for number in range(6)]
    terminal.write(b"".join(frames[i] for i in (3, 0, 2, 5)))
    terminal.write(frames[3] + terminal.frame(0x0200, REPORT))  # a package once more
    assert (await terminal.general())[1] == 0x0200
    asked = [await terminal.receive() for _ in range(2)]
    assert {(header.message_id, body) for header, body in asked} == {
        (0x8003, struct.pack(">HBH", first, 1, 2)) for first in firsts
    }
    terminal.write(frames[1] + frames[4])
    answers = {await terminal.general() for _ in range(6)}
    assert answers == {(firsts[0] + number, 0x0704, 0) for number in range(6)}
    bodies = [b"".join(bytes([first + number]) * 500 for number in range(3)) for first in (0, 3)]
    assert [body for _, message_id, body in await site.journaled() if message_id == 0x0704] == bodies


async def test_a_deadline_is_set_for_packages_that_came_with_a_report(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    frames = [terminal.frame(0x0704, b"part", package=(3, number)) for number in (1, 2, 3)]
    terminal.write(frames[0] + frames[2] + terminal.frame(0x0200, REPORT))  # in one read; then silence
    assert (await terminal.general())[1] == 0x0200
    assert (await terminal.receive())[0].message_id == 0x8003


async def test_a_demand_for_packages_that_are_gone_is_counted(site: Site) -> None:
    terminal = await site.terminal(edition=Edition.V2019)
    await terminal.log_in()
    terminal.send(0x0005, struct.pack(">HHHH", 7, 2, 1, 3))
    assert await terminal.ask(0x0002) == 0  # what came before it was read
    assert site.gateway.counters["packages_asked"] == 1
    assert site.gateway.counters["packages_sent_again"] == 0


async def test_server_time_is_told(site: Site) -> None:
    terminal = await site.terminal(edition=Edition.V2019)
    await terminal.log_in()
    terminal.send(0x0004)
    header, body = await terminal.receive()
    assert (header.message_id, len(body)) == (0x8004, 6)


# ---- what is not taken


async def test_a_report_before_authentication_is_refused_and_not_kept(site: Site) -> None:
    terminal = await site.terminal()
    assert await terminal.ask(0x0200, REPORT) == 1
    await terminal.register()
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await site.journaled() == []
    assert site.counters["messages_refused{reason=unauthenticated}"] == 2


async def test_three_wrong_codes_end_the_link(site: Site) -> None:
    await (await site.terminal()).log_in()
    terminal = await site.terminal()
    for _ in range(3):
        assert await terminal.authenticate("wrong") == 1
    await terminal.until_closed()
    assert site.counters["auth_failures{reason=wrong_code}"] == 3
    assert site.counters["links_ended{reason=auth_failures}"] == 1


async def test_an_unknown_terminal_has_to_register(site: Site) -> None:
    terminal = await site.terminal()
    assert await terminal.authenticate("anything") == 1
    assert site.counters["auth_failures{reason=unknown}"] == 1
    await terminal.log_in()


async def test_junk_costs_no_link(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    spoilt = bytearray(terminal.frame(0x0200, REPORT))
    spoilt[20] ^= 0x55
    terminal.write(b"GET / HTTP/1.1\r\n\r\n\x7e\x7e\x01\x7e" + bytes(spoilt) + bytes(5000) + b"\x7e")
    assert await terminal.ask(0x0200, REPORT) == 0
    bad = {name: count for name, count in site.counters.items() if name.startswith("frames_bad")}
    assert set(bad) == {"frames_bad{reason=too_short}", "frames_bad{reason=bad_check}", "frames_bad{reason=too_long}"}


async def test_a_registration_that_cannot_be_read_is_called_wrong(site: Site) -> None:
    terminal = await site.terminal()
    assert await terminal.ask(0x0100, b"short") == 2
    assert site.counters["registrations_refused{reason=unreadable}"] == 1


async def test_another_phone_on_an_authenticated_link_is_refused(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    terminal.phone = "13999999999"
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await site.journaled() == []


async def test_silence_before_authentication_ends_the_link(tmp_path: Path) -> None:
    async with running(tmp_path, unauthenticated_s=0.05) as site:
        terminal = await site.terminal()
        await terminal.until_closed()
        assert site.counters["links_ended{reason=unauthenticated_time}"] == 1


async def test_silence_after_authentication_ends_the_link_and_the_session(tmp_path: Path) -> None:
    async with running(tmp_path, idle_s=0.3) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        await terminal.until_closed()
        *_, end = await site.facts()
        assert isinstance(end, SessionChange)
        assert (end.online, end.reason) == (False, "idle")
        assert len(site.gateway.sessions) == 0


async def test_endless_talk_before_authentication_ends_the_link(tmp_path: Path) -> None:
    async with running(tmp_path, unauthenticated_bytes=1000) as site:
        terminal = await site.terminal()
        terminal.write(b"\x7e" + bytes(3000))
        await terminal.until_closed()
        assert site.counters["links_ended{reason=unauthenticated_bytes}"] == 1


async def test_too_many_links_from_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.addresses.is_loopback", lambda host: False)
    async with running(tmp_path, max_connections_per_address=2) as site:
        first, second = await site.terminal("1"), await site.terminal("2")
        await first.log_in()
        await second.log_in()
        third = await site.terminal("3")
        await third.until_closed()
        assert site.counters["links_refused{reason=address_full}"] == 1
        first.close()
        await until(lambda: len(site.gateway._links) == 1)
        await (await site.terminal("4")).log_in()


async def test_too_many_udp_links_from_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.addresses.is_loopback", lambda host: False)
    async with running(tmp_path, max_connections_per_address=2) as site:
        first, second = await site.udp_terminal("1"), await site.terminal("2")  # both transports count
        code = await first.log_in()
        await second.log_in()
        third = await site.udp_terminal("3")
        third.send(0x0100, register_body())
        await until(lambda: site.counters["links_refused{reason=address_full}"] == 1)
        assert await first.ask(0x0200, REPORT) == 0  # who is there stays
        assert third.waiting == 0
        moved = await site.udp_terminal("1")  # a NAT that forgot the first port: that is one more
        moved.send(0x0102, code.encode())
        await until(lambda: site.counters["links_refused{reason=address_full}"] == 2)
        second.close()
        await until(lambda: len(site.gateway._links) == 0)
        assert await moved.authenticate(code) == 0
        assert site.counters["links_ended{reason=displaced}"] == 1
        await (await site.udp_terminal("3")).log_in()  # the place of the one that was displaced


async def test_udp_links_over_loopback_have_no_bound_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, max_connections_per_address=1) as site:
        for phone in ("1", "2", "3"):
            await (await site.udp_terminal(phone)).log_in()
        assert site.counters["links_refused{reason=address_full}"] == 0


async def test_a_terminal_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    limits = {"write_high_water_bytes": 1000, "write_max_bytes": 4000, "write_stall_s": 0.2, "messages_per_s": 0.0}
    async with running(tmp_path, **limits) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        link: Any = site.gateway.sessions.get(PHONE)
        link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        terminal._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        terminal._transport.pause_reading()
        heartbeats = b"".join(terminal.frame(0x0002) for _ in range(20_000))
        terminal.write(heartbeats)
        await until(lambda: link.is_ended)
        assert site.counters["links_choked"] >= 1  # it may take a little, and no more
        assert site.counters["links_ended{reason=answers_not_read}"] == 1
        terminal._transport.abort()


async def test_the_last_answers_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A peer that reads a little of what was left when its link was closed does not stop the timer that ends it."""
    async with running(tmp_path, write_high_water_bytes=1000, write_max_bytes=1 << 30, messages_per_s=0.0) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        link: Any = site.gateway.sessions.get(PHONE)
        link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        terminal._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        terminal._transport.pause_reading()
        terminal.write(b"".join(terminal.frame(0x0002) for _ in range(20_000)))
        await until(lambda: site.counters["links_choked"])
        choked = link._stall
        link.end("disconnected")
        assert choked.cancelled()
        assert link._stall is not choked
        link.resume_writing()
        assert not link._stall.cancelled()
        terminal._transport.abort()


# ---- enrolment


async def test_approve_refuses_and_lists_the_unknown(tmp_path: Path) -> None:
    async with running(tmp_path, enrolment="approve") as site:
        terminal = await site.terminal()
        assert await terminal.register() == (4, "")
        assert await terminal.register() == (4, "")
        _, *refused = await site.facts()
        (fact,) = refused  # the second one, within the minute, is only answered
        assert isinstance(fact, RefusedRegistration)
        assert (fact.phone, fact.terminal_id, fact.plate, fact.reason) == (PHONE, "T000001", "辽A12345", "unknown")
        assert fact.peer.startswith("127.0.0.1:")
        assert site.counters["registrations_refused{reason=unknown}"] == 2


async def test_approve_takes_in_what_an_administrator_approved(tmp_path: Path) -> None:
    async with running(tmp_path, enrolment="approve") as site:
        terminal = await site.terminal()
        assert await terminal.register() == (4, "")
        site.gateway._identities.synchronise([Identity(PHONE, APPROVED)], is_all=True)
        await terminal.log_in()
        impostor = await site.terminal()
        assert await impostor.register(terminal_id="T999999") == (3, "")
        assert await terminal.ask(0x0200, REPORT) == 0


async def test_the_blocked_are_sent_away_and_stay_away(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    site.gateway._identities.synchronise([Identity(PHONE, BLOCKED)], is_all=False)
    await terminal.until_closed()
    again = await site.terminal()
    assert await again.register() == (4, "")
    assert await again.authenticate(code) == 1
    assert site.counters["auth_failures{reason=blocked}"] == 1


async def test_a_flood_of_made_up_phones_does_not_fill_the_journal(tmp_path: Path) -> None:
    gate = login.RefusalGate()
    assert sum(gate.passes(str(number), 5_000_000) for number in range(1000)) == login.REFUSED_PER_S
    assert gate.passes("another", 6_000_000)
    assert not gate.passes("another", 6_000_001)
    assert gate.passes("another", 6_000_000 + login.REFUSED_AGAIN_AFTER_US)


async def test_open_enrolment_has_a_bound(tmp_path: Path) -> None:
    async with running(tmp_path, max_terminals=1) as site:
        await (await site.terminal("1")).log_in()
        assert await (await site.terminal("2")).register() == (4, "")
        assert site.counters["registrations_refused{reason=too_many_terminals}"] == 1


async def test_unregistering_revokes_the_code(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    assert await terminal.ask(0x0003) == 0
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await terminal.authenticate(code) == 1
    facts = await site.facts()
    assert [type(fact) for fact in facts] == [
        GatewayStarted, Registration, SessionChange, Unregistered, SessionChange,
    ]  # fmt: skip
    assert isinstance(facts[-1], SessionChange)
    assert (facts[-1].online, facts[-1].reason) == (False, "unregistered")
    await terminal.log_in()


# ---- sessions


async def test_the_newest_login_wins(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    old, new = await site.terminal(), await site.terminal()
    code = await old.log_in()
    assert await new.authenticate(code) == 0
    await old.until_closed()
    assert await new.ask(0x0200, REPORT) == 0
    changes = [fact for fact in await site.facts() if isinstance(fact, SessionChange)]
    assert [(change.online, change.reason) for change in changes] == [(True, ""), (False, "displaced"), (True, "")]
    assert "displaces" in caplog.text
    assert len(site.gateway.sessions) == 1


async def test_authenticating_twice_is_one_session(site: Site) -> None:
    terminal = await site.terminal()
    code = await terminal.log_in()
    assert await terminal.authenticate(code) == 0
    assert len([fact for fact in await site.facts() if isinstance(fact, SessionChange)]) == 1


async def test_a_link_that_ends_ends_the_session(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    terminal.close()
    await until(lambda: len(site.gateway.sessions) == 0)
    *_, end = await site.facts()
    assert isinstance(end, SessionChange)
    assert (end.online, end.reason) == (False, "closed_by_terminal")


async def test_registering_again_ends_the_session_not_the_link(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    _, code = await terminal.register(plate="辽B00001")
    assert await terminal.ask(0x0200, REPORT) == 1
    assert await terminal.authenticate(code) == 0
    changes = [fact for fact in await site.facts() if isinstance(fact, SessionChange)]
    assert [(change.online, change.reason) for change in changes] == [
        (True, ""), (False, "registers_again"), (True, ""),
    ]  # fmt: skip


async def test_two_terminals_behind_one_udp_address(site: Site) -> None:
    one = await site.udp_terminal("13900000001")
    code = await one.log_in()
    one.phone = "13900000002"
    await one.log_in()
    one.phone = "13900000001"
    assert await one.ask(0x0200, REPORT) == 0
    assert len(site.gateway.sessions) == 2
    assert code


async def test_udp_links_have_a_bound(tmp_path: Path) -> None:
    async with running(tmp_path, max_udp_links=1) as site:
        await (await site.udp_terminal("1")).log_in()
        stranger = await site.udp_terminal("2")
        stranger.send(0x0100, register_body())
        await until(lambda: site.counters["links_refused{reason=udp_full}"])
        assert stranger.waiting == 0


# ---- the journal in trouble


async def test_a_slow_journal_stops_the_reading_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, max_pending_bytes=100_000) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        gate = hold_journal(site)
        sent = [terminal.send(0x0200, REPORT + bytes(900)) for _ in range(60)]
        await until(lambda: site.gateway.is_pressed)
        late = [terminal.send(0x0200, REPORT + bytes(900)) for _ in range(30)]
        gate.set()
        assert [(await terminal.general())[0] for _ in range(90)] == sent + late
        assert not site.gateway.is_pressed
        assert len(await site.journaled()) == 90
        assert not any(name.startswith("journal_dropped") for name in site.counters)


async def test_a_full_disk_keeps_the_links_and_promises_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, max_pending_bytes=20_000, max_displacements_per_minute=100) as site:
        terminal = await site.terminal()
        code = await terminal.log_in()
        await site.gateway._journal.flush()
        file: Any = site.gateway._journal._file
        write = file.write

        def full(records: int, parts: Sequence[bytes]) -> int:
            raise OSError(28, "No space left on device")

        file.write = full
        for _ in range(40):
            terminal.send(0x0200, REPORT + bytes(900))
        assert await terminal.ask(0x0002) == 0  # heartbeats go on
        await until(lambda: site.gateway._journal.is_failing)
        for _ in range(40):
            terminal.send(0x0200, REPORT + bytes(900))
        assert await terminal.ask(0x0002) == 0
        assert site.counters["journal_dropped{reason=full}"] > 0
        # Link ends are facts that nobody sends again: enough of them use the reserve up.
        for _ in range(40):
            newer = await site.terminal()
            assert await newer.authenticate(code) == 0
        file.write = write
        await site.gateway._journal.flush()
        facts = await site.facts()
        assert site.counters["journal_dropped{reason=urgent}"] > 0
        assert [type(fact) for fact in facts[-2:]] == [GatewayStarted, SessionChange]  # how things stand, told anew
        assert len(await site.journaled()) < 80


# ---- control


async def test_control(site: Site) -> None:
    client = ControlClient(control_path(site.gateway.config.data_dir))
    running_client = asyncio.create_task(client.run())
    await until(lambda: client.is_connected)
    assert await client.request("prepare", phone=PHONE) == {"state": "offline"}
    assert await client.request("send", phone=PHONE, message_id=0x8300, body="", serial_no=None) == {"state": "offline"}
    terminal = await site.terminal(edition=Edition.V2019)
    code = await terminal.log_in()
    ready = await client.request("prepare", phone=PHONE)
    assert (ready["state"], ready["edition"]) == ("ready", "2019")
    serial_no = ready["serial_no"]
    for _ in range(2):  # a retransmission is the same message
        sent = await client.request("send", phone=PHONE, message_id=0x8300, body="0101", serial_no=serial_no)
        assert sent == {"state": "sent", "serial_no": serial_no, "edition": "2019"}
        header, body = await terminal.receive()
        assert (header.message_id, header.serial_no, body) == (0x8300, serial_no, b"\x01\x01")
    sent = await client.request("send", phone=PHONE, message_id=0x8300, body="00" * 1024, serial_no=None)
    assert sent["state"] == "sent"
    assert [(await terminal.receive())[0].package_no for _ in range(2)] == [1, 2]
    assert await client.request("edition", phone=PHONE) == {"edition": "2019"}
    assert await client.request("sessions") == {"phones": [PHONE]}
    stats = await client.stats()
    assert stats["gateway_sessions"] == 1
    assert stats["gateway_links{transport=tcp}"] == 1
    assert stats["gateway_registrations_total"] == 1
    assert stats["gateway_journal_size_bytes"] > 0
    assert await client.request("disconnect", phone=PHONE, reason="test") == {"found": True}
    await terminal.until_closed()
    # Serial numbers go on with the terminal, so that a late answer hits no newer question.
    again = await site.terminal(edition=Edition.V2019)
    assert await again.authenticate(code, "861234567890123") == 0
    later = await client.request("prepare", phone=PHONE)
    assert later["serial_no"] > serial_no
    running_client.cancel()
    await asyncio.gather(running_client, return_exceptions=True)


# ---- end


async def test_closing_answers_what_is_under_way_and_logs_everybody_off(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        sent = [terminal.send(0x0200, REPORT) for _ in range(50)]
        await until(lambda: site.counters["messages_received"] == 50)
        await site.gateway.close()
        assert [(await terminal.general())[0] for _ in range(50)] == sent
        await terminal.until_closed()
    end = facts_in(tmp_path)[-1]
    assert isinstance(end, SessionChange)
    assert (end.online, end.reason) == (False, "gateway_stopped")


async def test_a_registration_under_way_at_the_end_is_journaled(tmp_path: Path) -> None:
    gate = threading.Event()
    async with running(tmp_path) as site:
        file: Any = site.gateway._identities._file
        write = file.write
        file.write = lambda changed, removed: gate.wait(60) and write(changed, removed)
        terminal = await site.terminal()
        terminal.send(0x0100, register_body())
        await until(lambda: site.gateway._identities._writing)
        closing = asyncio.create_task(site.gateway.close())
        await terminal.until_closed()
        gate.set()
        await closing
    assert [fact.phone for fact in facts_in(tmp_path) if isinstance(fact, Registration)] == [PHONE]


async def test_what_runs_beside_and_fails_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(every_s: float) -> None:
        raise RuntimeError("no such memory")

    monkeypatch.setattr("ingest.gateway.give_back_for_ever", fail)
    async with running(tmp_path):
        await until(lambda: "give memory back has failed" in caplog.text)
        assert "no such memory" in caplog.text


async def test_a_gateway_that_cannot_start_says_why_and_leaves_nothing_open(site: Site, tmp_path: Path) -> None:
    port = int(site.address.rsplit(":", 1)[1])
    with pytest.raises(JournalError, match="another process is writing"):
        await run_gateway(GatewayConfig(tmp_path, "127.0.0.1", 0), stop=asyncio.Event())
    other = tmp_path / "other"
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        await run_gateway(GatewayConfig(other, "127.0.0.1", port), stop=asyncio.Event())
    async with running(other) as second:
        await (await second.terminal()).log_in()
    assert await (await site.terminal()).register() != (1, "")


def test_tcp_and_udp_share_a_port() -> None:
    tcp, udp = bind_both("127.0.0.1", 0)
    assert tcp.getsockname() == udp.getsockname()
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:"):
        bind_both("127.0.0.1", udp.getsockname()[1])
    tcp.close()
    udp.close()


PROCESS = """
import sys
from pathlib import Path
import uvloop
from ingest.gateway import GatewayConfig, run_gateway
config = GatewayConfig(data_dir=Path(sys.argv[1]), bind="127.0.0.1", port=0, enrolment="open")
uvloop.run(run_gateway(config, on_ready=lambda address: print(address, flush=True)))
"""


def gateway_process(data_dir: Path, settings: str = "", patch: str = "") -> tuple[subprocess.Popen[str], str]:
    """A gateway on its own, and where it listens. ``patch``: an assignment to a constant of `ingest.draining`."""
    program = PROCESS.replace("port=0,", f"port=0, {settings}")
    if patch:
        program = f"from ingest import draining\ndraining.{patch}\n" + program
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_answered_outlives_the_process(tmp_path: Path, number: signal.Signals) -> None:
    process, address = await asyncio.to_thread(gateway_process, tmp_path)
    terminals = [await Terminal.connect(address, str(13900000000 + i)) for i in range(10)]
    for terminal in terminals:
        await terminal.log_in()
    for round_no in range(30):
        for terminal in terminals:
            terminal.send(0x0200, REPORT + struct.pack(">H", round_no))
    answered: set[tuple[str, int]] = set()
    for terminal in terminals:
        for _ in range(10):
            await terminal.general()
    process.send_signal(number)
    for terminal in terminals:
        await terminal.until_closed()
    for terminal in terminals:
        count = 10
        while terminal.waiting:
            await terminal.general()
            count += 1
        answered |= {(terminal.phone, round_no) for round_no in range(count)}
    code = await asyncio.to_thread(process.wait, 20)
    assert process.stdout is not None
    process.stdout.close()
    stored = {(phone, struct.unpack(">H", body[-2:])[0]) for phone, _, body in messages_in(tmp_path)}
    assert answered <= stored
    if number == signal.SIGTERM:
        assert code == 0
        assert len([f for f in facts_in(tmp_path) if isinstance(f, SessionChange) and not f.online]) == 10
    # and the next process goes on with it
    process, address = await asyncio.to_thread(gateway_process, tmp_path)
    terminal = await Terminal.connect(address)
    await terminal.log_in()
    assert await terminal.ask(0x0200, REPORT) == 0
    terminal.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert process.stdout is not None
    process.stdout.close()
    assert len(messages_in(tmp_path)) == len(stored) + 1


# ---- what a link may cost


async def test_what_can_wait_is_done_in_turns_and_a_failure_costs_no_other_its_own(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(turns_module.time, "perf_counter", lambda: next(clock) * turns_module.WORK_S_PER_TURN / 10)
    gateway, done = site.gateway, list[int]()

    def work(number: int) -> Callable[[], None]:
        return lambda: done.append(number // (number != 30))  # one fails

    for number in range(100):
        gateway.turns.add(work(number))
    await asyncio.sleep(0)
    assert 5 < len(done) < 15
    await until(lambda: len(done) == 99)
    assert done == [number for number in range(100) if number != 30]
    assert site.counters["link_failures"] == 1
    gateway.turns.add(work(0))
    await until(lambda: done[-1] == 0)


@pytest.mark.parametrize("is_reset", [False, True])
async def test_terminals_that_all_hang_up_at_once_are_logged_off_in_turns(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_reset: bool
) -> None:
    terminals = [await site.terminal(f"139{number:08d}") for number in range(40)]
    for terminal in terminals:
        await terminal.log_in()
    clock = iter(range(10**9))
    monkeypatch.setattr(turns_module.time, "perf_counter", lambda: next(clock) * turns_module.WORK_S_PER_TURN / 10)
    monkeypatch.setattr(turns_module, "PAUSE_S", 0.0)
    for terminal in terminals:
        terminal.close(reset=is_reset)
    left = [40]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(len(site.gateway.sessions))
    assert max(before - after for before, after in pairwise(left)) <= 10
    reason = "connection_lost" if is_reset else "closed_by_terminal"
    assert site.counters[f"links_ended{{reason={reason}}}"] == 40


async def test_who_hangs_up_and_comes_back_at_once_displaces_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, logins_per_minute=100) as site:
        terminal = await site.terminal()
        _, code = await terminal.register()
        for _ in range(20):
            assert await terminal.authenticate(code) == 0
            terminal.close()
            terminal = await site.terminal()
        await until(lambda: not site.gateway.sessions)
        assert site.counters["links_ended{reason=closed_by_terminal}"] == 20
        assert site.counters["sessions_displaced"] == 0


async def test_a_terminal_that_sends_too_much_is_read_more_slowly_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=100.0, burst=10) as site:
        fast, other = await site.terminal(), await site.terminal("13900000001")
        await fast.log_in()  # two messages of its burst
        await other.log_in()
        began = asyncio.get_running_loop().time()
        reports = [fast.send(0x0200, REPORT) for _ in range(30)]
        assert await other.ask(0x0200, REPORT) == 0  # nobody else waits
        assert [(await fast.general())[0] for _ in reports] == reports
        await fast.ask(0x0002)
        assert asyncio.get_running_loop().time() - began >= 0.15  # 31 messages, 10 of them at once
        assert site.counters["links_throttled"] > 0


async def test_a_large_read_is_taken_in_slices_and_all_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=2_000.0, burst=100) as site:
        terminal = await site.terminal()
        await terminal.log_in()
        serials = [(terminal.serial_no + number) & 0xFFFF for number in range(2000)]
        terminal.write(b"".join(terminal.frame(0x0200, REPORT) for _ in serials))
        assert [(await terminal.general())[0] for _ in serials] == serials
        assert await terminal.ask(0x0200, REPORT) == 0
        assert site.counters["links_throttled"] > 0


async def test_a_datagram_above_the_rate_is_dropped_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_s=0.001, burst=5) as site:
        terminal = await site.udp_terminal()
        await terminal.log_in()
        for _ in range(10):
            terminal.send(0x0002)
        await until(lambda: site.counters["datagrams_dropped{reason=rate}"] >= 6)


async def test_a_terminal_behind_tls(tmp_path: Path) -> None:
    pem = Path(__file__).parent / "tls" / "localhost.pem"
    async with running(tmp_path, tls_port=0, tls_certificate=pem) as site:
        terminal = Terminal()
        host, port = address_of(site.gateway.tls_address or "")
        context = ssl.create_default_context(cafile=str(pem))
        await asyncio.get_running_loop().create_connection(lambda: terminal, host, port, ssl=context)
        await terminal.log_in()
        assert await terminal.ask(0x0200, REPORT) == 0
        session = (await site.facts())[-1]
        assert isinstance(session, SessionChange)
        assert session.transport == "tls"
        plain = await Terminal.connect(f"{host}:{port}")
        plain.send(0x0002)
        await plain.until_closed()
        terminal.close()


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.pem"):
        async with running(tmp_path, tls_port=0, tls_certificate=tmp_path / "nothing.pem"):
            pass


async def test_half_open_links_are_looked_for_and_kernel_buffers_are_small(site: Site) -> None:
    terminal = await site.terminal()
    await terminal.log_in()
    (link,) = site.gateway.sessions.links()
    assert isinstance(link, TcpLink)
    transport = link._transport
    assert transport is not None
    sock = transport.get_extra_info("socket")
    for level, option, value in LINK_OPTIONS:
        expected = value * 2 if option in (socket.SO_RCVBUF, socket.SO_SNDBUF) and level == socket.SOL_SOCKET else value
        assert sock.getsockopt(level, option) == expected
    link.connection_lost(TimeoutError(errno.ETIMEDOUT, "gone"))
    await until(lambda: not site.gateway.sessions)
    assert site.counters["links_ended{reason=half_open}"] == 1
    transport.abort()

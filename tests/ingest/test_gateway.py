"""The gateway over real sockets: who registers, authenticates and reports is answered, each its own and in order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet import Registration, SessionChange
from ingest.identities import hash_auth_code
from jt808.header import Edition
from tests.ingest.terminals import PHONE, REPORT, Site, control, running
from tests.ingest.waiting import until

EDITIONS = [(PHONE, Edition.V2011), (PHONE, Edition.V2013), (PHONE, Edition.V2019)]


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


async def test_server_time_is_told(site: Site) -> None:
    terminal = await site.terminal(edition=Edition.V2019)
    await terminal.log_in()
    before = datetime.now(UTC).replace(microsecond=0)
    terminal.send(0x0004)
    header, body = await terminal.receive()
    assert header.message_id == 0x8004
    assert before <= datetime.strptime(body.hex() + "+0000", "%y%m%d%H%M%S%z") <= datetime.now(UTC)


async def test_the_core_sends_and_asks_over_the_control_link(site: Site) -> None:
    async with control(site.gateway.config.data_dir) as client:
        assert await client.request("prepare", phone=PHONE) == {"state": "offline"}
        assert await client.request("send", phone=PHONE, message_id=0x8300, body="", serial_no=None) == {
            "state": "offline"
        }
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
        stats = await client.stats()
        assert stats["gateway_sessions"] == 1
        assert stats["gateway_links{transport=tcp}"] == 1
        assert stats["gateway_registrations_total"] == 1
        assert stats["gateway_journal_size_bytes"] > 0
        terminal.close()
        await until(lambda: not site.gateway.sessions)
        # Serial numbers go on with the terminal, so that a late answer hits no newer question.
        again = await site.terminal(edition=Edition.V2019)
        assert await again.authenticate(code, "861234567890123") == 0
        later = await client.request("prepare", phone=PHONE)
        assert later["serial_no"] > serial_no

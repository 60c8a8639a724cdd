"""What the gateway does not take: messages before the login, wrong codes, junk, another's phone."""

from __future__ import annotations

from tests.ingest.terminals import REPORT, Site


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

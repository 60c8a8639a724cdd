"""What a command is on the wire, and what becomes of one that cannot be put there."""

from __future__ import annotations

from typing import Any

import pytest

from downlink import CommandError, Composed, compose
from jt808.header import Edition
from jt808.messages import LocationQuery, TextMessage, decode_body
from tests.ingest.command_desk import Bench


def test_a_text_is_composed_for_the_edition() -> None:
    payload = {"text": "前方拥堵", "urgent": True, "tts": True}
    message_id, body, *_ = compose("text", payload, Edition.V2013)
    assert message_id == 0x8300
    assert decode_body(message_id, Edition.V2013, body) == TextMessage(0b1101, "前方拥堵")
    message_id, body, *_ = compose("text", payload, Edition.V2019)
    message = decode_body(message_id, Edition.V2019, body)
    assert isinstance(message, TextMessage)
    assert (message.text, message.text_type) == ("前方拥堵", 1)


def test_locate_is_a_location_query() -> None:
    message_id, body, *_ = compose("locate", {}, Edition.V2011)
    assert (message_id, body) == (0x8201, b"")
    assert isinstance(decode_body(message_id, Edition.V2011, body), LocationQuery)


@pytest.mark.parametrize(("kind", "payload"), [("text", {}), ("text", {"text": 5}), ("explode", {})])
def test_what_is_no_command_is_said(kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match=kind):
        compose(kind, payload, Edition.V2013)


@pytest.mark.postgres
async def test_what_cannot_be_composed_fails_with_its_reason(bench: Bench) -> None:
    command = await bench.give_and_send("text", {"text": ""})
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("failed", 0)
    assert "text" in row["reason"]


@pytest.mark.postgres
async def test_a_bug_in_one_command_costs_that_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.come_online()
    bad, good = await bench.give("text", {"text": "bad"}), await bench.give()

    def composed(name: str, payload: dict[str, Any], edition: Edition) -> Composed:
        if payload["text"] == "bad":
            raise ZeroDivisionError
        return compose(name, payload, edition)

    monkeypatch.setattr("ingest.commands.sending.compose", composed)
    await bench.desk.look()
    assert (await bench.row(bad))["reason"] == "the server cannot make a message of it; see its log"
    assert [await bench.state(bad), await bench.state(good)] == ["failed", "sent"]


@pytest.mark.postgres
async def test_what_the_gateway_cannot_read_costs_that_one(bench: Bench) -> None:
    await bench.come_online()
    await bench.come_online("1")
    bad, good = await bench.give(phone="1"), await bench.give()
    bench.control.unreadable = {"1"}
    await bench.desk.look()
    assert [await bench.state(bad), await bench.state(good)] == ["failed", "sent"]


@pytest.mark.postgres
async def test_a_long_message_takes_its_serial_numbers_together(bench: Bench) -> None:
    await bench.come_online()
    points = [[41.0 + n / 1000, 123.0] for n in range(500)]
    command = await bench.give("area_set", {"area_id": 1, "area": {"shape": "polygon", "points": points}})
    await bench.desk.look()
    assert [request.get("count") for request in bench.control.prepared] == [None, 4]
    ((count, serial_no),) = await bench.execute("SELECT package_count, serial_no FROM commands")
    assert (count, serial_no) == (4, bench.control.sent[0]["serial_no"])
    answered = await bench.answer(request_serial_no=serial_no + 3, request_message_id=0x8604)  # names the last package
    assert answered == [command]
    assert await bench.state(command) == "acknowledged"

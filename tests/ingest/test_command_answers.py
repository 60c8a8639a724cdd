"""What a terminal answers, and to which command: refused, acknowledged, a dedicated answer, or to none at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ingest.command_desk import Bench


@pytest.mark.postgres
async def test_refused(bench: Bench) -> None:
    command = await bench.give_and_send()
    assert await bench.answer(result=3) == [command]
    row = await bench.row(command)
    assert (row["state"], row["result"], row["reason"]) == ("refused", 3, "the terminal says: not supported")


@pytest.mark.postgres
async def test_a_dedicated_answer(bench: Bench) -> None:
    command = await bench.give_and_send("locate", {})
    assert bench.control.sent[0]["message_id"] == 0x8201
    first = {"request_message_id": 0x8201}
    assert await bench.answer(**first) == [command]  # some say both
    dedicated = {"request_message_id": None, "message_id": 0x0201, "result": None, "answer": {"latitude_deg": 41.8}}
    assert await bench.answer(**dedicated) == [command]
    row = await bench.row(command)
    assert (row["state"], row["result"], row["answer"]) == ("answered", 0, {"latitude_deg": 41.8})
    assert await bench.answer(**dedicated) == []
    assert await bench.answer(**first) == []


@pytest.mark.postgres
async def test_a_dedicated_answer_that_says_no(bench: Bench) -> None:
    command = await bench.give_and_send("photo", {"channel": 3})
    await bench.answer(
        message_id=0x0805, request_message_id=None, result=None, answer={"result": 2}, refusal="channel not supported"
    )
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("refused", "the terminal says: channel not supported")


@pytest.mark.postgres
async def test_acknowledged_and_still_open_until_the_dedicated_answer(bench: Bench) -> None:
    command = await bench.give_and_send("parameters_query", {})
    assert await bench.answer(request_message_id=0x8104) == [command]
    assert await bench.state(command) == "acknowledged"
    values = {"message_id": 0x0104, "request_message_id": None, "result": None, "answer": {"parameters": []}}
    assert await bench.answer(**values) == [command]
    assert (await bench.row(command))["answer"] == {"parameters": []}


@pytest.mark.postgres
async def test_acknowledged_and_never_answered(bench: Bench) -> None:
    command = await bench.give_and_send("parameters_query", {})
    await bench.answer(request_message_id=0x8104)
    await bench.age(61)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("timed_out", "the terminal acknowledged it and did not answer in time")


@pytest.mark.postgres
async def test_photos_are_counted_against_what_the_terminal_promised(bench: Bench) -> None:
    command = await bench.give_and_send("photo", {"count": 3})
    ((progress,),) = await bench.execute("SELECT progress FROM commands")
    assert progress == {"arrived": 0, "total": 3}
    await bench.answer(message_id=0x0805, request_message_id=None, result=None, answer={"media_ids": [5, 6]})
    ((progress,),) = await bench.execute("SELECT progress FROM commands")
    assert progress == {"arrived": 0, "total": 2}
    assert await bench.state(command) == "answered"


@pytest.mark.postgres
@pytest.mark.parametrize(
    "other", [{"phone": "1"}, {"request_serial_no": 102}, {"request_message_id": 0x8201}, {"message_id": 0x0201}]
)
async def test_an_answer_to_something_else_changes_nothing(bench: Bench, other: dict[str, Any]) -> None:
    command = await bench.give_and_send()
    assert await bench.answer(**other) == []
    assert await bench.state(command) == "sent"


@pytest.mark.postgres
async def test_an_answer_that_fits_no_command_is_counted(bench: Bench) -> None:
    command = await bench.give_and_send()
    for other in ({"phone": "1"}, {"request_serial_no": 102}, {"request_message_id": 0x8201}):
        assert await bench.answer(**other) == []
        assert bench.applied.unmatched == {0x0001: 1}
    card = {"request_serial_no": None, "request_message_id": None, "message_id": 0x0702, "result": None, "answer": {}}
    await bench.answer(**card)  # nobody asked for it
    assert bench.applied.unmatched == {0x0702: 1}
    assert await bench.answer() == [command]
    assert not bench.applied.unmatched
    assert await bench.answer() == []  # once more
    assert not bench.applied.unmatched


@pytest.mark.postgres
async def test_of_two_with_one_serial_number_the_newest_is_meant(bench: Bench) -> None:
    await bench.come_online()
    old, new = await bench.give(), await bench.give()
    await bench.desk.look()
    await bench.execute("UPDATE commands SET serial_no = 500")
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 hour' WHERE id = %s", old)
    assert await bench.answer(request_serial_no=500) == [new]


@pytest.mark.postgres
async def test_a_repeated_answer_is_not_an_older_commands(bench: Bench) -> None:
    """Serial numbers come round: the newest command with that number is meant, also when it is over."""
    await bench.come_online()
    old, new = await bench.give("locate", {}), await bench.give("locate", {})
    await bench.desk.look()
    await bench.execute("UPDATE commands SET serial_no = 500")
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 hour' WHERE id = %s", old)
    dedicated = {"request_serial_no": 500, "request_message_id": None, "message_id": 0x0201, "result": None}
    assert await bench.answer(**dedicated, answer={"latitude_deg": 41.8}) == [new]
    assert await bench.answer(**dedicated, answer={"latitude_deg": 41.8}) == []
    assert await bench.state(old) == "sent"
    assert not bench.applied.unmatched


@pytest.mark.postgres
async def test_an_answer_without_a_serial_number_is_the_newest_open_ones(bench: Bench) -> None:
    await bench.come_online()
    old, new = await bench.give("attributes", {}), await bench.give("attributes", {})
    other = await bench.give("driver", {})
    await bench.desk.look()
    await bench.execute("UPDATE commands SET sent_at = sent_at - interval '1 min' WHERE id = %s", old)
    values = {"request_serial_no": None, "message_id": 0x0107, "request_message_id": None, "result": None,
              "answer": {"firmware_version": "1"}}  # fmt: skip
    assert await bench.answer(**values) == [new]
    assert await bench.answer(**values) == [old]  # the next open one
    assert await bench.answer(**values) == []
    assert await bench.state(other) == "sent"

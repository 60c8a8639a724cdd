"""Stored recordings asked for (0x8803, 0x8805): open until they have come, counted, asked for anew after a login."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

import pytest

from store import Database
from store.queries import media as queries
from tests.ingest.command_desk import Bench
from tests.ingest.terminals import PHONE
from tests.store.media import upload

IMAGES = {"media": "image"}


class Retrieval(Bench):
    async def acknowledge(self, message_id: int = 0x8803) -> None:
        serial_no = self.control.sent[-1]["serial_no"]
        await self.answer(request_serial_no=serial_no, request_message_id=message_id)

    async def arrives(self, media_id: int, **changes: Any) -> list[uuid.UUID]:
        """An upload; the commands that it changed."""
        now_us = int(time.time() * 1e6)
        content = b"\xff\xd8\xff\xe0" + bytes([media_id])
        item = replace(upload(content, media_id=media_id, phone=PHONE, **changes), received_us=now_us)
        async with self.database.connection() as connection:
            _, events = await queries.insert(connection, [item])
        return [event.command_id for event in events]

    async def log_in_again(self) -> None:
        await self.execute("UPDATE terminal_presence SET since = clock_timestamp()")
        self.desk._online.add(PHONE)

    async def progress(self, command: uuid.UUID) -> dict[str, Any]:
        ((progress,),) = await self.execute("SELECT progress FROM commands WHERE id = %s", command)
        assert isinstance(progress, dict)
        return progress


@pytest.fixture
async def bench(postgresql_database: Database) -> Retrieval:
    bench = Retrieval(postgresql_database)
    await bench.come_online()
    return bench


@pytest.mark.postgres
async def test_it_goes_on_after_a_lost_link(bench: Retrieval) -> None:
    command = await bench.give("media_upload", IMAGES)
    await bench.desk.look()
    await bench.acknowledge()
    assert await bench.arrives(1) == [command]
    assert await bench.state(command) == "acknowledged"
    assert (await bench.progress(command))["arrived"] == 1
    await bench.age(1200)  # its time to be sent is long over
    await bench.log_in_again()
    await bench.desk.look()
    assert [sent["message_id"] for sent in bench.control.sent] == [0x8803, 0x8803]
    row = await bench.row(command)
    assert (row["state"], row["attempts"]) == ("sent", 2)
    await bench.acknowledge()
    assert await bench.arrives(1) == [command]  # it begins anew
    await bench.arrives(2)
    progress = await bench.progress(command)
    assert (progress["arrived"], len(progress["media_ids"])) == (2, 2)
    await bench.age(3601)
    await bench.desk.look()
    assert await bench.state(command) == "answered"  # no more came


@pytest.mark.postgres
async def test_a_look_asks_once_for_each_login(bench: Retrieval) -> None:
    await bench.give("media_upload", IMAGES)
    await bench.desk.look()
    await bench.acknowledge()
    await bench.desk.look()
    assert len(bench.control.sent) == 1  # the link is still the same
    await bench.log_in_again()
    for _ in range(3):
        await bench.desk.look()
    assert len(bench.control.sent) == 2


@pytest.mark.postgres
async def test_one_that_was_named_is_over_when_it_has_come(bench: Retrieval) -> None:
    command = await bench.give("media_upload", {"media_id": 5})
    await bench.desk.look()
    await bench.acknowledge(0x8805)
    assert await bench.arrives(6) == []
    assert await bench.arrives(5) == [command]
    assert await bench.state(command) == "answered"
    assert (await bench.progress(command))["arrived"] == 1
    await bench.log_in_again()
    await bench.desk.look()
    assert len(bench.control.sent) == 1


@pytest.mark.postgres
async def test_what_is_there_already_counts_for_who_asks_again(bench: Retrieval) -> None:
    first = await bench.give("media_upload", {"media_id": 5})
    await bench.desk.look()
    await bench.arrives(5)  # some send it without a 0x0001
    assert await bench.state(first) == "answered"
    second = await bench.give("media_upload", {"media_id": 5})
    await bench.desk.look()
    assert await bench.arrives(5) == [second]
    assert await bench.state(second) == "answered"
    assert await bench.execute("SELECT count(*), max(command_id) FROM (SELECT command_id::text FROM media) m") == [
        (1, str(second))
    ]


@pytest.mark.postgres
async def test_nothing_came(bench: Retrieval) -> None:
    command = await bench.give("media_upload", IMAGES)
    await bench.desk.look()
    await bench.acknowledge()
    await bench.age(3601)
    await bench.desk.look()
    row = await bench.row(command)
    assert (row["state"], row["reason"]) == ("timed_out", "the terminal acknowledged it and did not answer in time")
    assert await bench.arrives(1) == []  # an hour after it was asked for it is not its any more


@pytest.mark.postgres
async def test_each_upload_gives_the_next_its_time(bench: Retrieval) -> None:
    command = await bench.give("media_upload", IMAGES)
    await bench.desk.look()
    await bench.acknowledge()
    for media_id in (1, 2, 3):
        await bench.age(3000)
        assert await bench.arrives(media_id) == [command]
        await bench.desk.look()
    assert await bench.state(command) == "acknowledged"
    assert (await bench.progress(command))["arrived"] == 3


@pytest.mark.postgres
async def test_a_photo_is_not_taken_twice(bench: Retrieval) -> None:
    command = await bench.give("photo", {"count": 2})
    await bench.desk.look()
    await bench.answer(request_serial_no=bench.control.sent[-1]["serial_no"], request_message_id=0x8801)
    await bench.arrives(1)
    await bench.log_in_again()
    await bench.desk.look()
    assert len(bench.control.sent) == 1
    assert (await bench.progress(command))["arrived"] == 1

"""The link between gateway and core."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingest import control as control_module
from ingest.control import ControlClient, ControlServer, ControlUnavailable, control_path
from tests.ingest.waiting import until


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"said": request["text"]}


async def silent(request: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


HANDLERS = {"echo": echo, "silent": silent}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(control_path(tmp_path), HANDLERS)
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ControlClient]:
    client = ControlClient(control_path(tmp_path))
    task = asyncio.create_task(client.run())
    yield client
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_requests_are_answered_each_with_its_own(server: ControlServer, client: ControlClient) -> None:
    await until(lambda: client.is_connected)
    answers = await asyncio.gather(*(client.request("echo", text=f"{number}") for number in range(20)))
    assert answers == [{"said": f"{number}"} for number in range(20)]


async def test_errors_name_what_is_wrong(server: ControlServer, client: ControlClient) -> None:
    await until(lambda: client.is_connected)
    with pytest.raises(ValueError, match="KeyError: 'text'"):
        await client.request("echo")
    with pytest.raises(ValueError, match="nonsense"):
        await client.request("nonsense")
    assert await client.request("echo", text="still there") == {"said": "still there"}


async def test_rubbish_does_not_hurt_the_server(server: ControlServer, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(control_path(tmp_path)))
    writer.write(b"not json\n[1,2]\n" + b'{"id":5,"op":"echo","text":"x"}\n')
    assert b'"error"' in await reader.readline()
    assert b'"error"' in await reader.readline()
    assert await reader.readline() == b'{"id":5,"said":"x"}\n'
    writer.close()
    await writer.wait_closed()


async def test_the_socket_is_ours_alone(server: ControlServer, tmp_path: Path) -> None:
    assert control_path(tmp_path).stat().st_mode & 0o077 == 0


async def test_the_client_waits_for_the_server_and_finds_it_again(tmp_path: Path, client: ControlClient) -> None:
    with pytest.raises(ControlUnavailable, match="not connected"):
        await client.request("echo", text="x")
    assert await client.stats() == {}
    for _ in range(2):
        server = ControlServer(control_path(tmp_path), HANDLERS)
        await server.open()
        await until(lambda: client.is_connected)
        assert await client.request("echo", text="x") == {"said": "x"}
        await server.close()
        await until(lambda: not client.is_connected)


async def test_a_server_that_goes_away_answers_nobody(
    server: ControlServer, client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asyncio.Event()

    async def never(request: dict[str, Any]) -> dict[str, Any]:
        heard.set()
        return await silent(request)

    monkeypatch.setitem(HANDLERS, "silent", never)
    await until(lambda: client.is_connected)
    asking = asyncio.create_task(client.request("silent"))
    await heard.wait()
    await server.close()
    with pytest.raises(ControlUnavailable):
        await asking


async def test_a_server_that_does_not_answer_is_not_waited_for(
    server: ControlServer, client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "REQUEST_TIMEOUT_S", 0.01)
    await until(lambda: client.is_connected)
    with pytest.raises(ControlUnavailable, match="no answer to silent"):
        await client.request("silent")


async def test_wake_ups_come_through_and_are_few(server: ControlServer, client: ControlClient) -> None:
    await until(lambda: client.journal_wake.is_set())  # once connected there may be news
    client.journal_wake.clear()
    for _ in range(1000):
        server.wake_readers()
    await asyncio.wait_for(client.journal_wake.wait(), 60)
    assert await client.request("echo", text="x") == {"said": "x"}


async def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    control_path(tmp_path).touch()
    server = ControlServer(control_path(tmp_path), HANDLERS)
    await server.open()
    await server.close()
    assert not control_path(tmp_path).exists()


def test_a_path_too_long_for_a_socket_goes_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    path = control_path(deep)
    assert len(os.fsencode(path)) < 100
    assert path == control_path(deep)
    assert path != control_path(tmp_path / ("y" * 120))

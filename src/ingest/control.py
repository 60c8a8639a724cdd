"""The control link: a unix socket between gateway (listens) and core (connects). JSON, a line each.

Requests of the core carry an `id`, which the answer repeats (`op`: further fields -> answer):

    prepare     phone, count (1)                     -> state "ready", serial_no, edition | state "offline"
                                                        count: how many serial numbers are taken, from serial_no on
    send        phone, message_id, body (hex), serial_no (null: the next)
                                                     -> state "sent", serial_no, edition | state "offline"
                                                        | state "refused", reason
    room        phone                                -> state "ready" | "busy" (the link is still full) | "offline"
    packages    phone, message_id, serial_no (of the first of all), total, packages: {number: hex}
                                                     -> state "ready" | "offline"
    stats                                            -> stats: {name: number}

What cannot be done is answered `{"id": N, "error": TEXT}`. Unasked, the gateway says only `{"event": "journal"}`:
something was written. All facts go through the journal, where they cannot get lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

log = logging.getLogger(__name__)

MAX_LINE_BYTES: Final = 16 << 20  # nothing that is asked or answered is nearly as long
MAX_PATH_BYTES: Final = 100  # the system's bound is 107 bytes
WAKE_EVERY_S: Final = 0.005
WAKE_BUFFER_BYTES: Final = 64 * 1024  # a client that does not read needs no more wake-ups
RECONNECT_S: Final = 0.2
REQUEST_TIMEOUT_S: Final = 5.0

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def control_path(data_dir: Path) -> Path:
    """Where the socket stands: in the data directory, or under the system's temporary directory when that path is too
    long for a socket."""
    path = data_dir.absolute() / "control.sock"
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    name = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"roadwarden-{os.getuid()}-{name}.sock"


class ControlServer:
    """The gateway's end."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._woken_at = 0.0
        self._wake_timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Listen. A socket file left behind by a killed gateway is replaced: the journal's lock says it is dead."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(mask)
        listener.setblocking(False)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(orjson.dumps(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line without end
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        request: dict[str, Any] = {}
        try:
            request = orjson.loads(line)
            answer = await self._handlers[request["op"]](request)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            number = request.get("id") if isinstance(request, dict) else None
            return {"id": number, "error": f"{type(error).__name__}: {error}"}
        return {"id": request.get("id"), **answer}

    def wake_readers(self) -> None:
        """Something was written to the journal: tell, but no more often than every few milliseconds."""
        if not self._clients or self._wake_timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._woken_at + WAKE_EVERY_S - loop.time()
        if wait > 0:
            self._wake_timer = loop.call_later(wait, self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        self._wake_timer = None
        self._woken_at = asyncio.get_running_loop().time()
        for writer in self._clients:
            if not writer.is_closing() and writer.transport.get_write_buffer_size() < WAKE_BUFFER_BYTES:
                writer.write(b'{"event":"journal"}\n')

    async def close(self) -> None:
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for writer in list(self._clients):
            writer.close()
        if self._server is not None:
            await self._server.wait_closed()


class ControlUnavailable(ConnectionError):
    """The gateway does not answer; it is not known whether it did what was asked."""


class ControlClient:
    """The core's end. `await run()` in a task; it reconnects for ever."""

    def __init__(self, path: Path) -> None:
        self.journal_wake = asyncio.Event()
        """Set whenever the gateway has written something, or may have: whoever waits for news clears it."""
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    async def run(self) -> None:
        """Hold the link until cancelled."""
        was_told = False
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_LINE_BYTES)
            except OSError as error:
                if not was_told:
                    log.info("the gateway is not there yet: %s", error)
                    was_told = True
                await asyncio.sleep(RECONNECT_S)
                continue
            log.info("connected to the gateway")
            self._writer = writer
            try:
                await self._read(reader)
            finally:
                self._drop(writer)
            log.warning("the gateway is gone; connecting again")
            was_told = True

    async def _read(self, reader: asyncio.StreamReader) -> None:
        self.journal_wake.set()
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                message = orjson.loads(line)
                if message.get("event") == "journal":
                    self.journal_wake.set()
                    continue
                waiter = self._waiting.pop(message.get("id"), None)
                if waiter is not None and not waiter.done():
                    waiter.set_result(message)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writer = None
        writer.close()
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            if not waiter.done():
                waiter.set_exception(ControlUnavailable("the gateway went away"))

    async def request(self, op: str, **values: Any) -> dict[str, Any]:
        """Ask; the answer without `id`.

        Raises:  ControlUnavailable: no gateway, or no answer in time. ValueError: the gateway could not read it.
        """
        if self._writer is None:
            raise ControlUnavailable("the gateway is not connected")
        self._last_id += 1
        number = self._last_id
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            self._writer.write(orjson.dumps({"id": number, "op": op, **values}) + b"\n")
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await waiter
        except TimeoutError as error:
            raise ControlUnavailable(f"no answer to {op} within {REQUEST_TIMEOUT_S:g} s") from error
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise ValueError(f"{op}: {answer['error']}")
        answer.pop("id", None)
        return answer

    async def stats(self) -> dict[str, float]:
        """The gateway's counters and gauges; {} while it is away."""
        try:
            return dict((await self.request("stats"))["stats"])
        except ControlUnavailable:
            return {}

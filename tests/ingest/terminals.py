"""A terminal over a real socket, for tests of the gateway, and the gateway for it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from ingest.control import ControlClient, control_path
from ingest.gateway import Gateway, GatewayConfig
from ingest.journal import Group, Kind, SqliteJournalReader, journal_path
from ingest.journal.facts import Fact, decode_fact
from jt808.framing import BadFrame, Deframer
from jt808.header import Edition, Header, build_frame, parse_header
from jt808.messages import TerminalAuthentication, TerminalRegister, encode_body
from tests.ingest.waiting import until

LIMIT_S = 60.0
PHONE = "13912345678"
REPORT = bytes.fromhex("00000000000c00030261d8e0075bcd15000a02580087260715123456")
"""A body of 0x0200."""


def address_of(text: str) -> tuple[str, int]:
    host, port = text.rsplit(":", 1)
    return host, int(port)


def register_body(edition: Edition = Edition.V2013, **values: Any) -> bytes:
    fields: dict[str, Any] = {
        "province_id": 21,
        "city_id": 100,
        "manufacturer_id": "MAKER",
        "terminal_model": "RW-1",
        "terminal_id": "T000001",
        "plate_color": 2,
        "plate": "辽A12345",
    }
    return encode_body(TerminalRegister(**fields | values), edition)


class Terminal(asyncio.Protocol, asyncio.DatagramProtocol):
    """Both kinds of link. Answers come out of `receive` in order; a missing one fails the test."""

    def __init__(self, phone: str = PHONE, edition: Edition = Edition.V2013) -> None:
        self.phone = phone
        self.edition = edition
        self.serial_no = 0
        self.closed = asyncio.Event()
        self._answers: asyncio.Queue[tuple[Header, bytes]] = asyncio.Queue()
        self._deframer = Deframer()
        self._transport: Any = None

    @classmethod
    async def connect(cls, address: str, phone: str = PHONE, edition: Edition = Edition.V2013) -> Self:
        terminal = cls(phone, edition)
        await asyncio.get_running_loop().create_connection(lambda: terminal, *address_of(address))
        return terminal

    @classmethod
    async def datagrams(cls, address: str, phone: str = PHONE, edition: Edition = Edition.V2013) -> Self:
        terminal = cls(phone, edition)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: terminal, remote_addr=address_of(address))
        return terminal

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for content in self._deframer.feed(data):
            assert not isinstance(content, BadFrame)
            self._answers.put_nowait(parse_header(content))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert data.count(b"\x7e") == 2  # a frame each
        self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def frame(self, message_id: int, body: bytes = b"", **options: Any) -> bytes:
        serial_no = self.serial_no
        self.serial_no = (serial_no + 1) & 0xFFFF
        return build_frame(message_id, self.phone, serial_no, body, self.edition, **options)

    def write(self, data: bytes) -> None:
        if hasattr(self._transport, "sendto"):
            self._transport.sendto(data)
        else:
            self._transport.write(data)

    def send(self, message_id: int, body: bytes = b"") -> int:
        """Send a message; its serial number."""
        self.write(self.frame(message_id, body))
        return (self.serial_no - 1) & 0xFFFF

    async def receive(self) -> tuple[Header, bytes]:
        return await asyncio.wait_for(self._answers.get(), LIMIT_S)

    @property
    def waiting(self) -> int:
        """Answers that have come and were not looked at."""
        return self._answers.qsize()

    async def general(self) -> tuple[int, int, int]:
        """The next answer, a 0x8001: serial number, id, result."""
        header, body = await self.receive()
        assert header.message_id == 0x8001
        serial_no, message_id, result = struct.unpack(">HHB", body)
        return serial_no, message_id, result

    async def ask(self, message_id: int, body: bytes = b"") -> int:
        """Send and wait for the 0x8001 that answers it; the result."""
        serial_no = self.send(message_id, body)
        answer = await self.general()
        assert answer[:2] == (serial_no, message_id)
        return answer[2]

    async def register(self, **values: Any) -> tuple[int, str]:
        """Result and code."""
        serial_no = self.send(0x0100, register_body(self.edition, **values))
        header, body = await self.receive()
        assert (header.message_id, int.from_bytes(body[:2], "big")) == (0x8100, serial_no)
        return body[2], body[3:].decode()

    async def authenticate(self, code: str, imei: str = "") -> int:
        message = TerminalAuthentication(code, imei, "v1") if imei else TerminalAuthentication(code)
        return await self.ask(0x0102, encode_body(message, self.edition))

    async def log_in(self) -> str:
        """Register and authenticate; the code."""
        result, code = await self.register()
        assert result == 0
        assert await self.authenticate(code) == 0
        return code

    async def until_closed(self) -> None:
        await asyncio.wait_for(self.closed.wait(), LIMIT_S)

    def close(self, *, reset: bool = False) -> None:
        """Hang up; with a reset, as a NAT does that forgot the link."""
        if reset:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.close()


class Site:
    """A running gateway."""

    def __init__(self, gateway: Gateway, address: str) -> None:
        self.gateway = gateway
        self.address = address
        self.counters = gateway.counters
        self._terminals: list[Terminal] = []

    async def terminal(self, phone: str = PHONE, edition: Edition = Edition.V2013) -> Terminal:
        terminal = await Terminal.connect(self.address, phone, edition)
        self._terminals.append(terminal)
        return terminal

    async def udp_terminal(self, phone: str = PHONE, edition: Edition = Edition.V2013) -> Terminal:
        terminal = await Terminal.datagrams(self.address, phone, edition)
        self._terminals.append(terminal)
        return terminal

    def hold_journal(self) -> threading.Event:
        """From now on, writes of the journal wait for the event."""
        gate = threading.Event()
        file: Any = self.gateway._journal._file
        write = file.write

        def slow(records: int, parts: Sequence[bytes]) -> int:
            assert gate.wait(60)
            return int(write(records, parts))

        file.write = slow
        return gate

    def hang_up(self) -> None:
        for terminal in self._terminals:
            terminal.close()

    async def journaled(self) -> list[tuple[str, int, bytes]]:
        """All messages on disk: (phone, id, body)."""
        return messages_in(self.gateway.config.data_dir)

    async def facts(self) -> list[Fact]:
        """All facts, after what is under way is on disk."""
        await self.gateway._journal.flush()
        return facts_in(self.gateway.config.data_dir)


def messages_in(data_dir: Path) -> list[tuple[str, int, bytes]]:
    return [
        (group.phone(i), int(group.headers["message_id"][i]), group.body(i))
        for group in _groups_in(data_dir)
        for i in range(len(group))
        if group.headers["kind"][i] == Kind.MESSAGE
    ]


def facts_in(data_dir: Path) -> list[Fact]:
    return [
        decode_fact(int(group.headers["kind"][i]), group.body(i))
        for group in _groups_in(data_dir)
        for i in range(len(group))
        if group.headers["kind"][i] != Kind.MESSAGE
    ]


def _groups_in(data_dir: Path) -> list[Group]:
    """All of them, in as many reads as their size takes."""
    reader = SqliteJournalReader(journal_path(data_dir))
    groups: list[Group] = []
    while found := reader.read_now(groups[-1].offset if groups else 0, 10**9):
        groups += found
    reader.close()
    return groups


@asynccontextmanager
async def running(data_dir: Path, **settings: Any) -> AsyncIterator[Site]:
    """A gateway on a free port, open to whoever registers unless told otherwise."""
    config = GatewayConfig(data_dir=data_dir, **{"bind": "127.0.0.1", "port": 0, "enrolment": "open"} | settings)
    gateway = Gateway(config)
    site = Site(gateway, await gateway.start())
    try:
        yield site
    finally:
        site.hang_up()
        await gateway.close()


@asynccontextmanager
async def control(data_dir: Path) -> AsyncIterator[ControlClient]:
    """The core's link to the gateway that runs there, connected."""
    client = ControlClient(control_path(data_dir))
    task = asyncio.create_task(client.run())
    try:
        await until(lambda: client.is_connected)
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""A small platform for the simulator to talk to. It reads with the server's codec, which shares no code with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import jt808
from jt808.fix_hash import fix_hash
from simulators.ledger import FixKey

Answer = Callable[[jt808.Header, jt808.Message], int | None]
"""Result to answer a message with; None: no answer."""


@dataclass
class Platform:
    """Decodes what arrives, answers, and keeps every fix once."""

    codes: dict[str, str] = field(default_factory=dict)
    received: list[tuple[jt808.Header, jt808.Message]] = field(default_factory=list)
    stored: dict[FixKey, int] = field(default_factory=dict)  # fix -> how often it came
    bad_frames: int = 0
    result: Answer = lambda header, message: 0
    serial_no: int = 0

    def ids(self) -> list[int]:
        return [header.message_id for header, _ in self.received]

    def messages(self, kind: type[Any]) -> list[Any]:
        return [message for _, message in self.received if isinstance(message, kind)]

    def command(self, header: jt808.Header, message_id: int, body: bytes = b"") -> bytes:
        """A frame of the platform's own accord to the terminal that sent ``header``."""
        self.serial_no += 1
        return jt808.build_frame(message_id, header.phone, self.serial_no, body, header.edition)

    def feed(self, deframer: jt808.Deframer, data: bytes) -> list[bytes]:
        """Frames to answer with."""
        out = []
        for found in deframer.feed(data):
            if isinstance(found, jt808.BadFrame):
                self.bad_frames += 1
            else:
                out += self._message(found)
        return out

    def _message(self, content: bytes) -> list[bytes]:
        header, body = jt808.parse_header(content)
        message = jt808.decode_body(header.message_id, header.edition, body)
        self.received.append((header, message))
        if header.message_id == 0x0001:
            return []
        result = self.result(header, message)
        if result is None:
            return []
        if isinstance(message, jt808.TerminalRegister):
            code = f"code-{header.phone[-4:]}-{len(self.codes)}"
            self.codes[header.phone] = code
            answer: jt808.Message = jt808.RegisterResponse(
                header.serial_no, jt808.RegisterResult(result), code if result == 0 else None
            )
            return [self.command(header, 0x8100, jt808.encode_body(answer, header.edition))]
        if isinstance(message, jt808.TerminalAuthentication) and message.auth_code != self.codes.get(header.phone):
            result = 1
        if result == 0:
            self._store(header, body)
        answer = jt808.PlatformGeneralResponse(header.serial_no, header.message_id, jt808.Result(result))
        return [self.command(header, 0x8001, jt808.encode_body(answer, header.edition))]

    def _store(self, header: jt808.Header, body: bytes) -> None:
        reports = {
            0x0200: lambda: [body],
            0x0201: lambda: [body[2:]],
            0x0704: lambda: [body[at : at + length] for at, length in jt808.messages.location.split_bulk(body)[1]],
        }.get(header.message_id, list)
        for report in reports():
            fix = jt808.decode_body(0x0200, header.edition, report)
            assert isinstance(fix, jt808.LocationReport)
            assert fix.fault is None
            assert fix.time is not None
            key = (header.phone.lstrip("0"), round(fix.time.timestamp()) * 1_000_000, fix_hash(report))
            self.stored[key] = self.stored.get(key, 0) + 1


class _Tcp(asyncio.Protocol):
    def __init__(self, server: PlatformServer) -> None:
        self._server = server
        self._deframer = jt808.Deframer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.links.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.links.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        for frame in self._server.platform.feed(self._deframer, data):
            self._transport.write(frame)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for frame in self._platform.feed(jt808.Deframer(), data):
            self._transport.sendto(frame, addr)


class PlatformServer:
    """The platform on a free loopback port, TCP and UDP."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.links: set[asyncio.Transport] = set()

    async def __aenter__(self) -> PlatformServer:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            self._server = await loop.create_server(lambda: _Tcp(self), "127.0.0.1", 0)
            self.port: int = self._server.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self.platform), local_addr=("127.0.0.1", self.port)
                )
            except OSError:  # the UDP port of that number is taken
                self._server.close()
                continue
            return self
        raise OSError("no port is free for both TCP and UDP")

    def hang_up(self) -> None:
        for link in list(self.links):
            link.abort()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._udp.close()
        self.hang_up()
        await self._server.wait_closed()

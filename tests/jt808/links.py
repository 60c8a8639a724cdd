"""The platform's side of a link, logged in, and what its terminal sends."""

from __future__ import annotations

import struct

from jt808.connection import ConnectionLimits, TerminalConnection
from jt808.events import AuthRequested
from jt808.framing import deframe_datagram
from jt808.header import Edition, Header, build_frame, parse_header

PHONE = "013912345678"
OTHER = "013912345679"
PHONE_2019 = "00000000013912345678"
NOW = 1000.0


def frame(message_id: int, serial_no: int, body: bytes = b"", *, phone: str = PHONE, version: int = 1) -> bytes:
    edition = Edition.V2019 if len(phone) == 20 else Edition.V2013
    return build_frame(message_id, phone, serial_no, body, edition, protocol_version=version)


def package(serial_no: int, number: int, total: int, body: bytes, message_id: int = 0x0704) -> bytes:
    return build_frame(message_id, PHONE, serial_no, body, package=(total, number))


def sent(connection: TerminalConnection) -> list[tuple[Header, bytes]]:
    """What the connection wants to send, parsed by the library's other half."""
    contents = deframe_datagram(connection.data_to_send())
    assert all(isinstance(content, bytes) for content in contents)
    return [parse_header(content) for content in contents if isinstance(content, bytes)]


def general(connection: TerminalConnection) -> list[tuple[int, int, int]]:
    """The 0x8001 that wait to be sent: (serial number, id, result)."""
    found = []
    for header, body in sent(connection):
        assert header.message_id == 0x8001
        found.append(struct.unpack(">HHB", body))
    return found


def logged_in(
    phone: str = PHONE, edition: Edition | None = None, limits: ConnectionLimits | None = None
) -> TerminalConnection:
    connection = TerminalConnection(NOW, limits=limits or ConnectionLimits())
    (event,) = connection.receive_data(frame(0x0102, 0, b"code", phone=phone), NOW)
    assert isinstance(event, AuthRequested)
    connection.authenticated(event.header, edition)
    assert general(connection) == [(0, 0x0102, 0)]
    return connection

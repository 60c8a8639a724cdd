"""JT/T 808, the protocol between road-transport terminals (终端) and platforms, editions 2011, 2013 and 2019.

Sans-I/O: bytes in, values out; no clock, no socket, no task. An example, platform side::

    deframer = jt808.Deframer()
    for found in deframer.feed(data):
        if isinstance(found, jt808.BadFrame):
            continue  # count found.reason
        header, body = jt808.parse_header(found)
        message = jt808.decode_body(header.message_id, header.edition, body)
        if isinstance(message, jt808.LocationReport):
            print(header.phone, message.time, message.latitude_deg, message.longitude_deg)
        answer = jt808.PlatformGeneralResponse(header.serial_no, header.message_id, jt808.Result.OK)
        send(jt808.build_frame(0x8001, header.phone, 0, jt808.encode_body(answer, header.edition), header.edition))

Every other message is in :mod:`jt808.messages`; docs/protocol lists them with their fields.
Many location reports at once go through :mod:`jt808.columns` (numpy); :mod:`jt808.explain` shows a frame to people.
"""

from jt808.errors import BodyError, EncryptionError, FrameError, HeaderError, JT808Error, PeerError, Result, UsageError
from jt808.framing import BadFrame, Deframer, checksum, deframe_datagram, enframe, unescape
from jt808.header import Edition, Header, build_frame, build_header, parse_header, phone10
from jt808.messages import (
    AdditionalItem,
    BulkLocationReport,
    Direction,
    Heartbeat,
    LocationQuery,
    LocationQueryResponse,
    LocationReport,
    Message,
    PlatformGeneralResponse,
    RegisterResponse,
    RegisterResult,
    TerminalAuthentication,
    TerminalGeneralResponse,
    TerminalRegister,
    TerminalUnregister,
    TextMessage,
    TextType,
    UnknownMessage,
    UnreadItem,
    body_edition,
    decode_body,
    encode_body,
    message_id_of,
)
from jt808.outgoing import build_frames, split_body

__all__ = [
    "AdditionalItem",
    "BadFrame",
    "BodyError",
    "BulkLocationReport",
    "Deframer",
    "Direction",
    "Edition",
    "EncryptionError",
    "FrameError",
    "Header",
    "HeaderError",
    "Heartbeat",
    "JT808Error",
    "LocationQuery",
    "LocationQueryResponse",
    "LocationReport",
    "Message",
    "PeerError",
    "PlatformGeneralResponse",
    "RegisterResponse",
    "RegisterResult",
    "Result",
    "TerminalAuthentication",
    "TerminalGeneralResponse",
    "TerminalRegister",
    "TerminalUnregister",
    "TextMessage",
    "TextType",
    "UnknownMessage",
    "UnreadItem",
    "UsageError",
    "body_edition",
    "build_frame",
    "build_frames",
    "build_header",
    "checksum",
    "decode_body",
    "deframe_datagram",
    "encode_body",
    "enframe",
    "message_id_of",
    "parse_header",
    "phone10",
    "split_body",
    "unescape",
]

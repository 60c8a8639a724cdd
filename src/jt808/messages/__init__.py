"""Message bodies (消息体): one frozen dataclass each, read and written by the registry's table."""

from jt808.messages.additional_items import AdditionalItem
from jt808.messages.general import PlatformGeneralResponse, TerminalGeneralResponse
from jt808.messages.location import (
    BulkLocationReport,
    LocationQuery,
    LocationQueryResponse,
    LocationReport,
    UnreadItem,
)
from jt808.messages.registry import (
    Direction,
    Message,
    MessageType,
    UnknownMessage,
    body_edition,
    decode_body,
    encode_body,
    message_id_of,
    message_type,
    message_types,
)
from jt808.messages.session import (
    Heartbeat,
    RegisterResponse,
    RegisterResult,
    TerminalAuthentication,
    TerminalRegister,
    TerminalUnregister,
)
from jt808.messages.text import TextMessage, TextType

__all__ = [
    "AdditionalItem",
    "BulkLocationReport",
    "Direction",
    "Heartbeat",
    "LocationQuery",
    "LocationQueryResponse",
    "LocationReport",
    "Message",
    "MessageType",
    "PlatformGeneralResponse",
    "RegisterResponse",
    "RegisterResult",
    "TerminalAuthentication",
    "TerminalGeneralResponse",
    "TerminalRegister",
    "TerminalUnregister",
    "TextMessage",
    "TextType",
    "UnknownMessage",
    "UnreadItem",
    "body_edition",
    "decode_body",
    "encode_body",
    "message_id_of",
    "message_type",
    "message_types",
]

"""JT/T 809, data exchange between vehicle-monitoring platforms: a library without sockets, clocks or tasks.

``Deframer`` and ``enframe`` for frames, ``parse_header`` and ``build_frame``, ``decode_body`` and ``encode_body`` for
bodies (``jt809.messages``), and the ends of the main and the sub link: ``MainLink`` and ``SubLink`` for a subordinate
platform (下级平台), ``SuperiorMainLink`` and ``SuperiorSubLink`` for a superior one (上级平台).
"""

from jt809.cipher import Cipher
from jt809.errors import BodyError, FrameError, HeaderError, JT809Error, PeerError, UsageError
from jt809.framing import BadFrame, Deframer, enframe
from jt809.header import Edition, Header, build_frame, build_header, parse_header
from jt809.link import Link, LinkSettings, SerialCounter, State
from jt809.messages import Message, UnknownMessage, decode_body, encode_body
from jt809.subordinate import BackoffPolicy, Credentials, MainLink, SubLink
from jt809.superior import SuperiorMainLink, SuperiorSubLink

__all__ = [
    "BackoffPolicy",
    "BadFrame",
    "BodyError",
    "Cipher",
    "Credentials",
    "Deframer",
    "Edition",
    "FrameError",
    "Header",
    "HeaderError",
    "JT809Error",
    "Link",
    "LinkSettings",
    "MainLink",
    "Message",
    "PeerError",
    "SerialCounter",
    "State",
    "SubLink",
    "SuperiorMainLink",
    "SuperiorSubLink",
    "UnknownMessage",
    "UsageError",
    "build_frame",
    "build_header",
    "decode_body",
    "encode_body",
    "enframe",
    "parse_header",
]

"""The message header (消息头): 22 bytes in JT/T 809-2011, 30 in 2019 (the same, then the sending time)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jt809.cipher import Cipher
from jt809.errors import HeaderError, UsageError
from jt809.framing import FLAGS_AND_CRC, enframe


class Edition(StrEnum):
    """Which JT/T 809 a link speaks. It cannot be told from the wire: it is agreed with the peer and configured."""

    V2011 = "2011"
    V2019 = "2019"


_LAYOUT_2011: Final = struct.Struct(">IIHI3BBI")
_LAYOUT_2019: Final = struct.Struct(">IIHI3BBIQ")

DEFAULT_VERSION: Final = (1, 0, 0)


@dataclass(frozen=True, slots=True)
class Header:
    """A message header without its MSG_LENGTH, which the frame itself gives.

    Attributes:
        message_id:  MSG_ID (业务数据类型), 0x1001 … 0x9600.
        serial_no:   MSG_SN (报文序列号), the sender's counter, 0..2**32-1.
        access_code: MSG_GNSSCENTERID (下级平台接入码): the subordinate platform's, in both directions.
        version:     VERSION_FLAG; (1, 2, 15) means V1.2.15. It does not tell the edition.
        is_encrypted: ENCRYPT_FLAG: the body on the wire is encrypted.
        key:         ENCRYPT_KEY of this frame; peers send some value in plain frames, too.
        time_s:      TIME, whole UTC seconds since 1970; 2019 only, None in 2011.
    """

    message_id: int
    serial_no: int
    access_code: int
    version: tuple[int, int, int] = DEFAULT_VERSION
    is_encrypted: bool = False
    key: int = 0
    time_s: int | None = None


def parse_header(content: bytes, edition: Edition) -> tuple[Header, bytes]:
    """Split what a Deframer gave into header and body (still encrypted when ``is_encrypted``).

    Raises: HeaderError: too short for the edition's header, or ENCRYPT_FLAG is neither 0 nor 1.
    """
    layout = _LAYOUT_2011 if edition is Edition.V2011 else _LAYOUT_2019
    if len(content) < layout.size:
        raise HeaderError(f"{len(content)} bytes, the {edition} header has {layout.size}")
    _, serial_no, message_id, access_code, v1, v2, v3, encrypt_flag, key, *time = layout.unpack_from(content)
    if encrypt_flag > 1:
        raise HeaderError(f"ENCRYPT_FLAG of 0x{message_id:04X} is {encrypt_flag}, not 0 or 1")
    header = Header(
        message_id, serial_no, access_code, (v1, v2, v3), bool(encrypt_flag), key, time[0] if time else None
    )
    return header, content[layout.size :]


def build_header(header: Header, body_length: int, edition: Edition) -> bytes:
    """The header's bytes, MSG_LENGTH filled in for a body of ``body_length`` bytes.

    Raises: UsageError: a number outside its field, or ``time_s`` missing in 2019.
    """
    layout = _LAYOUT_2011 if edition is Edition.V2011 else _LAYOUT_2019
    time: tuple[int, ...] = ()
    if edition is Edition.V2019:
        if header.time_s is None:
            raise UsageError("the 2019 header needs time_s")
        time = (header.time_s,)
    length = layout.size + body_length + FLAGS_AND_CRC
    h = header
    try:
        return layout.pack(
            length, h.serial_no, h.message_id, h.access_code, *h.version, int(h.is_encrypted), h.key, *time
        )
    except struct.error as error:
        raise UsageError(f"header field out of range: {header}") from error


def build_frame(header: Header, body: bytes, edition: Edition, cipher: Cipher | None = None) -> bytes:
    """The whole wire frame of a plain body; encrypts it with ``header.key`` when ``header.is_encrypted``.

    Raises: UsageError: a header field out of range, or an encrypted frame without a cipher.
    """
    if header.is_encrypted:
        if cipher is None:
            raise UsageError("an encrypted frame needs the cipher agreed with the peer")
        body = cipher.apply(body, header.key)
    return enframe(build_header(header, len(body), edition) + body)

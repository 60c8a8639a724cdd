"""The message header (消息头), both layouts, and the body attributes (消息体属性).

Source: JT/T 808-2013 §4.4.3 (header of 12 bytes), JT/T 808-2019 §4.4.3 (17 bytes, attribute bit 14 set), clauses not
checked; four bytes more in both when the message is sub-packaged (分包). JT/T 808-2011 as 2013.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from jt808.errors import HeaderError, UsageError
from jt808.framing import enframe

NOT_ENCRYPTED: Final = 0
RSA: Final = 1
"""Values of `Header.encryption` (数据加密方式); the others are reserved."""

MAX_BODY_BYTES: Final = 0x3FF
"""What ten bits of body length can say; longer bodies go out sub-packaged."""

_LENGTH_BITS: Final = 0x03FF
_ENCRYPTION_SHIFT: Final = 10
_SUBPACKAGED_BIT: Final = 0x2000
_VERSION_BIT: Final = 0x4000

_HEADER_2013: Final = struct.Struct(">HH6sH")
_HEADER_2019: Final = struct.Struct(">HHB10sH")
_PACKAGES: Final = struct.Struct(">HH")
_NO_PADDING: Final = b"\0\0\0\0"


class Edition(StrEnum):
    """Edition of the standard that a terminal follows.

    The header cannot tell 2011 from 2013: a header without the version bit reads as 2013, and whoever knows better
    (a 0x0100 of the 2011 layout, see ``jt808.messages.session``) passes ``Edition.V2011`` on.
    """

    V2011 = "2011"
    V2013 = "2013"
    V2019 = "2019"


_V2013: Final = Edition.V2013  # looking a member up costs more than the rest of the line
_V2019: Final = Edition.V2019


class Header(NamedTuple):
    """One message header.

    ``phone`` (终端手机号) is the field as on the wire: 12 digits, or 20 in 2019; hex digits that are none are kept, in
    lower case. ``package_total`` and ``package_no`` (from 1) are 0 unless ``is_subpackaged``. ``encryption`` is
    attribute bits 10-12: 0 none, 1 RSA, others reserved. ``protocol_version`` is 0 before 2019, 1 for 2019.
    """

    message_id: int
    edition: Edition
    phone: str
    serial_no: int
    body_length: int
    encryption: int = 0
    is_subpackaged: bool = False
    package_total: int = 0
    package_no: int = 0
    protocol_version: int = 0


class BodyDecrypter(Protocol):
    """Whatever opens encrypted bodies: a `jt808.encryption.KeyPair`, or a maker's own method."""

    def decrypt(self, method: int, body: bytes) -> bytes:
        """Args: method: `Header.encryption`. Raises: EncryptionError."""
        ...


_new: Final = tuple.__new__


def unpack_header(content: bytes) -> tuple[Header, int]:
    """Read the header's fields without judging them: (header, its length in bytes).

    Raises:  HeaderError: the content ends before the header does.
    """
    try:
        if content[2] & 0x40:
            message_id, attributes, version, phone, serial_no = _HEADER_2019.unpack_from(content)
            edition, length = _V2019, 17
        else:
            message_id, attributes, phone, serial_no = _HEADER_2013.unpack_from(content)
            edition, length, version = _V2013, 12, 0
        total = number = 0
        is_subpackaged = attributes & _SUBPACKAGED_BIT != 0
        if is_subpackaged:
            total, number = _PACKAGES.unpack_from(content, length)
            length += 4
    except (struct.error, IndexError) as error:
        message_id = int.from_bytes(content[:2], "big") if len(content) >= 2 else None
        raise HeaderError(f"header ends after {len(content)} bytes", message_id=message_id) from error
    fields = (
        message_id,
        edition,
        phone.hex(),
        serial_no,
        attributes & _LENGTH_BITS,
        attributes >> _ENCRYPTION_SHIFT & 7,
        is_subpackaged,
        total,
        number,
        version,
    )
    return _new(Header, fields), length


def parse_header(content: bytes) -> tuple[Header, bytes]:
    """Split header and body.

    Args:    content: a frame without flags, escapes and check byte, as the Deframer gives it.
    Raises:  HeaderError: the header is cut short; the declared body length is not that of the bytes present; the
             sub-package number is 0 or above the total.
    """
    header, length = unpack_header(content)
    if length + header.body_length != len(content):
        raise HeaderError(
            f"header declares {header.body_length} body bytes, {len(content) - length} are there",
            message_id=header.message_id,
        )
    if header.is_subpackaged and not 0 < header.package_no <= header.package_total:
        raise HeaderError(
            f"package {header.package_no} of {header.package_total}",
            message_id=header.message_id,
        )
    return header, content[length:]


def phone10(content: bytes) -> bytes:
    """The phone field as 10 bytes, that of 2011/2013 padded with zeros in front. For content that parse_header took."""
    return content[5:15] if content[2] & 0x40 else _NO_PADDING + content[4:10]


def build_header(
    message_id: int,
    phone: str,
    serial_no: int,
    body_length: int,
    edition: Edition = Edition.V2013,
    *,
    encryption: int = 0,
    package: tuple[int, int] | None = None,
    protocol_version: int = 1,
) -> bytes:
    """The header's bytes.

    Args:    phone: digits (0-9, a-f), padded with zeros in front to 12 or, in 2019, 20.
             package: (total, number from 1) makes it one of a sub-packaged message.
             protocol_version: only written in 2019.
    Raises:  UsageError: something does not fit its field.
    """
    if not 0 <= body_length <= MAX_BODY_BYTES:
        raise UsageError(f"a body of {body_length} bytes does not fit one frame (at most {MAX_BODY_BYTES})")
    is_2019 = edition == Edition.V2019
    attributes = body_length | encryption << _ENCRYPTION_SHIFT
    if package is not None:
        total, number = package
        if not 0 < number <= total <= 0xFFFF:
            raise UsageError(f"package {number} of {total}")
        attributes |= _SUBPACKAGED_BIT
    try:
        digits = bytes.fromhex(phone.rjust(20 if is_2019 else 12, "0"))
        if not 0 <= encryption <= 7 or len(digits) != (10 if is_2019 else 6):
            raise ValueError
        if is_2019:
            head = _HEADER_2019.pack(message_id, attributes | _VERSION_BIT, protocol_version, digits, serial_no)
        else:
            head = _HEADER_2013.pack(message_id, attributes, digits, serial_no)
    except (ValueError, struct.error) as error:
        raise UsageError(
            f"no header: message id {message_id}, phone {phone!r}, serial number {serial_no}, encryption {encryption}, "
            f"edition {edition}"
        ) from error
    return head if package is None else head + _PACKAGES.pack(*package)


def build_frame(
    message_id: int,
    phone: str,
    serial_no: int,
    body: bytes,
    edition: Edition = Edition.V2013,
    *,
    encryption: int = 0,
    package: tuple[int, int] | None = None,
    protocol_version: int = 1,
) -> bytes:
    """One whole frame, flags included, ready to send. Arguments and errors as :func:`build_header`."""
    header = build_header(
        message_id,
        phone,
        serial_no,
        len(body),
        edition,
        encryption=encryption,
        package=package,
        protocol_version=protocol_version,
    )
    return enframe(header + body)

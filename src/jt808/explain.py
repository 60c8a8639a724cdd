"""Any bytes -> what they say, for people and for scripts; nothing here raises on what a peer could have sent.

::

    >>> explain_frame(bytes.fromhex("7e0002000001391234432100017f7e")).as_json()["name"]
    'heartbeat'
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from jt808.errors import BodyError, EncryptionError, FrameError, HeaderError
from jt808.explain_body import BodyReader
from jt808.explain_tree import Row, draw
from jt808.framing import MIN_FRAME_BYTES, checksum, unescape
from jt808.header import NOT_ENCRYPTED, RSA, BodyDecrypter, Edition, Header, unpack_header
from jt808.messages.deviations import deviations_of, imei_of
from jt808.messages.registry import MessageType, body_edition, message_type
from jt808.messages.without_layout import without_layout

_FLAG: Final = b"\x7e"
_METHODS: Final = {NOT_ENCRYPTED: "none", RSA: "RSA"}
_OTHER_FLAG: Final = b"\xe7"


@dataclass(slots=True)
class Explanation:
    """What one frame says. ``errors``: what is wrong with it; ``warnings``: what is odd, or was not read."""

    raw: bytes
    message_id: int | None = None
    edition: Edition | None = None
    header: Header | None = None
    body: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    key: BodyDecrypter | None = None

    @property
    def type(self) -> MessageType | None:
        return None if self.message_id is None else message_type(self.message_id)

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON values. Keys that could not be read are None, ``body`` is then {}."""
        row, header = self.type, self.header
        return {
            "message_id": None if self.message_id is None else f"0x{self.message_id:04X}",
            "name": row.name if row else None,
            "chinese": row.chinese if row else None,
            "direction": row.direction.value if row else None,
            "clause": row.clause if row else None,
            "edition": self.edition.value if self.edition else None,
            "phone": header.phone if header else None,
            "serial_no": header.serial_no if header else None,
            "header": None
            if header is None
            else {
                "body_length": header.body_length,
                "encryption": header.encryption,
                "is_subpackaged": header.is_subpackaged,
                "package_total": header.package_total,
                "package_no": header.package_no,
                "protocol_version": header.protocol_version,
            },
            "body": self.body,
            "errors": self.errors,
            "warnings": self.warnings,
        }

    def as_tree(self) -> str:
        """An aligned table: offset (unescaped, from the header), bytes, field (English 中文), value and unit."""
        row = self.type
        title = "unreadable" if self.message_id is None else f"0x{self.message_id:04X}"
        if row:
            title += f" {row.name} {row.chinese}"
        if self.edition:
            title += f"  (edition {self.edition}{'; ' + row.clause if row else ''})"
        return draw(title, self.rows, self.errors, self.warnings)


def explain_frame(raw: bytes, edition: Edition | None = None, key: BodyDecrypter | None = None) -> Explanation:
    """Explain one frame.

    Args:    raw: the frame as on the wire, flags included; without them it is read all the same and says so.
             edition: of the body; None: 2019 when the header says so, otherwise 2013, or what a 0x0100's length shows.
             key: opens an encrypted body; None: it stays bytes and says so.
    """
    explanation = Explanation(raw, key=key)
    _explain_content(explanation, _between_flags(raw, explanation.errors), edition)
    return explanation


def explain_body(
    message_id: int, edition: Edition, body: bytes, *, phone: str = "0", serial_no: int = 0
) -> Explanation:
    """Explain a body without its frame, of any length: put together from packages, or kept from a frame of before.

    ``edition`` is the body's. Offsets in the rows count from the body's first byte.
    """
    header = Header(message_id, edition, phone, serial_no, len(body))
    explanation = Explanation(body, message_id, edition, header)
    _explain_body(explanation, header, body, 0)
    return explanation


def explain_stream(raw: bytes, edition: Edition | None = None, key: BodyDecrypter | None = None) -> list[Explanation]:
    """Explain everything in a run of bytes: one Explanation a frame, junk and an unfinished end included."""
    if _FLAG not in raw:
        return [explain_frame(raw, edition, key)] if raw else []
    head, *pieces = raw.split(_FLAG)
    tail = pieces.pop()
    found = []
    if head:
        found.append(Explanation(head, errors=[f"junk: {len(head)} bytes before the first flag"]))
    found += [explain_frame(_FLAG + piece + _FLAG, edition, key) for piece in pieces if piece]
    if tail:
        found.append(explain_frame(_FLAG + tail, edition, key))
    return found


def _between_flags(raw: bytes, errors: list[str]) -> bytes:
    """The escaped content of the first frame."""
    if not raw:
        errors.append("too_short: no bytes at all")
        return b""
    if raw[:1] != _FLAG:
        before, flag, rest = raw.partition(_FLAG)
        if flag and rest:
            errors.append(f"junk: {len(before)} bytes before the first flag")
            raw = flag + rest
        else:
            errors.append(f"the opening flag 7e is missing{_what_else(raw)}")
    if raw[-1:] != _FLAG:
        errors.append("the closing flag 7e is missing")
    pieces = [piece for piece in raw.split(_FLAG) if piece]
    if not pieces:
        errors.append("too_short: nothing between the flags")
        return b""
    if len(pieces) > 1:
        errors.append(f"a flag 7e stands inside: {len(pieces)} pieces, only the first is read here")
    return pieces[0]


def _explain_content(explanation: Explanation, escaped: bytes, edition: Edition | None) -> None:
    """Fill in what the bytes between two flags say."""
    content = _checked(escaped, explanation)
    try:
        header, begin = unpack_header(content)
    except HeaderError as error:
        if content:
            explanation.errors.append(f"header: {error}")
        explanation.message_id = error.message_id
        if error.message_id is not None:
            explanation.rows.append(Row(0, content, "unread", "未读", ""))
        return
    body = content[begin:]
    explanation.header, explanation.message_id = header, header.message_id
    explanation.edition = edition or header.edition
    if edition is None and header.message_id == 0x0100 and header.edition == Edition.V2013 and _is_readable(header):
        explanation.edition = body_edition(0x0100, header.edition, body)
    explanation.rows[:0] = _header_rows(header, content)
    _judge_header(header, body, explanation)
    if content[2] & 0x80:
        explanation.warnings.append("attribute bit 15 is set; it is reserved")
    _explain_body(explanation, header, body, begin)
    if escaped:
        found, right = _check_byte(escaped), checksum(content)
        verdict = "right" if found == bytes((right,)) else f"wrong: the bytes give {right:02x}"
        explanation.rows.append(Row(len(content), found, "check byte", "校验码", verdict))


def _what_else(raw: bytes) -> str:
    """Bytes without flags that some units send on the same port."""
    if raw[:1] == raw[-1:] == _OTHER_FLAG:
        return "; some units frame with e7 instead, in escapes of their own, which are not read here"
    if raw[:1] == b"(" and raw.rstrip()[-1:] == b")":
        return "; this is a text sentence, as some units send on the same port"
    return ""


def _is_whole(header: Header) -> bool:
    """Whether the body is no part of one."""
    return not header.is_subpackaged or header.package_total == 1


def _is_readable(header: Header) -> bool:
    return not header.encryption and _is_whole(header)


def _lenient(escaped: bytes) -> bytes:
    return escaped.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def _check_byte(escaped: bytes) -> bytes:
    return _lenient(escaped)[-1:]


def _checked(escaped: bytes, explanation: Explanation) -> bytes:
    """Header and body, whatever is wrong with escapes, length or check byte."""
    try:
        content = unescape(escaped)
    except FrameError as error:
        explanation.errors.append(str(error))
        content = _lenient(escaped)
    if escaped and len(content) < MIN_FRAME_BYTES:
        explanation.errors.append(f"too_short: {len(content)} bytes, the shortest frame has {MIN_FRAME_BYTES}")
    if found := checksum(content):
        right = content[-1] ^ found
        explanation.errors.append(f"bad_check: check byte is {content[-1]:02x}, the bytes give {right:02x}")
    return content[:-1]


def _judge_header(header: Header, body: bytes, explanation: Explanation) -> None:
    if header.body_length != len(body):
        explanation.errors.append(f"length: header declares {header.body_length} body bytes, {len(body)} are there")
    if header.is_subpackaged and not 0 < header.package_no <= header.package_total:
        explanation.errors.append(f"header: package {header.package_no} of {header.package_total}")
    if imei := imei_of(header.phone):
        explanation.warnings.append(f"the phone field is no BCD; some units have their IMEI in it, then it is {imei}")
    elif not header.phone.isdecimal():
        explanation.warnings.append("the phone field is no BCD")
    if header.edition == Edition.V2019 and header.protocol_version != 1:
        explanation.warnings.append(f"protocol version {header.protocol_version}, read as 1 (2019)")


def _reserved(header: Header) -> str:
    return f"{header.encryption} (reserved)"


def _header_rows(header: Header, content: bytes) -> list[Row]:
    is_2019 = header.edition == Edition.V2019
    row = message_type(header.message_id)
    known = f" {row.name}" if row else ""
    at = 15 if is_2019 else 10
    rows = [
        Row(0, content[:2], "message id", "消息ID", f"0x{header.message_id:04X}{known}"),
        Row(2, content[2:4], "body attributes", "消息体属性", f"0x{content[2:4].hex().upper()}"),
        Row(None, b"", "body length", "消息体长度", str(header.body_length), "bytes", 1),
        Row(None, b"", "encryption", "数据加密方式", _METHODS.get(header.encryption, _reserved(header)), "", 1),
        Row(None, b"", "sub-packaged", "分包", "yes" if header.is_subpackaged else "no", "", 1),
        Row(None, b"", "version flag", "版本标识", "1" if is_2019 else "0", "", 1),
    ]
    if is_2019:
        rows.append(Row(4, content[4:5], "protocol version", "协议版本号", str(header.protocol_version)))
    rows.append(Row(at - 10 if is_2019 else 4, content[5 if is_2019 else 4 : at], "phone", "终端手机号", header.phone))
    rows.append(Row(at, content[at : at + 2], "serial number", "消息流水号", str(header.serial_no)))
    if header.is_subpackaged:
        rows.append(Row(at + 2, content[at + 2 : at + 4], "packages", "消息总包数", str(header.package_total)))
        rows.append(Row(at + 4, content[at + 4 : at + 6], "package number", "包序号", str(header.package_no)))
    return rows


def _explain_body(explanation: Explanation, header: Header, body: bytes, begin: int) -> None:
    row = message_type(header.message_id)
    why_raw = None
    if header.encryption:
        why_raw, body = _decrypted(explanation, header, body, begin)
    if not why_raw and not _is_whole(header):
        why_raw = f"the body is package {header.package_no} of {header.package_total} and was not read alone"
    elif not why_raw and row is None:
        why_raw = _unknown(header.message_id)
    if why_raw or row is None or explanation.edition is None:
        explanation.warnings.append(str(why_raw))
        if body:
            explanation.body = {"raw": body.hex()}
            explanation.rows.append(Row(begin, body, "body", "消息体", ""))
        return
    edition = explanation.edition
    explanation.warnings += [deviation.detail for deviation in deviations_of(header.message_id, edition, body)]
    reader = BodyReader(edition, explanation)
    try:
        explanation.body = reader.read(row, body, begin)
    except BodyError as error:
        explanation.body = reader.body | {"raw": body.hex()}
        explanation.errors.append(f"body: {error}")


def _decrypted(explanation: Explanation, header: Header, body: bytes, begin: int) -> tuple[str | None, bytes]:
    """Why an encrypted body stays as it is, None when it does not; and the body to go on with."""
    method = _METHODS.get(header.encryption, "reserved")
    why_raw = f"the body is encrypted (method {header.encryption}, {method}) and was not read: there is no key"
    if explanation.key is None:
        return why_raw, body
    try:
        plain = explanation.key.decrypt(header.encryption, body)
    except EncryptionError as error:
        explanation.errors.append(f"body: {error}")
        return f"the body is encrypted (method {header.encryption}, {method}) and was not read", body
    explanation.rows.append(Row(begin, body, "encrypted body", "加密消息体", method))
    explanation.warnings.append(f"the body was encrypted ({method}); offsets below are those of the decrypted message")
    return None, plain


def _unknown(message_id: int) -> str:
    known = without_layout(message_id)
    if known is None:
        return f"0x{message_id:04X} is not known here"
    return f"0x{message_id:04X} {known.name} {known.chinese}: {known.why}; the body stays bytes"

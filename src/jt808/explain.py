"""Any bytes -> what they say, for people and for scripts; nothing here raises on what a peer could have sent.

::

    >>> explain_frame(bytes.fromhex("7e0002000001391234432100017f7e")).as_json()["name"]
    'heartbeat'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, get_type_hints

from jt808 import messages
from jt808.errors import BodyError, FrameError, HeaderError, Result
from jt808.explain_tree import Row, draw
from jt808.fields import Label
from jt808.framing import MIN_FRAME_BYTES, checksum, unescape
from jt808.header import Edition, Header, unpack_header
from jt808.messages.additional_items import AdditionalItem
from jt808.messages.location import BulkLocationReport, LocationReport, split_bulk
from jt808.messages.location_flags import alarm_names, status_names
from jt808.messages.registry import MessageType, body_edition, message_type, walk_body

_FLAG: Final = b"\x7e"


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


def explain_frame(raw: bytes, edition: Edition | None = None) -> Explanation:
    """Explain one frame.

    Args:    raw: the frame as on the wire, flags included; without them it is read all the same and says so.
             edition: of the body; None: 2019 when the header says so, otherwise 2013, or what a 0x0100's length shows.
    """
    explanation = Explanation(raw)
    _explain_content(explanation, _between_flags(raw, explanation.errors), edition)
    return explanation


def explain_stream(raw: bytes, edition: Edition | None = None) -> list[Explanation]:
    """Explain everything in a run of bytes: one Explanation a frame, junk and an unfinished end included."""
    if _FLAG not in raw:
        return [explain_frame(raw, edition)] if raw else []
    head, *pieces = raw.split(_FLAG)
    tail = pieces.pop()
    found = []
    if head:
        found.append(Explanation(head, errors=[f"junk: {len(head)} bytes before the first flag"]))
    found += [explain_frame(_FLAG + piece + _FLAG, edition) for piece in pieces if piece]
    if tail:
        found.append(explain_frame(_FLAG + tail, edition))
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
            errors.append("the opening flag 7e is missing")
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
    if edition is None and header.message_id == 0x0100 and header.edition == Edition.V2013 and _is_whole(header):
        explanation.edition = body_edition(0x0100, header.edition, body)
    explanation.rows[:0] = _header_rows(header, content)
    _judge_header(header, body, explanation)
    _explain_body(explanation, header, body, begin)
    if escaped:
        explanation.rows.append(Row(len(content), _check_byte(escaped), "check byte", "校验码", ""))


def _is_whole(header: Header) -> bool:
    """Whether the body can be read by itself."""
    return not header.encryption and (not header.is_subpackaged or header.package_total == 1)


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


def _header_rows(header: Header, content: bytes) -> list[Row]:
    is_2019 = header.edition == Edition.V2019
    row = message_type(header.message_id)
    known = f" {row.name}" if row else ""
    at = 15 if is_2019 else 10
    rows = [
        Row(0, content[:2], "message id", "消息ID", f"0x{header.message_id:04X}{known}"),
        Row(2, content[2:4], "body attributes", "消息体属性", ""),
        Row(None, b"", "body length", "消息体长度", str(header.body_length), "bytes", 1),
        Row(None, b"", "encryption", "数据加密方式", str(header.encryption), "", 1),
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
        why_raw = f"the body is encrypted (method {header.encryption}) and was not read"
    elif not _is_whole(header):
        why_raw = f"the body is package {header.package_no} of {header.package_total} and was not read alone"
    elif row is None:
        why_raw = f"0x{header.message_id:04X} is not known here"
    if why_raw or row is None or explanation.edition is None:
        explanation.warnings.append(str(why_raw))
        if body:
            explanation.body = {"raw": body.hex()}
            explanation.rows.append(Row(begin, body, "body", "消息体", ""))
        return
    edition = explanation.edition
    read_as = body_edition(header.message_id, edition, body)
    if read_as != edition:
        explanation.warnings.append(f"the body has the layout of {read_as}")
    reader = _BodyReader(explanation, edition)
    try:
        reader.message(row, body, begin)
    except BodyError as error:
        explanation.errors.append(f"body: {error}")
        explanation.body["raw"] = body.hex()


class _BodyReader:
    """Reads a body into ``body`` and ``rows``, field by field, so that what can be read of a broken one is shown."""

    def __init__(self, explanation: Explanation, edition: Edition) -> None:
        self.out = explanation
        self.edition = edition

    def message(self, row: MessageType, body: bytes, begin: int) -> None:
        labels = _labels(row.body)
        for name, first, last, value in walk_body(row, self.edition, body):
            raw = body[first:last]
            if row.body is LocationReport:
                self.location_field(self.out.body, name, begin + first, raw, value, 0)
            elif isinstance(value, LocationReport):
                self.out.rows.append(Row(begin + first, raw, "location report", "位置信息汇报", ""))
                self.location(self.out.body, raw, begin + first, 1)
            elif row.body is BulkLocationReport and name == "items":
                self.bulk(body, begin)
            else:
                if name in labels:
                    self.out.body[name] = _json(name, value)
                label = labels.get(name, Label(_CHINESE.get(name, "")))
                self.out.rows.append(
                    Row(begin + first, raw, _english(name), label.chinese, _shown(name, value), label.unit)
                )
        if row.body is LocationReport:
            self.warn_fault(self.out.body, "")

    def bulk(self, body: bytes, begin: int) -> None:
        locations: list[dict[str, Any]] = []
        self.out.body["locations"] = locations
        _, pieces = split_bulk(body)
        declared = int.from_bytes(body[:2], "big")
        if declared != len(pieces):
            self.out.warnings.append(f"count says {declared} items, {len(pieces)} are there")
        for number, (offset, length) in enumerate(pieces, 1):
            raw = body[offset : offset + length]
            self.out.rows.append(Row(begin + offset, raw, f"item {number}", "位置汇报数据项", f"{length}", "bytes"))
            location: dict[str, Any] = {}
            try:
                self.location(location, raw, begin + offset, 1)
                self.warn_fault(location, f"item {number}: ")
            except BodyError as error:
                self.out.errors.append(f"item {number}: {error}")
                location["raw"] = raw.hex()
            locations.append(location)

    def location(self, into: dict[str, Any], raw: bytes, begin: int, depth: int) -> None:
        row = message_type(0x0200)
        assert row is not None
        for name, first, last, value in walk_body(row, self.edition, raw):
            self.location_field(into, name, begin + first, raw[first:last], value, depth)

    def location_field(self, into: dict[str, Any], name: str, at: int, raw: bytes, value: Any, depth: int) -> None:
        if name == "remainder":
            if value:
                into[name] = value.hex()
                self.out.warnings.append(f"{len(value)} bytes behind the items are no whole item")
                self.out.rows.append(Row(at, raw, "remainder", "剩余数据", "", "", depth))
            return
        if name == "items":
            into[name] = [self.item(item, depth, offset + at) for item, offset in _placed(value)]
            return
        label = _labels(LocationReport)[name]
        into[name] = _json(name, value)
        self.out.rows.append(Row(at, raw, _english(name), label.chinese, _shown(name, value), label.unit, depth))
        if name in ("alarm_flags", "status_flags"):
            names = (alarm_names if name == "alarm_flags" else status_names)(value, self.edition)
            into["alarms" if name == "alarm_flags" else "status"] = [english for english, _ in names]
            self.out.rows += [Row(None, b"", english, chinese, "1", "", depth + 1) for english, chinese in names]

    def item(self, item: AdditionalItem, depth: int, at: int) -> dict[str, Any]:
        row = item.type
        value = list(item.value) if isinstance(item.value, tuple) else item.value
        chinese = row.chinese if row else "未知"
        unit = row.unit if row else ""
        shown = "" if value is None else _spaced(value)
        if item.flags:
            shown += f" ({', '.join(item.flags)})"
        raw = bytes((item.id, len(item.raw))) + item.raw
        self.out.rows.append(Row(at, raw, f"0x{item.id:02X} {item.name}", chinese, shown, unit, depth + 1))
        if row and row.lengths and not item.is_readable:
            expected = " or ".join(map(str, row.lengths))
            self.out.warnings.append(f"item 0x{item.id:02X} has {len(item.raw)} bytes instead of {expected}")
        found: dict[str, Any] = {
            "id": f"0x{item.id:02X}",
            "name": item.name,
            "chinese": chinese,
            "value": value,
            "unit": unit,
            "raw": item.raw.hex(),
        }
        if item.flags is not None:
            found["flags"] = item.flags
        return found

    def warn_fault(self, location: dict[str, Any], where: str) -> None:
        if location.get("time") is None:
            self.out.warnings.append(f"{where}the time is none")
        for name, limit in (("latitude_deg", 90), ("longitude_deg", 180)):
            if abs(location.get(name, 0)) > limit:
                self.out.warnings.append(f"{where}{name} is beyond {limit}")


_CHINESE: Final = {"count": "数据项个数"}


def _placed(items: tuple[AdditionalItem, ...]) -> Iterator[tuple[AdditionalItem, int]]:
    at = 0
    for item in items:
        yield item, at
        at += 2 + len(item.raw)


def _labels(body: type[messages.Message]) -> dict[str, Label]:
    hints = get_type_hints(body, include_extras=True)
    return {f.name: hints[f.name].__metadata__[0] for f in fields(body)}


_UNITS: Final = ("_deg", "_kmh", "_m")


def _english(name: str) -> str:
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return name.replace("serial_no", "serial number").replace("_", " ")


def _json(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return value.hex()
    return f"0x{value:04X}" if name == "answered_message_id" else value


def _shown(name: str, value: Any) -> str:
    """The value for people."""
    if name == "answered_message_id":
        row = message_type(value)
        return f"0x{value:04X}{' ' + row.name if row else ''}"
    if name in ("alarm_flags", "status_flags"):
        return f"0x{value:08X}"
    if name == "result" and value in Result.__members__.values():
        return f"{value} {Result(value).name}"
    if value is None:
        return "none"
    return str(_json(name, value))


def _spaced(value: Any) -> str:
    return "  ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else str(value)

"""The vectors of tests/vectors: bytes that other implementations and real terminals made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jt808 import Deframer, Edition, Header, parse_header
from jt808.subpackage import Assembled, Reassembler

FOLDER = Path(__file__).parents[1] / "vectors"


@cache
def frames() -> list[dict[str, Any]]:
    """All rows of jt808.jsonl."""
    with (FOLDER / "jt808.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@cache
def bodies() -> list[dict[str, Any]]:
    """All rows of jt808-bodies.jsonl."""
    with (FOLDER / "jt808-bodies.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def opened(row: dict[str, Any]) -> tuple[Header, bytes]:
    """Header and body of a valid frame."""
    (content,) = Deframer().feed(bytes.fromhex(row["frame"]))
    assert isinstance(content, bytes)
    return parse_header(content)


@cache
def whole_messages(*message_ids: str) -> list[tuple[dict[str, Any], Header, bytes]]:
    """Valid frames that hold a whole plain body, of the given ids or all."""
    found = []
    for row in frames():
        if row["valid"] and (not message_ids or row["message_id"] in message_ids):
            header, body = opened(row)
            if not header.encryption and not header.is_subpackaged:
                found.append((row, header, body))
    return found


@cache
def location_bodies() -> list[bytes]:
    """Every 0x0200 body there is, those inside 0x0201 and 0x0704 and the broken ones included."""
    found = [body for _, _, body in whole_messages("0x0200")]
    found += [body[2:] for _, _, body in whole_messages("0x0201")]
    found += [bytes.fromhex(row["body"]) for row in bodies() if row["message_id"] == "0x0200"]
    for _, _, body in whole_messages("0x0704"):
        at = 3
        while at < len(body):
            length = int.from_bytes(body[at : at + 2], "big")
            found.append(body[at + 2 : at + 2 + length])
            at += 2 + length
    return found


class Vector(NamedTuple):
    """One whole plain body and what its source says of it."""

    message_id: int
    edition: Edition
    body: bytes
    expected: dict[str, Any]
    basis: str
    origin: str

    @property
    def name(self) -> str:
        """How tests/vectors/disagreements.json names it."""
        return f"0x{self.message_id:04X} {self.edition} {self.body.hex()}"


_WITHOUT_KIND = {
    "JT808_0x0900_0xF7": 0xF7,
    "JT808_0x0900_0xF8": 0xF8,
    "JT808_0x8900_0xF7": 0xF7,
    "JT808_0x8900_0xF8": 0xF8,
}
"""Objects of a source whose bytes begin behind the kind of a pass-through message."""


@cache
def vectors() -> list[Vector]:
    """Every whole body of the frames, of the bodies and of those made by hand, by message id."""
    found = [
        Vector(header.message_id, header.edition, body, row["expected"], row["expected_basis"], row["source"])
        for row, header, body in whole_messages()
    ]
    for row in bodies():
        kind = _WITHOUT_KIND.get(row["object"])
        body = bytes.fromhex(row["body"]) if kind is None else bytes((kind,)) + bytes.fromhex(row["body"])
        basis = {"decode asserts": "assert"}.get(row["expected_basis"], row["expected_basis"])
        edition = Edition(row["version"])
        found.append(Vector(int(row["message_id"], 16), edition, body, row["expected"], basis, row["source"]))
    found += assembled()
    found += handmade()
    return sorted(found, key=lambda vector: (vector.message_id, vector.edition, vector.body))


@cache
def assembled() -> list[Vector]:
    """Messages all of whose packages are among the frames, put together."""
    reassembler = Reassembler(max_sets=100)
    found = []
    for row in frames():
        if not row["valid"] or not row["header"]["fragmented"]:
            continue
        header, body = opened(row)
        got = reassembler.add(header, body, 0.0)
        if isinstance(got, Assembled):
            found.append(
                Vector(
                    header.message_id, header.edition, got.body, row["expected"], row["expected_basis"], row["source"]
                )
            )
    return found


@cache
def handmade() -> list[Vector]:
    """Bodies written by hand from the reference; ``expected`` has the values of our own fields."""
    found = []
    with (FOLDER / "jt808-handmade.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            message_id, edition, body = int(row["message_id"], 16), Edition(row["edition"]), bytes.fromhex(row["body"])
            found.append(Vector(message_id, edition, body, row["expected"], "hand", row["note"]))
    return found


@cache
def disagreements() -> dict[str, dict[str, str]]:
    """Name of a vector -> {what: why}. What: "body" (it cannot be read), "bytes" (we would write others), or the
    source's name of a value."""
    rows = json.loads((FOLDER / "disagreements.json").read_text(encoding="utf-8"))
    return {row["vector"]: row["why"] for row in rows}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a message or of an ``expected``; a list of plain values is one leaf and each of them another."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{path}.{key}" if path else key)
    elif isinstance(value, tuple | list):
        if not any(isinstance(part, dict) or is_dataclass(part) for part in value):
            yield path, list(value)
            if isinstance(value, list):
                return
        for index, part in enumerate(value):
            yield from flat(part, f"{path}[{index}]")
    else:
        yield path, value


def generic(key: str) -> str:
    return re.sub(r"\[\d+\]", "[]", key)

"""The vectors of tests/vectors: bytes that other implementations and real terminals made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jt808 import Deframer, Header, parse_header

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

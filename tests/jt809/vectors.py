"""The frames and bodies of tests/vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jt809 import Cipher, Deframer, Edition, Header, parse_header

FOLDER = Path(__file__).parent.parent / "vectors"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


FRAMES = read("jt809.jsonl")
BODIES = read("jt809-bodies.jsonl")
VALID = [vector for vector in FRAMES if vector["valid"]]
BROKEN = [vector for vector in FRAMES if not vector["valid"]]


def name_of(vector: dict[str, Any]) -> str:
    return f"{vector['version']}-{vector['message_id']}-{vector['sub_id']}"


def cipher_of(vector: dict[str, Any]) -> Cipher | None:
    crypto = vector.get("crypto")
    return Cipher(crypto["M1"], crypto["IA1"], crypto["IC1"]) if crypto else None


def open_vector(vector: dict[str, Any]) -> tuple[Header, bytes]:
    """Header and plain body of a valid frame."""
    (content,) = Deframer().feed(bytes.fromhex(vector["frame"]))
    assert isinstance(content, bytes), content
    header, body = parse_header(content, Edition(vector["version"]))
    cipher = cipher_of(vector)
    return header, cipher.apply(body, header.key) if header.is_encrypted and cipher else body

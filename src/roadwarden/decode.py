"""`roadwarden decode`: explain frames given as hex."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jt808
from jt808.encryption import KeyPair
from jt808.explain import Explanation, explain_stream


def _lines(frames: list[str]) -> Iterator[str]:
    if frames:
        yield from frames
    else:
        if sys.stdin.isatty():
            print("reading frames as hex, one a line; Ctrl-D ends", file=sys.stderr)
        for line in sys.stdin.buffer:  # bytes: a log may hold anything, and no line of it may stop us
            text = line.decode("utf-8", "replace").strip()
            if text:
                yield text


def _unreadable(text: str, problem: str) -> dict[str, Any]:
    return {
        "message_id": None,
        "edition": None,
        "phone": None,
        "serial_no": None,
        "body": {},
        "errors": [problem],
        "input": text[:200],
    }


def _bytes_of(text: str) -> bytes:
    """Hex, with or without spaces, colons, commas, dashes, 0x or \\x. Raises: ValueError with place and character."""
    bare = text
    for mark in ("0x", "0X", "\\x", ":", ",", "-"):
        bare = bare.replace(mark, "")
    bare = "".join(bare.split())
    for place, character in enumerate(bare):
        if character not in "0123456789abcdefABCDEF":
            raise ValueError(f"not hex: {character!r} at character {place + 1}")
    if len(bare) % 2:
        raise ValueError(f"odd number of hex digits ({len(bare)}): the last byte is half")
    return bytes.fromhex(bare)


def _facts(explanations: list[Explanation]) -> dict[str, Any]:
    """One object an input, so that a program can hold inputs and answers side by side: the first frame's facts, and
    those of further frames of the same input under ``more``."""
    first, *others = (explanation.as_json() for explanation in explanations)
    return first | {"more": others} if others else first


def decode(frames: Iterable[str], as_json: bool, edition_name: str | None, key_path: Path | None = None) -> int:
    """Exit code: 0 when every input was explained, junk included (its ``errors`` say so); 2 for a wrong option."""
    try:
        edition = jt808.Edition(edition_name) if edition_name else None
    except ValueError:
        print(f"roadwarden: --edition {edition_name}: it is 2011, 2013 or 2019", file=sys.stderr)
        return 2
    try:
        key = KeyPair.from_pem(key_path.read_bytes()) if key_path else None
    except (OSError, jt808.UsageError) as error:
        print(f"roadwarden: --key {key_path}: {error}", file=sys.stderr)
        return 2
    for text in _lines(list(frames)):
        problem = "nothing to read"
        explanations: list[Explanation] = []
        try:
            raw = _bytes_of(text)
            explanations = explain_stream(raw, edition, key)
            if raw and not explanations:
                problem = "nothing between the flags 7e"
        except ValueError as error:
            problem = str(error)
        if as_json:
            facts = _facts(explanations) if explanations else _unreadable(text, problem)
            print(json.dumps(facts, ensure_ascii=False), flush=True)
        elif explanations:
            for explanation in explanations:
                print(explanation.as_tree(), flush=True)
        else:
            print(f"{problem}: {text[:80]}", flush=True)
    return 0

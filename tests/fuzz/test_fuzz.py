"""The fuzzers' targets on their corpus and, for a while, on what is made of it; and how much work a frame can cause."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from jt808 import BodyError, decode_body
from jt808.explain import explain_body
from jt808.header import MAX_BODY_BYTES
from jt808.messages import message_types
from jt808.messages.registry import MessageType
from tests.fuzz.seeds import MAX_BYTES, corpus, seeds
from tests.fuzz.targets import TARGETS

MAX_CALLS = 50_000
"""Function calls that one frame may cause: 10 ms, at the 0.2 µs that one takes when bodies are read."""


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    assert corpus(target), "is not there"
    for data in [*corpus(target), b"", b"\0", *seeds(target)[::5]]:
        TARGETS[target](data)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_inputs_made_of_the_corpus(target: str) -> None:
    """Random changes without guidance; runs everywhere, and always the same."""
    chance = random.Random(target)
    known = seeds(target)
    for _ in range(1500):
        TARGETS[target](changed(chance.choice(known), chance.choice(known), chance))


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Some bytes written over, doubled, cut, or taken from another input."""
    raw = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(raw))
        match chance.randrange(5):
            case 0:
                raw[at : at + 1] = bytes((chance.choice((0, 1, 0x7D, 0x7E, 0x7F, 0xFF, chance.randrange(256))),))
            case 1:
                raw[at:at] = raw[at : at + chance.randint(1, 40)]
            case 2:
                del raw[at : at + chance.randint(1, 20)]
            case 3:
                raw[at:] = other[chance.randint(0, len(other)) :]
            case _ if raw:
                raw[at % len(raw)] ^= 1 << chance.randrange(8)
    return bytes(raw[:MAX_BYTES])


@pytest.mark.slow
def test_guided_by_coverage_for_ten_seconds(tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        if "fuzz" in os.environ.get("ROADWARDEN_TEST_REQUIRE", ""):
            pytest.fail("atheris is not installed")
        pytest.skip("atheris is not installed; it has wheels for Linux on x86-64")
    script = Path(__file__).with_name("run.py")
    command = [sys.executable, str(script), "--seconds", "10", "--artifacts", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-5000:]
    assert list(tmp_path.iterdir()) == []


def calls(work: Any) -> int:
    """How many functions it calls, Python's and C's."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


FILLERS = [b"\0", b"\1", b"\2\0", b"\0\1", b"\xff", b"\xff\0", b"\0\0\0\1", b"\x30\1\0", b"\1\x64\0", b"\0\0\xf0\0\0"]


@pytest.mark.parametrize("row", list(message_types()), ids=lambda row: f"{row.message_id:04x}")
def test_work_has_a_bound(row: MessageType) -> None:
    """Bodies as long as a frame holds that say as much as they can: many tiny items, the largest counts."""
    for head in (b"", b"\xff" * 2, b"\0\1\xff", b"\1" * 4, b"\0" * 26):
        for filler in FILLERS:
            body = (head + filler * MAX_BODY_BYTES)[:MAX_BODY_BYTES]
            for edition in row.editions:

                def work(body: bytes = body, edition: Any = edition) -> None:
                    with suppress(BodyError):
                        decode_body(row.message_id, edition, body)

                assert calls(work) <= MAX_CALLS, (edition, body[:32].hex())


def test_the_bound_can_be_missed() -> None:
    assert calls(lambda: [len(b"") for _ in range(MAX_CALLS + 1)]) > MAX_CALLS


def test_explaining_has_a_bound_too() -> None:
    """Twice as high: it is for people."""
    for row in message_types():
        body = (b"\0\1\xff" + b"\0\1" * MAX_BODY_BYTES)[:MAX_BODY_BYTES]
        assert calls(lambda row=row, body=body: explain_body(row.message_id, row.editions[0], body)) <= 2 * MAX_CALLS

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from jt808 import build_frame
from jt808.encryption import KeyPair, encrypt
from roadwarden.decode import decode as run

VECTORS = [
    json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "jt808.jsonl").read_text().splitlines()
]


def decode_here(text: str) -> str:
    """The JSON of one input, without a process."""
    with redirect_stdout(StringIO()) as out:
        assert run([text], True, None) == 0
    return out.getvalue()


KEYS = {"message_id", "edition", "phone", "serial_no", "body", "errors"}


def decode(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "roadwarden.cli", "decode", *arguments], input=stdin, capture_output=True, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_one_json_object_a_line_for_every_vector() -> None:
    frames = "\n".join(vector["frame"] for vector in VECTORS).encode()
    code, out, err = decode("--json", stdin=frames)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(VECTORS)  # one answer an input, in order
    assert any(line.get("more") for line in lines)  # of inputs that hold several frames
    assert all(set(line) >= KEYS for line in lines)


def test_a_location_is_explained() -> None:
    vector = next(vector for vector in VECTORS if vector["message_id"] == "0x0200" and vector.get("derived"))
    code, out, _ = decode("--json", vector["frame"])
    fact = json.loads(out)
    derived = vector["derived"]
    assert code == 0
    assert fact["message_id"] == "0x0200"
    assert fact["errors"] == []
    assert fact["phone"] == vector["header"]["phone_bcd"]
    body = fact["body"]
    assert body["latitude_deg"] == derived["latitude_deg"]
    assert body["longitude_deg"] == derived["longitude_deg"]
    assert body["speed_kmh"] == derived["speed_kmh"]
    assert body["alarm_flags"] == derived["alarm_bits"]
    assert body["status_flags"] == derived["status_bits"]
    assert [(item["id"], item["raw"]) for item in body["items"]] == [tuple(item) for item in derived["items"]]


def test_junk_gives_an_error_entry_and_no_traceback() -> None:
    junk = b"not hex at all\n7e\n\xff\xfe\n7e0200\n00\n7e7e\nabc\n"
    code, out, err = decode("--json", stdin=junk)
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert len(lines) == 7
    assert all(line["errors"] for line in lines)


def test_the_tree_is_for_people() -> None:
    vector = next(vector for vector in VECTORS if vector["message_id"] == "0x0200" and vector["valid"])
    code, out, _ = decode(vector["frame"])
    assert code == 0
    assert "0x0200" in out
    assert "位置" in out


@pytest.mark.parametrize(
    "text",
    [
        "7E0002000001391234432100017F7E",
        "7e 00 02 00 00 01 39 12 34 43 21 00 01 7f 7e",
        "7e:00:02:00:00:01:39:12:34:43:21:00:01:7f:7e",
        "7e-00-02-00-00-01-39-12-34-43-21-00-01-7f-7e",
        "0x7e,0x00,0x02,0x00,0x00,0x01,0x39,0x12,0x34,0x43,0x21,0x00,0x01,0x7f,0x7e",
        r"\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x43\x21\x00\x01\x7f\x7e",
    ],
)
def test_hex_in_the_forms_that_logs_have(text: str) -> None:
    assert json.loads(decode_here(text))["name"] == "heartbeat"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7e7e", "nothing between the flags"),
        ("7e0", "odd number of hex digits (3)"),
        ("7e0g", "not hex: 'g' at character 4"),
        ("e7001122e7", "frame with e7"),
        (b"(0740,1,001,BASE,2,TIME)".hex(), "text sentence"),
        ("7e0002000001391234432100017e7e", "check byte"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    errors = json.loads(decode_here(text))["errors"]
    assert any(words in error for error in errors), errors


def test_an_encrypted_body_with_its_key(tmp_path: Path) -> None:
    pair = KeyPair.generate()
    (tmp_path / "key.pem").write_bytes(pair.to_pem())
    frame = build_frame(0x0102, "13912344321", 7, encrypt(pair.platform_key(), b"secret"), encryption=1).hex()
    code, out, err = decode("--json", "--key", str(tmp_path / "key.pem"), frame)
    assert (code, err) == (0, "")
    assert json.loads(out)["body"] == {"auth_code": "secret"}
    assert "no key" in json.loads(decode_here(frame))["warnings"][0]
    code, _, err = decode("--key", str(tmp_path / "none.pem"), frame)
    assert code == 2
    assert "none.pem" in err


def test_a_wrong_edition_is_refused() -> None:
    code, _, err = decode("--edition", "2020", "7e7e")
    assert code == 2
    assert "2020" in err

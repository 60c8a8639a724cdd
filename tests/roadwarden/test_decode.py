from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

VECTORS = [
    json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "jt808.jsonl").read_text().splitlines()
]
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


def test_a_wrong_edition_is_refused() -> None:
    code, _, err = decode("--edition", "2020", "7e7e")
    assert code == 2
    assert "2020" in err

"""Every vector: it can be read, its values are what its source says, and it is written again byte for byte.

What a source has wrong, or odd, stands with its reason in tests/vectors/disagreements.json, and only there.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from jt808 import BodyError, body_edition, decode_body, encode_body
from jt808.messages import message_type
from tests.jt808 import names_media, names_session, names_terminal
from tests.jt808.vectors import FOLDER, Vector, assembled, disagreements, flat, generic, handmade, vectors

NAMES = names_session.NAMES | names_media.NAMES | names_terminal.NAMES

NO_FIELD = re.compile(
    r"(header\..*|reply_frame|reply_note|round_trip|.*_len(gth)?|.*\.size|.*_?count|.*package_count.*|multimedia_id_number)"
)
"""What sources tell besides the fields of a body: lengths and counts, for the most part."""

KNOWN = [vector for vector in vectors() if message_type(vector.message_id) is not None]
names_of_vectors = pytest.mark.parametrize(
    "vector", KNOWN, ids=lambda vector: f"{vector.message_id:04x}-{vector.edition}-{vector.body[:12].hex()}"
)


@names_of_vectors
def test_it_is_read_and_written_again(vector: Vector) -> None:
    why = disagreements().get(vector.name, {})
    if "body" in why:
        with pytest.raises(BodyError):
            decode_body(vector.message_id, vector.edition, vector.body)
        return
    message = decode_body(vector.message_id, vector.edition, vector.body)
    again = encode_body(message, body_edition(vector.message_id, vector.edition, vector.body))
    assert (again == vector.body) == ("bytes" not in why), again.hex()


@names_of_vectors
def test_values_are_what_the_source_says(vector: Vector) -> None:
    why = disagreements().get(vector.name, {})
    row = message_type(vector.message_id)
    assert row is not None
    names = (
        {field.name: field.name for field in fields(row.body)} if vector.basis == "hand" else NAMES.get(row.body, {})
    )
    if vector.basis not in ("assert", "hand") or "body" in why:
        return
    message = decode_body(vector.message_id, vector.edition, vector.body)
    ours = dict(flat(message))
    wrong = {}
    for key, theirs in flat(vector.expected):
        if vector.basis == "hand":
            path: Any = key
        elif key in names or generic(key) in names:
            path = names.get(key, names.get(generic(key)))
        else:
            assert NO_FIELD.fullmatch(key) or key in why, f"{key} is compared with nothing"
            continue
        if path is None:
            continue
        try:
            found = path(message) if callable(path) else ours[specific(path, key)]
        except (AttributeError, LookupError, TypeError):
            found = "cannot be read"
        if not same(found, theirs):
            wrong[key] = (found, theirs)
    assert set(wrong) == set(why) - {"bytes", "version"}, wrong


def specific(path: str, key: str) -> str:
    """``path`` with the indexes of ``key``."""
    for index in re.findall(r"\[\d+\]", key):
        path = path.replace("[]", index, 1)
    return path


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, datetime):
        return (ours + timedelta(hours=8)).strftime("%y%m%d%H%M%S") == re.sub(r"\D", "", theirs)[-12:]
    if isinstance(ours, date | time):
        return ours.isoformat() == theirs
    if isinstance(ours, bytes):
        return ours == (bytes(theirs) if isinstance(theirs, list) else bytes.fromhex(theirs))
    if isinstance(ours, float):
        return abs(ours) == abs(theirs)  # most sources leave the hemisphere bits alone
    return bool(ours == theirs)


def test_disagreements_are_sorted_and_about_vectors() -> None:
    rows = json.loads((FOLDER / "disagreements.json").read_text(encoding="utf-8"))
    listed = [row["vector"] for row in rows]
    assert listed == sorted(set(listed))
    assert set(listed) <= {vector.name for vector in vectors()}
    assert all(row["why"] and all(row["why"].values()) for row in rows)


def test_made_by_hand_are_sorted() -> None:
    rows = [(vector.message_id, vector.edition, vector.body) for vector in handmade()]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len(set(rows)) == len(rows)


def test_packages_of_the_sources_come_together() -> None:
    assert [(vector.message_id, len(vector.body)) for vector in assembled()] == [(0x0104, 1169)]

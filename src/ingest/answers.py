"""What terminals answer to commands (应答): which messages answer, and what they say, as JSON of a bounded size."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from ingest.records import LOCATION_ANSWER
from jt808.errors import BodyError
from jt808.explain import explain_body
from jt808.header import Edition
from jt808.messages import (
    LocationQueryResponse,
    TachographUpload,
    TerminalGeneralResponse,
    TerminalPackagesRequest,
    UpgradeOutcome,
    decode_body,
)

GENERAL_RESPONSE: Final = 0x0001
PACKAGES_REQUEST: Final = 0x0005
ANSWERS: Final = (0x0104, 0x0107, 0x0108, 0x0302, 0x0500, 0x0608, 0x0700, 0x0702, 0x0802, 0x0805)
"""Dedicated ones, besides 0x0201, whose fix is stored with the others."""

WITHOUT_SERIAL_NO: Final = (0x0107, 0x0108, 0x0608, 0x0702)
"""These do not say which message they answer."""

MAX_BYTES: Final = 256 * 1024
MAX_TEXT: Final = 4096
MAX_ITEMS: Final = 500


class Said(NamedTuple):
    """The part of a `fleet.CommandAnswer` that is in the body of the message."""

    request_serial_no: int | None  # None: it does not say what it answers
    request_message_id: int | None = None
    result: int | None = None
    answer: dict[str, Any] | None = None
    refusal: str = ""


def read_answer(message_id: int, edition: Edition, body: bytes) -> Said:
    """What one of these messages says to which command.

    Raises:  BodyError: a 0x0001 or 0x0005 that cannot be read. Of the others is told what can be.
    """
    match message_id:
        case 0x0001:
            response = decode_body(message_id, edition, body)
            assert isinstance(response, TerminalGeneralResponse)
            return Said(response.answered_serial_no, response.answered_message_id, int(response.result))
        case 0x0005:  # for packages that the link itself does not have: of a long message that the core sends
            asked = decode_body(message_id, edition, body)
            assert isinstance(asked, TerminalPackagesRequest)
            return Said(asked.first_serial_no, answer={"package_nos": list(asked.package_nos)})
        case 0x0201:
            explained = explain_body(message_id, edition, body).body
            return Said(serial_no_of(message_id, edition, body), answer=bounded(explained))
        case _:
            answer, refusal = answer_of(message_id, edition, body)
            return Said(serial_no_of(message_id, edition, body), answer=answer, refusal=refusal)


def serial_no_of(message_id: int, edition: Edition, body: bytes) -> int | None:
    """The serial number of what is answered; None when the answer does not say."""
    if message_id in WITHOUT_SERIAL_NO or len(body) < 2:
        return None
    if message_id in (0x0700, LOCATION_ANSWER):  # 2011 prints none in these
        try:
            message = decode_body(message_id, edition, body)
        except BodyError:
            return None
        return message.answered_serial_no if isinstance(message, TachographUpload | LocationQueryResponse) else None
    return int.from_bytes(body[:2], "big")


def answer_of(message_id: int, edition: Edition, body: bytes) -> tuple[dict[str, Any], str]:
    """What it says, and in words that the terminal did not do it ("": it did). Never raises on what a peer sent."""
    explained = explain_body(message_id, edition, body)
    answer = dict(explained.body)
    if explained.errors:
        answer["errors"] = explained.errors
    return bounded(answer), _refusal(message_id, explained.body)


def _refusal(message_id: int, said: dict[str, Any]) -> str:
    """``said``: the fields that could be read. A failure is one whatever stands behind it."""
    if message_id == 0x0108 and (outcome := said.get("outcome")):
        known = outcome in set(UpgradeOutcome)
        return f"upgrade: {UpgradeOutcome(outcome).name.lower().replace('_', ' ') if known else outcome}"
    if message_id == 0x0805 and (result := said.get("result")):
        return {1: "failed", 2: "channel not supported"}.get(result, f"result {result}")
    return ""


def bounded(answer: dict[str, Any]) -> dict[str, Any]:
    """The same when it is small; otherwise long texts and lists are cut, and ``truncated`` says so. The message itself
    is kept verbatim in any case."""
    if len(orjson.dumps(answer)) <= MAX_BYTES:
        return answer
    cut: dict[str, Any] = _cut(answer)
    if len(orjson.dumps(cut)) > MAX_BYTES:
        cut = {}
    return cut | {"truncated": True}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[:MAX_TEXT] + "…"
    if isinstance(value, dict):
        return {name: _cut(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_cut(part) for part in value[:MAX_ITEMS]]
    return value

"""Facts of the gateway's own in the journal: registrations, logins, link ends. Their bodies are JSON objects with the
fields of the nouns in `fleet`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from fleet import RefusedRegistration, Registration, SessionChange
from ingest.journal.base import JournalError, Kind


@dataclass(frozen=True, slots=True)
class Unregistered:
    """A terminal unregistered (终端注销): its code is void, it has to register again."""

    received_us: int
    phone: str


@dataclass(frozen=True, slots=True)
class GatewayStarted:
    """The gateway process began: no session of before is alive, whatever its SESSION_END would have said."""

    received_us: int


Fact = Registration | RefusedRegistration | SessionChange | Unregistered | GatewayStarted

_NOUNS: Final[dict[int, type[Fact]]] = {
    Kind.REGISTERED: Registration,
    Kind.REFUSED: RefusedRegistration,
    Kind.SESSION_BEGIN: SessionChange,
    Kind.SESSION_END: SessionChange,
    Kind.UNREGISTERED: Unregistered,
    Kind.GATEWAY_STARTED: GatewayStarted,
}


def encode_fact(fact: Fact) -> bytes:
    """A record's body."""
    return orjson.dumps(fact, default=bytes.hex)


def decode_fact(kind: int, body: bytes) -> Fact:
    """A record's body back as what it tells.

    Args:    kind: a Kind, not MESSAGE.
    Raises:  JournalError: it cannot be read.
    """
    try:
        values = orjson.loads(body)
        if kind == Kind.REGISTERED:
            values["auth_code_hash"] = bytes.fromhex(values["auth_code_hash"])
        return _NOUNS[kind](**values)
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(f"record of kind {kind} cannot be read: {error}") from error

"""A kind and its payload -> message id and body in a terminal's edition."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import ValidationError

from downlink.kinds import KINDS, Kind, answers_to
from downlink.payload import CommandError
from jt808.errors import UsageError
from jt808.header import Edition
from jt808.messages import UnknownMessage, encode_body, message_id_of, message_type

__all__ = ["CommandError", "Composed", "compose", "lacking"]


class Composed(NamedTuple):
    """What goes out, and what may come back."""

    message_id: int
    body: bytes
    answers: tuple[int, ...] = ()
    answer_within_s: float = 60.0


def kind_of(name: str) -> Kind:
    """Raises:  CommandError: there is no such kind."""
    if name not in KINDS:
        raise CommandError(f"kind: {name} is none of {', '.join(KINDS)}")
    return KINDS[name]


def lacking(kind: Kind, edition: Edition) -> str | None:
    """Why an edition has no such command, in words; None when it has."""
    if edition in kind.editions:
        return None
    return f"JT/T 808-{edition} has no {kind.chinese} ({kind.name}); {' and '.join(kind.editions)} have"


def compose(name: str, payload: dict[str, Any], edition: Edition) -> Composed:
    """The message of a command.

    Raises:  CommandError: no such kind, the payload does not fit it, or the edition does not have it.
    """
    kind = kind_of(name)
    if why := lacking(kind, edition):
        raise CommandError(why)
    try:
        message = kind.payload.model_validate({"kind": name, **payload}).message(edition)
        message_id = message.message_id if isinstance(message, UnknownMessage) else message_id_of(message)
        row = message_type(message_id)
        if name != "raw" and row is not None and edition not in row.editions:
            raise CommandError(f"JT/T 808-{edition} has no 0x{message_id:04X} {row.chinese}")
        body = encode_body(message, edition)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or name
        raise CommandError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
    except UsageError as error:
        raise CommandError(str(error)) from error
    return Composed(message_id, body, answers_to(kind, message_id, payload, edition), kind.answer_within_s)

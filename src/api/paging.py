"""Keyset paging: a list answers ``{"items": [...], "next": cursor or null}``; the cursor is opaque."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import BaseModel

from api.problems import ProblemError

MAX_LIMIT: Final = 1000
_MAX_CURSOR: Final = 512
_INT64: Final = 2**63
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items to answer.")]
CursorText = Annotated[str | None, Query(max_length=_MAX_CURSOR, description="`next` of the page before.")]

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A page of a list. ``next`` is null on the last one."""

    items: list[Item]
    next: str | None


def encode_cursor(*key: int | str | datetime | UUID) -> str:
    """The place after a row, from that row's sort key."""
    parts = [(part - EPOCH) // _MICROSECOND if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def decode_cursor(text: str | None, *types: type) -> Any:
    """The sort key in a cursor as a tuple of these types (int, datetime, UUID), or None for the first page.

    Raises:  ProblemError: 400, the cursor is not one of ours, or belongs to another list.
    """
    if text is None:
        return None
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if not isinstance(parts, list) or len(parts) != len(types):
            raise ValueError("another shape")
        return tuple(_part(part, kind) for part, kind in zip(parts, types, strict=True))
    except (ValueError, OverflowError) as error:
        detail = "The cursor is not one this list gave out. Begin again without a cursor."
        raise ProblemError(400, "bad-cursor", detail) from error


def _part(part: Any, kind: type) -> int | datetime | UUID:
    if kind is UUID:
        return UUID(part if isinstance(part, str) else "")
    if type(part) is not int or not -_INT64 <= part < _INT64:
        raise ValueError("not a number of ours")
    return EPOCH + part * _MICROSECOND if kind is datetime else part


def cut(rows: list[dict[str, Any]], limit: int, *key: str) -> tuple[list[dict[str, Any]], str | None]:
    """``limit`` of the ``limit + 1`` rows that were asked for, and the cursor when there are more."""
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, encode_cursor(*(rows[-1][name] for name in key))

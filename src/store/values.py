"""Our values as PostgreSQL takes them. What it cannot hold is replaced, visibly: one odd byte from a terminal must not
stop the transaction that carries a thousand others' reports."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def to_datetime(time_us: int) -> datetime:
    """Aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=time_us)


def to_us(time: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    return (time - EPOCH) // timedelta(microseconds=1)


def clean_text(value: str) -> str:
    """Text that the server can store: NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub(REPLACEMENT, value)


def json_text(value: Any) -> str:
    """JSON that the server's jsonb takes. NaN and infinity become null, text is cleaned as by ``clean_text``."""
    try:
        text = orjson.dumps(value, default=_default, option=_OPTIONS)
    except orjson.JSONEncodeError:  # a lone surrogate; a value of an unknown type fails again below
        text = orjson.dumps(_clean(value), default=_default, option=_OPTIONS)
    if b"\\u0000" in text:
        text = orjson.dumps(_clean(value), default=_default, option=_OPTIONS)
    return text.decode()


def _default(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError  # orjson names the type


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value

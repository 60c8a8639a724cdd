"""Construct pieces that bodies share: GBK strings, UTC seconds, the calendar fields and coordinates of a position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from construct import Adapter, Bytes, ExprAdapter, Int8ub, Int16ub, Int64ub, Struct, ValidationError

BEIJING: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""The clock of the position block: local calendar fields, GMT+8 (as captured frames show)."""


class _GbkString(Adapter):  # type: ignore[misc]  # construct has no types
    """A fixed-length GBK string padded with 0x00; some peers pad in front, so both ends are trimmed."""

    def _decode(self, obj: bytes, context: Any, path: str) -> str:
        try:
            return obj.strip(b"\x00").decode("gbk")
        except UnicodeDecodeError as error:
            raise ValidationError(f"not GBK text: {obj.hex()}", path=path) from error

    def _encode(self, obj: str, context: Any, path: str) -> bytes:
        size: int = self.sizeof()
        try:
            raw = obj.encode("gbk")
        except UnicodeEncodeError as error:
            raise ValidationError(f"{obj!r} cannot be written in GBK", path=path) from error
        if len(raw) > size:
            raise ValidationError(f"{obj!r} takes {len(raw)} bytes, the field has {size}", path=path)
        return raw.ljust(size, b"\x00")


class _UtcSeconds(Adapter):  # type: ignore[misc]
    """``time``: u64 whole seconds since 1970-01-01 UTC <-> aware datetime."""

    def _decode(self, obj: int, context: Any, path: str) -> datetime:
        try:
            return datetime.fromtimestamp(obj, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ValidationError(f"{obj} s is no time", path=path) from error

    def _encode(self, obj: datetime, context: Any, path: str) -> int:
        return int(obj.timestamp())


class _LocalCalendar(Adapter):  # type: ignore[misc]
    """DATE and TIME of the 2011 position block: Beijing calendar fields <-> aware UTC datetime, whole seconds."""

    def _decode(self, obj: Any, context: Any, path: str) -> datetime:
        try:
            local = datetime(obj.year, obj.month, obj.day, obj.hour, obj.minute, obj.second, tzinfo=BEIJING)
            return local.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            fields = f"{obj.year}-{obj.month}-{obj.day} {obj.hour}:{obj.minute}:{obj.second}"
            raise ValidationError(f"{fields} is no date and time", path=path) from error

    def _encode(self, obj: datetime, context: Any, path: str) -> dict[str, int]:
        t = obj.astimezone(BEIJING)
        return {"day": t.day, "month": t.month, "year": t.year, "hour": t.hour, "minute": t.minute, "second": t.second}


def gbk_string(size: int) -> Any:
    """``sN``: a GBK octet string (Octet String) of ``size`` bytes, padded at the right with 0x00 <-> str."""
    return _GbkString(Bytes(size))


UTC_SECONDS: Final = _UtcSeconds(Int64ub)

LOCAL_CALENDAR: Final = _LocalCalendar(
    Struct(
        "day" / Int8ub,
        "month" / Int8ub,
        "year" / Int16ub,
        "hour" / Int8ub,
        "minute" / Int8ub,
        "second" / Int8ub,
    )
)

IS_SET: Final = ExprAdapter(Int8ub, lambda value, context: value != 0, lambda value, context: int(value))
"""A byte that is 0 or 1 <-> bool."""

"""Values of parameters out of JSON: numbers and texts as they are, objects as the dataclasses of the table."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Final, get_args, get_origin, get_type_hints

from downlink.payload import CommandError, gbk_text
from jt808.messages import parameter_values
from jt808.messages.parameter_table import CAN_IDS, parameter_type

MAX_TEXT_BYTES: Final = 255
"""The length of a parameter has one byte."""
_DATACLASSES: Final[dict[int, type]] = {
    0x0032: parameter_values.ForbiddenPeriod,
    0x005D: parameter_values.CollisionAlarm,
    0x0064: parameter_values.PhotoControl,
    0x0065: parameter_values.PhotoControl,
    0x0075: parameter_values.VideoParameters,
    0x0076: parameter_values.ChannelList,
    0x0077: parameter_values.ChannelVideoList,
    0x0079: parameter_values.AlarmRecording,
    0x007B: parameter_values.ImageAnalysis,
    0x007C: parameter_values.SleepWake,
    0xF364: parameter_values.AdasParameters,
    0xF365: parameter_values.DsmParameters,
    0xF366: parameter_values.TyreParameters,
    0xF367: parameter_values.BlindSpotParameters,
} | dict.fromkeys(CAN_IDS, parameter_values.CanCollection)


def as_value(parameter_id: int, value: Any) -> Any:
    """What `jt808.messages.Parameter.of` takes.

    Raises:  CommandError: the table does not know the id, a text is none that terminals can read, a time is none, or
             an object lacks a field, has one too many, or one of another type.
    """
    row = parameter_type(parameter_id)
    if row is None:
        raise CommandError(f"parameter 0x{parameter_id:04X} is not in the table; send its bytes as raw")
    wanted = _DATACLASSES.get(parameter_id)
    where = f"parameter 0x{parameter_id:04X} {row.name}"
    if wanted is None:
        if isinstance(value, dict | list):
            raise CommandError(f"{where} is one value, not an object")
        return _text(value, where) if isinstance(value, str) else value
    read = _read(wanted, value, where)
    if isinstance(read, parameter_values.ForbiddenPeriod):
        _check_clock(read, where)
    return read


def _text(value: str, where: str) -> str:
    try:
        return gbk_text(value, MAX_TEXT_BYTES)
    except ValueError as error:
        raise CommandError(f"{where}: {error}") from None


def _check_clock(period: parameter_values.ForbiddenPeriod, where: str) -> None:
    """Times of the day; 24:00 is one."""
    ends = {"start": (period.start_hour, period.start_minute), "end": (period.end_hour, period.end_minute)}
    for end, (hour, minute) in ends.items():
        if not (0 <= minute < 60 and 0 <= hour * 60 + minute <= 24 * 60):
            raise CommandError(f"{where}: {end} is no time of the day: {hour}:{minute:02}")


def _read(wanted: Any, value: Any, where: str) -> Any:
    """A JSON value as a dataclass's field of that type."""
    if is_dataclass(wanted) and isinstance(wanted, type):
        return _record(wanted, value, where)
    if get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise CommandError(f"{where} must be a list")
        item = get_args(wanted)[0]
        return tuple(_read(item, part, f"{where}.{number}") for number, part in enumerate(value))
    if wanted is bytes:
        try:
            return bytes.fromhex(value)
        except (TypeError, ValueError):
            raise CommandError(f"{where} must be bytes in hex") from None
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise CommandError(f"{where} must be of type {wanted.__name__}")
    return value


def _record(wanted: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise CommandError(f"{where} is an object of {', '.join(field.name for field in fields(wanted))}")
    hints = get_type_hints(wanted)
    names = {field.name for field in fields(wanted)}
    if missing := sorted(names - value.keys()):
        raise CommandError(f"{where}: {', '.join(missing)} is missing")
    if unknown := sorted(value.keys() - names):
        raise CommandError(f"{where} has no {', '.join(unknown)}")
    return wanted(**{name: _read(hints[name], value[name], f"{where}: {name}") for name in names})

"""Controlling the terminal (终端控制)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Final, Self

from construct import Byte, GreedyBytes, Struct

from jt808.errors import UsageError
from jt808.fields import Label, decode_text, encode_text
from jt808.messages.registry import Direction, Message, register


class ControlCommand(IntEnum):
    """What the terminal shall do (命令字). 2019 lists 2, 4 and 5 only."""

    WIRELESS_UPGRADE = 1  # 无线升级
    CONNECT_TO_SERVER = 2  # 控制终端连接指定服务器
    POWER_OFF = 3  # 终端关机
    RESET = 4  # 终端复位
    FACTORY_RESET = 5  # 终端恢复出厂设置
    CLOSE_DATA_LINK = 6  # 关闭数据通信
    CLOSE_RADIO = 7  # 关闭所有无线通信


class ControlForm(StrEnum):
    """How the parameters of commands 1 and 2 are written. The standard prints two tables that do not agree.

    ``TEXT``: the order of its table 18, a place for each parameter the command has, numbers as decimal text.
    ``BINARY``: the order of its table 19, thirteen places for both commands, numbers as BYTE or WORD. A number can hold
    a byte that is a semicolon; it is told from the end of a place by what fits the thirteen, as far as that goes.
    """

    TEXT = "text"
    BINARY = "binary"


ORDER: Final = (
    "connection_control", "apn", "user", "password", "address", "tcp_port", "udp_port", "manufacturer_id",
    "auth_code", "hardware_version", "firmware_version", "url", "time_limit_min",
)  # fmt: skip
_NUMBERS: Final = {"connection_control": 1, "tcp_port": 2, "udp_port": 2, "time_limit_min": 2}
"""Parameters that are numbers, and the bytes of each in the binary form."""

_MOST_DIGITS: Final = 20  # Python itself refuses to read very long numbers

_TEXT_ORDER: Final = {
    ControlCommand.WIRELESS_UPGRADE: (
        "url", "apn", "user", "password", "address", "tcp_port", "udp_port", "manufacturer_id",
        "hardware_version", "firmware_version", "time_limit_min",
    ),
    ControlCommand.CONNECT_TO_SERVER: (
        "connection_control", "auth_code", "apn", "user", "password", "address", "tcp_port", "udp_port",
        "time_limit_min",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TerminalControl(Message):
    """Control the terminal (终端控制).

    ``command`` is a :class:`ControlCommand` or a maker's own. ``parameters`` (命令参数) are the bytes behind it, apart
    by semicolons; :meth:`compose` writes and :meth:`read` reads them, in either form. Their names: ``url``, ``apn``,
    ``user``, ``password``, ``address``, ``tcp_port``, ``udp_port``, ``manufacturer_id``, ``auth_code``,
    ``hardware_version``, ``firmware_version``, ``time_limit_min`` (0: for ever), ``connection_control`` (0 go to that
    server, for an emergency; 1 come back, then the others are left out).
    """

    command: Annotated[int, Label("命令字", values=ControlCommand)]
    parameters: Annotated[bytes, Label("命令参数")] = b""

    @classmethod
    def compose(cls, command: int, values: Mapping[str, str | int], form: ControlForm = ControlForm.TEXT) -> Self:
        """A command with these parameters; places without one stay empty.

        Raises:  UsageError: the command has no such parameter, or a value does not fit.
        """
        order = _order(command, form)
        if unknown := values.keys() - set(order):
            raise UsageError(f"command {command} has no {', '.join(sorted(unknown))} in its {form} form")
        if form == ControlForm.TEXT and values.get("connection_control") == 1:
            order = order[:1]
        return cls(command, b";".join(_written(name, values[name], form) if name in values else b"" for name in order))

    def read(self, form: ControlForm = ControlForm.TEXT) -> dict[str, str | int]:
        """The parameters that are there, by name; none for a command that has none.

        Raises:  UsageError: the bytes are not in this form.
        """
        order = _order(self.command, form)
        found: dict[str, str | int] = {}
        for name, raw in zip(order, self._places(order, form), strict=False):
            if not raw:
                continue
            if name not in _NUMBERS:
                found[name] = decode_text(raw)
            elif form == ControlForm.BINARY:
                found[name] = int.from_bytes(raw, "big")
            elif raw.isdigit() and len(raw) <= _MOST_DIGITS:
                found[name] = int(raw)
            else:
                raise UsageError(f"{name} is no number: {raw!r}")
        return found

    def _places(self, order: tuple[str, ...], form: ControlForm) -> list[bytes]:
        """The bytes of each place. A binary number may look like empty places: what fills all places rules."""
        raw = self.parameters
        if not raw:
            return []
        sizes = [_NUMBERS.get(name, 0) if form == ControlForm.BINARY else 0 for name in order]
        found = _split(raw, 0, sizes, to_the_last=True) or _split(raw, 0, sizes, to_the_last=False)
        if found is None:
            raise UsageError(f"{raw!r} is not the {form} form of command {self.command}")
        return found


def _split(raw: bytes, at: int, sizes: list[int], *, to_the_last: bool) -> list[bytes] | None:
    """Cut at semicolons: one place for each size, or up to so many; 0 is a text, other sizes are numbers or empty.

    None when there is no such way; empty comes before a number.
    """
    if not sizes:
        return None
    semicolon = raw.find(b";", at)
    stop = len(raw) if semicolon < 0 else semicolon
    for end in [stop] if not sizes[0] else [at, at + sizes[0]]:
        if end > len(raw) or raw[end : end + 1] not in (b"", b";"):
            continue
        if end == len(raw) or (len(sizes) == 1 and end + 1 == len(raw)):  # some end the last place too
            if len(sizes) == 1 or not to_the_last:
                return [raw[at:end]]
        elif (rest := _split(raw, end + 1, sizes[1:], to_the_last=to_the_last)) is not None:
            return [raw[at:end], *rest]
    return None


def _order(command: int, form: ControlForm) -> tuple[str, ...]:
    if command not in _TEXT_ORDER:
        return ()
    return ORDER if form == ControlForm.BINARY else _TEXT_ORDER[ControlCommand(command)]


def _written(name: str, value: str | int, form: ControlForm) -> bytes:
    try:
        if name not in _NUMBERS:
            raw = encode_text(str(value))
            if b";" in raw:
                raise ValueError("a semicolon ends a parameter")
            return raw
        number = int(value).to_bytes(_NUMBERS[name], "big")
    except (OverflowError, ValueError) as error:
        raise UsageError(f"{name} cannot be {value!r}: {error}") from error
    return number if form == ControlForm.BINARY else str(int(value)).encode()


register(
    0x8105,
    TerminalControl,
    Struct("command" / Byte, "parameters" / GreedyBytes),
    name="terminal control",
    chinese="终端控制",
    clause="JT/T 808-2013 §8.13, -2019 §8.16",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)

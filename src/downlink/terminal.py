"""The terminal itself: its parameters, what it is, what it shall do, its firmware; and bytes as they are."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from downlink.parameters import as_value
from downlink.payload import Byte, CommandError, DWord, Hex, Payload, gbk
from jt808.errors import UsageError
from jt808.header import Edition
from jt808.messages import (
    AttributesQuery,
    ControlCommand,
    ControlForm,
    GivenParametersQuery,
    Message,
    Parameter,
    ParametersQuery,
    SetParameters,
    TerminalControl,
    UnknownMessage,
)

MAX_PARAMETERS: Final = 100
MAX_RAW_BYTES: Final = 16 * 1023
READ_AS_ANSWERS: Final = (
    0x0104, 0x0107, 0x0108, 0x0201, 0x0302, 0x0500, 0x0608, 0x0700, 0x0702, 0x0802, 0x0805,
)  # fmt: skip
"""Dedicated answers; the same as `ingest.answers` reads."""
_COMMANDS: Final = {command.name.lower(): command for command in ControlCommand}
_IN_2019: Final = (ControlCommand.CONNECT_TO_SERVER, ControlCommand.RESET, ControlCommand.FACTORY_RESET)


class ParameterValue(BaseModel):
    """A parameter (终端参数) by its id: ``value`` as the table has it, in its unit (a number, a text, an object of the
    fields of one that has several), or ``raw`` bytes in hex for makers' own."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    id: DWord
    value: int | float | Annotated[str, Field(max_length=255)] | dict[str, Any] | None = None
    raw: Annotated[Hex, Field(max_length=510)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> ParameterValue:
        if (self.value is None) == (self.raw is None):
            raise ValueError("value or raw is needed, and not both")
        try:
            self.parameter(Edition.V2013)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    def parameter(self, edition: Edition) -> Parameter:
        if self.raw is not None:
            return Parameter(self.id, bytes.fromhex(self.raw))
        return Parameter.of(self.id, as_value(self.id, self.value), edition)


class ParametersSet(Payload):
    """Set parameters (设置终端参数, 0x8103)."""

    kind: Literal["parameters_set"]
    parameters: Annotated[list[ParameterValue], Field(min_length=1, max_length=MAX_PARAMETERS)]

    def message(self, edition: Edition) -> Message:
        return SetParameters(tuple(one.parameter(edition) for one in self.parameters))


class ParametersAsk(Payload):
    """Ask for parameters: all (查询终端参数, 0x8104), or since 2013 these (查询指定终端参数, 0x8106)."""

    kind: Literal["parameters_query"]
    ids: Annotated[list[DWord], Field(max_length=MAX_PARAMETERS, default_factory=list)]

    def message(self, edition: Edition) -> Message:
        return GivenParametersQuery(tuple(self.ids)) if self.ids else ParametersQuery()


class Attributes(Payload):
    """Ask what the terminal is (查询终端属性, 0x8107), since 2013."""

    kind: Literal["attributes"]

    def message(self, edition: Edition) -> Message:
        return AttributesQuery()


class ControlParameters(BaseModel):
    """Parameters of commands 1 and 2 of a 0x8105; what is left out stays empty. ``time_limit_min`` 0: for ever."""

    model_config = ConfigDict(strict=True, extra="forbid")
    connection_control: Literal[0, 1] | None = None
    url: Annotated[str, gbk(255)] | None = None
    apn: Annotated[str, gbk(64)] | None = None
    user: Annotated[str, gbk(64)] | None = None
    password: Annotated[str, gbk(64)] | None = None
    address: Annotated[str, gbk(128)] | None = None
    tcp_port: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    udp_port: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    manufacturer_id: Annotated[str, gbk(11)] | None = None
    auth_code: Annotated[str, gbk(64)] | None = None
    hardware_version: Annotated[str, gbk(64)] | None = None
    firmware_version: Annotated[str, gbk(64)] | None = None
    time_limit_min: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None


class Control(Payload):
    """Control the terminal (终端控制, 0x8105). Dangerous: it may not come back. 2019 has connect_to_server, reset and
    factory_reset only. ``form``: how numbers are written, see docs/commands.md."""

    kind: Literal["control"]
    command: Literal[
        "wireless_upgrade",
        "connect_to_server",
        "power_off",
        "reset",
        "factory_reset",
        "close_data_link",
        "close_radio",
    ]
    parameters: ControlParameters | None = None
    form: Literal["text", "binary"] = "text"

    @model_validator(mode="after")
    def _fits(self) -> Control:
        try:
            self._composed()
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    def _composed(self) -> TerminalControl:
        command = _COMMANDS[self.command]
        values = self.parameters.model_dump(exclude_none=True) if self.parameters else {}
        if command in (ControlCommand.WIRELESS_UPGRADE, ControlCommand.CONNECT_TO_SERVER):
            if not values:
                raise ValueError(f"parameters: {self.command} needs them")
            return TerminalControl.compose(command, values, ControlForm(self.form))
        if values:
            raise ValueError(f"parameters: {self.command} has none")
        return TerminalControl(command)

    def message(self, edition: Edition) -> Message:
        if edition == Edition.V2019 and _COMMANDS[self.command] not in _IN_2019:
            raise CommandError(f"command: JT/T 808-2019 has no {self.command}")
        return self._composed()


class Upgrade(Payload):
    """Upgrade a part of the terminal (下发终端升级包, 0x8108), since 2013. Dangerous.

    ``firmware_id`` is one that was uploaded; the rest is as it says, unless given. Sent in packages, at a bounded rate,
    going on after a lost link; the result comes as 0x0108.
    """

    kind: Literal["upgrade"]
    firmware_id: Annotated[int, Field(ge=1, le=2**31 - 1)]
    upgrade_type: Byte | None = None
    manufacturer_id: Annotated[str, Field(max_length=5, pattern="^[ -~]*$")] | None = None
    version: Annotated[str, gbk(255)] | None = None

    def message(self, edition: Edition) -> Message:
        raise CommandError("an upgrade is sent from its file")  # see downlink.firmware


class Raw(Payload):
    """Send a body as it is; administrators only. Dangerous. ``answer_id``: what answers it besides 0x0001, one of the
    messages that are read as answers; any other that comes is kept, and belongs to no command."""

    kind: Literal["raw"]
    message_id: Annotated[int, Field(ge=0x8000, le=0xFFFF)]
    body: Annotated[Hex, Field(max_length=2 * MAX_RAW_BYTES)] = ""
    answer_id: Annotated[int, Field(ge=0x0001, le=0x7FFF)] | None = None

    @model_validator(mode="after")
    def _is_ours_to_send(self) -> Raw:
        if self.message_id in (0x8001, 0x8003, 0x8004, 0x8100, 0x8800):
            raise ValueError(f"message_id: 0x{self.message_id:04X} is an answer that the server itself gives")
        if self.answer_id is not None and self.answer_id not in READ_AS_ANSWERS:
            known = ", ".join(f"0x{number:04X}" for number in READ_AS_ANSWERS)
            raise ValueError(f"answer_id: 0x{self.answer_id:04X} is not read as an answer; {known} are")
        return self

    def message(self, edition: Edition) -> Message:
        return UnknownMessage(self.message_id, bytes.fromhex(self.body))

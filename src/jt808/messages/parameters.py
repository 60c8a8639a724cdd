"""The terminal's parameters (终端参数): setting, asking, answering. What each means: :mod:`.parameter_table`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from construct import Byte, ConstructError, GreedyBytes, Int16ub, Int32ub, Prefixed, Struct

from jt808.errors import UsageError
from jt808.fields import Description, Label
from jt808.header import Edition
from jt808.layouts import Counted, Record
from jt808.messages.parameter_table import ParameterType, parameter_type
from jt808.messages.registry import SINCE_2013, Direction, Message, register
from jt808.messages.shapes import by_edition, by_fit, listed, listed_to_the_end


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter (参数项): its id and the bytes of its value, at most 255. One that has several values is there
    several times."""

    parameter_id: Annotated[int, Label("参数ID")]
    raw: Annotated[bytes, Label("参数值")]

    @property
    def type(self) -> ParameterType | None:
        """Its row in the table; None for makers' own."""
        return parameter_type(self.parameter_id)

    @property
    def value(self) -> Any:
        """The value: a number in the row's unit, a text, or a dataclass of :mod:`.parameter_values`. None when the
        table does not know the id, or the bytes are not what it says."""
        row = self.type
        return None if row is None else row.read(self.raw)

    @classmethod
    def of(cls, parameter_id: int, value: Any, edition: Edition = Edition.V2013) -> Self:
        """A parameter to send.

        Raises:  UsageError: the table does not know the id, or the value does not fit.
        """
        row = parameter_type(parameter_id)
        if row is None:
            raise UsageError(f"parameter 0x{parameter_id:04X} is not in the table")
        try:
            raw = row.write(value, edition)
        except (ConstructError, AttributeError, TypeError, ValueError, OverflowError, ArithmeticError) as error:
            raise UsageError(f"parameter 0x{parameter_id:04X} {row.name} cannot be {value!r}") from error
        if len(raw) > 0xFF:
            raise UsageError(f"parameter 0x{parameter_id:04X} {row.name} is longer than 255 bytes")
        return cls(parameter_id, raw)

    @property
    def described(self) -> Description:
        """For explanations."""
        row = self.type
        value = self.value
        is_odd = row is not None and value is None
        meaning = row.values.get(value, "") if row and row.values and isinstance(value, int) else ""
        return Description(
            id=f"0x{self.parameter_id:04X}",
            name=row.name if row else "unknown",
            chinese=row.chinese if row else "未知",
            value=value,
            unit=row.unit if row else "",
            raw=self.raw,
            warning=f"parameter 0x{self.parameter_id:04X} cannot be {len(self.raw)} bytes" if is_odd else "",
            layouts=(row.layout,) if row else (),
            bits=row.bits if row else None,
            shown=f"{value} {meaning}" if meaning else "",
        )


@dataclass(frozen=True, slots=True)
class SetParameters(Message):
    """Set parameters (设置终端参数).

    ``total`` is the number that the message declares where that is not how many are here, None otherwise: in 2011 many
    parameters go out in several messages, and some units count wrong.
    """

    parameters: Annotated[tuple[Parameter, ...], Label("参数项列表")]
    total: Annotated[int | None, Label("参数总数")] = None


@dataclass(frozen=True, slots=True)
class ParametersQuery(Message):
    """Ask for all parameters (查询终端参数); an empty body."""


@dataclass(frozen=True, slots=True)
class GivenParametersQuery(Message):
    """Ask for these parameters (查询指定终端参数), since 2013."""

    parameter_ids: Annotated[tuple[int, ...], Label("参数ID列表")]


@dataclass(frozen=True, slots=True)
class ParametersResponse(Message):
    """The parameters asked for (查询终端参数应答). ``total`` as in :class:`SetParameters`."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    parameters: Annotated[tuple[Parameter, ...], Label("参数项列表")]
    total: Annotated[int | None, Label("应答参数个数")] = None


_PARAMETER: Final = Record(Parameter, Struct("parameter_id" / Int32ub, "raw" / Prefixed(Byte, GreedyBytes)))
_SETTING: Final = by_edition(lambda edition: Struct(*listed_to_the_end("parameters", _PARAMETER, edition)))
_SETTING_COUNTED: Final = by_edition(lambda edition: Struct(*listed("parameters", _PARAMETER, edition)))
_SERIAL: Final = "answered_serial_no" / Int16ub
_ANSWER: Final = by_edition(lambda edition: Struct(_SERIAL, *listed_to_the_end("parameters", _PARAMETER, edition)))
_ANSWER_COUNTED: Final = by_edition(lambda edition: Struct(_SERIAL, *listed("parameters", _PARAMETER, edition)))

register(
    0x8103,
    SetParameters,
    _SETTING,
    name="set parameters",
    chinese="设置终端参数",
    clause="JT/T 808-2013 §8.9, -2019 §8.12",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_SETTING_COUNTED),
)
register(
    0x8104,
    ParametersQuery,
    Struct(),
    name="parameters query",
    chinese="查询终端参数",
    clause="JT/T 808-2013 §8.10, -2019 §8.13",
    direction=Direction.DOWNLINK,
    answer_id=0x0104,
)
register(
    0x8106,
    GivenParametersQuery,
    Struct("parameter_ids" / Counted(Byte, Int32ub)),
    name="given parameters query",
    chinese="查询指定终端参数",
    clause="JT/T 808-2013 §8.11, -2019 §8.14",
    direction=Direction.DOWNLINK,
    answer_id=0x0104,
    editions=SINCE_2013,
)
register(
    0x0104,
    ParametersResponse,
    _ANSWER,
    name="parameters response",
    chinese="查询终端参数应答",
    clause="JT/T 808-2013 §8.12, -2019 §8.15",
    direction=Direction.UPLINK,
    answer_id=None,
    choose=by_fit(_ANSWER_COUNTED),
)

"""Field types that the resources share: text, times, keys, plates, phones."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from fleet import PLATE_COLORS, canonical_phone

MAX_ID: Final = 2**31 - 1
YELLOW: Final = 2

_SPACE_OFFSET = re.compile(r"(\d) (\d\d:?\d\d)$")
_PHONE = re.compile(r"[0-9]{1,20}")


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and Z."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _repair_offset(value: Any) -> Any:
    """A ``+`` that nobody escaped reaches us from a query string as a space."""
    return _SPACE_OFFSET.sub(r"\1+\2", value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    for index, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise ValueError(f"character {index + 1} (U+{ord(character):04X}) is not printable")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("must be one line")
    return text


def _plate(plate: str) -> str:
    plate = plate.strip()
    if not plate:
        raise ValueError("must not be empty")
    if any(character.isspace() for character in plate):
        raise ValueError("must not contain spaces")
    try:
        size = len(plate.encode("gbk"))
    except UnicodeEncodeError as error:
        raise ValueError(f"{plate[error.start]!r} has no place in GBK, which terminals and platforms speak") from None
    if size > 21:
        raise ValueError(f"is {size} bytes in GBK; JT/T 809 has room for 21")
    return plate


def _plate_color(code: int) -> int:
    if code not in PLATE_COLORS:
        known = ", ".join(f"{number} {english}" for number, (english, _) in PLATE_COLORS.items())
        raise ValueError(f"{code} is no plate colour; there are {known}")
    return code


def _phone(text: str) -> str:
    text = text.strip()
    if not _PHONE.fullmatch(text):
        raise ValueError("must be 1 to 20 digits")
    phone = canonical_phone(text)
    if phone == "0":
        raise ValueError("must not be all zeros")
    return phone


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
PathId = Annotated[int, Path(ge=1, le=MAX_ID)]
Text = Annotated[str, AfterValidator(_printable)]
Line = Annotated[str, AfterValidator(_printable), AfterValidator(_one_line)]
Name = Annotated[
    Line, Field(min_length=1, max_length=100), BeforeValidator(lambda v: v.strip() if isinstance(v, str) else v)
]
Plate = Annotated[Line, AfterValidator(_plate), Field(description="车牌号; the VIN of a vehicle without a plate")]
PlateColor = Annotated[int, AfterValidator(_plate_color), Field(description="车牌颜色, JT/T 415-2006 5.4.12")]
Phone = Annotated[str, AfterValidator(_phone), Field(description="终端手机号; padding zeros in front are taken off")]
Time = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
TimeIn = Annotated[AwareDatetime, BeforeValidator(_repair_offset)]


def left_out() -> Any:
    """The default of a member that may be left out of a change but must not be null; it is never looked at."""
    return Field(default_factory=lambda: None)


class Body(BaseModel):
    """A request body: a member nobody knows is an error, not silently nothing."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

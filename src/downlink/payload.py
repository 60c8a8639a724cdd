"""What all payloads share: strictness, texts that terminals can show, numbers by their width on the wire."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, Strict

from jt808.header import Edition
from jt808.messages import Message


class CommandError(ValueError):
    """A command cannot become a message; the text says why, for whoever gave it."""


class Payload(BaseModel):
    """What a kind of command has to be told. A subclass has ``kind`` and says which message it becomes."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    kind: str

    def message(self, edition: Edition) -> Message:
        """The message in the terminal's edition.

        Raises:  CommandError, jt808.UsageError: the edition has no such thing, or no place for a value.
        """
        raise NotImplementedError


def printable(text: str) -> str:
    for index, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise ValueError(f"character {index + 1} (U+{ord(character):04X}) is not printable")
    return text


def terminal_text(text: str, max_bytes: int) -> str:
    """A text that terminals can show: they speak GBK (STRING of JT/T 808). Raises:  ValueError: says why not."""
    printable(text)
    if not text.strip():
        raise ValueError("must not be empty")
    return gbk_text(text, max_bytes)


def gbk_text(text: str, max_bytes: int) -> str:
    """The same, and it may be empty. Raises:  ValueError: says why not."""
    printable(text)
    try:
        size = len(text.encode("gbk"))
    except UnicodeEncodeError as error:
        place = f"character {error.start + 1}, {text[error.start]!r} (U+{ord(text[error.start]):04X})"
        raise ValueError(f"{place}, has no place in GBK, which terminals speak") from None
    if size > max_bytes:
        raise ValueError(f"is {size} bytes in GBK; {max_bytes} are the most")
    return text


def gbk(max_bytes: int) -> Any:
    """A text of at most so many bytes in GBK: ``Annotated[str, gbk(20)]``."""
    return AfterValidator(lambda text: terminal_text(text, max_bytes))


def _hex(text: str) -> str:
    try:
        bytes.fromhex(text)
    except ValueError:
        raise ValueError("must be hex digits, two a byte") from None
    return text.replace(" ", "").lower()


def _number_text(text: str) -> str:
    if not text or any(character not in "0123456789+*#" for character in text):
        raise ValueError("must be digits, and + * #")
    return text


Byte = Annotated[int, Field(ge=0, le=0xFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
DWord = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
Hex = Annotated[str, AfterValidator(_hex)]
PhoneNumber = Annotated[str, Field(max_length=20), AfterValidator(_number_text)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Moment = Annotated[AwareDatetime, Strict(False)]
"""A time with its zone; the wire has it in GMT+8."""

"""Commands on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from api.fields import Body, Id, Text, Time

MAX_TEXT_BYTES: Final = 1024  # of the text of 0x8300 (文本信息下发), JT/T 808-2013 and 2019
MAX_EXPIRES_S: Final = 7 * 86400


def _terminal_text(text: str) -> str:
    """A text that terminals can show: they speak GBK (STRING of JT/T 808)."""
    if not text.strip():
        raise ValueError("must not be empty")
    try:
        size = len(text.encode("gbk"))
    except UnicodeEncodeError as error:
        place = f"character {error.start + 1}, {text[error.start]!r} (U+{ord(text[error.start]):04X})"
        raise ValueError(f"{place}, has no place in GBK, which terminals speak") from None
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"is {size} bytes in GBK; {MAX_TEXT_BYTES} are the most")
    return text


class _NewCommand(Body):
    vehicle_id: Id
    expires_in_s: Annotated[float, Field(ge=1, le=MAX_EXPIRES_S)] | None = None


class NewTextCommand(_NewCommand):
    """Send a text (文本信息下发, 0x8300): shown, read aloud, or both."""

    kind: Literal["text"]
    text: Annotated[Text, AfterValidator(_terminal_text)]
    urgent: bool = False
    display: bool = True
    tts: bool = False
    advertising: bool = False


class NewLocateCommand(_NewCommand):
    """Ask where it is now (位置信息查询, 0x8201)."""

    kind: Literal["locate"]


NewCommand = Annotated[NewTextCommand | NewLocateCommand, Field(discriminator="kind")]

CommandState = Literal["queued", "sent", "acknowledged", "answered", "refused", "timed_out", "expired", "failed"]


class Command(BaseModel):
    """A command to a vehicle's terminal. ``result`` is of its 0x0001: 0 done, 1 failed, 2 wrong, 3 unsupported."""

    id: UUID
    vehicle_id: int
    plate: str
    phone: str
    kind: str
    payload: dict[str, Any]
    state: CommandState
    reason: str
    created_by: int | None
    created_by_name: str | None
    created_at: Time
    updated_at: Time
    expires_at: Time
    sent_at: Time | None
    attempts: int
    result: int | None
    answer: dict[str, Any] | None

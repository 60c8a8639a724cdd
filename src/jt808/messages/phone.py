"""The terminal's telephone (电话): calls that the platform asks for, and its phone book."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from construct import Byte, Struct

from jt808.fields import Label, Text, TextByteLength
from jt808.layouts import Record
from jt808.messages.information import ListAction
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_edition, by_fit, listed_for_action


@dataclass(frozen=True, slots=True)
class CallBack(Message):
    """Call this number (电话回拨); ``kind`` 1 listens in with the terminal's speaker off. At most 20 bytes."""

    kind: Annotated[int, Label("标志", values={0: "call", 1: "listen"})]
    phone_number: Annotated[str, Label("电话号码")]


@dataclass(frozen=True, slots=True)
class Contact:
    """An entry of the phone book (联系人项)."""

    direction: Annotated[int, Label("标志", values={1: "incoming", 2: "outgoing", 3: "both"})]
    phone_number: Annotated[str, Label("电话号码")]
    name: Annotated[str, Label("联系人")]


@dataclass(frozen=True, slots=True)
class SetPhoneBook(Message):
    """Set the phone book (设置电话本). ``action`` and ``total`` as in :class:`.SetEvents`; a contact that is changed is
    known by its name."""

    action: Annotated[int, Label("设置类型", values=ListAction)]
    contacts: Annotated[tuple[Contact, ...], Label("联系人项")] = ()
    total: Annotated[int | None, Label("联系人总数")] = None


_CONTACT: Final = Record(Contact, Struct("direction" / Byte, "phone_number" / TextByteLength, "name" / TextByteLength))
_PHONE_BOOK: Final = by_edition(
    lambda edition: Struct("action" / Byte, *listed_for_action("contacts", _CONTACT, edition))
)

register(
    0x8400,
    CallBack,
    Struct("kind" / Byte, "phone_number" / Text),
    name="call back",
    chinese="电话回拨",
    clause="JT/T 808-2013 §8.31, -2019 §8.28",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
)
register(
    0x8401,
    SetPhoneBook,
    _PHONE_BOOK,
    name="set phone book",
    chinese="设置电话本",
    clause="JT/T 808-2013 §8.32, -2019 §8.29",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_PHONE_BOOK),
)

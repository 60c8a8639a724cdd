"""What a driver has on the display: questions, events, the menu of information, the phone book."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from downlink.payload import Byte, Payload, PhoneNumber, gbk
from jt808.header import Edition
from jt808.messages import (
    Contact,
    Event,
    InformationItem,
    ListAction,
    Message,
    Question,
    QuestionAnswer,
    SetEvents,
    SetInformationMenu,
    SetPhoneBook,
)

MAX_ENTRIES: Final = 100
_ACTIONS: Final = {
    "delete_all": ListAction.DELETE_ALL,
    "replace": ListAction.REPLACE,
    "append": ListAction.APPEND,
    "modify": ListAction.MODIFY,
    "delete": ListAction.DELETE_THESE,
}
_DIRECTIONS: Final = {"incoming": 1, "outgoing": 2, "both": 3}

Action = Literal["delete_all", "replace", "append", "modify"]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


def _has_entries(action: str, count: int, name: str) -> None:
    if action == "delete_all" and count:
        raise ValueError(f"delete_all has no {name}")
    if action != "delete_all" and not count:
        raise ValueError(f"{name}: at least one is needed, unless action is delete_all")


class Choice(_Entry):
    """An answer the driver can choose (候选答案)."""

    id: Byte
    text: Annotated[str, gbk(200)]


class Ask(Payload):
    """Ask the driver (提问下发, 0x8302); what is chosen comes as 0x0302. Left the standard in 2019; units know it."""

    kind: Literal["question"]
    text: Annotated[str, gbk(255)]
    answers: Annotated[list[Choice], Field(min_length=1, max_length=20)]
    urgent: bool = False
    tts: bool = False
    advertising: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Ask:
        if len({answer.id for answer in self.answers}) < len(self.answers):
            raise ValueError("answers: two have the same id")
        return self

    def message(self, edition: Edition) -> Message:
        flags = self.urgent | self.tts << 3 | self.advertising << 4
        return Question(flags, self.text, tuple(QuestionAnswer(answer.id, answer.text) for answer in self.answers))


class DriverEvent(_Entry):
    """An event the driver can report (事件); without a text when it is deleted."""

    id: Byte
    text: Annotated[str, gbk(100)] | None = None


class SetDriverEvents(Payload):
    """Set the events a driver can report (事件设置, 0x8301). Left the standard in 2019; units know it."""

    kind: Literal["events"]
    action: Action | Literal["delete"]
    events: Annotated[list[DriverEvent], Field(max_length=MAX_ENTRIES, default_factory=list)]

    @model_validator(mode="after")
    def _whole(self) -> SetDriverEvents:
        _has_entries(self.action, len(self.events), "events")
        if self.action == "delete" and any(event.text is not None for event in self.events):
            raise ValueError("events: those to delete have no text")
        if self.action not in ("delete", "delete_all") and any(event.text is None for event in self.events):
            raise ValueError("events: each needs a text")
        return self

    def message(self, edition: Edition) -> Message:
        return SetEvents(_ACTIONS[self.action], tuple(Event(event.id, event.text) for event in self.events))


class MenuItem(_Entry):
    """A kind of information the driver can order (信息项)."""

    type: Byte
    name: Annotated[str, gbk(100)]


class SetMenu(Payload):
    """Set the menu of information (信息点播菜单设置, 0x8303). Left the standard in 2019; units know it."""

    kind: Literal["menu"]
    action: Action
    items: Annotated[list[MenuItem], Field(max_length=MAX_ENTRIES, default_factory=list)]

    @model_validator(mode="after")
    def _whole(self) -> SetMenu:
        _has_entries(self.action, len(self.items), "items")
        return self

    def message(self, edition: Edition) -> Message:
        return SetInformationMenu(
            _ACTIONS[self.action], tuple(InformationItem(item.type, item.name) for item in self.items)
        )


class PhoneBookContact(_Entry):
    """A number of the phone book (联系人项)."""

    name: Annotated[str, gbk(60)]
    number: PhoneNumber
    direction: Literal["incoming", "outgoing", "both"] = "both"


class PhoneBook(Payload):
    """Set the phone book (设置电话本, 0x8401); a contact that is changed is known by its name."""

    kind: Literal["phonebook"]
    action: Action
    contacts: Annotated[list[PhoneBookContact], Field(max_length=MAX_ENTRIES, default_factory=list)]

    @model_validator(mode="after")
    def _whole(self) -> PhoneBook:
        _has_entries(self.action, len(self.contacts), "contacts")
        return self

    def message(self, edition: Edition) -> Message:
        contacts = tuple(Contact(_DIRECTIONS[one.direction], one.number, one.name) for one in self.contacts)
        return SetPhoneBook(_ACTIONS[self.action], contacts)

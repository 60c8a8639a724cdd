"""Events, questions and information to choose from (事件、提问、信息点播): what a driver answers on the display.

All of it left the standard in 2019, whose list of ids still names it; units of 2019 get the bodies of 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

from construct import Byte, Computed, Construct, Int16ub, Rebuild, Struct, ValidationError

from jt808.fields import Label, TextByteLength, TextWordLength, bits, encode_text
from jt808.header import Edition
from jt808.layouts import Record, Repeated, end_of
from jt808.messages.registry import Direction, Message, register
from jt808.messages.shapes import by_edition, by_fit, listed_for_action


class ListAction(IntEnum):
    """What to do with the terminal's list (设置类型) of events, information or contacts."""

    DELETE_ALL = 0  # 删除全部
    REPLACE = 1  # 更新
    APPEND = 2  # 追加
    MODIFY = 3  # 修改
    DELETE_THESE = 4  # 删除特定几项 (events only)


@dataclass(frozen=True, slots=True)
class Event:
    """An event the driver can report (事件). ``text`` is None where not even its length is sent: when it is deleted."""

    event_id: Annotated[int, Label("事件ID")]
    text: Annotated[str | None, Label("事件内容")] = None


@dataclass(frozen=True, slots=True)
class SetEvents(Message):
    """Set the events a driver can report (事件设置). ``action`` is a :class:`ListAction`.

    To delete all nothing follows the action. ``total`` is what the message declares where that is not what is here,
    None otherwise: in 2011 a long list goes out in several messages.
    """

    action: Annotated[int, Label("设置类型", values=ListAction)]
    events: Annotated[tuple[Event, ...], Label("事件项列表")] = ()
    total: Annotated[int | None, Label("设置总数")] = None


@dataclass(frozen=True, slots=True)
class EventReport(Message):
    """The driver chose an event (事件报告)."""

    event_id: Annotated[int, Label("事件ID")]


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """One of the answers a driver can choose (候选答案)."""

    answer_id: Annotated[int, Label("答案ID")]
    text: Annotated[str, Label("答案内容")]


@dataclass(frozen=True, slots=True)
class Question(Message):
    """Ask the driver (提问下发)."""

    flags: Annotated[int, Label("标志", bits=bits("flag_names", {
        0: ("urgent", "紧急"), 3: ("tts", "终端TTS播读"), 4: ("advertising_screen", "广告屏显示"),
    }, 8))]  # fmt: skip
    text: Annotated[str, Label("问题")]
    answers: Annotated[tuple[QuestionAnswer, ...], Label("候选答案列表")]


@dataclass(frozen=True, slots=True)
class QuestionResponse(Message):
    """The driver's answer (提问应答). ``answered_serial_no`` is that of the question."""

    answered_serial_no: Annotated[int, Label("应答流水号")]
    answer_id: Annotated[int, Label("答案ID")]


@dataclass(frozen=True, slots=True)
class InformationItem:
    """A kind of information the driver can order (信息项)."""

    information_type: Annotated[int, Label("信息类型")]
    name: Annotated[str, Label("信息名称")]


@dataclass(frozen=True, slots=True)
class SetInformationMenu(Message):
    """Set the menu of information (信息点播菜单设置). ``action`` and ``total`` as in :class:`SetEvents`."""

    action: Annotated[int, Label("设置类型", values=ListAction)]
    items: Annotated[tuple[InformationItem, ...], Label("信息项列表")] = ()
    total: Annotated[int | None, Label("信息项总数")] = None


@dataclass(frozen=True, slots=True)
class InformationOrder(Message):
    """The driver orders information or cancels it (信息点播/取消)."""

    information_type: Annotated[int, Label("信息类型")]
    order: Annotated[int, Label("点播/取消标志", values={0: "cancel", 1: "order"})]


@dataclass(frozen=True, slots=True)
class InformationService(Message):
    """Information for the driver (信息服务). ``total_length``, in bytes: 2011 only, where the text goes out in several
    messages; None when all of it is here."""

    information_type: Annotated[int, Label("信息类型")]
    text: Annotated[str, Label("信息内容")]
    total_length: Annotated[int | None, Label("信息总长度", "bytes")] = None


class _EventItem(Construct):  # type: ignore[misc]
    """An event. When some are deleted, "they carry no content" can mean a length of 0 or no length: where only as many
    bytes are left as there are events, these are the ids."""

    def __init__(self) -> None:
        super().__init__()
        self.item = _EVENT

    def _parse(self, stream: Any, context: Any, path: str) -> Event:
        is_bare = context["action"] == ListAction.DELETE_THESE and self._only_ids(stream, context)
        event: Event = (_BARE_EVENT if is_bare else _EVENT)._parse(stream, context, path)
        return event

    @staticmethod
    def _only_ids(stream: Any, context: Any) -> bool:
        begin = 3 if "declared_total" in context else 2
        return bool(end_of(stream) - begin == context["count"])

    def _build(self, obj: Event, stream: Any, context: Any, path: str) -> Any:
        is_bare = all(event.text is None for event in context["events"])
        if obj.text is None and not (is_bare and context["action"] == ListAction.DELETE_THESE):
            raise ValidationError(f"event {obj.event_id} has no text", path=path)
        return (_BARE_EVENT if is_bare else _EVENT)._build(obj, stream, context, path)


_EVENT: Final = Record(Event, Struct("event_id" / Byte, "text" / TextByteLength))
_BARE_EVENT: Final = Record(Event, Struct("event_id" / Byte, "text" / Computed(None)))
_ANSWER: Final = Record(QuestionAnswer, Struct("answer_id" / Byte, "text" / TextWordLength))
_INFORMATION: Final = Record(InformationItem, Struct("information_type" / Byte, "name" / TextWordLength))


def _action_layouts(name: str, item: Construct) -> dict[Edition, Struct]:
    return by_edition(lambda edition: Struct("action" / Byte, *listed_for_action(name, item, edition)))


def _declared_bytes(context: Any) -> int:
    total: int | None = context["total_length"]
    return len(encode_text(context["text"])) if total is None else total


def _total_bytes(context: Any) -> int | None:
    total: int = context["declared_total"]
    return None if total == len(encode_text(context["text"])) else total


_EVENTS: Final = _action_layouts("events", _EventItem())
_MENU: Final = _action_layouts("items", _INFORMATION)
_SERVICE: Final = Struct("information_type" / Byte, "text" / TextWordLength)
_SERVICES: Final = {
    Edition.V2011: Struct(
        "information_type" / Byte,
        "declared_total" / Rebuild(Int16ub, _declared_bytes),
        "text" / TextWordLength,
        "total_length" / Computed(_total_bytes),
    ),
    Edition.V2013: _SERVICE,
    Edition.V2019: _SERVICE,
}

register(
    0x8301,
    SetEvents,
    _EVENTS,
    name="set events",
    chinese="事件设置",
    clause="JT/T 808-2013 §8.24",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_EVENTS),
)
register(
    0x0301,
    EventReport,
    Struct("event_id" / Byte),
    name="event report",
    chinese="事件报告",
    clause="JT/T 808-2013 §8.25",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x8302,
    Question,
    Struct("flags" / Byte, "text" / TextByteLength, "answers" / Repeated(_ANSWER)),
    name="question",
    chinese="提问下发",
    clause="JT/T 808-2013 §8.26",
    direction=Direction.DOWNLINK,
    answer_id=0x0302,
)
register(
    0x0302,
    QuestionResponse,
    Struct("answered_serial_no" / Int16ub, "answer_id" / Byte),
    name="question response",
    chinese="提问应答",
    clause="JT/T 808-2013 §8.27",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x8303,
    SetInformationMenu,
    _MENU,
    name="set information menu",
    chinese="信息点播菜单设置",
    clause="JT/T 808-2013 §8.28",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_MENU),
)
register(
    0x0303,
    InformationOrder,
    Struct("information_type" / Byte, "order" / Byte),
    name="information order",
    chinese="信息点播/取消",
    clause="JT/T 808-2013 §8.29",
    direction=Direction.UPLINK,
    answer_id=0x8001,
)
register(
    0x8304,
    InformationService,
    _SERVICES,
    name="information service",
    chinese="信息服务",
    clause="JT/T 808-2013 §8.30",
    direction=Direction.DOWNLINK,
    answer_id=0x0001,
    choose=by_fit(_SERVICES),
)

"""What an operator may do with an alarm: the state table, as data.

The engine opens an alarm and ends its episode; people settle it. The two are independent: an episode that is over still
has to be settled, and a settled one may still run. Each step is kept with who and when (table ``alarm_steps``), so the
table is small on purpose: nothing is undone, a wrong word is corrected by the record of the next one.

State diagram (held equal to ``TRANSITIONS`` by a test)::

    open    --claim-------> claimed 认领  take it: the operator answers for it
    open    --handle------> handled 处理  say what was done
    open    --false_alarm-> false   误报  it was none
    claimed --transfer----> claimed 转交  hand it to another operator, or take it over
    claimed --handle------> handled 处理  say what was done
    claimed --false_alarm-> false   误报  it was none
    handled --close-------> closed  归档  put it away
    false   --close-------> closed  归档  put it away
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fleet import AlarmState


class Action(StrEnum):
    """What a person does."""

    CLAIM = "claim"  # 认领
    TRANSFER = "transfer"  # 转交
    HANDLE = "handle"  # 处理
    FALSE_ALARM = "false_alarm"  # 误报
    CLOSE = "close"  # 归档


class LifecycleError(ValueError):
    """The action does not fit the state; the message says which ones do."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: in ``state``, ``action`` leads to ``to``, when the user's role is one of ``roles``."""

    state: AlarmState
    action: Action
    to: AlarmState
    chinese: str
    english: str
    roles: frozenset[str]


_DESK: Final = frozenset({"operator", "admin"})

_TAKE: Final = ("认领", "take it: the operator answers for it")
_PASS: Final = ("转交", "hand it to another operator, or take it over")
_SETTLE: Final = ("处理", "say what was done")
_DISMISS: Final = ("误报", "it was none")
_FILE: Final = ("归档", "put it away")

TRANSITIONS: Final[tuple[Transition, ...]] = (
    Transition(AlarmState.OPEN, Action.CLAIM, AlarmState.CLAIMED, *_TAKE, _DESK),
    Transition(AlarmState.OPEN, Action.HANDLE, AlarmState.HANDLED, *_SETTLE, _DESK),
    Transition(AlarmState.OPEN, Action.FALSE_ALARM, AlarmState.FALSE, *_DISMISS, _DESK),
    Transition(AlarmState.CLAIMED, Action.TRANSFER, AlarmState.CLAIMED, *_PASS, _DESK),
    Transition(AlarmState.CLAIMED, Action.HANDLE, AlarmState.HANDLED, *_SETTLE, _DESK),
    Transition(AlarmState.CLAIMED, Action.FALSE_ALARM, AlarmState.FALSE, *_DISMISS, _DESK),
    Transition(AlarmState.HANDLED, Action.CLOSE, AlarmState.CLOSED, *_FILE, _DESK),
    Transition(AlarmState.FALSE, Action.CLOSE, AlarmState.CLOSED, *_FILE, _DESK),
)

_TABLE: Final[dict[tuple[str, str], Transition]] = {(row.state, row.action): row for row in TRANSITIONS}


def step(state: AlarmState | str, action: Action | str) -> AlarmState:
    """The state that ``action`` leads to from ``state``.

    Raises: LifecycleError: no such state or action, or the action is not possible in that state; says what is.
    """
    return _row(state, action).to


def allowed(state: AlarmState | str) -> tuple[Action, ...]:
    """What can be done with an alarm in this state, in the order a desk would offer it; empty for a closed one."""
    return tuple(row.action for row in TRANSITIONS if row.state == state)


def may(role: str, state: AlarmState | str, action: Action | str) -> bool:
    """Whether a user of this role ("admin", "operator", "viewer") may take the step. Raises as ``step`` does."""
    return role in _row(state, action).roles


def diagram() -> str:
    """The table as text, a line per transition."""
    width = max(len(action) for action in Action)
    return "\n".join(
        f"{row.state:<7} --{row.action:-<{width}}-> {row.to:<7} {row.chinese}  {row.english}" for row in TRANSITIONS
    )


def _row(state: AlarmState | str, action: Action | str) -> Transition:
    row = _TABLE.get((state, action))
    if row is not None:
        return row
    try:
        known = AlarmState(state)
    except ValueError:
        raise LifecycleError(f"no alarm state {state!r}; there are {', '.join(AlarmState)}") from None
    if action not in set(Action):
        raise LifecycleError(f"no alarm action {action!r}; there are {', '.join(Action)}")
    can = ", ".join(allowed(known)) or "nothing"
    raise LifecycleError(f"an alarm that is {known.value} cannot be given {str(action)!r}; possible: {can}")

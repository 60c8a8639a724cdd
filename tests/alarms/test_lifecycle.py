from __future__ import annotations

import pytest

from alarms import Action, LifecycleError, lifecycle, step
from alarms.lifecycle import TRANSITIONS, allowed, diagram, may
from fleet import AlarmState


def test_the_usual_way() -> None:
    state = AlarmState.OPEN
    for action in (Action.CLAIM, Action.TRANSFER, Action.HANDLE, Action.CLOSE):
        state = step(state, action)
    assert state is AlarmState.CLOSED


def test_a_false_alarm() -> None:
    assert step("open", "false_alarm") is AlarmState.FALSE
    assert step("claimed", "false_alarm") is AlarmState.FALSE
    assert step("false", "close") is AlarmState.CLOSED


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize("action", Action)
def test_every_pair_leads_to_a_state_or_says_what_would(state: AlarmState, action: Action) -> None:
    if action in allowed(state):
        assert isinstance(step(state, action), AlarmState)
        assert may("operator", state, action)
        assert may("admin", state, action)
        assert not may("viewer", state, action)
    else:
        with pytest.raises(LifecycleError, match=f"{state}.*{action}.*possible: ") as caught:
            step(state, action)
        for possible in allowed(state) or ["nothing"]:
            assert possible in str(caught.value)


def test_nonsense_is_named() -> None:
    with pytest.raises(LifecycleError, match="no alarm state 'lost'; there are open,"):
        step("lost", "claim")
    with pytest.raises(LifecycleError, match="no alarm action 'forget'; there are claim,"):
        step("open", "forget")


def test_every_state_can_be_reached_and_closed() -> None:
    assert {row.to for row in TRANSITIONS} | {AlarmState.OPEN} == set(AlarmState)
    assert allowed(AlarmState.CLOSED) == ()


def test_the_docstring_draws_the_table() -> None:
    drawn = [line.strip() for line in (lifecycle.__doc__ or "").splitlines() if "-> " in line and "--" in line]
    assert drawn == diagram().splitlines()

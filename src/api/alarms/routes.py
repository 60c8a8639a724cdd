"""The alarm queue and the steps of its handling."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Query
from psycopg import AsyncConnection

from alarms import RULES
from alarms.lifecycle import Action, LifecycleError, step
from api.alarms.schemas import (
    Alarm,
    AlarmRule,
    AlarmsStepped,
    AlarmWithSteps,
    Closing,
    ClosingMany,
    Handling,
    HandlingMany,
    Many,
    State,
    Transfer,
    TransferMany,
)
from api.alarms.shaping import shape
from api.deps import Actor, Operator, ServicesDep, Viewer
from api.fields import Id, TimeIn
from api.filters import choices
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, conflict, invalid, not_found
from api.services import Services
from fleet import AlarmStepped
from store.queries import alarms, users

router = APIRouter(tags=["alarms"])

FALSE_ALARM = "false_alarm"


@router.get("/alarm-rules", response_model=Page[AlarmRule])
async def list_alarm_rules(actor: Viewer) -> Any:
    """The catalogue: every kind of alarm there is."""
    items = [
        {
            "name": rule.name, "chinese": rule.chinese, "english": rule.english, "severity": int(rule.severity),
            "source": rule.source.value,
        }
        for rule in RULES.values()
    ]  # fmt: skip
    return {"items": items, "next": None}


@router.get("/alarms", response_model=Page[Alarm])
async def list_alarms(
    services: ServicesDep,
    actor: Viewer,
    state: Annotated[list[str] | None, Query(description="Repeatable, or a comma list.")] = None,
    severity: Annotated[list[str] | None, Query(description="1 to 4; repeatable, or a comma list.")] = None,
    vehicle_id: Annotated[Id | None, Query()] = None,
    rule: Annotated[list[str] | None, Query(description="Repeatable, or a comma list.")] = None,
    begin: Annotated[TimeIn | None, Query(alias="from", description="Earliest begin.")] = None,
    end: Annotated[TimeIn | None, Query(alias="to", description="Latest begin.")] = None,
    late: bool | None = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """Newest begin first."""
    states = choices("state", state, get_args(State))
    severities = choices("severity", severity, ("1", "2", "3", "4"))
    rules = choices("rule", rule, tuple(RULES))
    before = decode_cursor(cursor, datetime, UUID)
    async with services.database.connection() as connection:
        rows = await alarms.page(
            connection, before=before, limit=limit + 1, states=states, vehicle_id=vehicle_id, rules=rules, begin=begin,
            end=end, late=late, severities=[int(number) for number in severities] if severities else None,
        )  # fmt: skip
    items, following = cut(rows, limit, "begin_time", "id")
    return {"items": [shape(row) for row in items], "next": following}


@router.get("/alarms/{alarm_id}", response_model=AlarmWithSteps)
async def get_alarm(alarm_id: UUID, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        return await _with_steps(connection, alarm_id)


@router.post("/alarms/{alarm_id}/claim", response_model=AlarmWithSteps)
async def claim_alarm(alarm_id: UUID, services: ServicesDep, actor: Operator) -> Any:
    """认领: take an open alarm. Of two who try, one gets it; the other is told who."""
    return await _take(services, actor, alarm_id, Action.CLAIM)


@router.post("/alarms/{alarm_id}/transfer", response_model=AlarmWithSteps)
async def transfer_alarm(alarm_id: UUID, body: Transfer, services: ServicesDep, actor: Operator) -> Any:
    """转交: hand a claimed alarm to another operator, or take it over."""
    to = await _heir(services, actor, body.user_id)
    return await _take(services, actor, alarm_id, Action.TRANSFER, text=body.text, claimed_by=to)


@router.post("/alarms/{alarm_id}/handle", response_model=AlarmWithSteps)
async def handle_alarm(alarm_id: UUID, body: Handling, services: ServicesDep, actor: Operator) -> Any:
    """处理: say what was done; code ``false_alarm`` (误报) says it was none. Open alarms need not be claimed before."""
    action = Action.FALSE_ALARM if body.code == FALSE_ALARM else Action.HANDLE
    return await _take(services, actor, alarm_id, action, code=body.code, text=body.text)


@router.post("/alarms/{alarm_id}/close", response_model=AlarmWithSteps)
async def close_alarm(alarm_id: UUID, services: ServicesDep, actor: Operator, body: Closing | None = None) -> Any:
    """归档: put a handled or false alarm away."""
    return await _take(services, actor, alarm_id, Action.CLOSE, text=body.text if body else "")


@router.post("/alarms/claim", response_model=AlarmsStepped)
async def claim_alarms(body: Many, services: ServicesDep, actor: Operator) -> Any:
    """认领 many at once. Those that do not allow the step are told apart; the others take it."""
    return await _take_many(services, actor, body.ids, Action.CLAIM)


@router.post("/alarms/transfer", response_model=AlarmsStepped)
async def transfer_alarms(body: TransferMany, services: ServicesDep, actor: Operator) -> Any:
    """转交 many at once."""
    to = await _heir(services, actor, body.user_id)
    return await _take_many(services, actor, body.ids, Action.TRANSFER, text=body.text, claimed_by=to)


@router.post("/alarms/handle", response_model=AlarmsStepped)
async def handle_alarms(body: HandlingMany, services: ServicesDep, actor: Operator) -> Any:
    """处理 many at once, with one word for all; the code ``false_alarm`` (误报) says they were none."""
    action = Action.FALSE_ALARM if body.code == FALSE_ALARM else Action.HANDLE
    return await _take_many(services, actor, body.ids, action, code=body.code, text=body.text)


@router.post("/alarms/close", response_model=AlarmsStepped)
async def close_alarms(body: ClosingMany, services: ServicesDep, actor: Operator) -> Any:
    """归档 many at once."""
    return await _take_many(services, actor, body.ids, Action.CLOSE, text=body.text)


async def _heir(services: Services, actor: Actor, user_id: int | None) -> int:
    """Who takes the alarm over: the named user, or whoever asks. Raises ProblemError 422: nobody who can."""
    to = user_id or actor.user_id
    async with services.database.connection() as connection:
        user = await users.get(connection, to)
    if user is None or user["disabled"] or user["role"] == "viewer":
        raise invalid("user_id", f"user {to} is nobody who can handle alarms")
    return to


async def _take(services: Services, actor: Actor, alarm_id: UUID, action: Action, **said: Any) -> dict[str, Any]:
    """One step of the handling, in one transaction with its record."""
    async with services.database.connection() as connection:
        await _step(connection, actor, alarm_id, action, **said)
        alarm = await _with_steps(connection, alarm_id)
    services.bus.publish(AlarmStepped(alarm_id))
    return alarm


async def _take_many(services: Services, actor: Actor, ids: list[UUID], action: Action, **said: Any) -> dict[str, Any]:
    """The step for every alarm that allows it, all in one transaction; the others with the reason."""
    refused: list[dict[str, Any]] = []
    taken: list[UUID] = []
    async with services.database.connection() as connection:
        for alarm_id in sorted(set(ids)):  # in one order, so that two who lock the same ones do not lock each other out
            try:
                await _step(connection, actor, alarm_id, action, **said)
            except ProblemError as error:
                refused.append({"id": alarm_id, "detail": error.detail} | dict(error.extra or {}))
            else:
                taken.append(alarm_id)
        rows = await alarms.by_ids(connection, taken)
    for alarm_id in taken:
        services.bus.publish(AlarmStepped(alarm_id))
    return {"items": [shape(row) for row in rows], "refused": refused}


async def _step(
    connection: AsyncConnection[Any],
    actor: Actor,
    alarm_id: UUID,
    action: Action,
    *,
    code: str | None = None,
    text: str | None = None,
    claimed_by: int | None = None,
) -> None:
    """Take the step and record it. Raises ProblemError before anything is written: 404 no such alarm; 409 its state."""
    old = await alarms.lock(connection, alarm_id)
    if old is None:
        raise not_found("alarm", alarm_id)
    try:
        to_state = step(old["state"], action)
    except LifecycleError as error:
        raise _cannot(old, error) from error
    await alarms.take_step(
        connection, alarm_id, user_id=actor.user_id, action=action.value, from_state=old["state"],
        to_state=to_state.value, claimed_by=claimed_by or actor.user_id, code=code, text=text,
    )  # fmt: skip
    said = {"code": code, "text": text, "to": claimed_by}
    await actor.record(connection, f"alarm.{action.value}", alarm_id, **{k: v for k, v in said.items() if v})


def _cannot(alarm: dict[str, Any], error: LifecycleError) -> ProblemError:
    """409: in whose hands the alarm is."""
    state = alarm["state"]
    settled = state != "claimed"
    who = alarm["handled_by_name"] if settled else alarm["claimed_by_name"]
    when = alarm["handled_at"] if settled else alarm["claimed_at"]
    by = f" by {who}" if who else ""
    detail = f"The alarm is {state}{by}: {error}."
    return conflict("alarm-state", detail, state=state, by=who, at=when)


async def _with_steps(connection: AsyncConnection[Any], alarm_id: UUID) -> dict[str, Any]:
    alarm = await alarms.get(connection, alarm_id)
    if alarm is None:
        raise not_found("alarm", alarm_id)
    return shape(alarm) | {"steps": await alarms.steps(connection, alarm_id)}

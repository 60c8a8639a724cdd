"""The pieces of the pipeline's transaction besides the positions. Each is one or two statements, whatever the number of
rows, and idempotent as far as its data allows; the offset in the same transaction does the rest."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

from fleet import (
    AlarmChange,
    ChangeKind,
    PositionBatch,
    Quarantined,
    RuleState,
    SessionChange,
    TerminalMessage,
)
from store.arrays import Float4, Float8, Int4, Int8, Timestamptz
from store.values import clean_text, json_text, to_datetime

_LATEST: Final = """
INSERT INTO latest_positions AS old (vehicle_id, time, received_at, terminal_id, latitude_deg, longitude_deg,
                                     altitude_m, speed_kmh, heading_deg, alarm_flags, status_flags, mileage_km)
SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (vehicle_id) DO UPDATE SET
    time = excluded.time, received_at = excluded.received_at, terminal_id = excluded.terminal_id,
    latitude_deg = CASE WHEN (excluded.latitude_deg, excluded.longitude_deg) = (0, 0) THEN old.latitude_deg
                        ELSE excluded.latitude_deg END,
    longitude_deg = CASE WHEN (excluded.latitude_deg, excluded.longitude_deg) = (0, 0) THEN old.longitude_deg
                         ELSE excluded.longitude_deg END,
    altitude_m = excluded.altitude_m,
    speed_kmh = excluded.speed_kmh, heading_deg = excluded.heading_deg, alarm_flags = excluded.alarm_flags,
    status_flags = excluded.status_flags, mileage_km = coalesce(excluded.mileage_km, old.mileage_km)
WHERE (old.time, old.received_at) < (excluded.time, excluded.received_at)
"""


async def latest_positions(connection: AsyncConnection[Any], batch: PositionBatch) -> None:
    """The newest fix of each vehicle that is not late, where it is newer than what is there.

    A report without a place (no fix yet, or coordinates that are not on Earth) or without a mileage leaves the last one
    as it was, be that from an earlier row of the batch or from the table: time and state are news all the same.
    Without any place so far it is (0, 0).
    """
    rows = batch.newest_per_vehicle()
    if not len(rows):
        return
    place, placed = _last_with(batch, rows, batch.has_place())
    mileage = batch.items.get("mileage_km")
    if mileage is None:
        mileage_km = Float8(np.zeros(len(rows)), np.zeros(len(rows), np.bool_))
    else:
        source, known = _last_with(batch, rows, batch.present.get("mileage_km", np.ones(len(batch), np.bool_)))
        mileage_km = Float8(mileage[source], known)
    await connection.execute(
        _LATEST,
        (
            Int4(batch.vehicle_id[rows]),
            Timestamptz(batch.time_us[rows]),
            Timestamptz(batch.received_us[rows]),
            Int4(batch.terminal_id[rows]),
            Float8(np.where(placed, batch.latitude_deg[place], 0.0)),
            Float8(np.where(placed, batch.longitude_deg[place], 0.0)),
            Int4(batch.altitude_m[rows]),
            Float4(batch.speed_kmh[rows]),
            Int4(batch.heading_deg[rows]),
            Int8(batch.alarm_flags[rows]),
            Int8(batch.status_flags[rows]),
            mileage_km,
        ),
    )


def _last_with(
    batch: PositionBatch, rows: NDArray[np.intp], has_it: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each of ``rows`` (the newest of each vehicle) the newest row of the same vehicle that has it, itself mostly;
    and whether there is one."""
    known = has_it[rows]
    if known.all():
        return rows, known
    having = batch.newest_per_vehicle(has_it)
    if not len(having):
        return rows, known
    vehicle = batch.vehicle_id[having]
    at = np.minimum(np.searchsorted(vehicle, batch.vehicle_id[rows]), len(having) - 1)
    known = vehicle[at] == batch.vehicle_id[rows]
    return np.where(known, having[at], rows), known


# A live fix whose alarm late data has told already (the terminal sent its store first) makes the same id. It is news
# all the same, so the row becomes the live episode's. The other way round nothing changes.
_BEGIN: Final = """
INSERT INTO alarms AS a (id, vehicle_id, terminal_id, rule, severity, source, late, begin_time, updated_time,
                         latitude_deg, longitude_deg, speed_kmh, facts)
SELECT c.id, c.vehicle_id, c.terminal_id, c.rule, c.severity, c.source, c.late, c.begin_time, c.updated_time,
       c.latitude_deg, c.longitude_deg, c.speed_kmh, c.facts
FROM jsonb_to_recordset(%s::jsonb) AS c(id uuid, vehicle_id integer, terminal_id integer, rule text, severity smallint,
     source text, late boolean, begin_time timestamptz, updated_time timestamptz, latitude_deg double precision,
     longitude_deg double precision, speed_kmh real, facts jsonb)
JOIN vehicles v ON v.id = c.vehicle_id
ON CONFLICT (id) DO UPDATE SET late = false, end_time = NULL, updated_time = excluded.updated_time,
    terminal_id = excluded.terminal_id, latitude_deg = excluded.latitude_deg, longitude_deg = excluded.longitude_deg,
    speed_kmh = excluded.speed_kmh, severity = least(a.severity, excluded.severity), facts = a.facts || excluded.facts
    WHERE a.late AND NOT excluded.late RETURNING id
"""
# Only what the engine knows is touched: state, handler and steps belong to the operators, so nothing is reopened. A
# live fix that comes again as late data makes the same id: what is said of it then must not touch the live episode.
_CHANGE: Final = """
UPDATE alarms AS a SET facts = a.facts || c.facts, updated_time = greatest(a.updated_time, c.updated_time),
       end_time = coalesce(c.end_time, a.end_time), severity = least(a.severity, c.severity)
FROM jsonb_to_recordset(%s::jsonb) AS c(id uuid, late boolean, severity smallint, updated_time timestamptz,
     end_time timestamptz, facts jsonb)
WHERE a.id = c.id AND a.late = c.late RETURNING a.id
"""
_WITHOUT_VEHICLE: Final = """
SELECT count(*) FROM unnest(%s::integer[]) AS c(vehicle_id) WHERE NOT EXISTS
       (SELECT FROM vehicles v WHERE v.id = c.vehicle_id)
"""


async def alarm_changes(
    connection: AsyncConnection[Any], changes: Sequence[AlarmChange]
) -> tuple[list[uuid.UUID], int]:
    """Begin, change and end episodes; returns the ids of the rows that changed, and how many begins had no vehicle.

    The changes of one alarm are folded, in their order, into at most one insert and one update.
    """
    begins: dict[uuid.UUID, dict[str, Any]] = {}
    updates: dict[tuple[uuid.UUID, bool], dict[str, Any]] = {}
    for change in changes:
        time = to_datetime(change.time_us)
        if change.kind is ChangeKind.BEGIN:
            before = begins.get(change.id)
            if before is None or (before["late"] and not change.late):
                begins[change.id] = _begin_row(change)
            continue
        update = updates.setdefault(
            (change.id, change.late),
            {"id": change.id, "late": change.late, "severity": change.severity, "updated_time": time, "facts": {}},
        )
        update["severity"] = min(update["severity"], change.severity)
        update["updated_time"] = max(update["updated_time"], time)
        update["facts"] |= change.facts
        if change.kind is ChangeKind.END:
            end_us = change.end_us if change.end_us is not None else change.time_us
            update["end_time"] = to_datetime(end_us)
    changed: dict[uuid.UUID, None] = {}
    orphans = 0
    if begins:
        cursor = await connection.execute(_BEGIN, (json_text(list(begins.values())),))
        begun = [row[0] for row in await cursor.fetchall()]
        changed |= dict.fromkeys(begun)
        if len(begun) < len(begins):
            vehicles = [row["vehicle_id"] for row in begins.values()]
            row = await (await connection.execute(_WITHOUT_VEHICLE, (vehicles,))).fetchone()
            orphans = int(row[0]) if row is not None else 0
    if updates:
        cursor = await connection.execute(_CHANGE, (json_text(list(updates.values())),))
        changed |= dict.fromkeys(row[0] for row in await cursor.fetchall())
    return list(changed), orphans


def _begin_row(change: AlarmChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "vehicle_id": change.vehicle_id,
        "terminal_id": change.terminal_id,
        "rule": change.rule,
        "severity": change.severity,
        "source": change.source,
        "late": change.late,
        "begin_time": to_datetime(change.begin_us),
        "updated_time": to_datetime(change.time_us),
        "latitude_deg": change.latitude_deg,
        "longitude_deg": change.longitude_deg,
        "speed_kmh": change.speed_kmh,
        "facts": change.facts,
    }


_REMEMBER: Final = """
INSERT INTO rule_states (vehicle_id, rule, is_late, state)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS s(vehicle_id integer, rule text, is_late boolean, state jsonb)
ON CONFLICT (vehicle_id, rule, is_late) DO UPDATE SET state = excluded.state
"""
_FORGET: Final = """
DELETE FROM rule_states AS r USING jsonb_to_recordset(%s::jsonb) AS s(vehicle_id integer, rule text, is_late boolean)
WHERE (r.vehicle_id, r.rule, r.is_late) = (s.vehicle_id, s.rule, s.is_late)
"""


async def rule_states(connection: AsyncConnection[Any], states: Sequence[RuleState]) -> None:
    """What the rules remember from now on; of several states of one key the last counts."""
    last = {(state.vehicle_id, state.rule, state.is_late): state.state for state in states}
    kept: list[dict[str, Any]] = []
    forgotten: list[dict[str, Any]] = []
    for (vehicle_id, rule, is_late), state in last.items():
        key = {"vehicle_id": vehicle_id, "rule": rule, "is_late": is_late}
        if state is None:
            forgotten.append(key)
        else:
            kept.append(key | {"state": state})
    if kept:
        await connection.execute(_REMEMBER, (json_text(kept),))
    if forgotten:
        await connection.execute(_FORGET, (json_text(forgotten),))


_QUARANTINE: Final = """
INSERT INTO quarantine (received_at, phone, edition, message_id, serial_no, reason, detail, body)
SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::text[], %s::text[],
                     %s::bytea[])
"""


async def quarantined(connection: AsyncConnection[Any], items: Sequence[Quarantined]) -> None:
    """Records that became no position, with their bytes and the reason."""
    if items:
        await connection.execute(
            _QUARANTINE,
            (
                [to_datetime(item.received_us) for item in items],
                [clean_text(item.phone) for item in items],
                [clean_text(item.edition) for item in items],
                [item.message_id for item in items],
                [item.serial_no for item in items],
                [clean_text(item.reason) for item in items],
                [clean_text(item.detail) for item in items],
                [item.body for item in items],
            ),
        )


_MESSAGES: Final = """
INSERT INTO terminal_messages (received_at, phone, edition, message_id, serial_no, body)
SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::bytea[])
"""


async def terminal_messages(connection: AsyncConnection[Any], messages: Sequence[TerminalMessage]) -> None:
    """Uplink messages that nothing of ours reads yet, verbatim."""
    if messages:
        await connection.execute(
            _MESSAGES,
            (
                [to_datetime(message.received_us) for message in messages],
                [clean_text(message.phone) for message in messages],
                [clean_text(message.edition) for message in messages],
                [message.message_id for message in messages],
                [message.serial_no for message in messages],
                [message.body for message in messages],
            ),
        )


_SESSION_COLUMNS: Final = (
    "unnest(%s::timestamptz[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::text[])"
    " AS c(time, phone, online, peer, transport, edition, reason)"
)
_SESSION_LOG: Final = f"""
INSERT INTO session_log (time, phone, online, peer, transport, edition, reason) SELECT * FROM {_SESSION_COLUMNS}
"""
# The end of a link that another one displaced does not put the terminal off-line.
_PRESENCE: Final = f"""
INSERT INTO terminal_presence AS old (since, phone, online, peer, transport, edition, reason)
SELECT * FROM {_SESSION_COLUMNS} ORDER BY phone
ON CONFLICT (phone) DO UPDATE SET since = excluded.since, online = excluded.online, peer = excluded.peer,
       transport = excluded.transport, edition = excluded.edition, reason = excluded.reason
WHERE excluded.online OR NOT old.online OR old.peer = excluded.peer
"""
_EQUIPMENT: Final = """
UPDATE terminals AS t SET imei = CASE c.imei WHEN '' THEN t.imei ELSE c.imei END, updated_at = now(),
       former_imei = CASE WHEN c.imei NOT IN ('', t.imei) AND t.imei <> '' THEN t.imei ELSE t.former_imei END,
       imei_changed_at = CASE WHEN c.imei NOT IN ('', t.imei) AND t.imei <> '' THEN now() ELSE t.imei_changed_at END,
       software_version = CASE c.software_version WHEN '' THEN t.software_version ELSE c.software_version END
FROM unnest(%s::text[], %s::text[], %s::text[]) AS c(phone, imei, software_version) WHERE t.phone = c.phone
"""
_EQUIPMENT_DIFFERS: Final = """
SELECT EXISTS (SELECT FROM unnest(%s::text[], %s::text[], %s::text[]) AS c(phone, imei, software_version)
JOIN terminals t USING (phone)
WHERE c.imei NOT IN ('', t.imei) OR c.software_version NOT IN ('', t.software_version))
"""


_ALL_OFFLINE: Final = """
WITH ended AS (UPDATE terminal_presence SET online = false, since = %s, reason = %s WHERE online RETURNING *)
INSERT INTO session_log (time, phone, online, peer, transport, edition, reason)
SELECT since, phone, online, peer, transport, edition, reason FROM ended
"""


async def sessions(connection: AsyncConnection[Any], changes: Sequence[SessionChange]) -> None:
    """Who is on-line, the log of links, and what terminals said of themselves when they logged in.

    A change without a phone speaks of all terminals: the gateway began anew and no link of before is alive.
    """
    begin = 0
    for number, change in enumerate(changes):
        if change.phone == "":  # the gateway began anew: all links of before are gone
            await _links(connection, changes[begin:number])
            await connection.execute(_ALL_OFFLINE, (to_datetime(change.received_us), clean_text(change.reason)))
            begin = number + 1
    await _links(connection, changes[begin:])


async def _links(connection: AsyncConnection[Any], changes: Sequence[SessionChange]) -> None:
    if not changes:
        return
    await connection.execute(_SESSION_LOG, _session_arrays(changes))
    # A statement may touch a row once, and the changes of one terminal count in their order: so in rounds, the first
    # change of each terminal, then the second of each, ...
    rounds: list[list[SessionChange]] = []
    seen: dict[str, int] = {}
    for change in changes:
        number = seen[change.phone] = seen.get(change.phone, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(change)
    for round_ in rounds:
        await connection.execute(_PRESENCE, _session_arrays(round_))
    equipped = {change.phone: change for change in changes if change.imei or change.software_version}
    if equipped:
        arrays = (
            list(equipped),
            [clean_text(change.imei) for change in equipped.values()],
            [clean_text(change.software_version) for change in equipped.values()],
        )
        # Asked first, because an UPDATE tells everybody who caches terminals, also when it changes nothing.
        row = await (await connection.execute(_EQUIPMENT_DIFFERS, arrays)).fetchone()
        if row is not None and row[0]:
            await connection.execute(_EQUIPMENT, arrays)


def _session_arrays(changes: Sequence[SessionChange]) -> tuple[list[Any], ...]:
    return (
        [to_datetime(change.received_us) for change in changes],
        [clean_text(change.phone) for change in changes],
        [change.online for change in changes],
        [clean_text(change.peer) for change in changes],
        [clean_text(change.transport) for change in changes],
        [clean_text(change.edition) for change in changes],
        [clean_text(change.reason) for change in changes],
    )

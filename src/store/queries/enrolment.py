"""Terminals that registered (终端注册), were refused, or unregistered: their rows, their vehicles, their bindings.

The gateway decided already; here its decisions are written down, in the order it took them, and doing it twice changes
nothing. Several hundred at once (a fleet after a restart) are a handful of statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection

from fleet import RefusedRegistration, Registration
from store.values import clean_text, json_text, to_datetime

MAX_PENDING: Final = 10_000
"""Refused terminals that are listed at most: whoever makes up phone numbers must not fill the database."""

REFUSED_AGAIN_S: Final = 60.0
"""A terminal that asks again and again is noted once in this time: each note tells everybody who caches terminals."""

_Noun = TypeVar("_Noun", Registration, RefusedRegistration)

# Only a claim that differs from the one before moves a terminal, so a vehicle that an administrator chose stays until
# the terminal says something new. Locked, since the console may be approving it at this moment.
_CLAIMS: Final = """
SELECT phone, claimed_plate, claimed_plate_color FROM terminals WHERE phone = ANY (%s) ORDER BY phone FOR UPDATE
"""
# The newest registration wins.
_REGISTER: Final = """
WITH new AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS c(phone text, edition text, province_id integer, city_id integer,
        manufacturer_id text, terminal_model text, terminal_id text, plate_color smallint, plate text,
        auth_code_hash text, auth_issued_us bigint, received_at timestamptz)
), stored AS (
    INSERT INTO terminals AS t (phone, edition, province_id, city_id, manufacturer_id, terminal_model, terminal_id,
        claimed_plate_color, claimed_plate, auth_code_hash, auth_issued_us)
    SELECT phone, edition, province_id, city_id, manufacturer_id, terminal_model, terminal_id, plate_color, plate,
        decode(auth_code_hash, 'hex'), auth_issued_us FROM new ORDER BY phone
    ON CONFLICT (phone) DO UPDATE SET edition = excluded.edition, province_id = excluded.province_id,
        city_id = excluded.city_id, manufacturer_id = excluded.manufacturer_id,
        terminal_model = excluded.terminal_model, terminal_id = excluded.terminal_id,
        claimed_plate_color = excluded.claimed_plate_color, claimed_plate = excluded.claimed_plate,
        auth_code_hash = excluded.auth_code_hash, auth_issued_us = excluded.auth_issued_us,
        standing = CASE t.standing WHEN 'blocked' THEN 'blocked' ELSE 'approved' END, updated_at = now()
    WHERE t.auth_issued_us < excluded.auth_issued_us
    RETURNING t.id, t.phone, t.vehicle_id
)
SELECT stored.id, phone, stored.vehicle_id, new.plate, new.plate_color, new.received_at
FROM stored JOIN new USING (phone) ORDER BY stored.id
"""
_MAKE_VEHICLES: Final = """
INSERT INTO vehicles (plate, plate_color, vin)
SELECT DISTINCT plate, color, CASE color WHEN 0 THEN plate END
FROM unnest(%s::text[], %s::smallint[]) AS c(plate, color)
WHERE NOT EXISTS (SELECT FROM vehicles v WHERE (v.plate, v.plate_color) = (c.plate, c.color) AND v.retired_at IS NULL)
ORDER BY plate, color
ON CONFLICT (plate, plate_color) WHERE plate <> '' AND retired_at IS NULL DO NOTHING
"""
_FIND_VEHICLES: Final = """
SELECT v.plate, v.plate_color, v.id FROM unnest(%s::text[], %s::smallint[]) AS c(plate, color)
JOIN vehicles v ON (v.plate, v.plate_color) = (c.plate, c.color) AND v.retired_at IS NULL
"""
_PUT_INTO: Final = """
UPDATE terminals AS t SET vehicle_id = c.vehicle_id FROM unnest(%s::integer[], %s::integer[]) AS c(id, vehicle_id)
WHERE t.id = c.id
"""
_BIND: Final = """
INSERT INTO terminal_bindings (terminal_id, from_time, vehicle_id)
SELECT c.id, CASE WHEN EXISTS (SELECT FROM terminal_bindings b WHERE b.terminal_id = c.id)
             THEN c.from_time ELSE to_timestamp(0) END, c.vehicle_id
FROM unnest(%s::integer[], %s::timestamptz[], %s::integer[]) AS c(id, from_time, vehicle_id)
ON CONFLICT (terminal_id, from_time) DO UPDATE SET vehicle_id = excluded.vehicle_id
"""


async def enrol(connection: AsyncConnection[Any], registrations: Sequence[Registration]) -> None:
    """Write down terminals that the gateway took in, and put each into the vehicle it claims.

    The vehicle is the one in service with that plate and colour, made when there is none; a terminal without a plate
    that is in no vehicle gets one of its own. A terminal's first binding reaches back to 1970, so that what it saved up
    before it registered finds its vehicle too; a later one holds from the registration on.
    """
    for round_ in _rounds(registrations):
        await _enrol_round(connection, round_)


async def _enrol_round(connection: AsyncConnection[Any], registrations: Sequence[Registration]) -> None:
    cursor = await connection.execute(_CLAIMS, ([item.phone for item in registrations],))
    claims = {phone: (plate, color) for phone, plate, color in await cursor.fetchall()}
    cursor = await connection.execute(_REGISTER, (json_text([_row(item) for item in registrations]),))
    moving: list[tuple[int, str, int, Any]] = []
    for terminal_id, phone, vehicle_id, plate, color, received_at in await cursor.fetchall():
        if vehicle_id is None or (plate and claims.get(phone) != (plate, color)):
            moving.append((terminal_id, plate, color, received_at))
    if not moving:
        return
    plates = sorted({(plate, color) for _, plate, color, _ in moving if plate})
    columns = [plate for plate, _ in plates], [color for _, color in plates]
    if plates:
        await connection.execute(_MAKE_VEHICLES, columns)
    vehicles = {row[:2]: row[2] for row in await (await connection.execute(_FIND_VEHICLES, columns)).fetchall()}
    nameless = sum(not plate for _, plate, _, _ in moving)
    cursor = await connection.execute(
        "INSERT INTO vehicles (plate) SELECT '' FROM generate_series(1, %s) RETURNING id", (nameless,)
    )
    spare = iter([row[0] for row in await cursor.fetchall()])
    places = [vehicles[plate, color] if plate else next(spare) for _, plate, color, _ in moving]
    ids = [terminal_id for terminal_id, _, _, _ in moving]
    await connection.execute(_PUT_INTO, (ids, places))
    await connection.execute(_BIND, (ids, [received_at for *_, received_at in moving], places))


def _row(item: Registration) -> dict[str, Any]:
    return {
        "phone": item.phone,
        "edition": item.edition,
        "province_id": item.province_id,
        "city_id": item.city_id,
        "manufacturer_id": clean_text(item.manufacturer_id),
        "terminal_model": clean_text(item.terminal_model),
        "terminal_id": clean_text(item.terminal_id),
        "plate_color": item.plate_color,
        "plate": clean_text(item.plate).strip(),
        "auth_code_hash": item.auth_code_hash.hex(),
        "auth_issued_us": item.auth_issued_us,
        "received_at": to_datetime(item.received_us),
    }


_WORTH_NOTING: Final = """
SELECT c.phone, t.id IS NULL FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS c(phone, reason, time)
LEFT JOIN terminals t USING (phone)
WHERE t.id IS NULL OR t.last_refusal <> c.reason OR t.last_refused_at IS NULL
   OR c.time >= t.last_refused_at + %s * interval '1 s'
"""
# What an approved terminal is known by stays as it is: whoever asks under its number must not change it.
_REFUSE: Final = """
INSERT INTO terminals AS t (phone, standing, edition, manufacturer_id, terminal_model, terminal_id, claimed_plate_color,
    claimed_plate, last_refused_at, last_refusal)
SELECT phone, 'pending', edition, manufacturer_id, terminal_model, terminal_id, plate_color, plate, time, reason
FROM jsonb_to_recordset(%s::jsonb) AS c(phone text, edition text, manufacturer_id text, terminal_model text,
    terminal_id text, plate_color smallint, plate text, time timestamptz, reason text) ORDER BY phone
ON CONFLICT (phone) DO UPDATE SET last_refused_at = excluded.last_refused_at, last_refusal = excluded.last_refusal,
    edition = CASE t.standing WHEN 'pending' THEN excluded.edition ELSE t.edition END,
    manufacturer_id = CASE t.standing WHEN 'pending' THEN excluded.manufacturer_id ELSE t.manufacturer_id END,
    terminal_model = CASE t.standing WHEN 'pending' THEN excluded.terminal_model ELSE t.terminal_model END,
    terminal_id = CASE t.standing WHEN 'pending' THEN excluded.terminal_id ELSE t.terminal_id END,
    claimed_plate = CASE t.standing WHEN 'pending' THEN excluded.claimed_plate ELSE t.claimed_plate END,
    claimed_plate_color = CASE t.standing WHEN 'pending' THEN excluded.claimed_plate_color
                          ELSE t.claimed_plate_color END,
    updated_at = now()
"""


async def list_refused(connection: AsyncConnection[Any], refused: Sequence[RefusedRegistration]) -> int:
    """List terminals that asked and are not known, for approval: standing ``pending``. Nobody's standing is changed.

    Returns how many were not listed, because ``MAX_PENDING`` wait already: to be counted.
    """
    last = {item.phone: item for item in refused}
    if not last:
        return 0
    cursor = await connection.execute(
        _WORTH_NOTING,
        (
            list(last),
            [_reason(item) for item in last.values()],
            [to_datetime(item.received_us) for item in last.values()],
            REFUSED_AGAIN_S,
        ),
    )
    is_new = dict(await cursor.fetchall())
    room = 0
    if any(is_new.values()):
        row = await (await connection.execute("SELECT count(*) FROM terminals WHERE standing = 'pending'")).fetchone()
        assert row is not None
        room = max(0, MAX_PENDING - row[0])
    unlisted = [phone for phone, new in is_new.items() if new][room:]
    noted = [item for phone, item in last.items() if phone in is_new and phone not in set(unlisted)]
    if noted:
        await connection.execute(_REFUSE, (json_text([_refused_row(item) for item in noted]),))
    return len(unlisted)


def _reason(item: RefusedRegistration) -> str:
    return clean_text(item.reason)


def _refused_row(item: RefusedRegistration) -> dict[str, Any]:
    return {
        "phone": item.phone,
        "edition": item.edition,
        "manufacturer_id": clean_text(item.manufacturer_id),
        "terminal_model": clean_text(item.terminal_model),
        "terminal_id": clean_text(item.terminal_id),
        "plate_color": item.plate_color,
        "plate": clean_text(item.plate).strip(),
        "time": to_datetime(item.received_us),
        "reason": _reason(item),
    }


async def unregister(connection: AsyncConnection[Any], unregistered: Sequence[tuple[str, int]]) -> None:
    """Terminals that unregistered (终端注销), as (phone, time_us): their code is void, unless a newer one was issued
    since. They keep their standing and their vehicle: they have to register again."""
    if unregistered:
        await connection.execute(
            "UPDATE terminals AS t SET auth_code_hash = NULL, auth_issued_us = c.time_us, updated_at = now() "
            "FROM (SELECT phone, max(time_us) FROM unnest(%s::text[], %s::bigint[]) AS u(phone, time_us) "
            "GROUP BY phone) AS c(phone, time_us) WHERE t.phone = c.phone AND t.auth_issued_us < c.time_us",
            ([phone for phone, _ in unregistered], [time_us for _, time_us in unregistered]),
        )


def _rounds(items: Sequence[_Noun]) -> Iterator[list[_Noun]]:
    """The first of each terminal, then the second of each, ...: a statement may touch a row once."""
    rounds: list[list[_Noun]] = []
    seen: dict[str, int] = {}
    for item in items:
        number = seen[item.phone] = seen.get(item.phone, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(item)
    yield from rounds

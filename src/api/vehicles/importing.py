"""The bulk import of vehicles: one file, one transaction, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from fastapi import Request
from psycopg import AsyncConnection
from starlette.datastructures import UploadFile

from api.deps import Actor
from api.problems import ProblemError
from api.vehicles.sheet import KNOWN_COLUMNS, Sheet, parse
from store import Database
from store.queries import organizations, terminals, vehicles

MAX_BYTES: Final = 10 << 20
_UPDATED: Final = ("vin", "vehicle_type", "organization_id", "speed_limit_kmh")

REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"A CSV file, UTF-8 or GB18030, up to 10 MiB and 50,000 vehicles. Columns: {KNOWN_COLUMNS}.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


async def read_upload(request: Request) -> bytes:
    """The file: the body itself, or the first file of a form.

    Raises:  ProblemError: 413 too large, 415 neither, 400 a form without a file.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            uploads = [value for value in form.values() if isinstance(value, UploadFile)]
            if not uploads:
                raise ProblemError(400, "no-file", "The form holds no file.")
            content = await uploads[0].read()
    elif kind in (
        "text/csv",
        "text/plain",
        "application/csv",
        "application/vnd.ms-excel",
        "application/octet-stream",
        "",
    ):
        content = await request.body()
    else:
        raise ProblemError(
            415, "not-csv", f"Send the vehicle list as text/csv or as a form with a file, not as {kind}."
        )
    if len(content) > MAX_BYTES:
        raise ProblemError(413, "too-large", f"The file has {len(content)} bytes; {MAX_BYTES} are the most.")
    return content


async def import_vehicles(database: Database, actor: Actor, content: bytes, *, dry_run: bool) -> dict[str, Any]:
    """Create what is new, fill in what is known: cells left empty change nothing.

    Raises:  ProblemError: 422 with every fault {line, column, value, message}; then nothing was changed.
    """
    sheet = await asyncio.to_thread(parse, content)
    _refuse_when_faulty(sheet)
    async with database.connection() as connection:
        await organizations.lock(connection)
        known = await vehicles.lock_all(connection)
        new_organizations = await _resolve_organizations(connection, sheet)
        to_insert, to_update, moved = await _compare(connection, sheet, known)
        _refuse_when_faulty(sheet)
        touched = {row["id"] for row in to_update} | {known[key]["id"] for key, _ in moved if key in known}
        result = {
            "created": len(to_insert),
            "updated": len(touched),
            "unchanged": len(sheet.rows) - len(to_insert) - len(touched),
            "organizations_created": new_organizations,
            "dry_run": dry_run,
        }
        if dry_run:
            await connection.rollback()
            return result
        ids = {key: row["id"] for key, row in known.items()} | await vehicles.insert_many(connection, to_insert)
        await vehicles.update_many(connection, to_update)
        await _bind(connection, [(ids[key], phone) for key, phone in moved])
        await actor.record(connection, "vehicle.import", f"{len(sheet.rows)} vehicles", **result)
    return result


def _refuse_when_faulty(sheet: Sheet) -> None:
    if not sheet.errors:
        return
    errors = [asdict(error) | {"field": error.column} for error in sorted(sheet.errors, key=lambda e: e.line)]
    detail = f"The file has {len(errors)} faults; nothing was imported."
    raise ProblemError(422, "import", detail, errors=errors)


async def _resolve_organizations(connection: AsyncConnection[Any], sheet: Sheet) -> list[str]:
    """Put ids in the place of names; names nobody knows become organizations."""
    ids = await organizations.ids_by_name(connection)
    names = dict.fromkeys(row.values["organization"] for row in sheet.rows if "organization" in row.values)
    new = [name for name in names if name not in ids]
    if new:
        ids |= await organizations.insert_many(connection, new)
    for row in sheet.rows:
        if "organization" in row.values:
            row.values["organization_id"] = ids[row.values.pop("organization")]
    return new


async def _compare(
    connection: AsyncConnection[Any], sheet: Sheet, known: Mapping[tuple[str, int], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[tuple[str, int], str]]]:
    """What to insert, what to update, which phones go into which vehicles. Faults are noted in the sheet."""
    phones = [row.values["phone"] for row in sheet.rows if "phone" in row.values]
    units = await terminals.by_phone(connection, phones)
    to_insert, to_update, moved = [], [], []
    for row in sheet.rows:
        values = row.values
        key = (values["plate"], values["plate_color"])
        old = known.get(key)
        columns = {name: values[name] for name in _UPDATED if name in values}
        if old is None:
            to_insert.append({"plate": key[0], "plate_color": key[1]} | columns)
        elif any(old[name] != value for name, value in columns.items()):
            to_update.append({name: old[name] for name in ("id", *_UPDATED)} | columns)
        if "phone" not in values:
            continue
        phone = values["phone"]
        unit = units.get(phone)
        if unit and unit["standing"] == "blocked":
            sheet.fault(row.line, "phone", phone, "the terminal is blocked")
        elif unit and unit["vehicle_id"] is not None:
            if old is None or unit["vehicle_id"] != old["id"]:
                message = f"the terminal is in vehicle {unit['plate']} (id {unit['vehicle_id']})"
                sheet.fault(row.line, "phone", phone, message)
            elif unit["standing"] == "pending":
                moved.append((key, phone))
        else:
            moved.append((key, phone))
    return to_insert, to_update, moved


async def _bind(connection: AsyncConnection[Any], moved: list[tuple[int, str]]) -> None:
    if not moved:
        return
    units = await terminals.by_phone(connection, [phone for _, phone in moved])
    ids = {phone: unit["id"] for phone, unit in units.items()}
    new = [phone for _, phone in moved if phone not in ids]
    if new:
        ids |= await terminals.insert_many(connection, new)
    await terminals.bind(connection, [ids[phone] for _, phone in moved], [vehicle_id for vehicle_id, _ in moved])
